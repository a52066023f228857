"""What stands below a picture: which model and data, how much of it, and what could not be drawn."""

from typing import Any

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from gradscape._names import one_line
from gradscape.figures.style import FONT, SMALL, styled

__all__ = ["add_caption", "add_remark", "caption_height", "caption_of"]

_MARGIN = 0.07
_HINTED = 0.96  # hinting makes letters on a raster wider than they are measured


def add_caption(figure: Figure, text: str) -> None:
    """Write a caption below everything else, broken to the page's width; `$` and other signs stay as they are."""
    width = float(figure.get_figwidth())
    look: dict[str, Any] = {"ha": "left", "fontsize": SMALL, "color": "0.3", "parse_math": False}
    if figure.get_layout_engine() is None:  # which would place it; else it stands at a share of the page's height
        look["y"] = 0.05 / float(figure.get_figheight())
    figure.supxlabel("\n".join(_broken(text, width)), x=_MARGIN / width, **look)


def caption_height(text: str, width: float) -> float:
    """Inches that a caption takes on a page of this width."""
    return 0.1 + 0.12 * len(_broken(text, width))


def _broken(text: str, width: float) -> list[str]:
    """Lines of a caption by the width of their letters, with values and their units unbroken."""
    font = FontProperties(family=FONT, size=SMALL)
    lines = [""]
    unbroken = one_line(text).replace(" %", "\N{NO-BREAK SPACE}%").replace(" ·", "\N{NO-BREAK SPACE}·")
    for word in unbroken.replace(" ± ", "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}").split(" "):
        longer = f"{lines[-1]} {word}".strip()
        points = float(text_to_path.get_text_width_height_descent(longer, font, ismath=False)[0])
        if points <= 72 * _HINTED * (width - 2 * _MARGIN) or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]


@styled()
def add_remark(figure: Figure, text: str) -> None:
    """Continue a page's caption; the page grows by the lines that this takes.

    What stands in axes, or beside them by their coordinates, keeps its size and its distance from the upper edge.

    Args:
        figure: A page with a caption.
        text: What to add.
    """
    width, height = (float(side) for side in figure.get_size_inches())
    old = caption_of(figure)
    longer = f"{old} · {text}"
    taller = height + caption_height(longer, width) - caption_height(old, width)
    places = {ax: ax.get_position(original=True) for ax in figure.axes}
    figure.set_size_inches(width, taller)
    if figure.get_layout_engine() is None:
        for ax, place in places.items():
            bottom = (place.y0 * height + taller - height) / taller
            ax.set_position((place.x0, bottom, place.width, place.height * height / taller))
    add_caption(figure, longer)


def caption_of(figure: Figure) -> str:
    """The caption without its line breaks; of a page that has none, an empty text."""
    return one_line(figure.get_supxlabel())
