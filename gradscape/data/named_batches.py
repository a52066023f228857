"""What batches of images tell of themselves, whatever is annotated in them."""

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

__all__ = ["NamedBatches"]


@runtime_checkable
class NamedBatches(Protocol):
    """Re-iterable batches of images and labels, boxes or pixels; attributes as those of `Split`."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def split(self) -> str: ...  # noqa: D102
    @property
    def classes(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def named(self) -> bool: ...  # noqa: D102
    @property
    def present(self) -> int: ...  # noqa: D102
    @property
    def num_images(self) -> int: ...  # noqa: D102
    @property
    def population(self) -> int: ...  # noqa: D102
    @property
    def batch_size(self) -> int: ...  # noqa: D102

    def __iter__(self) -> Iterator[Any]: ...
