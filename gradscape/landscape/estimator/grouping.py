"""Deviations of levels that saw different numbers of images, told by as many blocks as the finest level saw."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

__all__ = ["grouped_deviations"]


def grouped_deviations(
    deviations: Float[np.ndarray, "blocks points"],
    level: int,
    seen: Sequence[int],
    sizes: Float[np.ndarray, " all_blocks"],
    population: int,
) -> Float[np.ndarray, "least points"]:
    """Deal out a level's blocks to groups, as many as the finest level has blocks, that vary as the level's mean does.

    A mean over the first n_j images of N has the variance σ²·left_j with left_j = 1/n_j − 1/N, and means of levels j
    and k over the same images vary together by left of the one that saw more. Groups keep both: with L levels, images
    that the levels 0 … s saw and no finer one did count for level j ≤ s with left_j·√(1/left_s − 1/left_(s+1)), where
    1/left_L is 0. A plain mean over the groups, and its standard error s/√K·√(1 − n/N), are then those of the level's.

    Args:
        deviations: Of the blocks that the level saw from their mean.
        level: Its number j, 0 for the coarsest.
        seen: Blocks that each level saw, coarse to fine.
        sizes: Images of every block.
        population: N.

    Returns:
        Deviations of the groups, the first of which begins with the first block.

    Source: Cochran 1977, section 2.6 (variance of a mean over n of N); Giles 2015 (levels).
    """
    least = seen[-1]
    if len(deviations) == least:
        return deviations
    images = np.cumsum(sizes)[np.asarray(seen) - 1]
    left = np.maximum(1 / images - 1 / population, 0.0)
    found = np.zeros((least, deviations.shape[1]))
    if not left[level]:
        return found
    known = np.append(1 / left[level:], 0.0)
    usual = images[-1] / least
    ends = [*seen[level:], 0]
    for stop, start, gained in zip(ends, ends[1:], known[:-1] - known[1:], strict=False):
        if stop == start:
            continue
        shares = sizes[start:stop] / usual
        scale = left[level] * np.sqrt(gained / left[-1] * least / shares.sum())
        np.add.at(found, np.arange(start, stop) % least, scale * shares[:, None] * deviations[start:stop])
    return found
