"""What images, and batches of them, tell of themselves, whatever is annotated in them."""

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

from gradscape.data.split import HeldOut

__all__ = ["KnownImages", "NamedBatches"]


@runtime_checkable
class KnownImages(Protocol):
    """What is known of the images of a split, whatever is annotated in them; attributes as those of `Split`."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def split(self) -> str: ...  # noqa: D102
    @property
    def num_images(self) -> int: ...  # noqa: D102
    @property
    def population(self) -> int: ...  # noqa: D102
    @property
    def held_out(self) -> HeldOut | None: ...  # noqa: D102


@runtime_checkable
class NamedBatches(KnownImages, Protocol):
    """Re-iterable batches of images and labels, boxes or pixels; attributes as those of `Split`."""

    @property
    def classes(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def named(self) -> bool: ...  # noqa: D102
    @property
    def present(self) -> int: ...  # noqa: D102
    @property
    def batch_size(self) -> int: ...  # noqa: D102

    def __iter__(self) -> Iterator[Any]: ...
