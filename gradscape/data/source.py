"""What a data set is before it is ordered, resized and cut into batches."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

__all__ = ["Source", "Triple"]

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Source:
    """All images of one split, read one at a time, in the data set's own order.

    Attributes:
        read: Index to image, uint8 or float32 (3, H, W), at its native size. It can be pickled.
        labels: int64 (N,), indices into `classes`.
        classes: The class names.
        statistics: The published mean and standard deviation of each channel; None: they have to be computed.
        threads: Whether several threads may read at once: worth it where images are decoded from files.
    """

    read: Callable[[int], Tensor]
    labels: np.ndarray
    classes: tuple[str, ...]
    statistics: tuple[Triple, Triple] | None = None
    threads: bool = False

    def __post_init__(self) -> None:
        if self.labels.dtype != np.int64 or self.labels.ndim != 1:
            raise TypeError(f"`labels` must be int64 (N,), but came as {self.labels.dtype} {self.labels.shape}")
        if not len(self.labels):
            raise ValueError("`labels` is empty: a data set must have at least one image")
        low, high, count = int(self.labels.min()), int(self.labels.max()), len(self.classes)
        if low < 0 or high >= count:
            raise ValueError(f"`labels` must be 0 to {count - 1} for {count} classes, but span {low} to {high}")
