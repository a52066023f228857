"""How values become heights and colors: one `Shading` is shared by all panels that are compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float
from matplotlib.colors import BoundaryNorm, LogNorm, Normalize
from matplotlib.ticker import MaxNLocator

from gradscape.figures.style import check_choice, short_number
from gradscape.landscape import Surface
from gradscape.landscape.measured import Measured

__all__ = ["Limits", "Scale", "Shading", "Value", "drawn_values", "level_texts", "shade", "value_name"]

Value = Literal["loss", "error"]
Scale = Literal["raw", "minmax", "minmax-column", "log"]
Limits = tuple[float, float]

# From this ratio of the highest to a low (5 %) value on, evenly spaced contours all crowd onto the highest walls.
_WIDE = 50.0
_STEPS = [1, 2, 2.5, 5, 10]
_NOTES = {"raw": "", "minmax": ", min-max scaled", "minmax-column": ", min-max scaled by column", "log": ", log scale"}


@dataclass(frozen=True)
class Shading:
    """The range and the contour levels of one or several panels.

    Attributes:
        value: "loss" or "error".
        scale: How values are scaled.
        label: What is drawn, with unit and scale.
        low: Lowest height and color, in drawn units (percent for raw errors).
        high: Highest height and color.
        levels: Where contours lie, ascending.
        lowest: Lowest finite value of all panels, which may lie below `low`.
        highest: Highest finite value.
    """

    value: Value
    scale: Scale
    label: str
    low: float
    high: float
    levels: tuple[float, ...]
    lowest: float
    highest: float

    @property
    def norm(self) -> Normalize:
        """Continuous colors between the limits."""
        return (LogNorm if self.scale == "log" else Normalize)(self.low, self.high)

    @property
    def bands(self) -> BoundaryNorm:
        """One color between any two levels."""
        return BoundaryNorm(self.levels, 256, extend=self.arrows(self.levels[0], self.levels[-1]))

    def arrows(self, low: float, high: float) -> Literal["neither", "min", "max", "both"]:
        """The ends of a color bar from `low` to `high` which stand for values beyond it."""
        if self.lowest < low and self.highest > high:
            return "both"
        return "min" if self.lowest < low else "max" if self.highest > high else "neither"

    def ticks(self, most: int) -> list[float]:
        """Round values between the limits to label an axis or a color bar with, about `most`."""
        if self.scale != "log":
            ticks = np.asarray(MaxNLocator(most, steps=_STEPS).tick_values(self.low, self.high))
            return [float(tick) for tick in ticks if self.low <= tick <= self.high]
        inside = [level for level in self.levels if self.low <= level <= self.high]
        tens = [level for level in inside if np.isclose(np.log10(level) % 1, (0, 1)).any()]
        shown = tens if len(tens) >= 3 else inside
        return shown[:: 1 + len(shown) // (most + 1)]

    def drawn(self, surface: Surface) -> Float[np.ma.MaskedArray, "betas alphas"]:
        """A surface's values as they are drawn, (B, A), non-finite ones masked.

        On a log scale what is not positive is drawn at `low`, since masked it would look like a diverged loss.
        """
        values = drawn_values(surface, self.value, self.scale)
        return np.ma.maximum(values, self.low) if self.scale == "log" else values


def shade(surfaces: Sequence[Surface], value: Value, scale: Scale, limits: Limits | None = None) -> Shading:
    """Find the range that holds all surfaces' values, and contour levels in it.

    Args:
        surfaces: What will be drawn with it.
        value: "loss" or "error".
        scale: "raw", "minmax", "minmax-column" or "log".
        limits: Lowest and highest drawn value instead, in the units of the color bar.

    Returns:
        The shading; levels are log-spaced on a log scale, and on a raw one where the range is wide.

    Raises:
        ValueError: Unknown names, no surface, limits that are no range, or nothing positive for a log scale.
    """
    if not surfaces:
        raise ValueError("`surfaces` must hold at least one surface, got none")
    pooled = np.concatenate([drawn_values(surface, value, scale).compressed() for surface in surfaces])
    usable = pooled[pooled > 0] if scale == "log" else pooled
    if scale == "log" and len(pooled) and not len(usable):
        raise ValueError(f'`scale` "log" needs a positive {value}, got at most {pooled.max():g}: use "raw"')
    low, high = _range(usable, scale) if limits is None else _checked(limits, scale)
    levels = _levels(usable[(usable >= low) & (usable <= high)], low, high, scale)
    return Shading(
        value=value,
        scale=scale,
        label=value_name(surfaces, value, percent=scale in ("raw", "log")) + _NOTES[scale],
        low=low,
        high=high,
        levels=tuple(float(level) for level in levels),
        lowest=float(pooled.min(initial=low)),
        highest=float(pooled.max(initial=high)),
    )


def drawn_values(surface: Surface, value: Value, scale: Scale) -> Float[np.ma.MaskedArray, "betas alphas"]:
    """Values in drawn units, (B, A): errors in percent unless scaled to [0, 1]; non-finite ones masked."""
    check_choice("value", value, get_args(Value))
    check_choice("scale", scale, get_args(Scale))
    if value == "error" and surface.count.any() and (np.isnan(surface.error) | (surface.count == 0)).all():
        raise ValueError('`value` "error" was not measured on this surface: draw the loss')
    if scale in ("raw", "log"):
        values = np.asarray(100 * surface.error if value == "error" else surface.loss)
    else:
        values = surface.minmax("column" if scale == "minmax-column" else None, value=value)
    return np.ma.masked_invalid(values)


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


def value_name(results: Sequence[Measured], value: Value, *, percent: bool = True) -> str:
    """What was measured, by the provenance: "cross-entropy loss", "top-1 error (%)", or the user's own function."""
    known = {"cross_entropy": "cross-entropy loss", "top1": "top-1 error"}
    role, usual = ("loss", "cross_entropy") if value == "loss" else ("metric", "top1")
    names = {str(result.meta.get(role) or usual) for result in results}
    name = names.pop()
    # Of a function made inside another only its own name, for which there is room.
    text = value if names else known.get(name, f"{value} ({name.rpartition('.')[2]})")
    return f"{text} (%)" if value == "error" and percent else text


