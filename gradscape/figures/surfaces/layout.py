"""Where panels, color bars and caption stand on a page of surfaces."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradscape.figures.caption import add_caption, caption_height
from gradscape.figures.letters import place_everything
from gradscape.figures.look import current_look
from gradscape.figures.style import check_choice, new_figure, page_width
from gradscape.figures.surfaces.maps import proportion
from gradscape.landscape import Field

__all__ = ["DrawingKind", "Page", "fit_reliefs", "fitting_columns", "lay_out"]

DrawingKind = Literal["contour", "filled", "heat", "surface"]

_BAR_HEIGHT = 0.5
_TITLE_HEIGHT = 0.2
# The upper edge of a 3-D panel stays empty at our angle of view.
_LARGEST_SOLID = 2.8
_FILLED_SHARE = 0.95
_LARGEST_SHARE = 0.65  # of a page that is wide because someone wants it so
# Narrower than that, labels of 3-D axes run into each other, and those of flat ones into what stands beside them.
_NARROWEST_SOLID = 2.2
_NARROWEST_FLAT = 1.1
_BESIDE = 0.15  # a flat panel has so much more for its ticks
_BAR_WIDTH = 1.15  # of a vertical bar with its numbers and words, and of the first panel's own
_FITTING_TRIES = 5
_SIDE_MARGIN = 0.03


@dataclass(frozen=True)
class Page:
    """A page with its caption, ready to be drawn on.

    Attributes:
        figure: The page.
        panels: Axes in reading order, as many as asked for.
        bars: For each panel, where Matplotlib shall put its color bar; on a page with a shared bar the same for all.
        columns: Panels in a row.
    """

    figure: Figure
    panels: list[Axes]
    bars: list[dict[str, Any]]
    columns: int


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


def fitting_columns(kind: DrawingKind, wanted: int, *, shared: bool) -> int:
    """How many of the panels wanted in a row have room on a page of this width.

    Args:
        kind: What the panels will hold.
        wanted: How many at most.
        shared: One color bar for all panels, rather than one each.
    """
    width = page_width(double=wanted > 1)
    if kind == "surface":
        fitting = width / _NARROWEST_SOLID
    elif shared:
        fitting = (width - _BAR_WIDTH) / (_NARROWEST_FLAT + _BESIDE)
    else:
        fitting = width / (_NARROWEST_FLAT + _BESIDE + _BAR_WIDTH)
    return max(1, min(wanted, int(fitting)))


def fit_reliefs(page: Page) -> None:
    """Bring 3-D panels with all their labels between the borders of their columns, from wherever they are seen."""
    columns, dots = page.columns, page.figure.dpi
    width = float(page.figure.get_figwidth())
    cell, zooms = width / columns, [_zoom(width, columns)] * len(page.panels)
    for _ in range(_FITTING_TRIES):
        place_everything(page.figure)
        fitting = True
        for number, panel in enumerate(page.panels):
            boxes: list[Any] = [axis.get_tightbbox() for axis in (panel.xaxis, panel.yaxis, panel.zaxis)]  # type: ignore[attr-defined]
            low, high = (float(edge) / dots for edge in (min(box.x0 for box in boxes), max(box.x1 for box in boxes)))
            left, right = (number % columns) * cell + _SIDE_MARGIN, (number % columns + 1) * cell - _SIDE_MARGIN
            if high - low > right - left:
                zooms[number] *= 0.99 * (right - left) / (high - low)
                panel.set_box_aspect(None, zoom=zooms[number])  # type: ignore[call-arg]
                fitting = False
            elif moved := max(left - low, 0.0) + min(right - high, 0.0):
                place = panel.get_position()
                panel.set_position((place.x0 + moved / width, place.y0, place.width, place.height))
        if fitting:
            return


def _flat(width: float, fields: Sequence[Field], columns: int, foot: float, *, shared: bool) -> Page:
    count = len(fields)
    rows = -(-count // columns)
    beside_panels = (_BAR_WIDTH if shared else _BAR_WIDTH * columns) + _BESIDE * columns
    tallest = max(proportion(field) for field in fields)
    height = tallest * (width - beside_panels) / columns + 0.5 * _TITLE_HEIGHT
    figure = new_figure(width, foot + 0.4 + rows * (height if shared else height + 0.35))
    panels = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for spare in panels[count:]:
        spare.remove()
    panels = panels[:count]
    return Page(figure, panels, [{"ax": panels if shared else panel} for panel in panels], columns)


def _solid_side(width: float, columns: int) -> float:
    """Inches of a 3-D panel."""
    return min(width / columns, max(_LARGEST_SOLID, _LARGEST_SHARE * (current_look().page_width or 0.0)))


def _zoom(width: float, columns: int) -> float:
    """Of the contents of a 3-D panel: of a small one labels take more, whose letters do not shrink."""
    return min(0.95, 0.9 - 0.25 * (_LARGEST_SOLID - _solid_side(width, columns)))


def _solid(width: float, fields: Sequence[Field], columns: int, foot: float, *, shared: bool) -> Page:
    # Placed by hand: Matplotlib's layout engines do not know how far the labels of 3-D axes reach.
    count, cell = len(fields), width / columns
    rows = -(-count // columns)
    side = _solid_side(width, columns)
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
        panel.set_box_aspect(None, zoom=_zoom(width, columns))  # type: ignore[call-arg]
        panels.append(panel)
        if not shared:
            bars.append(bar(column * cell + 0.25 * cell, low - _BAR_HEIGHT, cell / 2))
    return Page(figure, panels, bars or [bar(width / 4, foot, width / 2)] * count, columns)
