from collections.abc import Iterator

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gradscape.figures.caption import add_caption, add_remark, caption_of
from gradscape.figures.images.grid import lay_out_grid
from gradscape.figures.look import Look, drawn_as
from gradscape.figures.style import new_figure

LONG = "WIDE CAPITALS: MMMM WWWW OOOO MMMM WWWW OOOO and narrow ones: illicit, little · " * 4


@pytest.fixture(autouse=True)
def drawn_captions() -> Iterator[None]:
    with drawn_as(Look(caption=True)):
        yield


def inches_from_top(figure: Figure) -> list[tuple[float, float]]:
    height = float(figure.get_figheight())
    return [((1 - place.y1) * height, place.height * height) for place in (ax.get_position() for ax in figure.axes)]


def test_a_page_grows_and_its_panels_keep_their_size_and_distance_from_the_top() -> None:
    grid = lay_out_grid(2, 3, "first", proportion=1.5)
    before, height = inches_from_top(grid.figure), float(grid.figure.get_figheight())
    add_remark(grid.figure, LONG)
    assert grid.figure.get_figheight() > height + 0.5
    np.testing.assert_allclose(inches_from_top(grid.figure), before, atol=1e-9)


def test_the_caption_goes_on_where_it_ended_and_stays_raw() -> None:
    figure = lay_out_grid(1, 2, "at $5 · 70.3 %").figure
    add_remark(figure, "in the paper: more")
    assert caption_of(figure).replace("\N{NO-BREAK SPACE}", " ") == "at $5 · 70.3 % · in the paper: more"


@pytest.mark.parametrize("columns", [2, 9])
def test_no_line_reaches_past_the_page_or_begins_with_a_separator(columns: int) -> None:
    figure = lay_out_grid(1, columns, LONG).figure
    add_remark(figure, LONG)
    FigureCanvasAgg(figure).draw()
    box = next(text for text in figure.texts if text.get_text() == figure.get_supxlabel()).get_window_extent()
    assert box.x0 > 0
    assert box.x1 < figure.bbox.width
    assert not any(line.startswith("·") for line in figure.get_supxlabel().splitlines())


def test_a_page_with_a_layout_engine_makes_room_by_itself() -> None:
    figure = new_figure(3.0, 2.0)
    ax = figure.add_subplot()
    add_caption(figure, "first")
    add_remark(figure, LONG)
    FigureCanvasAgg(figure).draw()
    text = next(text for text in figure.texts if text.get_text() == figure.get_supxlabel())
    assert text.get_window_extent().y1 < ax.get_tightbbox().y0  # type: ignore[union-attr]
