"""Data that come with the package: scikit-learn's digits, and noise."""

from functools import partial

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from gradscape.data.pixels import pick_image
from gradscape.data.source import Source

__all__ = ["digits", "noise"]

_MOST_NOISE = 10_000_000  # each has a label in memory
_LONGEST_COUNT = 40


def digits(split: str) -> Source:
    """The 8 x 8 handwritten digits of scikit-learn; every fifth image of a class is in the test split."""
    from sklearn.datasets import load_digits  # takes a second to import, which no other data set needs

    bunch = load_digits()
    labels = bunch.target.astype(np.int64)
    rank = np.empty_like(labels)
    for label in range(10):
        members = np.flatnonzero(labels == label)
        rank[members] = np.arange(len(members))
    chosen = (rank % 5 == 4) == (split == "test")
    images = (bunch.images[chosen] / 16).astype(np.float32)  # gray levels are 0 to 16
    return Source(partial(pick_image, images), labels[chosen], tuple(str(digit) for digit in range(10)))


def noise(count: str, *, split: str, image_size: int, seed: int) -> Source:
    """`count` images of standard normal noise, not in [0, 1], all with label 0; each has a seed of its own."""
    if not count.isdecimal() or len(count) > len(str(_MOST_NOISE)) or not 1 <= int(count) <= _MOST_NOISE:
        raise ValueError(
            f"`noise:N` needs the number of images, at most {_MOST_NOISE:,}, such as noise:64, but came as "
            f"noise:{count[:_LONGEST_COUNT]}"
        )
    read = partial(_noise_image, (seed, int(split == "test")), image_size)
    ones, zeros = (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)
    return Source(read, np.zeros(int(count), dtype=np.int64), ("noise",), statistics=(zeros, ones))


def _noise_image(stream: tuple[int, int], image_size: int, index: int) -> Float32[Tensor, "3 height width"]:
    generator = np.random.default_rng((*stream, index))
    return torch.from_numpy(generator.standard_normal((3, image_size, image_size), dtype=np.float32))
