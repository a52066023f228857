"""The highest of several values that were measured on the same images, with an interval that knows it was chosen."""

from dataclasses import dataclass
from functools import cache
from typing import Final, final

import numpy as np
from jaxtyping import Bool, Float, Int

__all__ = ["Contenders", "Highest", "find_highest"]

_LEVEL: Final = 0.95
_DRAWS: Final = 2000


@final
@dataclass(frozen=True, eq=False)
class Contenders:
    """Values among which the highest is looked for.

    Attributes:
        values: (points,); NaN where unknown.
        errors: Their standard errors, (points,).
        deviations: What each block of images adds to a value, up to a factor a point, (blocks, points); 0 on average.
        blocks: How many blocks each rests on, (points,).
    """

    values: Float[np.ndarray, " points"]
    errors: Float[np.ndarray, " points"]
    deviations: Float[np.ndarray, "blocks points"]
    blocks: Int[np.ndarray, " points"]


@final
@dataclass(frozen=True)
class Highest:
    """The highest value.

    Attributes:
        place: Which.
        low: Lower end of its 95 % interval; NaN where there is none.
        high: Upper end.
    """

    place: int
    low: float
    high: float


def find_highest(contenders: Contenders) -> Highest:
    """Find the highest value and a 95 % interval of the highest that all images would give.

    Both ends hold at 97.5 %. The upper one is max(v + t·s): whichever point is the highest over all images, its own
    bound is at most that. The lower one is max(v − c·s) over all points that might be the highest. There the choice
    counts: c is the quantile of the largest of their deviations, by a multiplier bootstrap over blocks that keeps their
    correlation, at the same level of Student's distribution as of Gauss's. Where one point stands out, c is t, and the
    interval the usual one.

    Source: Chernozhukov, Lee and Rosen 2013, "Intersection Bounds: Estimation and Inference", Econometrica 81(2),
        sections 2 and 4.
    """
    values, errors = contenders.values, contenders.errors
    place = int(np.nanargmax(values))
    if not np.isfinite([values[place], errors[place]]).all():
        return Highest(place, np.nan, np.nan)
    from scipy.special import ndtr, stdtrit  # a quarter of a second that reading a file would pay for nothing

    quantile = (1 + _LEVEL) / 2
    freedom = np.maximum(contenders.blocks - 1, 1)
    known = np.isfinite(values) & np.isfinite(errors)
    reach = np.where(known, stdtrit(freedom, quantile) * np.nan_to_num(errors), 0.0)
    high = float(np.max(values + reach, where=known, initial=-np.inf))
    possible = known & (values + reach >= np.max(values - reach, where=known, initial=-np.inf))
    level = max(quantile, float(ndtr(_selected(contenders, possible, quantile))))
    chosen = np.where(known, stdtrit(freedom, level) * np.nan_to_num(errors), 0.0)
    low = float(np.max(values - chosen, where=possible, initial=-np.inf))
    return Highest(place, low, high)


def _selected(contenders: Contenders, possible: Bool[np.ndarray, " points"], quantile: float) -> float:
    """Quantile of the largest deviation among the possible points, in standard errors."""
    chosen = contenders.deviations[:, possible & (contenders.errors > 0)]
    lengths = np.sqrt((chosen**2).sum(axis=0))
    if chosen.shape[1] < 2 or not lengths.all():
        return 0.0
    largest = (_multipliers(len(chosen)) @ (chosen / lengths)).max(axis=1)
    return float(np.quantile(largest, quantile))


@cache
def _multipliers(blocks: int) -> Float[np.ndarray, "draws blocks"]:
    return np.random.default_rng(0).standard_normal((_DRAWS, blocks))
