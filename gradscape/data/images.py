"""The images of one split as a PyTorch data set, held in memory where they fit."""

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from typing import final

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.utils.data import Dataset

from gradscape.data.memory import free_memory
from gradscape.data.pixels import resize_image, to_unit_range
from gradscape.data.source import Source

__all__ = ["Images", "WholeImages"]

_PIECE = 32  # images one thread reads at a time
_log = logging.getLogger(__name__)


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
        self._source: Source | None = source
        self._order = order
        self._image_size = image_size
        self._stored: Tensor | None = None
        first = resize_image(source.read(int(order[0])), image_size, photograph=source.photographs)
        self._shape, self._dtype = first.shape, first.dtype
        if not hold and self.whole is not None:
            return
        if len(order) * first.numel() * first.element_size() <= free_memory() // 2:
            self._stored = self._read(range(len(order)))
            self._source = None  # frees what the source holds in memory
        else:
            _log.info("%d images do not fit in half of the free memory: each is read again at every use", len(order))

    @property
    def height_and_width(self) -> tuple[int, int]:
        """Size of every image in pixels."""
        return self._shape[1], self._shape[2]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Float[Tensor, "3 height width"], int]:
        label = int(self.labels[index])
        image = self._stored[index] if self._stored is not None else self._read_one(index)
        return to_unit_range(image), label

    def batch(self, start: int, stop: int) -> tuple[Float[Tensor, "batch 3 height width"], Shaped[Tensor, " batch"]]:
        """Images and int64 labels from index `start` to before `stop`."""
        span = range(start, min(stop, len(self)))
        images = self._stored[span.start : span.stop] if self._stored is not None else self._read(span)
        return to_unit_range(images), self.labels[span.start : span.stop].clone()

    def _read_one(self, index: int) -> Tensor:
        assert self._source is not None
        read = self._source.read(int(self._order[index]))
        image = resize_image(read, self._image_size, photograph=self._source.photographs)
        if image.shape != self._shape:
            raise ValueError(
                f"`image_size` must be given where sizes differ: image {int(self._order[0])} is "
                f"{_size(self._shape)} pixels, image {int(self._order[index])} is {_size(image.shape)}"
            )
        if image.dtype != self._dtype:
            raise ValueError(f"images must all be uint8 or all float32, but {self._dtype} and {image.dtype} came")
        return image

    def _read(self, span: range) -> Tensor:
        """Read a span of indices; threads share the work where decoding is what takes time."""
        assert self._source is not None
        images = torch.empty((len(span), *self._shape), dtype=self._dtype)

        def fill(piece: range) -> None:
            for index in piece:
                images[index - span.start] = self._read_one(index)

        if not self._source.threads:
            fill(span)
            return images
        pieces = [span[k : k + _PIECE] for k in range(0, len(span), _PIECE)]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for _ in pool.map(fill, pieces):  # hands on the first exception
                pass
        return images


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


def _size(shape: torch.Size) -> str:
    return f"{shape[1]} x {shape[2]}"
