"""What is added to the caption of a finished page."""

from matplotlib.figure import Figure

from gradscape.figures.caption import add_caption, caption_height, one_line
from gradscape.figures.style import styled

__all__ = ["add_remark", "caption_of"]


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
