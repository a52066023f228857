import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from gradscape.figures.charts.tables import figure_table
from gradscape.figures.style import DOUBLE_COLUMN, SINGLE_COLUMN

HEADINGS = ("network", "optimizer", "printed, %", "measured, %")
ROWS = [("a net", "Adam", "86.65", "9.1"), ("$another_net$", "SGD with a momentum", "7.00", "–")]


def texts_of(figure: Figure) -> list[list[Text]]:
    """Rows of texts, drawn."""
    FigureCanvasAgg(figure).draw()
    texts = list(figure.axes[0].texts)
    return [texts[start : start + len(HEADINGS)] for start in range(0, len(texts), len(HEADINGS))]


def test_every_cell_stands_in_its_row_and_column_as_it_is_written() -> None:
    rows = texts_of(figure_table(HEADINGS, ROWS, numbers=2, caption="below"))
    assert [tuple(text.get_text() for text in row) for row in rows] == [HEADINGS, *ROWS]
    assert not any(text.get_parse_math() for row in rows for text in row)
    heights = [{round(text.get_window_extent().y0 // 10) for text in row} for row in rows]
    assert max(heights[1]) < min(heights[0])


def test_words_begin_and_numbers_end_on_a_line() -> None:
    rows = texts_of(figure_table(HEADINGS, ROWS, numbers=2, caption="below"))
    for column in range(4):
        boxes = [row[column].get_window_extent() for row in rows]
        edges = [box.x1 if column >= 2 else box.x0 for box in boxes]
        assert max(edges) - min(edges) < 1.5


def test_no_cell_covers_another_or_leaves_the_page() -> None:
    figure = figure_table(HEADINGS, ROWS, numbers=2, caption="below")
    boxes = [text.get_window_extent() for row in texts_of(figure) for text in row]
    assert not any(one.overlaps(other) for number, one in enumerate(boxes) for other in boxes[:number])
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)


def test_rows_keep_their_distance_below_any_caption() -> None:
    distances = []
    for caption in ("below", "below " * 150):
        rows = texts_of(figure_table(HEADINGS, ROWS, numbers=2, caption=caption))
        distances.append(rows[1][0].get_window_extent().y0 - rows[2][0].get_window_extent().y0)
    assert distances[1] == pytest.approx(distances[0], rel=0.1)


def test_rules_are_three_unbroken_lines_between_the_rows() -> None:
    ax = figure_table(HEADINGS, ROWS, numbers=2, caption="below").axes[0]
    assert [line.get_linestyle() for line in ax.lines] == ["-"] * 3
    above, below_headings, below = (float(np.asarray(line.get_ydata())[0]) for line in ax.lines)
    rows = [text.get_position()[1] for text in ax.texts[:: len(HEADINGS)]]
    assert above < rows[0] < below_headings < rows[1] < rows[2] < below


def test_a_narrow_table_takes_one_column_of_a_paper() -> None:
    assert figure_table(HEADINGS[1:3], [("Adam", "1.0")], numbers=1, caption="").get_figwidth() == SINGLE_COLUMN
    wide = figure_table((*HEADINGS, "note"), [(*ROWS[0], "word " * 6)], numbers=0, caption="")
    assert wide.get_figwidth() == DOUBLE_COLUMN


def test_tables_that_cannot_be_set_are_refused() -> None:
    with pytest.raises(ValueError, match="`rows` must be at least one row of 4 texts, got rows of"):
        figure_table(HEADINGS, [], numbers=2, caption="")
    with pytest.raises(ValueError, match=r"`rows` must be at least one row of 4 texts, got rows of \[4, 3\]"):
        figure_table(HEADINGS, [ROWS[0], ROWS[1][:3]], numbers=2, caption="")
    with pytest.raises(ValueError, match=r"`rows` must fit into 7.01 inches, and need \d+\.\d: shorten"):
        figure_table(HEADINGS, [("word " * 40, *ROWS[0][1:])], numbers=2, caption="")
