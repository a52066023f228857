"""The merge tree of values on a grid: where minima begin, and at which saddles their basins meet."""

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float, Int

__all__ = ["MergeTree", "ascending", "grow_merge_tree"]


@final
@dataclass(frozen=True, eq=False)
class MergeTree:
    """Where components of {values ≤ level} begin and end as the level rises: one entry a minimum, lowest first.

    Attributes:
        minimum: Position of each in the flat grid, (minima,).
        saddle: Position at which its component joins that of a lower minimum, (minima,); −1 where it never does.
        into: Number of that minimum, (minima,), −1 likewise.
    """

    minimum: Int[np.ndarray, "minima"]
    saddle: Int[np.ndarray, "minima"]
    into: Int[np.ndarray, "minima"]


def ascending(values: Float[np.ndarray, "rows columns"]) -> Int[np.ndarray, "finite"]:
    """Positions in the flat grid from the lowest value to the highest, without those that are not finite.

    Equal values are taken in the order of the grid, so that no two are level and every run finds the same.

    Source: Edelsbrunner and Mücke, Simulation of Simplicity, ACM Transactions on Graphics 1990.
    """
    flat = values.ravel()
    order = np.argsort(flat, kind="stable")
    return order[np.isfinite(flat[order])]


def grow_merge_tree(values: Float[np.ndarray, "rows columns"], *, corners: bool = False) -> MergeTree:
    """Find all minima and where their basins meet, by union-find with the elder rule.

    A point's neighbors are the four beside, above and below it, as in the complex that `find_loops` takes.

    Args:
        values: On the grid; what is not finite is no part of it.
        corners: Whether the four at its corners are neighbors too.

    Source: Carr, Snoeyink and Axen, Computing Contour Trees in All Dimensions, 2003; Edelsbrunner, Letscher and
        Zomorodian, Topological Persistence and Simplification, 2002 (elder rule).
    """
    rows, columns = values.shape
    # A frame of points that are never reached saves asking at each point whether it lies on the edge.
    width = columns + 2
    steps = (-width, -1, 1, width, *((-width - 1, -width + 1, width - 1, width + 1) if corners else ()))
    component = [-1] * ((rows + 2) * width)
    minima: list[int] = []
    saddles: list[int] = []
    into: list[int] = []
    parent: list[int] = []

    def oldest(number: int) -> int:
        while parent[number] != number:
            parent[number] = number = parent[parent[number]]
        return number

    for position in ascending(values).tolist():
        row, column = divmod(position, columns)
        place = (row + 1) * width + column + 1
        beside = (component[place + step] for step in steps)
        met = sorted({oldest(number) for number in beside if number >= 0})
        if not met:
            met = [len(minima)]
            minima.append(position)
            saddles.append(-1)
            into.append(-1)
            parent.append(met[0])
        component[place] = met[0]
        for younger in met[1:]:
            saddles[younger], into[younger], parent[younger] = position, met[0], met[0]
    return MergeTree(*(np.array(found, dtype=np.int64) for found in (minima, saddles, into)))
