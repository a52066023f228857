"""The images of one split as a PyTorch data set, held in memory where they fit."""

from collections.abc import Callable
from functools import partial
from typing import final

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.utils.data import Dataset

from gradscape.data.held import HeldImages
from gradscape.data.pixels import resize_image, to_unit_range
from gradscape.data.source import Source

__all__ = ["Images", "WholeImages"]


@final
class Images(Dataset[tuple[Tensor, int]]):
    """Images of a source in a chosen order: (float32 (3, H, W), label) by index, for any DataLoader.

    Every image is decoded and resized once and kept (8-bit ones as bytes) when all of them fit in half of the
    free memory, and at each use otherwise; what comes out is the same to the bit. It can be pickled.

    Args:
        source: Where images come from.
        order: int64 (n,), the source's indices in the wanted order.
        image_size: Side of the center square in pixels, or None for the native size, the same for all.
        hold: Whether to keep them where they fit; where there are whole images, False decodes none before its use.

    Attributes:
        labels: int64 (n,).
        whole: The same images as they came, neither resized nor cut, for random crops; None of images that are held
            in memory anyhow, as arrays are.

    Raises:
        ValueError: An image cannot be read, or sizes differ and `image_size` is None.
    """

    def __init__(self, source: Source, order: np.ndarray, image_size: int | None, *, hold: bool = True) -> None:
        self.labels = torch.from_numpy(source.labels[order])
        self.whole = WholeImages(source, order) if source.lazy else None
        read = partial(_read_resized, source.read, image_size, photograph=source.photographs)
        self._images = HeldImages(read, order, threads=source.threads, hold=hold or self.whole is None)

    @property
    def height_and_width(self) -> tuple[int, int]:
        """Size of every image in pixels."""
        return self._images.shape[1], self._images.shape[2]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Float[Tensor, "3 height width"], int]:
        label = int(self.labels[index])
        return to_unit_range(self._images[index]), label

    def batch(self, start: int, stop: int) -> tuple[Float[Tensor, "batch 3 height width"], Shaped[Tensor, " batch"]]:
        """Images and int64 labels from index `start` to before `stop`."""
        span = range(start, min(stop, len(self)))
        return to_unit_range(self._images.batch(span)), self.labels[span.start : span.stop].clone()


@final
class WholeImages(Dataset[tuple[Tensor, int]]):
    """Images of a source as they came: (uint8 or float32 (3, H, W), label) by index, each of a size of its own.

    Args:
        source: Where images come from.
        order: int64 (n,), the source's indices in the wanted order.
    """

    def __init__(self, source: Source, order: np.ndarray) -> None:
        self._source = source
        self._order = order

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, index: int) -> tuple[Shaped[Tensor, "3 height width"], int]:
        place = int(self._order[index])
        return self._source.read(place), int(self._source.labels[place])


def _read_resized(
    read: Callable[[int], Tensor], image_size: int | None, index: int, *, photograph: bool
) -> Shaped[Tensor, "3 height width"]:
    return resize_image(read(index), image_size, photograph=photograph)
