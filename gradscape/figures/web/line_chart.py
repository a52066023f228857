"""Lines in a small chart, placed for a page that draws them as SVG in its own colors."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from matplotlib.ticker import MaxNLocator

from gradscape.figures.style import short_number

__all__ = ["Chart", "ChartCurve", "PlacedCurve", "place_chart"]

_WIDTH, _HEIGHT = 420, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 10, 38
_COLORS = 7
_SOLID = ("", "9 4", "9 4 1 4", "18 4", "18 4 1 4")
_DOTTED = ("1 4", "1 8", "1 4 1 9", "1 13", "1 4 1 4 1 9")
_STEPS = [1, 2, 2.5, 5, 10]
_WIDE = 50.0  # from this ratio of the highest to the lowest value on, the scale is logarithmic


@dataclass(frozen=True, eq=False)
class ChartCurve:
    """Numbers to be drawn as a line.

    Attributes:
        name: What the legend calls it.
        x: (N,) ascending.
        y: (N,); where it is not finite there is a gap.
        color: Which of the page's colors, from 0; beyond the last one the first comes again with another line style.
        dashed: Whether the line is dotted, as what goes along with a solid one of its color.
    """

    name: str
    x: Float[np.ndarray, " points"]
    y: Float[np.ndarray, " points"]
    color: int
    dashed: bool = False


@dataclass(frozen=True)
class PlacedCurve:
    """A line in a chart.

    Attributes:
        name: What the legend calls it.
        path: As SVG's `d`.
        color: Which of the page's colors.
        dashes: As SVG's `stroke-dasharray`; "" where it is solid.
    """

    name: str
    path: str
    color: int
    dashes: str


@dataclass(frozen=True)
class Chart:
    """Where everything in a chart is, in units of its own, from the upper left corner.

    Attributes:
        width: Of the whole.
        height: Of the whole.
        left: Of the frame.
        right: Of the frame.
        top: Of the frame.
        bottom: Of the frame.
        x_label: What is counted to the right.
        y_label: What is counted upwards, with " (log)" on a logarithmic scale.
        x_ticks: Place and number.
        y_ticks: Place and number.
        curves: The lines.
        csv: The numbers behind them: a row for each x, a column for each curve.
        said: The same in words.
    """

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    x_label: str
    y_label: str
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    curves: tuple[PlacedCurve, ...]
    csv: str
    said: str


def place_chart(
    curves: Sequence[ChartCurve], *, x_label: str, y_label: str, whole: bool = False, linear: bool = False
) -> Chart:
    """Place curves in a chart; positive values that span more than a factor of 50 get a logarithmic scale.

    Args:
        curves: At least one.
        x_label: What is counted to the right.
        y_label: What is counted upwards.
        whole: Whether x counts in whole numbers, such as epochs.
        linear: Whether the scale stays linear in any case.

    Raises:
        ValueError: There is no curve.
    """
    if not curves:
        raise ValueError("`curves` must hold at least one curve, got none")
    x, y = np.concatenate([curve.x for curve in curves]), np.concatenate([curve.y for curve in curves])
    finite = y[np.isfinite(y)]
    logarithmic = not linear and len(finite) > 0 and finite.min() > 0 and finite.max() / finite.min() > _WIDE
    (x_low, x_high), (y_low, y_high) = _range(x), _range(np.log10(finite) if logarithmic else finite, margin=0.04)

    def across(values: np.ndarray | float) -> np.ndarray | float:
        return _LEFT + (values - x_low) / (x_high - x_low) * (_WIDTH - _LEFT - _RIGHT)

    def down(values: np.ndarray | float) -> np.ndarray | float:
        return _HEIGHT - _BOTTOM - (values - y_low) / (y_high - y_low) * (_HEIGHT - _TOP - _BOTTOM)

    x_ticks = _ticks(x_low, x_high, 6, whole=whole)
    y_ticks = _log_ticks(y_low, y_high) if logarithmic else _ticks(y_low, y_high, 5)
    placed = []
    for curve in curves:
        with np.errstate(divide="ignore", invalid="ignore"):
            heights = down(np.log10(curve.y) if logarithmic else curve.y)
        color, dashes = _look(curve)
        placed.append(PlacedCurve(curve.name, _path(np.asarray(across(curve.x)), np.asarray(heights)), color, dashes))
    return Chart(
        width=_WIDTH,
        height=_HEIGHT,
        left=_LEFT,
        right=_WIDTH - _RIGHT,
        top=_TOP,
        bottom=_HEIGHT - _BOTTOM,
        x_label=x_label,
        y_label=y_label + (" (log)" if logarithmic else ""),
        x_ticks=tuple((round(float(across(tick)), 1), _number(tick)) for tick in x_ticks),
        y_ticks=tuple(
            (round(float(down(math.log10(tick) if logarithmic else tick)), 1), _number(tick)) for tick in y_ticks
        ),
        curves=tuple(placed),
        csv=_table(curves, x_label, y_label),
        said=f"{y_label} against {x_label}: {'; '.join(_said(curve) for curve in curves)}",
    )


def _look(curve: ChartCurve) -> tuple[int, str]:
    """Color and dashes, of which no two numbers of `ChartCurve.color` share both."""
    styles = _DOTTED if curve.dashed else _SOLID
    return curve.color % _COLORS, styles[curve.color // _COLORS % len(styles)]


def _range(values: np.ndarray, margin: float = 0.0) -> tuple[float, float]:
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-300):
        return low - 0.5, high + 0.5
    room = margin * (high - low)
    return low - room, high + room


def _ticks(low: float, high: float, most: int, *, whole: bool = False) -> list[float]:
    ticks = MaxNLocator(most, steps=_STEPS, integer=whole).tick_values(low, high)
    return [float(tick) for tick in ticks if low <= tick <= high]


def _log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten, with their double and fivefold where there are few."""
    mantissas = (1, 2, 5) if high - low < 2 else (1,)
    stride = 1 + int(high - low) // 6
    powers = range(int(np.floor(low)), int(np.ceil(high)) + 1, stride)
    found = [mantissa * 10.0**power for power in powers for mantissa in mantissas]
    return [tick for tick in found if low <= np.log10(tick) <= high]


def _number(value: float) -> str:
    return short_number(value).replace("-", "\N{MINUS SIGN}")


def _path(x: np.ndarray, y: np.ndarray) -> str:
    parts, broken = [], True
    for place, height in zip(x.tolist(), y.tolist(), strict=True):
        if not np.isfinite(height):
            broken = True
            continue
        parts.append(f"{'M' if broken else 'L'}{place:.1f} {height:.1f}")
        broken = False
    return "".join(parts)


def _table(curves: Sequence[ChartCurve], x_label: str, y_label: str) -> str:
    """The numbers as csv, a row for each x of any curve."""
    heights = [dict(zip(curve.x.tolist(), curve.y.tolist(), strict=True)) for curve in curves]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([x_label, *(f"{curve.name}: {y_label}" for curve in curves)])
    for x in sorted({x for one in heights for x in one}):
        writer.writerow([f"{x:.6g}", *(f"{one[x]:.6g}" if x in one else "" for one in heights)])
    return text.getvalue()


def _said(curve: ChartCurve) -> str:
    known = curve.y[np.isfinite(curve.y)]
    if not len(known):
        return f"{curve.name} nowhere finite"
    return f"{curve.name} from {short_number(float(known[0]))} to {short_number(float(known[-1]))}"
