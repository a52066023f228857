import re
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from scipy import stats

from gradscape.figures import figure_line, plot_line
from gradscape.figures.surfaces.line_wording import describe_findings, describe_nonfinite
from gradscape.figures.surfaces.norm_wording import describe_batch_norm
from gradscape.figures.surfaces.wording import describe_lines, result_names
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
    assert legend_of(ax) == ["no interval: few images carry the loss"]


def test_numbers_below_a_line_have_room_beside_each_other() -> None:
    alphas = np.linspace(-1, 1, 13)
    ax = draw(figure_line(make_line(LOSS, ERROR, alphas)).axes[-1])
    labels = [text.get_window_extent() for text in ax.get_xticklabels()]
    assert len(labels) >= 5
    for left, right in pairwise(labels):
        assert right.x0 - left.x1 > 0.5 * left.width


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
    assert ax.get_xlabel() == "alpha (along a random direction)"


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


def between(loss: np.ndarray, *, blocks: int = 1, **meta: str) -> Line:
    """A line from one network to another whose blocks of 32 images lose a little more each than the one before."""
    alphas, empty = np.linspace(0, 1, len(loss)), np.zeros((blocks, len(loss)), dtype=np.int64)
    measured = BlockStatistics(
        count=empty + 32,
        mean=loss + 0.1 * np.arange(blocks)[:, None] * np.sin(np.pi * alphas) ** 2,
        m2=empty + 1.0,
        right=empty + 16.0,
        nonfinite=empty,
        population=4000,
    )
    return Line(alphas=alphas, blocks=measured, origin=measured.points(0), meta={"model": "a", "other": "b", **meta})


def legend_bottom(ax: Axes) -> float:
    """Where the legend begins, in shares of the height of the axes."""
    legend = draw(ax).get_legend()
    assert legend is not None
    return float(ax.transAxes.inverted().transform(legend.get_window_extent())[0, 1])


def test_the_legend_stands_above_the_axes_and_above_the_names_of_the_ends() -> None:
    apart = [make_line(LOSS, ERROR, ALPHAS, model=name) for name in ("one", "two")]
    assert legend_bottom(plot_line(apart)) >= 1
    ax = plot_line([between(LOSS, data="x"), between(2 * LOSS, data="y")])
    assert legend_bottom(ax) >= 1
    names = max(text.get_window_extent().y1 for text in ax.texts)
    legend = ax.get_legend()
    assert legend is not None
    assert legend.get_window_extent().y0 >= names - 1


def test_a_line_between_networks_is_called_by_both_and_its_barrier_is_in_the_caption() -> None:
    bump = np.array([0.5, 3.0, 0.7])
    figure = figure_line(between(bump, blocks=4))
    caption = " ".join(figure.get_supxlabel().split())
    assert caption.startswith("a → b · 128 of 4,000 images")
    assert re.search(r"· barrier 2\.55 ± 0\.0\d+ at alpha 0\.5$", caption)
    assert "band: 95 %" in caption
    assert " ".join(figure_line(between(bump)).get_supxlabel().split()).endswith("barrier 2.4 at alpha 0.5")
    flat = " ".join(figure_line(between(np.array([0.5, 0.6, 0.7]))).get_supxlabel().split())
    assert "no barrier: the loss is nowhere above" in flat


def test_a_terminal_says_what_the_barrier_rests_on() -> None:
    bump = np.array([0.5, 3.0, 0.7])
    (said,) = describe_findings(between(bump, blocks=4, title="one"))
    assert said.startswith("one to b: barrier 2.55 ± 0.")
    assert said.endswith("from loss 0.5 to 0.7 (± standard error over 128 images, the same at every point)")
    (said,) = describe_findings(between(bump))
    assert said == (
        "network to b: barrier 2.4 at alpha 0.5, above the straight line from loss 0.5 to 0.7 "
        "(32 images, too few for a standard error)"
    )
    assert describe_findings(make_line(LOSS, ERROR, ALPHAS)) == []


