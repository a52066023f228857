"""How values become heights and colors: one `Shading` is shared by all panels that are compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, final, get_args

import numpy as np
from jaxtyping import Float
from matplotlib.colors import BoundaryNorm, Colormap, LogNorm, Normalize
from matplotlib.ticker import MaxNLocator

from gradscape.figures.look import current_look
from gradscape.figures.style import check_choice, colormap, line_colormap
from gradscape.figures.surfaces.fields import drawn_unit
from gradscape.figures.surfaces.levels import ROUND_STEPS, contour_levels
from gradscape.landscape import Field

__all__ = ["DrawnRange", "Scale", "Shading", "drawn_values", "shade"]

Scale = Literal["raw", "minmax", "minmax-column", "log"]
DrawnRange = tuple[float, float]

_NOTES = {"raw": "", "minmax": ", min-max scaled", "minmax-column": ", min-max scaled by column", "log": ", log scale"}
_SCALED = ("minmax", "minmax-column")


@final
@dataclass(frozen=True, kw_only=True)
class Shading:
    """The range and the contour levels of one or several panels.

    Attributes:
        value: Name of the fields: "loss", "error", …
        scale: How values are scaled.
        label: What is drawn, with unit and scale.
        short: The same in a word or two, without them.
        unit: Unit of what is drawn; empty for pure numbers.
        signed: Whether 0 lies in the middle of the range, and colors diverge from there.
        low: Lowest height and color, in drawn units (percent for shares, unless scaled).
        high: Highest height and color.
        levels: Where contours lie, ascending.
        lowest: Lowest finite value of all panels, which may lie below `low`.
        highest: Highest finite value.
    """

    value: str
    scale: Scale
    label: str
    short: str
    unit: str
    signed: bool
    low: float
    high: float
    levels: tuple[float, ...]
    lowest: float
    highest: float

    @property
    def axis_label(self) -> str:
        """What is drawn, as an axis says it: "error (%)"."""
        return _with_unit(self.short, self.unit)

    @property
    def colors(self) -> Colormap:
        """Colors of areas."""
        return colormap(self.value, signed=self.signed)

    @property
    def line_colors(self) -> Colormap:
        """Colors of lines on white."""
        return line_colormap(self.value, signed=self.signed)

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
            ticks = np.asarray(MaxNLocator(most, steps=ROUND_STEPS).tick_values(self.low, self.high))
            return [float(tick) for tick in ticks if self.low <= tick <= self.high]
        inside = [level for level in self.levels if self.low <= level <= self.high]
        tens = [level for level in inside if np.isclose(np.log10(level) % 1, (0, 1)).any()]
        shown = tens if len(tens) >= 3 else inside
        return shown[:: 1 + len(shown) // (most + 1)]

    def drawn(self, field: Field) -> Float[np.ma.MaskedArray, "betas alphas"]:
        """A field's values as they are drawn, (B, A), non-finite ones masked.

        On a log scale what is not positive is drawn at `low`, since masked it would look like a diverged loss.
        """
        values = drawn_values(field, self.scale)
        return np.ma.maximum(values, self.low) if self.scale == "log" else values


def shade(fields: Sequence[Field], scale: Scale, limits: DrawnRange | None = None) -> Shading:
    """Find the range that holds all fields' values, and contour levels in it.

    Args:
        fields: What will be drawn with it, all of one name.
        scale: "raw", "minmax", "minmax-column" or "log".
        limits: Lowest and highest drawn value instead, in the units of the color bar; else what was chosen (`Look`).

    Returns:
        The shading; levels are log-spaced on a log scale, and on a raw one where the range is wide.

    Raises:
        ValueError: An unknown scale, no field, fields of several names, limits that are no range, or nothing that a
            log scale can show.
    """
    check_choice("scale", scale, get_args(Scale))
    first = _checked_alike(fields)
    signed = first.signed and scale not in _SCALED
    if signed and scale == "log":
        raise ValueError(f'`scale` "log" cannot show both signs of the {first.short}: use "raw"')
    pooled = np.concatenate([drawn_values(field, scale).compressed() for field in fields])
    usable = pooled[pooled > 0] if scale == "log" else pooled
    if scale == "log" and len(pooled) and not len(usable):
        raise ValueError(f'`scale` "log" needs a positive {first.short}, got at most {pooled.max():g}: use "raw"')
    if limits is None:
        low, high = _chosen(first.name, _range(usable, scale, signed=signed), scale, signed=signed)
    else:
        low, high = _checked(limits, scale, signed=signed)
    shown = usable[(usable >= low) & (usable <= high)]
    levels = _levels(first.name, shown, (low, high), scale, signed=signed)
    unit = "" if scale in _SCALED else drawn_unit(first.unit)[1]
    labels = {field.label for field in fields}
    return Shading(
        value=first.name,
        scale=scale,
        label=_with_unit(first.label if len(labels) == 1 else first.short, unit) + _NOTES[scale],
        short=first.short,
        unit=unit,
        signed=signed,
        low=low,
        high=high,
        levels=tuple(float(level) for level in levels),
        lowest=float(pooled.min(initial=low)),
        highest=float(pooled.max(initial=high)),
    )


def drawn_values(field: Field, scale: Scale) -> Float[np.ma.MaskedArray, "betas alphas"]:
    """Values in drawn units, (B, A): shares in percent unless scaled to [0, 1]; non-finite ones masked."""
    if scale in _SCALED:
        values = field.minmax("column" if scale == "minmax-column" else None)
    else:
        values = drawn_unit(field.unit)[0] * field.values
    return np.ma.masked_invalid(values)


def _with_unit(text: str, unit: str) -> str:
    return f"{text} ({unit})" if unit else text


def _checked_alike(fields: Sequence[Field]) -> Field:
    """The first field, which stands for all."""
    if not fields:
        raise ValueError("`surfaces` must hold at least one surface, got none")
    names = dict.fromkeys(field.name for field in fields)
    if len(names) > 1:
        raise ValueError(f"`surfaces` must be fields of one name to share a scale, got {', '.join(names)}")
    return fields[0]


def _range(values: Float[np.ndarray, "points"], scale: Scale, *, signed: bool) -> DrawnRange:
    if scale in _SCALED:
        return 0.0, 1.0
    if not len(values):
        return (1.0, 10.0) if scale == "log" else (-1.0, 1.0) if signed else (0.0, 1.0)
    low, high = float(values.min()), float(values.max())
    if signed:
        reach = max(-low, high) or 1.0
        return -reach, reach
    if high - low > 1e-9 * max(abs(low), abs(high)):
        return low, high
    # A constant lies in the middle of a range of its own size, so that it has a color and a height.
    return (low / 2, low * 2) if scale == "log" else (low - max(abs(low), 1.0) / 2, low + max(abs(low), 1.0) / 2)


def _chosen(value: str, found: DrawnRange, scale: Scale, *, signed: bool) -> DrawnRange:
    """The range with the ends that were chosen; no logarithm reaches down to 0, nor are scaled values limited."""
    low, high = current_look().limits_of(value)
    if scale in _SCALED or (low, high) == (None, None):
        return found
    if scale == "log" and low is not None and low <= 0:
        low = None
    if signed:  # 0 stays in the middle
        reach = max(abs(end) for end in (low, high) if end is not None)
        return -reach, reach
    limits = found[0] if low is None else low, found[1] if high is None else high
    if not limits[0] < limits[1]:
        raise ValueError(
            f"`--zmin` and `--zmax` must leave something to draw, got {limits[0]:g} to {limits[1]:g} for the {value}"
        )
    return limits


def _levels(
    value: str, shown: Float[np.ndarray, "points"], limits: DrawnRange, scale: Scale, *, signed: bool
) -> Float[np.ndarray, "levels"]:
    chosen = current_look().levels_of(value)
    if isinstance(chosen, tuple) and scale not in _SCALED:
        levels = np.array([level for level in chosen if scale != "log" or level > 0])
        if len(levels) < 2:
            raise ValueError(f"`--levels` must hold at least two positive values on a log scale, got {chosen}")
        return levels
    crowding = scale not in _SCALED and not signed
    most = chosen if isinstance(chosen, int) else None
    return contour_levels(shown, *limits, logarithmic=scale == "log", crowding=crowding, most=most)


def _checked(limits: DrawnRange, scale: Scale, *, signed: bool) -> DrawnRange:
    if np.shape(limits) != (2,) or not np.isfinite(limits).all() or not limits[0] < limits[1]:
        raise ValueError(f"`limits` must be two finite numbers, the lower first, got {limits!r}")
    if scale == "log" and limits[0] <= 0:
        raise ValueError(f"`limits` must be positive on a log scale, got {limits!r}")
    if signed and limits[0] != -limits[1]:
        raise ValueError(f"`limits` must be as far below 0 as above for signed values, got {limits!r}")
    return float(limits[0]), float(limits[1])
