"""Where panels, color bars and caption stand on a page of surfaces."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradscape.figures.caption import add_caption, caption_height
from gradscape.figures.look import current_look
from gradscape.figures.style import check_choice, new_figure, page_width
from gradscape.figures.surfaces.maps import proportion
from gradscape.landscape import Field

__all__ = ["DrawingKind", "Page", "fitting_columns", "lay_out"]

DrawingKind = Literal["contour", "filled", "heat", "surface"]

_BAR_HEIGHT = 0.5
_TITLE_HEIGHT = 0.2
# The upper edge of a 3-D panel stays empty at our angle of view.
_LARGEST_SOLID = 2.8
_FILLED_SHARE = 0.95
_LARGEST_SHARE = 0.65  # of a page that is wide because someone wants it so
# Narrower than that, labels of 3-D axes run into each other, and ticks of flat ones.
_NARROWEST = {"surface": 2.2, "contour": 1.4, "filled": 1.4, "heat": 1.4}


@dataclass(frozen=True)
class Page:
    """A page with its caption, ready to be drawn on.

    Attributes:
        figure: The page.
        panels: Axes in reading order, as many as asked for.
        bars: For each panel, where Matplotlib shall put its color bar; on a page with a shared bar the same for all.
    """

    figure: Figure
    panels: list[Axes]
    bars: list[dict[str, Any]]


def lay_out(kind: DrawingKind, fields: Sequence[Field], caption: str, *, columns: int, shared: bool) -> Page:
    """Make a page.

    Args:
        kind: What the panels will hold; "surface" needs 3-D axes.
        fields: What each panel will show.
        caption: Text for the foot of the page.
        columns: Panels in a row; a page of one panel is a single column wide.
        shared: One color bar for all panels, rather than one each.

    Raises:
        ValueError: `kind` is unknown.
    """
    check_choice("kind", kind, get_args(DrawingKind))
    width = page_width(double=len(fields) > 1)
    place = _solid if kind == "surface" else _flat
    page = place(width, fields, columns, caption_height(caption, width), shared=shared)
    add_caption(page.figure, caption)
    return page


def fitting_columns(kind: DrawingKind, wanted: int) -> int:
    """How many of the panels wanted in a row have room on a page of this width."""
    return max(1, min(wanted, int(page_width(double=wanted > 1) / _NARROWEST.get(kind, 1.0))))


def _flat(width: float, fields: Sequence[Field], columns: int, foot: float, *, shared: bool) -> Page:
    count = len(fields)
    rows = -(-count // columns)
    beside_panels = 1.15 if shared else 1.15 * columns
    tallest = max(proportion(field) for field in fields)
    height = tallest * (width - beside_panels - 0.15 * columns) / columns + 0.5 * _TITLE_HEIGHT
    figure = new_figure(width, foot + 0.4 + rows * (height if shared else height + 0.35))
    panels = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for spare in panels[count:]:
        spare.remove()
    panels = panels[:count]
    return Page(figure, panels, [{"ax": panels if shared else panel} for panel in panels])


def _solid(width: float, fields: Sequence[Field], columns: int, foot: float, *, shared: bool) -> Page:
    # Placed by hand: Matplotlib's layout engines do not know how far the labels of 3-D axes reach.
    count, cell = len(fields), width / columns
    rows = -(-count // columns)
    side = min(cell, max(_LARGEST_SOLID, _LARGEST_SHARE * (current_look().page_width or 0.0)))
    title = _TITLE_HEIGHT if count > 1 else 0.0
    row_height = title + _FILLED_SHARE * side + (0 if shared else _BAR_HEIGHT)
    bottom = foot + (_BAR_HEIGHT if shared else 0)
    height = bottom + rows * row_height
    figure = Figure(figsize=(width, height))

    def inches(left: float, low: float, wide: float, high: float) -> tuple[float, float, float, float]:
        return left / width, low / height, wide / width, high / height

    def bar(left: float, low: float, wide: float) -> dict[str, Any]:
        return {"cax": figure.add_axes(inches(left, low + 0.37, wide, 0.08)), "orientation": "horizontal"}

    panels, bars = [], []
    for number in range(count):
        row, column = divmod(number, columns)
        low = bottom + (rows - 1 - row) * row_height + (0 if shared else _BAR_HEIGHT)
        square = inches(column * cell + (cell - side) / 2 - 0.1, low, side, side)
        panel = figure.add_axes(square, projection="3d")
        panel.patch.set_visible(False)
        # The smaller the panel, the more of it its labels take, whose letters do not shrink.
        panel.set_box_aspect(None, zoom=min(0.95, 0.9 - 0.25 * (_LARGEST_SOLID - side)))  # type: ignore[call-arg]
        panels.append(panel)
        if not shared:
            bars.append(bar(column * cell + 0.25 * cell, low - _BAR_HEIGHT, cell / 2))
    return Page(figure, panels, bars or [bar(width / 4, foot, width / 2)] * count)
