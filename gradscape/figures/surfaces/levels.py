"""Where contours lie, and what is written at them."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.ticker import MaxNLocator

from gradscape.figures.style import short_number

__all__ = ["ROUND_STEPS", "contour_levels", "level_texts"]

ROUND_STEPS = [1, 2, 2.5, 5, 10]

# From this ratio of the highest to a low (5 %) value on, evenly spaced contours all crowd onto the highest walls.
_WIDE = 50.0


def contour_levels(
    values: Float[np.ndarray, "points"],
    low: float,
    high: float,
    *,
    logarithmic: bool,
    crowding: bool,
    most: int | None = None,
) -> Float[np.ndarray, "levels"]:
    """Round numbers from below `low` to above `high`.

    Args:
        values: What is drawn between the two.
        low: Lowest drawn value.
        high: Highest drawn value.
        logarithmic: Whether the scale is logarithmic; levels then are positive.
        crowding: Whether levels may be spaced logarithmically on an even scale too, where the range is wide.
        most: About how many are wanted between the two; as many as are usual if left out.
    """
    if most is not None:
        return _as_many(low, high, most, logarithmic=logarithmic)
    if (logarithmic or crowding) and len(values):
        bulk = float(np.quantile(values, 0.05))
        if logarithmic or (bulk > 0 and high / bulk >= _WIDE):
            levels = _log_levels(values, low if logarithmic else bulk, high)
            if np.sum((levels > low) & (levels < high)) >= 3:
                return levels
    levels = np.asarray(MaxNLocator(10, steps=ROUND_STEPS).tick_values(low, high))
    return levels[levels > 0] if logarithmic else levels


def level_texts(levels: Sequence[float]) -> list[str]:
    """Levels as text, with as few digits as tell them exactly."""
    # Between negative and positive levels a locator may leave a rounding error where it means zero.
    gap = float(np.abs(np.diff(levels)).min(initial=np.inf))
    small = 1e-6 * gap if np.isfinite(gap) and min(levels) < 0 else 0.0

    def rounded(digits: int) -> list[float]:
        return [float(f"{level:.{digits}g}") if abs(level) > small else 0.0 for level in levels]

    digits = next(
        (digits for digits in range(1, 12) if np.allclose(rounded(digits), levels, rtol=1e-9, atol=small)), 12
    )
    return [short_number(number, 12) for number in rounded(digits)]


def _as_many(low: float, high: float, count: int, *, logarithmic: bool) -> Float[np.ndarray, "levels"]:
    """About so many levels: round numbers, or, where these are too coarse on a log scale, equal ratios."""
    if not logarithmic:
        return np.asarray(MaxNLocator(count, steps=ROUND_STEPS).tick_values(low, high))
    exponents = np.linspace(np.log10(low), np.log10(high), count + 1)
    rounded = np.unique([float(f"{10.0**exponent:.2g}") for exponent in exponents])
    return rounded if len(rounded) == count + 1 else 10.0**exponents


def _log_levels(values: Float[np.ndarray, "points"], low: float, high: float) -> Float[np.ndarray, "levels"]:
    """Round numbers from below `low` to above `high`: dense where most values are, powers of ten elsewhere."""
    bulk_low, bulk_high = np.quantile(values, (0.05, 0.95))
    decades = np.log10(bulk_high / bulk_low)
    mantissas = (1, 2, 5) if decades <= 3 else (1, 3) if decades <= 6 else (1,)
    first, last = int(np.floor(np.log10(low))), int(np.ceil(np.log10(high)))
    stride = 1 + (last - first) // 12
    coarse = {10.0**exponent for exponent in range(first, last + stride, stride)}
    # Over more decades than that, the coarse levels are the dense ones.
    fine = {mantissa * 10.0**exponent for exponent in range(first, last) for mantissa in mantissas if stride == 1}
    rounds = np.array(sorted(coarse | {number for number in fine if bulk_low / 5 <= number <= bulk_high * 5}))
    start = np.searchsorted(rounds, low, side="right") - 1
    stop = np.searchsorted(rounds, high, side="left")
    return rounds[start : stop + 1]
