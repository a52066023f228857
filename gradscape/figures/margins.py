"""Room above and below what is drawn, and the title in it."""

from matplotlib import rcParams
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from gradscape._names import one_line

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
    font = FontProperties(size=size)
    lines = [""]
    unbroken = one_line(text).replace(" %", "\N{NO-BREAK SPACE}%").replace(" ·", "\N{NO-BREAK SPACE}·")
    for word in unbroken.replace(" ± ", "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}").split(" "):
        longer = f"{lines[-1]} {word}".strip()
        points = float(text_to_path.get_text_width_height_descent(longer, font, ismath=False)[0])
        if points <= 72 * _HINTED * (width - 2 * MARGIN) or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]


def grow_page(figure: Figure, *, above: float = 0.0, below: float = 0.0) -> None:
    """Make a page higher; what stands on it keeps its size and its distance from the edge where nothing is added.

    Args:
        figure: The page.
        above: Inches.
        below: Inches.
    """
    width, height = (float(side) for side in figure.get_size_inches())
    taller = height + above + below
    places = {ax: ax.get_position(original=True) for ax in figure.axes}
    figure.set_size_inches(width, taller)
    if figure.get_layout_engine() is not None:  # which places everything anew
        return
    for ax, place in places.items():
        bottom = (place.y0 * height + below) / taller
        ax.set_position((place.x0, bottom, place.width, place.height * height / taller))
    for text in figure.texts:
        text.set_y((text.get_position()[1] * height + below) / taller)


def add_title(figure: Figure, text: str) -> None:
    """Write a title above everything else, for which the page grows; `$` and other signs stay as they are."""
    size = FontProperties(size=rcParams["axes.titlesize"]).get_size_in_points() + 1
    width = float(figure.get_figwidth())
    lines = broken_lines(text, size, width)
    room = _EDGE + len(lines) * _LINE * size / 72
    grow_page(figure, above=room)
    look = {"va": "top", "fontsize": size, "parse_math": False}
    if figure.get_layout_engine() is None:  # which would place it; else it stands at a share of the page's height
        look["y"] = 1 - _EDGE / float(figure.get_figheight())
    figure.suptitle("\n".join(lines), **look)
