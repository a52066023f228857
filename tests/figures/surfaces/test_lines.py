import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from scipy import stats

from gradscape.figures import figure_line, plot_line
from gradscape.landscape import Line
from gradscape.landscape.statistics import BlockStatistics
from tests.figures.results import make_line

ALPHAS = np.linspace(-0.25, 1.25, 13)
LOSS = 0.5 + ALPHAS**2
ERROR = 0.2 + 0.1 * ALPHAS


def draw(ax: Axes) -> Axes:
    figure = ax.get_figure()
    assert isinstance(figure, Figure)
    FigureCanvasAgg(figure).draw()
    return ax


def legend_of(ax: Axes) -> list[str]:
    legend = ax.get_legend()
    return [text.get_text() for text in legend.get_texts()] if legend else []


def carried_by_few(line: Line, at: list[int]) -> Line:
    """The same losses, at some points spread as if two of the 400 images had nearly all."""
    arrays = {name: getattr(line.blocks, name).copy() for name in BlockStatistics.arrays()}
    for index in at:
        arrays["m2"][0, index] = 400 * line.loss[index] ** 2 * 200
    blocks = BlockStatistics(**arrays, population=4000)
    return Line(alphas=line.alphas, blocks=blocks, origin=line.origin, meta=line.meta)


def test_the_band_is_students_95_percent_interval() -> None:
    ax = plot_line(make_line(LOSS, ERROR, ALPHAS))
    (band,) = [artist for artist in ax.collections if isinstance(artist, PolyCollection)]
    half = stats.t.ppf(0.975, 399) * 0.02 * LOSS
    outline = np.asarray(band.get_paths()[0].vertices)
    for alpha, low, high in zip(ALPHAS, LOSS - half, LOSS + half, strict=True):
        heights = outline[np.isclose(outline[:, 0], alpha), 1]
        assert heights.min() == pytest.approx(low)
        assert heights.max() == pytest.approx(high)


def test_where_few_images_carry_the_loss_the_line_is_dashed_and_has_no_band() -> None:
    line = carried_by_few(make_line(LOSS, ERROR, ALPHAS), [4, 5, 6])
    ax = draw(plot_line(line))
    dashed, solid = ax.lines[:2]
    assert dashed.is_dashed()
    assert not solid.is_dashed()
    np.testing.assert_allclose(np.asarray(dashed.get_ydata()), LOSS)
    np.testing.assert_array_equal(np.isnan(np.asarray(solid.get_ydata())), np.isin(np.arange(13), [4, 5, 6]))
    (band,) = [artist for artist in ax.collections if isinstance(artist, PolyCollection)]
    reached = np.concatenate([np.asarray(path.vertices)[:, 0] for path in band.get_paths()])
    assert not ((reached > ALPHAS[3] + 1e-9) & (reached < ALPHAS[7] - 1e-9)).any()
    assert legend_of(ax) == ["few images carry the loss"]


def test_non_finite_losses_are_crosses_at_the_upper_edge() -> None:
    loss = LOSS.copy()
    loss[[0, 12]] = np.nan, np.inf
    ax = draw(plot_line(make_line(loss, ERROR, ALPHAS)))
    (crosses,) = [line for line in ax.lines if line.get_marker() == "x"]
    np.testing.assert_array_equal(crosses.get_xdata(), ALPHAS[[0, 12]])
    assert legend_of(ax) == ["non-finite"]


def test_errors_are_drawn_in_percent_without_a_band() -> None:
    ax = draw(plot_line(make_line(LOSS, ERROR, ALPHAS), value="error"))
    np.testing.assert_allclose(np.asarray(ax.lines[1].get_ydata()), 100 * ERROR)
    assert ax.get_ylabel() == "top-1 error (%)"
    assert not ax.collections


def test_the_ends_of_a_line_between_networks_are_named() -> None:
    ax = draw(plot_line(make_line(LOSS, ERROR, ALPHAS, model="$first_", other="second" * 6)))
    names = {text.get_text(): text.xy for text in ax.texts}  # type: ignore[attr-defined]
    assert names == {"$first_": (0, 1), "secondseconds…secondsecond": (1, 1)}
    assert ax.get_xlabel() == "alpha (0: first network, 1: second)"


def test_names_of_ends_stay_within_a_line_that_ends_there() -> None:
    for alphas, sides in ((ALPHAS, ["center", "center"]), (np.linspace(0, 1, len(ALPHAS)), ["left", "right"])):
        ax = plot_line(make_line(LOSS, ERROR, alphas, model="a", other="b"))
        assert [text.get_horizontalalignment() for text in ax.texts] == sides


def test_a_line_along_a_random_direction_has_no_named_ends() -> None:
    ax = plot_line(make_line(LOSS, ERROR, ALPHAS))
    assert not ax.texts
    assert ax.get_xlabel() == "alpha (direction 1)"


def test_several_lines_are_told_apart_in_the_legend() -> None:
    lines = [make_line(LOSS, ERROR, ALPHAS, model="a$"), make_line(2 * LOSS, ERROR, ALPHAS[:] + 1, model="b")]
    ax = draw(plot_line(lines, scale="log"))
    assert legend_of(ax) == ["a$", "b"]
    assert ax.get_yscale() == "log"
    assert ax.lines[0].get_color() != ax.lines[-1].get_color()


def test_the_page_has_loss_above_error_and_a_caption() -> None:
    figure = figure_line(make_line(LOSS, ERROR, ALPHAS))
    FigureCanvasAgg(figure).draw()
    assert [ax.get_ylabel() for ax in figure.axes] == ["cross-entropy loss", "top-1 error (%)"]
    assert figure.axes[0].get_xlim() == figure.axes[1].get_xlim()
    assert " ".join(figure.get_supxlabel().split()) == (
        "net · digits (train) · 400 of 4,000 images · seed 3 · band: 95 % interval of the mean loss"
    )


def test_without_a_metric_the_page_has_the_loss_alone() -> None:
    figure = figure_line(make_line(LOSS, np.full(13, np.nan), ALPHAS))
    assert [ax.get_ylabel() for ax in figure.axes] == ["cross-entropy loss"]


def test_no_line_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`lines` must hold at least one line"):
        plot_line([])
