"""How far a whole surface may lie from the one over all images: a band that holds at all points at once."""

from dataclasses import dataclass
from typing import Literal, final

import numpy as np
from jaxtyping import Bool, Float

from gradscape.landscape.statistics import LEAST_BLOCKS, BlockStatistics

__all__ = ["NoiseBand", "find_noise_band", "shared_blocks"]

_AT_ONCE = 2**23  # numbers held while resamples are gone through


@final
@dataclass(frozen=True)
class NoiseBand:
    """A band around a surface.

    Attributes:
        half_width: In the unit of the values; 0 where nothing is left to sampling, NaN where nothing can be said.
        blocks: Of how many blocks of images.
        note: Why nothing can be said; else "".
    """

    half_width: float
    blocks: int
    note: str = ""


def shared_blocks(blocks: BlockStatistics) -> Bool[np.ndarray, "blocks"]:
    """Which blocks were evaluated at every point: others would put their difficulty into some points only."""
    return np.asarray((blocks.count > 0).reshape(len(blocks.count), -1).all(axis=1))


def find_noise_band(
    blocks: BlockStatistics, value: Literal["loss", "error"], *, confidence: float, resamples: int, seed: int
) -> NoiseBand:
    """Half the width of a band that holds the surface over all images but for a shift, by a bootstrap over blocks.

    Of each resample, the deviation from the mean is taken at every point, and half of its range over the points: the
    largest distance that no shift of the whole surface takes away. Persistence is a difference of two values, which
    a shift does not change. The half-width is the quantile of these over the resamples, widened by the quantile of
    Student's t (K − 1) over that of the normal distribution for K blocks, few of which do not tell their own spread.
    Deviations are scaled by √((1 − n/N)·K/(K − 1)) for n of N images.

    Args:
        blocks: What was measured on the grid.
        value: Of what.
        confidence: Of the band, in (0, 1).
        resamples: Number of bootstrap resamples.
        seed: Of the bootstrap.

    Source: Chazal, Fasy, Lecci, Michel, Rinaldo and Wasserman, Robust Topological Inference: Distance To a Measure and
        Kernel Distance, JMLR 2018, section 4 (bootstrap of the supremum); Cochran 1977 (finite population).
    """
    from scipy.special import ndtri, stdtrit  # a quarter of a second that reading a file would pay for nothing

    shared = shared_blocks(blocks)
    count = blocks.count[shared].reshape(int(shared.sum()), -1).max(axis=1, initial=0)
    left = 1 - count.sum() / blocks.population
    if left <= 0:
        return NoiseBand(0.0, len(count))
    if len(count) < LEAST_BLOCKS:
        few = f"{len(count)} blocks of images" if len(count) > 1 else "a single block of images"
        note = f"{few}, where {LEAST_BLOCKS} are needed, cannot tell the noise: there is no band"
        return NoiseBand(np.nan, len(count), note)
    weights, deviations = count / count.sum(), _deviations(blocks, shared, value)
    scale = np.sqrt(left * len(count) / (len(count) - 1))
    sup = scale * _half_ranges(deviations - weights @ deviations, weights, resamples, seed)
    widened = stdtrit(len(count) - 1, (1 + confidence) / 2) / ndtri((1 + confidence) / 2)
    return NoiseBand(float(widened * np.quantile(sup, confidence, method="higher")), len(count))


def _deviations(blocks: BlockStatistics, shared: Bool[np.ndarray, "blocks"], value: str) -> Float[np.ndarray, "k n"]:
    """Each block's values at the points where all of them are finite."""
    means = blocks.mean[shared] if value == "loss" else 1 - blocks.right[shared] / blocks.count[shared]
    flat = means.reshape(len(means), -1)
    return flat[:, np.isfinite(flat).all(axis=0)]


def _half_ranges(
    deviations: Float[np.ndarray, "blocks points"], weights: Float[np.ndarray, "blocks"], resamples: int, seed: int
) -> Float[np.ndarray, "resamples"]:
    """Of each resample's mean deviation, half of its range over the points."""
    count, points = deviations.shape
    if not points:
        return np.zeros(resamples)
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=resamples) * weights
    drawn /= drawn.sum(axis=1, keepdims=True)
    means = (part @ deviations for part in np.array_split(drawn, -(-resamples * points // _AT_ONCE)))
    return np.concatenate([np.ptp(part, axis=1) / 2 for part in means])
