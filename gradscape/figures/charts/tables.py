"""A table of a paper as a page: rules above and below, words to the left, numbers to the right."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradscape._names import one_line
from gradscape.figures.caption import add_caption, caption_height
from gradscape.figures.letters import text_size
from gradscape.figures.style import SINGLE_COLUMN, new_figure, page_width, styled

__all__ = ["figure_table"]

TableRow = Sequence[str]

_SIZE = 7.5
_ROW_HEIGHT = 0.185
_GAP = 0.11
_EDGE = 0.07


@styled()
def figure_table(headings: TableRow, rows: Sequence[TableRow], *, numbers: int, caption: str) -> Figure:
    """Set a table, in one of a paper's columns if it fits there, else across both.

    Args:
        headings: A word or two above each column.
        rows: Per row a text for each column.
        numbers: How many columns, from the right, hold numbers: they end on one line, the others begin on one.
        caption: What stands below.

    Returns:
        The page.

    Raises:
        ValueError: No row, a row of another length than the headings, or a table wider than both columns.
    """
    cells = [[one_line(text) for text in row] for row in (headings, *rows)]
    if not rows or any(len(row) != len(headings) for row in cells):
        raise ValueError(f"`rows` must be at least one row of {len(headings)} texts, got rows of {[*map(len, rows)]}")
    widths = [max(_width_of(row[column], bold=row is cells[0]) for row in cells) for column in range(len(headings))]
    needed = sum(widths) + _GAP * (len(widths) - 1) + 2 * _EDGE
    page = page_width(double=needed > SINGLE_COLUMN)
    if needed > page:
        raise ValueError(f"`rows` must fit into {page:.3g} inches, and need {needed:.1f}: shorten the longest texts")
    # What is left over goes between the columns.
    gap = _GAP + (page - needed) / max(1, len(widths) - 1)
    starts = [_EDGE + sum(widths[:column]) + gap * column for column in range(len(widths))]
    ends = [start + width for start, width in zip(starts, widths, strict=True)]
    figure = new_figure(page, _ROW_HEIGHT * (len(cells) + 1) + caption_height(caption, page))
    figure.set_layout_engine("compressed", w_pad=0, h_pad=0.02)
    _draw(figure.add_subplot(), cells, starts, ends, numbers=numbers)
    add_caption(figure, caption)
    return figure


def _draw(ax: Axes, cells: Sequence[TableRow], starts: Sequence[float], ends: Sequence[float], *, numbers: int) -> None:
    """Set the texts, in inches from the upper left corner."""
    ax.set_axis_off()
    ax.set(xlim=(0, ends[-1] + _EDGE), ylim=(_ROW_HEIGHT * (len(cells) + 1), 0))
    for number, row in enumerate(cells):
        for column, text in enumerate(row):
            right = column >= len(row) - numbers
            ax.text(
                (ends if right else starts)[column],
                _ROW_HEIGHT * (number + 1),
                text,
                ha="right" if right else "left",
                va="center",
                fontsize=_SIZE,
                fontweight="bold" if number == 0 else "normal",
                parse_math=False,
            )
    for line, thickness in ((0.4, 0.9), (1.5, 0.5), (len(cells) + 0.6, 0.9)):
        ax.plot((starts[0], ends[-1]), [line * _ROW_HEIGHT] * 2, "-", color="black", linewidth=thickness)


def _width_of(text: str, *, bold: bool) -> float:
    """Inches that a text takes."""
    return text_size(text, _SIZE, bold=bold)[0] / 72
