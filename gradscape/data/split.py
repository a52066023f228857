"""One split of a data set: re-iterable batches, always in the same order."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from gradscape._profile import spent_on
from gradscape.data.images import Images
from gradscape.data.source import Source, Triple, are_names

__all__ = ["HeldOut", "Split", "balanced_order"]


@final
@dataclass(frozen=True)
class HeldOut:
    """How images were held out of data without a split of their own.

    Attributes:
        share: Part of each class, in (0, 1).
        seed: Chose them.
    """

    share: float
    seed: int


@final
class Split:
    """Batches of (images float32 (B, 3, H, W) in [0, 1], labels int64 (B,)), the same at every iteration.

    Made by `load_split` and `load_train_and_test`. The last batch may be smaller. `dataset` has the same images one
    by one, in the same order, for training loops which shuffle and augment.

    Args:
        source: All images of the split.
        name: The data set's name.
        split: What the split is called: see the attribute.
        image_size: Side of the images in pixels; None: native.
        batch_size: Images in a batch.
        limit: Size of the class-balanced subset; None: all images in the data set's own order.
        seed: Chooses the subset.
        held_out: Of a part of data without a split of their own, how it came about.
        hold: Whether images are decoded once and held in memory where they fit, or at each use.

    Attributes:
        split: "train" or "test"; "val" where validation images serve as test images; "all" of data without a split
            of their own; "held out" of such data the part that is not trained with.
        held_out: How the data were divided into a part to train with and one held out; None if they were not.
        classes: Class names; a label is an index into them.
        present: How many classes have images in the whole split.
        num_images: Images in these batches.
        population: Images of the whole split, before `limit`.
        image_size: Side of the images in pixels; (height, width) where they are not square.
        dataset: Map-style `torch.utils.data.Dataset` of (image float32 (3, H, W), label int). Of image files its
            `whole` has them neither resized nor cut, as uint8, for random crops.
    """

    def __init__(
        self,
        source: Source,
        *,
        name: str,
        split: str,
        image_size: int | None,
        batch_size: int,
        limit: int | None,
        seed: int,
        held_out: HeldOut | None = None,
        hold: bool = True,
    ) -> None:
        self.population = len(source.labels)
        order = np.arange(self.population) if limit is None else balanced_order(source.labels, seed)[:limit]
        self.name = name
        self.split = split
        self.held_out = held_out
        self.classes = source.classes
        self.present = len(np.unique(source.labels))
        self.num_images = len(order)
        self.batch_size = batch_size
        self.dataset = Images(source, order, image_size, hold=hold)
        height, width = self.dataset.height_and_width
        self.image_size: int | tuple[int, int] = height if height == width else (height, width)
        self._published = source.statistics

    def __len__(self) -> int:
        return -(-self.num_images // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Float[Tensor, "batch 3 height width"], Int64[Tensor, " batch"]]]:
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
            f"Split({self.name!r}, {self.split!r}: {self.num_images} of {self.population} images, "
            f"{len(self.classes)} classes, image_size={self.image_size}, batch_size={self.batch_size})"
        )

    def channel_statistics(self) -> tuple[Triple, Triple]:
        """Mean and standard deviation of each channel: what a model's normalization subtracts and divides by.

        The published numbers where a data set has them, else computed over every pixel of these images. A
        constant channel gets the standard deviation 1, by which it can be divided.

        Returns:
            (mean, std), each with one number for red, green and blue, in units of the images.
        """
        if self._published is not None:
            return self._published
        total, squares, pixels = torch.zeros(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64), 0
        for images, _ in self:
            values = images.double()
            total += values.sum((0, 2, 3))
            squares += values.square().sum((0, 2, 3))
            pixels += values[:, 0].numel()
        mean = total / pixels
        std = (squares / pixels - mean**2).clamp(min=0).sqrt()
        std[std < 1e-6] = 1
        return _triple(mean), _triple(std)


def balanced_order(labels: np.ndarray, seed: int) -> np.ndarray:
    """All indices, dealt out class by class in turn; each class in its own seeded random order.

    Any beginning of it is as balanced as the data allow, and a shorter one is the beginning of a longer one. A
    class that runs out is skipped.

    Args:
        labels: int64 (N,).
        seed: Not negative.

    Returns:
        int64 (N,), a permutation of 0 to N - 1.
    """
    turn = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        turn[members] = np.random.default_rng((seed, int(label))).permutation(len(members))
    return np.lexsort((labels, turn))


def _triple(values: Tensor) -> Triple:
    red, green, blue = values.tolist()
    return red, green, blue
