"""Where contours lie, and what is written at them."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.ticker import MaxNLocator

from gradscape.figures.style import short_number

__all__ = ["ROUND_STEPS", "contour_levels", "end_ticks", "is_decade", "level_texts"]

ROUND_STEPS = [1, 2, 2.5, 5, 10]

_MINUS = "\N{MINUS SIGN}"
_RAISED = str.maketrans(f"0123456789{_MINUS}", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_DENSE = 4.0  # decades that are divided at 2 and 5; of more, these lines would hide the others


def contour_levels(
    values: Float[np.ndarray, "points"], low: float, high: float, *, logarithmic: bool, most: int | None = None
) -> Float[np.ndarray, "levels"]:
    """Round numbers from below `low` to above `high`.

    Args:
        values: What is drawn between the two.
        low: Lowest drawn value.
        high: Highest drawn value.
        logarithmic: Whether the scale is logarithmic; levels then are positive, and decades if there are several.
        most: About how many are wanted between the two; as many as are usual if left out.
    """
    if most is not None:
        return _as_many(low, high, most, logarithmic=logarithmic)
    if logarithmic and len(values):
        levels = _log_levels(values, low, high)
        if np.sum((levels > low) & (levels < high)) >= 3:
            return levels
    levels = np.asarray(MaxNLocator(10, steps=ROUND_STEPS).tick_values(low, high))
    return levels[levels > 0] if logarithmic else levels


def is_decade(level: float) -> bool:
    """Whether a level is a power of ten."""
    return level > 0 and bool(np.isclose(np.log10(level) % 1, (0, 1)).any())


def end_ticks(low: float, high: float, *, logarithmic: bool) -> tuple[float, float]:
    """The numbers nearest to both ends of a range, inside of it, that have few digits: 2 % of the range or less away.

    Args:
        low: Lower end; positive on a log scale.
        high: Upper end.
        logarithmic: Whether the scale is.
    """
    if not logarithmic:
        unit = 10.0 ** np.floor(np.log10((high - low) / 50))
        return float(np.ceil(low / unit - 1e-6) * unit), float(np.floor(high / unit + 1e-6) * unit)
    # A digit less would move an end of one decade by a tenth of it.
    decades = np.log10(high) - np.log10(low)  # of which the quotient may be no number
    digits = 1 + max(0, int(np.ceil(-np.log10(decades)))) if decades > 0 else 1
    units = [10.0 ** (np.floor(np.log10(end)) - digits) for end in (low, high)]
    return float(np.ceil(low / units[0] - 1e-6) * units[0]), float(np.floor(high / units[1] + 1e-6) * units[1])


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
    return [_typeset(short_number(number, 12)) for number in rounded(digits)]


def _typeset(text: str) -> str:
    """A number as papers print it: 3.4×10⁻⁴ for 3.4e-4, 10⁵ for 1e5, with true minus signs."""
    mantissa, _, exponent = text.replace("-", _MINUS).partition("e")
    if not exponent:
        return mantissa
    power = f"10{exponent.translate(_RAISED)}"
    return power if mantissa == "1" else f"{mantissa}×{power}"


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
    mantissas = (1, 2, 5) if np.log10(bulk_high / bulk_low) <= _DENSE else (1,)
    first, last = int(np.floor(np.log10(low))), int(np.ceil(np.log10(high)))
    stride = 1 + (last - first) // 12
    coarse = {10.0**exponent for exponent in range(first, last + stride, stride)}
    # Over more decades than that, the coarse levels are the dense ones.
    fine = {mantissa * 10.0**exponent for exponent in range(first, last) for mantissa in mantissas if stride == 1}
    rounds = np.array(sorted(coarse | {number for number in fine if bulk_low / 5 <= number <= bulk_high * 5}))
    start = np.searchsorted(rounds, low, side="right") - 1
    stop = np.searchsorted(rounds, high, side="left")
    return rounds[start : stop + 1]
