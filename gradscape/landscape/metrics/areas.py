"""Areas on a grid."""

import numpy as np
from jaxtyping import Float

__all__ = ["area_below"]


def area_below(
    values: Float[np.ndarray, "samples betas alphas"],
    level: Float[np.ndarray, "samples"],
    alphas: Float[np.ndarray, "alphas"],
    betas: Float[np.ndarray, "betas"],
) -> Float[np.ndarray, "samples"]:
    """Area in which values lie at or below a level, in units of alpha × beta.

    Each cell is cut into four triangles at its middle, which has the mean of its corners, and values are linear
    on each. A cell with a corner without a value does not count.

    Args:
        values: Values [sample, beta, alpha].
        level: One level a sample.
        alphas: (A,) coordinates.
        betas: (B,) coordinates.
    """
    a, b, c, d = values[:, :-1, :-1], values[:, :-1, 1:], values[:, 1:, 1:], values[:, 1:, :-1]
    middle = (a + b + c + d) / 4
    quarter = np.abs(np.outer(np.diff(betas), np.diff(alphas))) / 4
    level = level[:, None, None]
    share = sum(_share_below(first, second, middle, level) for first, second in ((a, b), (b, c), (c, d), (d, a)))
    return np.nansum(share * quarter, axis=(1, 2))


def _share_below(first: np.ndarray, second: np.ndarray, third: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Share of a triangle in which the plane through its corners lies at or below a level."""
    low, high = np.minimum(first, second), np.maximum(first, second)
    middle = np.clip(third, low, high)
    low, high = np.minimum(low, third), np.maximum(high, third)
    with np.errstate(all="ignore"):
        # Quotients first: products of losses far from the minimum are beyond what a double holds.
        rising = (level - low) / (middle - low) * ((level - low) / (high - low))
        falling = 1 - (high - level) / (high - middle) * ((high - level) / (high - low))
    share = np.where(level < middle, rising, falling)
    share = np.where(level < low, 0.0, np.where(level >= high, 1.0, share))
    return np.where(np.isfinite(low + high), share, np.nan)
