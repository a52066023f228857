"""Loops of values on a grid: rings around a hill, that begin at a saddle and are filled at the hill's top."""

import numpy as np
from jaxtyping import Float, Int

from gradscape.landscape.topology.merge_tree import ascending

__all__ = ["find_loops"]


def find_loops(values: Float[np.ndarray, "rows columns"]) -> Int[np.ndarray, "loops 2"]:
    """Find where loops of {values ≤ level} close and where they are filled, as the level rises.

    The grid's points are vertices of a cubical complex, so that four neighbors join, and a cell between four points
    is filled with the last of them. A hill is thus ringed once no path over eight neighbors leads down from it to a
    higher hill or over the grid's edge.

    Args:
        values: On the grid; what is not finite is no part of it, and a ring around it is never filled.

    Returns:
        Positions in the flat grid of the saddle and of the top, −1 where the ring is never filled.

    Raises:
        ValueError: gudhi is not installed.

    Source: Wagner, Chen and Vuçini, Efficient Computation of Persistent Homology for Cubical Data, 2012.
    """
    try:
        from gudhi import CubicalComplex  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError as problem:
        raise ValueError(
            "the topology of a surface needs gudhi, which is not installed: pip install gradscape[topology]"
        ) from problem
    order = ascending(values)
    # Ranks instead of values: without ties there is one answer, and each rank names its point. gudhi takes NaN without
    # a word, and a flat list of values as the transpose.
    ranks = np.full(values.size, np.inf)
    ranks[order] = np.arange(len(order))
    complex_ = CubicalComplex(vertices=ranks.reshape(values.shape))
    complex_.compute_persistence()
    found = np.asarray(complex_.persistence_intervals_in_dimension(1), dtype=float).reshape(-1, 2)
    found = found[np.isfinite(found[:, 0])]
    begins = order[found[:, 0].astype(np.int64)]
    ends = np.array([order[int(rank)] if np.isfinite(rank) else -1 for rank in found[:, 1]], dtype=np.int64)
    return np.stack([begins, ends], axis=1)
