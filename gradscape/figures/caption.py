"""What is said below a picture: which model and data, how much of it, and what could not be drawn."""

from typing import Any

from matplotlib.figure import Figure

from gradscape._names import one_line
from gradscape.figures.look import current_look
from gradscape.figures.margins import MARGIN, broken_lines, grow_page
from gradscape.figures.style import SMALL, styled

__all__ = ["add_caption", "add_remark", "caption_height", "caption_of"]


def add_caption(figure: Figure, text: str) -> None:
    """Give a page its caption, which `save_figure` writes beside it; `$` and other signs stay as they are.

    It is drawn, below everything else and broken to the page's width, only where that was chosen (`Look`).
    """
    width = float(figure.get_figwidth())
    look: dict[str, Any] = {"ha": "left", "fontsize": SMALL, "color": "0.3", "parse_math": False}
    if figure.get_layout_engine() is None:  # which would place it; else it stands at a share of the page's height
        look["y"] = 0.05 / float(figure.get_figheight())
    lines = broken_lines(text, SMALL, width)
    caption = figure.supxlabel("\n".join(lines), x=MARGIN / width, **look)
    caption.set_visible(current_look().caption)
    caption.set_in_layout(current_look().caption)


def caption_height(text: str, width: float) -> float:
    """Inches that a caption takes on a page of this width: none where it is not drawn."""
    return 0.1 + 0.12 * len(broken_lines(text, SMALL, width)) if current_look().caption else 0.0


@styled()
def add_remark(figure: Figure, text: str) -> None:
    """Continue a page's caption; where it is drawn, the page grows by the lines that this takes.

    What stands in axes, or beside them by their coordinates, keeps its size and its distance from the upper edge.

    Args:
        figure: A page with a caption.
        text: What to add.
    """
    old, width = caption_of(figure), float(figure.get_figwidth())
    longer = f"{old} · {text}"
    grow_page(figure, below=caption_height(longer, width) - caption_height(old, width))
    add_caption(figure, longer)


def caption_of(figure: Figure) -> str:
    """The caption without its line breaks, drawn or not; of a page that has none, an empty text."""
    return one_line(figure.get_supxlabel())
