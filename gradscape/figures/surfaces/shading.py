"""How values become heights and colors: one `Shading` is shared by all panels that are compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, final

import numpy as np
from jaxtyping import Float
from matplotlib.colors import BoundaryNorm, Colormap, LogNorm, Normalize
from matplotlib.ticker import MaxNLocator

from gradscape.figures.look import current_look
from gradscape.figures.style import colormap, line_colormap
from gradscape.figures.surfaces.fields import drawn_unit
from gradscape.figures.surfaces.levels import ROUND_STEPS, contour_levels, end_ticks, is_decade
from gradscape.figures.surfaces.scales import (
    SCALED,
    Limits,
    Scale,
    chosen_scale,
    drawn_values,
    readable_together,
    scale_note,
)
from gradscape.landscape import Field

__all__ = ["DrawnRange", "Shading", "shade", "shade_panels"]

DrawnRange = tuple[float, float]

_NEARLY_NOTHING = 0.01  # of the highest value

_NOTES = {"raw": "", "minmax": ", min-max scaled", "minmax-column": ", min-max scaled by column", "log": ", log scale"}


@final
@dataclass(frozen=True, kw_only=True)
class Shading:
    """The range and the contour levels of one or several panels.

    Attributes:
        value: Name of the fields: "loss", "error", …
        scale: How values are scaled: "raw", "minmax", "minmax-column" or "log".
        label: What is drawn, with unit and scale.
        short: The same in a word or two, without them.
        unit: Unit of what is drawn; empty for pure numbers.
        signed: Whether 0 lies in the middle of the range, and colors diverge from there.
        low: Lowest height and color, in drawn units (percent for shares, unless scaled).
        high: Highest height and color.
        levels: Where contours lie, ascending.
        lowest: Lowest finite value of all panels, which may lie below `low`.
        highest: Highest finite value.
        note: What a caption says of the scale; empty for an even one.
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
    note: str = ""

    @property
    def axis_label(self) -> str:
        """What is drawn, as an axis says it: "error (%)", "loss, log scale"."""
        return _with_unit(self.short, self.unit) + (_NOTES["log"] if self.scale == "log" else "")

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
        """Numbers between the limits to label an axis or a color bar with: about `most`, both ends among them."""
        logarithmic = self.scale == "log"
        ends = end_ticks(self.low, self.high, logarithmic=logarithmic)
        if not logarithmic:
            inside = [float(tick) for tick in MaxNLocator(most, steps=ROUND_STEPS).tick_values(self.low, self.high)]
        else:
            tens = [level for level in self.levels if is_decade(level) and self.low <= level <= self.high]
            inside = tens if len(tens) >= 2 else list(self.levels)
        height = np.log10 if logarithmic else np.asarray
        near = 0.8 / most * (height(self.high) - height(self.low))
        inside = [tick for tick in inside if all(abs(height(tick) - height(end)) > near for end in ends)]
        inside = [tick for tick in inside if ends[0] < tick < ends[1]]
        return [ends[0], *inside[:: 1 + len(inside) // most], ends[1]]

    def drawn(self, field: Field) -> Float[np.ma.MaskedArray, "betas alphas"]:
        """A field's values as they are drawn, (B, A), non-finite ones masked.

        On a log scale what is not positive is drawn at `low`, since masked it would look like a diverged loss. Nothing
        else is lifted there: contours between a value below and one above run where they cross.
        """
        values = drawn_values(field, self.scale)
        return np.ma.where(values <= 0, self.low, values) if self.scale == "log" else values


def shade_panels(fields: Sequence[Field], scale: Scale) -> list[Shading]:
    """A shading for each field: the same for all where they can be compared so, else each its own.

    Args:
        fields: What will be drawn side by side, all of one name.
        scale: As for `shade`; only on "auto" a field gets its own, where on every shared scale some would look flat
            and no range was chosen (`Look`) that all have.

    Raises:
        ValueError: As for `shade`.
    """
    shared = shade(fields, scale)
    ranged = None not in current_look().limits_of(shared.value)
    if scale != "auto" or ranged or readable_together(fields, shared.scale):
        return [shared] * len(fields)
    return [shade([field], scale) for field in fields]


def shade(fields: Sequence[Field], scale: Scale, limits: DrawnRange | None = None) -> Shading:
    """Find the range that holds all fields' values, and contour levels in it.

    Args:
        fields: What will be drawn with it, all of one name.
        scale: "auto" ("log" where values exceed two decades), "raw", "minmax", "minmax-column" or "log".
        limits: Lowest and highest drawn value instead, in the units of the color bar; else what was chosen (`Look`).

    Returns:
        The shading; levels are decades on a log scale, divided at 2 and 5, and evenly spaced on the others.

    Raises:
        ValueError: An unknown scale, no field, fields of several names, limits that are no range, or nothing that a
            log scale can show.
    """
    first = _checked_alike(fields)
    _check_apart(fields)
    asked = current_look().limits_of(first.name) if limits is None else limits
    scale = chosen_scale(fields, scale, asked)
    signed = first.signed and scale not in SCALED
    if signed and scale == "log":
        raise ValueError(f'`scale` "log" cannot show both signs of the {first.short}: use "raw"')
    pooled = np.concatenate([drawn_values(field, scale).compressed() for field in fields])
    usable = pooled[pooled > 0] if scale == "log" else pooled
    if scale == "log" and len(pooled) and not len(usable):
        raise ValueError(f'`scale` "log" needs a positive {first.short}, got at most {pooled.max():g}: use "raw"')
    if limits is None:
        low, high = _chosen(first.short, asked, _range(usable, scale, signed=signed), scale, signed=signed)
    else:
        low, high = _checked(limits, scale, signed=signed)
    shown = usable[(usable >= low) & (usable <= high)]
    levels = _levels(first.name, shown, (low, high), scale)
    unit = "" if scale in SCALED else drawn_unit(first.unit)[1]
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
        note=scale_note(fields, scale),
    )


def _with_unit(text: str, unit: str) -> str:
    return f"{text} ({unit})" if unit else text


def _check_apart(fields: Sequence[Field]) -> None:
    """Refuse values whose difference is no number any more."""
    values = np.concatenate([field.values[np.isfinite(field.values)] for field in fields])
    with np.errstate(over="ignore"):
        apart = len(values) and not np.isfinite(np.ptp(values))
    if apart:
        said = f"from {values.min():g} to {values.max():g}"
        raise ValueError(f"the {fields[0].short} goes {said}, too far apart to be drawn")


def _checked_alike(fields: Sequence[Field]) -> Field:
    """The first field, which stands for all."""
    if not fields:
        raise ValueError("`surfaces` must hold at least one surface, got none")
    names = dict.fromkeys(field.name for field in fields)
    if len(names) > 1:
        raise ValueError(f"`surfaces` must be fields of one name to share a scale, got {', '.join(names)}")
    return fields[0]


def _range(values: Float[np.ndarray, "points"], scale: Scale, *, signed: bool) -> DrawnRange:
    if scale in SCALED:
        return 0.0, 1.0
    if not len(values):
        return (1.0, 10.0) if scale == "log" else (-1.0, 1.0) if signed else (0.0, 1.0)
    low, high = float(values.min()), float(values.max())
    if signed:
        reach = max(-low, high) or 1.0
        return -reach, reach
    if high - low > 1e-9 * max(abs(low), abs(high)):
        # An even axis that all but starts at 0 does start there, and says so.
        return (0.0 if scale == "raw" and 0 < low < _NEARLY_NOTHING * high else low), high
    # A constant lies in the middle of a range of its own size, so that it has a color and a height.
    return (low / 2, low * 2) if scale == "log" else (low - max(abs(low), 1.0) / 2, low + max(abs(low), 1.0) / 2)


def _chosen(value: str, asked: Limits, found: DrawnRange, scale: Scale, *, signed: bool) -> DrawnRange:
    """The range with the ends that were chosen; no logarithm reaches down to 0, nor are scaled values limited."""
    low, high = asked
    if scale in SCALED or (low, high) == (None, None):
        return found
    if scale == "log" and low is not None and low <= 0:
        low = None
    if signed:  # 0 stays in the middle
        reach = high if high is not None else -low if low is not None else 0.0
        if reach <= 0 or low not in (None, -reach):
            raise ValueError(
                f"`--zmin` and `--zmax` of the {value} must be as far below 0 as above, since 0 stays in the middle: "
                f"give --zmax alone, such as {reach or 1:g}"
            )
        return -reach, reach
    limits = found[0] if low is None else low, found[1] if high is None else high
    if not limits[0] < limits[1]:
        raise ValueError(
            f"`--zmin` and `--zmax` must leave something to draw, got {limits[0]:g} to {limits[1]:g} for the {value}"
        )
    return limits


def _levels(
    value: str, shown: Float[np.ndarray, "points"], limits: DrawnRange, scale: Scale
) -> Float[np.ndarray, "levels"]:
    chosen = current_look().levels_of(value)
    if isinstance(chosen, tuple) and scale not in SCALED:
        levels = np.array([level for level in chosen if scale != "log" or level > 0])
        if len(levels) < 2:
            raise ValueError(f"`--levels` must hold at least two positive values on a log scale, got {chosen}")
        return levels
    most = chosen if isinstance(chosen, int) else None
    return contour_levels(shown, *limits, logarithmic=scale == "log", most=most)


def _checked(limits: DrawnRange, scale: Scale, *, signed: bool) -> DrawnRange:
    if np.shape(limits) != (2,) or not np.isfinite(limits).all() or not limits[0] < limits[1]:
        raise ValueError(f"`limits` must be two finite numbers, the lower first, got {limits!r}")
    if scale == "log" and limits[0] <= 0:
        raise ValueError(f"`limits` must be positive on a log scale, got {limits!r}")
    if signed and limits[0] != -limits[1]:
        raise ValueError(f"`limits` must be as far below 0 as above for signed values, got {limits!r}")
    return float(limits[0]), float(limits[1])
