"""The barrier between two networks: how high the loss rises on the straight way from one to the other."""

from dataclasses import dataclass, replace
from typing import final

import numpy as np
from jaxtyping import Float

from gradscape.landscape.statistics import BlockStatistics, paired_difference

__all__ = ["Barrier", "measure_barrier"]

_ROUNDING = 1e-12  # of the loss of both ends: as much as straight lines miss by in double precision


@final
@dataclass(frozen=True)
class Barrier:
    """Highest rise of the loss above the straight line between the losses of two networks.

    Attributes:
        height: In the loss's unit; infinite where the loss on the way is not finite.
        stderr: Standard error of the height, paired over blocks of images, at the alpha that was found; 0 where all
            images were seen, NaN with fewer than two blocks.
        alpha: Where it is, in [0, 1]; at an end there is no rise.
        images: How many images it rests on.
    """

    height: float
    stderr: float
    alpha: float
    images: int


def measure_barrier(alphas: Float[np.ndarray, " alphas"], blocks: BlockStatistics) -> Barrier:
    """Measure max over alpha of L(alpha) − [(1 − alpha)·L(0) + alpha·L(1)], all losses over the same images.

    Args:
        alphas: Coordinates with 0 (the first network) and 1 (the second) among them.
        blocks: What was measured there, (blocks, alphas).

    Raises:
        ValueError: An end is not among the alphas, was not evaluated, or has a loss that is not finite.

    Source: Entezari et al. 2022, "The Role of Permutation Invariance in Linear Mode Connectivity of Neural Networks",
        definition 3.1; for the standard error Cochran (1977), section 9A.
    """
    first, second = (_end(alphas, blocks, place) for place in (0.0, 1.0))
    way = np.flatnonzero((alphas >= 0) & (alphas <= 1))
    between, along = blocks.points(way), alphas[way]
    # Of a run that was stopped the points may hold more images or fewer: only those that all three have are compared.
    shared = np.where((first.count > 0) & (second.count > 0), between.count, 0)
    straight = replace(between, count=shared, mean=(1 - along) * first.mean + along * second.mean)
    heights, errors = paired_difference(replace(between, count=shared), straight)
    ends = np.abs(first.loss) + np.abs(second.loss)
    heights = np.where(np.abs(heights) <= _ROUNDING * ends, 0.0, heights)
    reached = shared.any(axis=0)
    heights = np.where(reached & ~np.isfinite(heights), np.inf, heights)
    highest = int(np.nanargmax(heights))
    images = int(shared[:, highest].sum())
    everything = images == blocks.population and np.isfinite(heights[highest])
    return Barrier(
        height=float(heights[highest]),
        stderr=0.0 if everything else float(errors[highest]),
        alpha=float(along[highest]),
        images=images,
    )


def _end(alphas: Float[np.ndarray, " alphas"], blocks: BlockStatistics, place: float) -> BlockStatistics:
    found = np.flatnonzero(alphas == place)
    if not len(found):
        raise ValueError(f"`alphas` must hold 0 and 1, where the two networks are, but {place:g} is not among them")
    end = blocks.points(found)
    if not np.isfinite(end.loss).all():
        raise ValueError(f"the loss at alpha = {place:g} must be known and finite for a barrier, got {end.loss[0]:g}")
    return end
