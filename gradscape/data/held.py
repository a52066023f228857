"""Images of one size that are decoded once and held in memory where they fit."""

import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import final

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from gradscape.data.memory import free_memory

__all__ = ["HeldImages"]

_PIECE = 32  # images one thread reads at a time
_log = logging.getLogger(__name__)


@final
class HeldImages:
    """Images in a chosen order, kept when all of them fit in half of the free memory, read at each use otherwise.

    What comes out is the same to the bit. It can be pickled if `read` can.

    Args:
        read: Index to image, all of one size and type.
        order: int64 (n,), what `read` takes, in the wanted order; at least one.
        threads: Whether several threads may read at once: worth it where images are decoded from files.
        hold: Whether to keep them where they fit.

    Attributes:
        shape: Of every image.

    Raises:
        ValueError: An image cannot be read, or sizes or types differ.
    """

    def __init__(self, read: Callable[[int], Tensor], order: np.ndarray, *, threads: bool, hold: bool = True) -> None:
        self._read: Callable[[int], Tensor] | None = read
        self._order = order
        self._threads = threads
        self._stored: Tensor | None = None
        first = read(int(order[0]))
        self.shape, self._dtype = first.shape, first.dtype
        if not hold:
            return
        if len(order) * first.numel() * first.element_size() <= free_memory() // 2:
            self._stored = self._read_span(range(len(order)))
            self._read = None  # frees what the source holds in memory
        else:
            _log.info("%d images do not fit in half of the free memory: each is read again at every use", len(order))

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, index: int) -> Shaped[Tensor, "*shape"]:
        return self._stored[index] if self._stored is not None else self._read_one(index)

    def batch(self, span: range) -> Shaped[Tensor, "batch *shape"]:
        """The images of a span of indices."""
        return self._stored[span.start : span.stop] if self._stored is not None else self._read_span(span)

    def _read_one(self, index: int) -> Tensor:
        assert self._read is not None
        image = self._read(int(self._order[index]))
        if image.shape != self.shape:
            raise ValueError(
                f"`image_size` must be given where sizes differ: image {int(self._order[0])} is "
                f"{_size(self.shape)} pixels, image {int(self._order[index])} is {_size(image.shape)}"
            )
        if image.dtype != self._dtype:
            raise ValueError(f"images must all be uint8 or all float32, but {self._dtype} and {image.dtype} came")
        return image

    def _read_span(self, span: range) -> Tensor:
        """Read a span of indices; threads share the work where decoding is what takes time."""
        images = torch.empty((len(span), *self.shape), dtype=self._dtype)

        def fill(piece: range) -> None:
            for index in piece:
                images[index - span.start] = self._read_one(index)

        if not self._threads:
            fill(span)
            return images
        pieces = [span[k : k + _PIECE] for k in range(0, len(span), _PIECE)]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for _ in pool.map(fill, pieces):  # hands on the first exception
                pass
        return images


def _size(shape: torch.Size) -> str:
    return f"{shape[1]} x {shape[2]}"