def _range(values: Float[np.ndarray, "points"], scale: Scale) -> Limits:
    if scale in ("minmax", "minmax-column"):
        return 0.0, 1.0
    if not len(values):
        return (1.0, 10.0) if scale == "log" else (0.0, 1.0)
    low, high = float(values.min()), float(values.max())
    if high - low > 1e-9 * max(abs(low), abs(high)):
        return low, high
    # A constant lies in the middle of a range of its own size, so that it has a color and a height.
    return (low / 2, low * 2) if scale == "log" else (low - max(abs(low), 1.0) / 2, low + max(abs(low), 1.0) / 2)


def _checked(limits: Limits, scale: Scale) -> Limits:
    if np.shape(limits) != (2,) or not np.isfinite(limits).all() or not limits[0] < limits[1]:
        raise ValueError(f"`limits` must be two finite numbers, the lower first, got {limits!r}")
    if scale == "log" and limits[0] <= 0:
        raise ValueError(f"`limits` must be positive on a log scale, got {limits!r}")
    return float(limits[0]), float(limits[1])


def _levels(values: Float[np.ndarray, "points"], low: float, high: float, scale: Scale) -> Float[np.ndarray, "levels"]:
    if scale in ("raw", "log") and len(values):
        bulk = float(np.quantile(values, 0.05))
        if scale == "log" or (bulk > 0 and high / bulk >= _WIDE):
            levels = _log_levels(values, low if scale == "log" else bulk, high)
            if np.sum((levels > low) & (levels < high)) >= 3:
                return levels
    levels = np.asarray(MaxNLocator(10, steps=_STEPS).tick_values(low, high))
    return levels[levels > 0] if scale == "log" else levels


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
