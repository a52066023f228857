"""In which order a grid is filled: coarse to fine over its points, few images to many at each."""

from collections.abc import Iterator, Sequence

import numpy as np

__all__ = ["coarse_to_fine", "doubling_rounds"]

_COARSEST = 11  # points on an axis


def coarse_to_fine(shape: Sequence[int]) -> list[list[int]]:
    """A grid's points in levels, each with those before it an even grid over the whole.

    The first level has up to 11 points on an axis, the next ones 21, 41, … until all are there.

    Args:
        shape: Points on each axis.

    Returns:
        Flat indices (C order) of each level's new points, ascending.
    """
    seen = np.zeros(tuple(shape), bool)
    levels = []
    points = _COARSEST
    while not seen.all():
        level = np.zeros_like(seen)
        level[np.ix_(*(_spread(length, points) for length in shape))] = True
        new = np.flatnonzero(level & ~seen)
        if len(new):
            levels.append(new.tolist())
        seen |= level
        points = 2 * points - 1
    return levels


def doubling_rounds(block: int, batch: int, most: int) -> Iterator[int]:
    """How many images each round adds: first a block, then whole batches that about double the number, up to `most`."""
    total = block
    yield block
    while True:
        size = max(batch, min(total, most) // batch * batch)
        yield size
        total += size


def _spread(length: int, points: int) -> np.ndarray:
    """Up to `points` even indices from the first to the last."""
    return np.unique(np.linspace(0, length - 1, min(points, length)).round().astype(int))
