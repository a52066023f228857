import statistics

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection

from gradscape.figures.charts.batch_sizes import figure_batch_sizes, plot_batch_sizes

ERRORS = {256: [20.0, 21.0, 25.0], 4: [40.0, 41.0, 48.0], 32: [30.0, 31.5, 33.0]}


def test_means_stand_at_their_batch_sizes_on_a_scale_of_powers_of_two() -> None:
    ax = plot_batch_sizes(ERRORS)
    (mean,) = [line for line in ax.lines if line.get_label() == "mean"]
    np.testing.assert_array_equal(np.asarray(mean.get_xdata()), [4, 32, 256])
    np.testing.assert_allclose(np.asarray(mean.get_ydata()), [43, 31.5, 22])
    FigureCanvasAgg(ax.get_figure(root=True)).draw()
    assert [text.get_text() for text in ax.get_xticklabels()] == ["4", "32", "256"]
    places = ax.transData.transform([(4, 30), (32, 30), (256, 30)])[:, 0]
    assert places[1] - places[0] == pytest.approx(places[2] - places[1])


def test_bars_are_one_standard_deviation_of_the_sample_to_each_side() -> None:
    (bars,) = [artist for artist in plot_batch_sizes(ERRORS).collections if isinstance(artist, LineCollection)]
    halves = [np.ptp(np.asarray(segment)[:, 1]) / 2 for segment in bars.get_segments()]
    np.testing.assert_allclose(halves, [statistics.stdev(ERRORS[size]) for size in (4, 32, 256)])


def test_every_run_is_a_dot() -> None:
    (dots,) = [line for line in plot_batch_sizes(ERRORS).lines if line.get_label() == "one run"]
    drawn = sorted(zip(np.asarray(dots.get_xdata()), np.asarray(dots.get_ydata()), strict=True))
    assert drawn == [(size, error) for size in (4, 32, 256) for error in ERRORS[size]]


def test_a_single_run_has_no_bar_and_is_no_mean() -> None:
    ax = plot_batch_sizes({8: [12.5], 16: [10.0]})
    assert [line.get_label() for line in ax.lines if not str(line.get_label()).startswith("_")] == ["one run"]
    (bars,) = [artist for artist in ax.collections if isinstance(artist, LineCollection)]
    assert not any(len(segment) for segment in bars.get_segments())


def test_what_a_paper_prints_is_laid_over() -> None:
    ax = plot_batch_sizes(ERRORS, published={128: 17.6})
    (printed,) = [line for line in ax.lines if line.get_label() == "in the paper"]
    assert (list(printed.get_xdata()), list(printed.get_ydata())) == ([128], [17.6])  # type: ignore[arg-type]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["4", "32", "128", "256"]


def test_the_caption_says_how_many_runs_stand_behind_the_means() -> None:
    for errors, said in (
        (ERRORS, "mean of 3 runs with each batch size, in bars of one standard deviation"),
        ({**ERRORS, 8: [1.0, 2.0]}, "mean of 2 to 3 runs with each batch size, in bars of one standard deviation"),
        ({4: [1.0]}, "one run with each batch size"),
    ):
        assert " ".join(figure_batch_sizes(errors).get_supxlabel().split()) == said


@pytest.mark.parametrize(
    ("errors", "message"),
    [
        ({}, "`errors` must hold the test errors of at least one batch size"),
        ({0: [3.0]}, "`errors` must have batch sizes from 1 on and a run for each, got 0"),
        ({4: []}, "`errors` must have batch sizes from 1 on and a run for each, got 4"),
        ({4: [101.0]}, "`errors` must be in percent, from 0 to 100, got .*101.0.* for batch size 4"),
        ({4: [float("nan")]}, "`errors` must be in percent"),
    ],
)
def test_errors_that_cannot_be_drawn_are_refused(errors: dict[int, list[float]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plot_batch_sizes(errors)
