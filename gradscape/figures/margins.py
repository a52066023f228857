"""Room above and below what is drawn, and the title in it."""

from matplotlib import rcParams
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.layout_engine import ConstrainedLayoutEngine

from gradscape._names import one_line
from gradscape.figures.letters import text_size

__all__ = ["MARGIN", "add_title", "broken_lines", "grow_page"]

MARGIN = 0.07
"""Inches that stay empty on both sides of a line of text."""

_HINTED = 0.96  # hinting makes letters on a raster wider than they are measured
_LINE = 1.25  # a line's height over that of its letters
_EDGE = 0.06  # inches above a title


def broken_lines(text: str, size: float, width: float) -> list[str]:
    """Lines by the width of their letters, with values and their units unbroken.

    Args:
        text: What to break.
        size: Of its letters, points.
        width: Of the page, inches.
    """
    lines = [""]
    unbroken = one_line(text).replace(" %", "\N{NO-BREAK SPACE}%").replace(" ·", "\N{NO-BREAK SPACE}·")
    for word in unbroken.replace(" ± ", "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}").split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if text_size(longer, size)[0] <= 72 * _HINTED * (width - 2 * MARGIN) or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]


def grow_page(figure: Figure, *, above: float = 0.0, below: float = 0.0) -> None:
    """Make a page higher; what stands on it keeps its size and its distance from the edge where nothing is added.

    Args:
        figure: The page.
        above: Inches.
        below: Inches; a layout engine fills them, as it fills what a lower edge leaves free.
    """
    width, height = (float(side) for side in figure.get_size_inches())
    taller = height + above + below
    places = {ax: ax.get_position(original=True) for ax in figure.axes}
    figure.set_size_inches(width, taller)
    for text in figure.texts:
        text.set_y((text.get_position()[1] * height + below) / taller)
    engine = figure.get_layout_engine()
    if engine is None:
        for ax, place in places.items():
            bottom = (place.y0 * height + below) / taller
            ax.set_position((place.x0, bottom, place.width, place.height * height / taller))
    elif isinstance(engine, ConstrainedLayoutEngine):
        free = (1 - engine.get()["rect"][3]) * height + above
        engine.set(rect=(0, 0, 1, 1 - free / taller))
        for legend in figure.legends:  # which stand outside of all axes, at a distance from the page's edge
            legend.borderaxespad += 72 * above / legend.prop.get_size_in_points()


def add_title(figure: Figure, text: str) -> None:
    """Write a title above everything else, for which the page grows; `$` and other signs stay as they are."""
    size = FontProperties(size=rcParams["axes.titlesize"]).get_size_in_points() + 1
    width = float(figure.get_figwidth())
    lines = broken_lines(text, size, width)
    grow_page(figure, above=_EDGE + len(lines) * _LINE * size / 72)
    top = 1 - _EDGE / float(figure.get_figheight())
    title = figure.suptitle("\n".join(lines), y=top, va="top", fontsize=size, parse_math=False)
    title.set_in_layout(False)  # its room is kept free, also by legends that stand outside of axes
