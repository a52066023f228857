"""Color bars: what a color means, in a gradient, in bands or as lines, as the panels have it."""

import textwrap
from collections.abc import Sequence
from typing import Any, final

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import FixedLocator, Formatter

from gradscape.figures.surfaces.levels import is_decade, level_texts
from gradscape.figures.surfaces.shading import Shading

__all__ = ["LINE_WIDTH", "MOST_TICKS", "add_colorbar"]

MOST_TICKS = 5
"""About so many numbers stand at an axis of heights, and at a bar without bands."""

LINE_WIDTH = 0.9
"""Of contour lines, points."""

_LETTER = 4.6  # points, width of a digit
_GAP = {"vertical": 9.0, "horizontal": 5.0}  # points from the middle of a number to the next, or between their ends


def add_colorbar(
    figure: Figure | SubFigure,
    mappable: ScalarMappable,
    shading: Shading,
    *,
    lines: Sequence[float] | None = None,
    **layout: Any,
) -> Colorbar:
    """A color bar labelled with value, unit and scale.

    Args:
        figure: Where it stands.
        mappable: The colors of a panel.
        shading: Range, levels and words.
        lines: Levels of the lines in panels that show nothing else; the bar then shows these lines alone.
        **layout: Goes to Matplotlib and says where.
    """
    bands = isinstance(mappable.norm, BoundaryNorm)
    if not bands and lines is None:
        layout["extend"] = shading.arrows(shading.low, shading.high)
    bar = figure.colorbar(mappable, **layout)
    letters = 34 if bar.orientation == "vertical" else 60
    bar.set_label(textwrap.fill(shading.label, letters, break_on_hyphens=False), parse_math=False)
    ticks = shading.ticks(MOST_TICKS)
    if bands:
        ticks = list(shading.levels)
    elif lines is not None:
        ticks = list(lines) or ticks
        _leave_lines(bar, mappable, lines)
    bar.minorticks_off()
    bar.long_axis.set_major_locator(_RoomyTicks(bar, ticks))
    bar.long_axis.set_major_formatter(_LevelTexts())
    bar.outline.set_linewidth(0.4)
    return bar


def _leave_lines(bar: Colorbar, mappable: ScalarMappable, levels: Sequence[float]) -> None:
    """Instead of its gradient, let a bar have a line at each level."""
    assert bar.solids is not None, "only bars without bands have lines"
    bar.solids.set_visible(False)
    if levels:
        colors = [tuple(color) for color in mappable.to_rgba(np.asarray(levels))]
        bar.add_lines(levels, colors, [LINE_WIDTH] * len(levels), erase=False)


@final
class _RoomyTicks(FixedLocator):
    """Those of the ticks whose numbers have room on the bar, which has its length only when its page is laid out."""

    def __init__(self, bar: Colorbar, ticks: Sequence[float]) -> None:
        super().__init__(list(ticks))
        self._bar, self._ticks = bar, list(ticks)

    def __call__(self) -> list[float]:
        return _apart(self._bar, self._ticks)


@final
class _LevelTexts(Formatter):
    """Numbers as contours have them."""

    def __call__(self, level: float, place: int | None = None) -> str:
        return level_texts([level])[0]

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        return level_texts(values)


def _apart(bar: Colorbar, ticks: Sequence[float]) -> list[float]:
    """The ticks whose numbers have room beside each other: the ends and powers of ten first."""
    axis = bar.ax.yaxis if bar.orientation == "vertical" else bar.ax.xaxis
    box = bar.ax.get_window_extent()
    length = (box.height if bar.orientation == "vertical" else box.width) / bar.ax.figure.dpi * 72
    places = _places(bar, ticks) * length
    letters = [len(text) * _LETTER if axis is bar.ax.xaxis else 0.0 for text in level_texts(ticks)]
    last = len(ticks) - 1
    order = sorted(
        range(len(ticks)), key=lambda number: (number not in (0, last), not is_decade(ticks[number]), number % 2)
    )
    kept: list[int] = []
    for number in order:
        wide = (abs(places[number] - places[other]) - (letters[number] + letters[other]) / 2 for other in kept)
        if all(room >= _GAP[bar.orientation] for room in wide):
            kept.append(number)
    return [ticks[number] for number in sorted(kept)]


def _places(bar: Colorbar, ticks: Sequence[float]) -> np.ndarray:
    """Where ticks lie, as shares of the bar's length."""
    if isinstance(bar.norm, BoundaryNorm):
        return np.linspace(0, 1, len(ticks))
    return np.asarray(bar.norm(np.asarray(ticks)), dtype=float)