def test_points_that_are_not_finite_beyond_the_networks_are_explained() -> None:
    loss = LOSS.copy()
    loss[[0, 12]] = np.nan
    negative = ALPHAS[[0, 1, 12]].tolist()
    known = make_line(loss, ERROR, ALPHAS, other="b", negative_variances=negative)
    assert describe_nonfinite([known]) == (
        "2 points non-finite: beyond the two networks running variances become negative"
    )
    assert describe_nonfinite([make_line(loss, ERROR, ALPHAS, other="b")]) == "2 points non-finite"


RECALIBRATED = {
    "statistics": "recalibrated",
    "images": 2000,
    "stored_ends": {
        "alphas": [0.0, 1.0],
        "loss": [0.25, None],
        "loss_stderr": [0.0, 0.0],
        "error": [0.1, 0.15],
        "images": 400,
    },
}


def test_networks_with_their_own_statistics_are_circles_beside_a_recalibrated_line() -> None:
    ends = make_line(
        LOSS, ERROR, ALPHAS, other="b", batch_norm=RECALIBRATED, calibration={"data": "cifar10", "split": "train"}
    )
    page = draw(figure_line(ends).axes[0]).get_figure(root=True)
    assert page is not None
    for ax, heights in zip(page.axes, ([0.25, np.nan], [10.0, 15.0]), strict=True):
        (circles,) = [line for line in ax.lines if line.get_marker() == "o"]
        np.testing.assert_allclose(np.asarray(circles.get_xdata()), [0, 1])
        np.testing.assert_allclose(np.asarray(circles.get_ydata()), heights)
    assert legend_of(page.axes[0]) == ["networks with their own statistics"]
    caption = describe_lines([ends])
    assert "batch norm recalibrated at every point on 2,000 images of cifar10 (train)" in caption
    moved = "0.25 at alpha 0 (recalibrated 0.5), non-finite at alpha 1 (recalibrated 1.5)"
    expected = f"with own batch-norm statistics loss {moved}"
    assert expected in caption
    assert expected in describe_findings(ends)


def test_treatments_of_batch_norm_are_said_where_they_are_not_the_usual_ones() -> None:
    norms = [{"statistics": name} for name in ("moving", "stored")]
    between = [describe_batch_norm({"other": "b", "batch_norm": norm}) for norm in norms]
    along = [describe_batch_norm({"batch_norm": norm}) for norm in norms]
    assert between == ["", "batch-norm statistics stay"]
    assert along == ["batch-norm statistics move along", ""]
    assert describe_batch_norm({}) == describe_batch_norm({"batch_norm": "a user's own"}) == ""
    lines = [make_line(LOSS, ERROR, ALPHAS, other="b", batch_norm=norm) for norm in (norms[0], RECALIBRATED)]
    assert result_names(lines) == ["net → b", "net → b, batch norm recalibrated"]


def test_a_random_direction_and_a_way_between_networks_do_not_share_an_axis() -> None:
    with pytest.raises(ValueError, match=r"`lines` must all lead from one network to another, or none of them"):
        plot_line([make_line(LOSS, ERROR, ALPHAS), between(LOSS)])


def test_lines_of_one_name_are_called_by_what_differs() -> None:
    lines = [
        make_line(LOSS, ERROR, ALPHAS, seed=0, checkpoint="runs/x/model.safetensors"),
        make_line(LOSS, ERROR, ALPHAS, seed=1, checkpoint="runs/x/model.safetensors"),
        make_line(LOSS, ERROR, ALPHAS, seed=1, checkpoint="runs/y/model.safetensors"),
        make_line(LOSS, ERROR, ALPHAS, model="other"),
    ]
    assert legend_of(plot_line(lines)) == ["net, x, seed 0", "net, x, seed 1", "net, y, seed 1", "other"]


def test_no_two_of_many_lines_look_alike() -> None:
    lines = [make_line(LOSS + number, ERROR, ALPHAS, model=f"net{number}") for number in range(16)]
    ax = plot_line(lines)
    legend = ax.get_legend()
    assert legend is not None
    looks = {(handle.get_color(), str(handle.get_linestyle())) for handle in legend.get_lines()}
    assert len(looks) == 16
