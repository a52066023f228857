"""One split of data with boxes, masks or pixel labels: re-iterable batches, always in the same order."""

from collections.abc import Iterator
from functools import partial
from typing import Any, Generic, Literal, Protocol, TypeVar, final, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from gradscape._profile import spent_on
from gradscape.data.canvas import Canvas
from gradscape.data.held import HeldImages
from gradscape.data.source import IMAGENET, Triple, are_names

__all__ = ["AnnotatedImages", "AnnotatedSource", "AnnotatedSplit", "Kind", "is_annotated", "kinds_of"]

Kind = Literal["boxes", "masks", "pixels"]
"""What is annotated: boxes, boxes with the mask of each, or a class for each pixel."""

_FORMS: dict[str, tuple[Kind, ...]] = {"coco": ("boxes", "masks"), "voc": ("boxes", "pixels")}

Targets = TypeVar("Targets")
Targets_co = TypeVar("Targets_co", covariant=True)


@runtime_checkable
class AnnotatedSource(Protocol[Targets_co]):
    """All pictures of one split and what is annotated in them, in the data set's own order.

    Attributes:
        paths: Image files.
        sizes: int64 (N, 2), (width, height) of each picture in pixels.
        classes: The class names.
        split: What the split is called: see `AnnotatedSplit`.
    """

    @property
    def paths(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def sizes(self) -> np.ndarray: ...  # noqa: D102
    @property
    def classes(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def split(self) -> str: ...  # noqa: D102

    def read(self, side: int, index: int) -> Tensor:
        """A picture's canvas, uint8 (3, side, side), and below it what is read with it and held in memory, too."""

    def targets(self, index: int, canvas: Canvas, more: Tensor) -> Targets_co:
        """What is annotated in a picture, as it lies on its canvas; `more` is what was read below the colors."""


@final
class AnnotatedSplit(Generic[Targets]):
    """Batches of (images float32 (B, 3, S, S) in [0, 1], targets), the same at every iteration.

    Made by `load_annotated`. The longer side of a picture is scaled to S; the rest at the bottom or right has
    ImageNet's mean color. The last batch may be smaller. `dataset` has the same images one by one, in the same order,
    for training loops which shuffle.

    Targets of `boxes` are a dict of tensors, for B images with M slots each:

    - `boxes`, float32 (B, M, 4): x1, y1, x2, y2 in pixels of the canvas; zeros in empty slots;
    - `classes`, int64 (B, M): indices into `classes`; -1 in empty slots;
    - `crowd`, bool (B, M): regions of many, or too difficult: neither trained on nor counted;
    - `area`, float32 (B, M): in pixels of the picture, as annotated;
    - `scale`, float32 (B,): pixels of the canvas for one of the picture;
    - `masks`, bool (B, M, S, S): of `masks` only.

    Targets of `pixels` are a tensor, int64 (B, S, S): indices into `classes`, -100 where nothing counts.

    Args:
        source: All pictures of the split.
        name: The data set's name.
        kind: What is annotated.
        image_size: S, the side of the canvases in pixels.
        batch_size: Images in a batch.
        limit: Size of the random subset, in random order; None: all images in the data set's own order.
        seed: Chooses the subset.

    Attributes:
        split: "train" or "test"; "val" where validation images serve as test images; "all" of data without a split
            of their own.
        held_out: None: no part of these data is held out, as one can be of a `Split`.
        classes: Class names.
        present: How many classes there are, for all that is annotated.
        num_images: Images in these batches.
        population: Images of the whole split, before `limit`.
        dataset: Map-style `torch.utils.data.Dataset` of (image, targets), both without the axis of the batch.
    """

    def __init__(
        self,
        source: AnnotatedSource[Targets],
        *,
        name: str,
        kind: Kind,
        image_size: int,
        batch_size: int,
        limit: int | None,
        seed: int,
    ) -> None:
        self.population = len(source.sizes)
        every = np.arange(self.population)
        order = every if limit is None else np.random.default_rng(seed).permutation(self.population)[:limit]
        self.name = name
        self.kind = kind
        self.split = source.split
        self.held_out = None
        self.classes = source.classes
        self.present = len(source.classes)
        self.num_images = len(order)
        self.image_size = image_size
        self.batch_size = batch_size
        self.dataset = AnnotatedImages(source, order, image_size)

    def __len__(self) -> int:
        return -(-self.num_images // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Float32[Tensor, "batch 3 side side"], Targets]]:
        for start in range(0, self.num_images, self.batch_size):
            with spent_on("data"):
                batch = self.dataset.batch(start, start + self.batch_size)
            yield batch

    @property
    def named(self) -> bool:
        """Whether the classes have names, and are not only called by their numbers."""
        return are_names(self.classes)

    def __repr__(self) -> str:
        return (
            f"AnnotatedSplit({self.name!r}, {self.split!r}: {self.kind} in {self.num_images} of {self.population} "
            f"images, {len(self.classes)} classes, image_size={self.image_size}, batch_size={self.batch_size})"
        )

    def channel_statistics(self) -> tuple[Triple, Triple]:
        """Mean and standard deviation of each channel: ImageNet's, whose mean color fills the canvases."""
        return IMAGENET


@final
class AnnotatedImages(Dataset[tuple[Tensor, Targets]], Generic[Targets]):
    """Images of a source in a chosen order: (float32 (3, S, S), targets) by index, for any DataLoader.

    Every image is decoded once and kept as bytes when all of them fit in half of the free memory, and at each use
    otherwise. It can be pickled.

    Args:
        source: Where images come from.
        order: int64 (n,), the source's indices in the wanted order.
        side: Of the canvases, in pixels.

    Raises:
        ValueError: An image cannot be read, or is not of the size that is annotated.
    """

    def __init__(self, source: AnnotatedSource[Targets], order: np.ndarray, side: int) -> None:
        self._source = source
        self._order = order
        self._side = side
        self._canvases = HeldImages(partial(source.read, side), order, threads=True)

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, index: int) -> tuple[Float32[Tensor, "3 side side"], Targets]:
        return self._item(index, self._canvases[index])

    def batch(self, start: int, stop: int) -> tuple[Float32[Tensor, "batch 3 side side"], Any]:
        """Images and targets from index `start` to before `stop`."""
        span = range(start, min(stop, len(self)))
        items = [self._item(index, read) for index, read in zip(span, self._canvases.batch(span), strict=True)]
        images, targets = zip(*items, strict=True)
        return torch.stack(images), default_collate(list(targets))

    def _item(self, index: int, read: Tensor) -> tuple[Tensor, Targets]:
        place = int(self._order[index])
        width, height = self._source.sizes[place].tolist()
        canvas = Canvas(width, height, self._side)
        return canvas.show(read[:3]), self._source.targets(place, canvas, read[3:])


def is_annotated(name: str) -> bool:
    """Whether a data set's name is of those with boxes, masks or a class for each pixel: `coco:PATH` and `voc:PATH`."""
    return bool(kinds_of(name))


def kinds_of(name: str) -> tuple[Kind, ...]:
    """What is read of a data set with `load_annotated`, by its name; nothing of those with a class for each image.

    Args:
        name: As `load_annotated` takes it.

    Example:
        >>> kinds_of("coco:pictures"), kinds_of("digits")
        (('boxes', 'masks'), ())
    """
    return _FORMS.get(name.partition(":")[0], ())
