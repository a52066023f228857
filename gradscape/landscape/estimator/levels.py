"""Levels of a grid, coarse to fine, and the four points of coarser levels around each point."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import final

import numpy as np
from jaxtyping import Float, Int

__all__ = ["Levels", "grid_levels"]

_COARSEST = 7  # points on the longest axis of the coarsest level, about


@final
@dataclass(frozen=True, eq=False)
class Levels:
    """Which level each point of a grid is in, and which points of coarser levels lie around it.

    Attributes:
        level: Of each point in C order, (points,); 0 is the coarsest.
        parents: The corners of the cell of the next coarser level that a point lies in, (points, corners); the point
            itself in level 0, which has none.
        weights: With which the corners give the point by (bi)linear interpolation, (points, corners).
    """

    level: Int[np.ndarray, " points"]
    parents: Int[np.ndarray, "points corners"]
    weights: Float[np.ndarray, "points corners"]

    @property
    def depth(self) -> int:
        """How many levels there are."""
        return int(self.level.max()) + 1

    def points(self, level: int) -> Int[np.ndarray, " some"]:
        """The points of a level."""
        return np.flatnonzero(self.level == level)

    def with_origin(self) -> "Levels":
        """The same with one more point before all others: the origin, in the coarsest level and nobody's parent."""
        return Levels(
            np.insert(self.level, 0, 0),
            np.insert(self.parents + 1, 0, 0, axis=0),
            np.insert(self.weights, 0, 1 / self.weights.shape[1], axis=0),
        )


def grid_levels(axes: Sequence[Float[np.ndarray, "_"]]) -> Levels:
    """Levels whose points lie twice as far apart as those of the next one; ends and the origin are in all of them.

    Args:
        axes: Coordinates along each axis, in the order of the grid's.
    """
    strides = [1]
    while max(len(_kept(axis, strides[-1])) for axis in axes) > _COARSEST:
        strides.append(2 * strides[-1])
    kept = [[_kept(axis, stride) for axis in axes] for stride in reversed(strides)]
    shape = tuple(map(len, axes))
    level = np.full(shape, len(kept) - 1)
    for number in reversed(range(len(kept))):
        level[np.ix_(*kept[number])] = number
    flat = level.ravel()
    corners = 2 ** len(axes)
    parents = np.repeat(np.arange(flat.size)[:, None], corners, axis=1)
    weights = np.full((flat.size, corners), 1 / corners)
    for number in range(1, len(kept)):
        points = np.flatnonzero(flat == number)
        sides = [
            _side(index, lines, axis)
            for index, lines, axis in zip(np.unravel_index(points, shape), kept[number - 1], axes, strict=True)
        ]
        for corner, chosen in enumerate(product((0, 1), repeat=len(axes))):
            places = tuple(ends[end] for (ends, _), end in zip(sides, chosen, strict=True))
            parents[points, corner] = np.ravel_multi_index(places, shape)
            weights[points, corner] = np.prod([part[end] for (_, part), end in zip(sides, chosen, strict=True)], axis=0)
    return Levels(flat, parents, weights)


def _kept(axis: np.ndarray, stride: int) -> np.ndarray:
    """Indices of every so many coordinates, and those of the last one and of 0."""
    last = len(axis) - 1
    return np.unique([*range(0, last + 1, stride), last, *np.flatnonzero(axis == 0)])


def _side(index: np.ndarray, lines: np.ndarray, axis: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The two lines around each index, and what each of them counts in linear interpolation."""
    if len(lines) == 1:
        return [np.full_like(index, lines[0])] * 2, [np.full(len(index), 0.5)] * 2
    low = np.clip(np.searchsorted(lines, index, side="right") - 1, 0, len(lines) - 2)
    below, above = lines[low], lines[low + 1]
    share = (axis[index] - axis[below]) / (axis[above] - axis[below])
    return [below, above], [1 - share, share]
