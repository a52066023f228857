"""What a data set is before it is ordered, resized and cut into batches."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

__all__ = ["ALL", "IMAGENET", "VAL", "Source", "Triple", "are_names"]

ALL = "all"
"""What the split is called of data that have none of their own."""

VAL = "val"
"""What the split is called of validation images that serve as test images."""

Triple = tuple[float, float, float]

IMAGENET: tuple[Triple, Triple] = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of each channel of ImageNet, with which photographs are usually normalized."""


@dataclass(frozen=True)
class Source:
    """All images of one split, read one at a time, in the data set's own order.

    Attributes:
        read: Index to image, uint8 or float32 (3, H, W), at its native size. It can be pickled.
        labels: int64 (N,), indices into `classes`.
        classes: The class names.
        statistics: The published mean and standard deviation of each channel; None: they have to be computed.
        threads: Whether several threads may read at once: worth it where images are decoded from files.
        lazy: Whether an image comes from elsewhere when it is read, so that keeping the source costs no memory.
        photographs: Whether these are photographs that are evaluated as those of ImageNet are: see `resize_image`.
        split: What the split is called where that is not what was asked for: `ALL` or `VAL`.
    """

    read: Callable[[int], Tensor]
    labels: np.ndarray
    classes: tuple[str, ...]
    statistics: tuple[Triple, Triple] | None = None
    threads: bool = False
    lazy: bool = False
    photographs: bool = False
    split: str | None = None

    def __post_init__(self) -> None:
        if self.labels.dtype != np.int64 or self.labels.ndim != 1:
            raise TypeError(f"`labels` must be int64 (N,), but came as {self.labels.dtype} {self.labels.shape}")
        if not len(self.labels):
            raise ValueError("`labels` is empty: a data set must have at least one image")
        low, high, count = int(self.labels.min()), int(self.labels.max()), len(self.classes)
        if low < 0 or high >= count:
            raise ValueError(f"`labels` must be 0 to {count - 1} for {count} classes, but span {low} to {high}")

    def part(self, indices: np.ndarray, split: str) -> "Source":
        """Only these images, in this order, as a split of such a name.

        Args:
            indices: int64 (n,), below the number of images.
            split: What the part is called.
        """
        return replace(self, read=partial(_read_part, self.read, indices), labels=self.labels[indices], split=split)

    def same_as(self, other: "Source") -> bool:
        """Whether these are the same images, by all labels and by the first image, the last and one between."""
        count = len(self.labels)
        return np.array_equal(self.labels, other.labels) and all(
            torch.equal(self.read(index), other.read(index)) for index in (0, count // 2, count - 1)
        )


def are_names(classes: Sequence[str]) -> bool:
    """Whether classes have names, and are not only called by their numbers."""
    return list(classes) != [str(number) for number in range(len(classes))]


def _read_part(read: Callable[[int], Tensor], indices: np.ndarray, index: int) -> Shaped[Tensor, "3 height width"]:
    return read(int(indices[index]))
