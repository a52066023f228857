import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection

from gradscape.figures.charts.run_curves import figure_run_curves, plot_run_curves

Metrics = dict[str, np.ndarray]


def run(slope: float, epochs: int = 6) -> Metrics:
    epoch = np.arange(float(epochs))
    return {
        "epoch": epoch,
        "train_loss": 3 - slope * epoch,
        "test_loss": 4 - slope * epoch,
        "test_accuracy": 0.1 * epoch,
    }


def test_each_network_has_a_line_of_its_own_epochs() -> None:
    ax = plot_run_curves({"plain": run(0.5), "with $SE$": [run(0.25, epochs=4)]})
    plain, other = ax.lines
    np.testing.assert_allclose(np.asarray(plain.get_ydata()), 3 - 0.5 * np.arange(6))
    np.testing.assert_allclose(np.asarray(other.get_ydata()), 3 - 0.25 * np.arange(4))
    np.testing.assert_array_equal(np.asarray(other.get_xdata()), [1, 2, 3, 4])
    legend = ax.get_legend()
    assert legend is not None
    assert [(text.get_text(), text.get_parse_math()) for text in legend.get_texts()] == [
        ("plain", False),
        ("with $SE$", False),
    ]


def test_seven_networks_are_told_apart_by_color_and_by_dashes() -> None:
    ax = plot_run_curves({f"network {number}": run(number / 10) for number in range(7)})
    assert len({line.get_color() for line in ax.lines}) == 7
    assert len({str(line._dash_pattern) for line in ax.lines}) == 7  # type: ignore[attr-defined]


def test_epochs_before_the_first_are_left_out() -> None:
    ax = plot_run_curves({"plain": run(0.5)}, first_epoch=3)
    np.testing.assert_array_equal(np.asarray(ax.lines[0].get_xdata()), [3, 4, 5, 6])
    np.testing.assert_allclose(np.asarray(ax.lines[0].get_ydata()), [2, 1.5, 1, 0.5])


def test_accuracies_are_drawn_in_percent() -> None:
    ax = plot_run_curves({"plain": run(0.5)}, column="test_accuracy")
    np.testing.assert_allclose(np.asarray(ax.lines[0].get_ydata()), 10 * np.arange(6))
    assert ax.get_ylabel() == "test accuracy (%)"


def test_seeds_are_a_median_in_a_band_from_lowest_to_highest() -> None:
    ax = plot_run_curves({"plain": [run(0.1), run(0.3), run(0.2)]})
    np.testing.assert_allclose(np.asarray(ax.lines[0].get_ydata()), 3 - 0.2 * np.arange(6))
    (band,) = [artist for artist in ax.collections if isinstance(artist, PolyCollection)]
    outline = np.asarray(band.get_paths()[0].vertices)
    at_end = outline[outline[:, 0] == 6, 1]
    np.testing.assert_allclose((at_end.min(), at_end.max()), (1.5, 2.5))


def test_the_page_has_a_panel_a_column_and_one_legend_outside_of_them() -> None:
    runs = {f"network_{number}+attention": run(number / 10) for number in range(5)}
    figure = figure_run_curves(runs)
    FigureCanvasAgg(figure).draw()
    assert [ax.get_ylabel() for ax in figure.axes] == ["train loss", "test loss"]
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert all(not box.overlaps(ax.get_window_extent()) for ax in figure.axes)
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.x1


def test_a_legend_of_long_names_stays_on_a_single_column() -> None:
    figure = figure_run_curves({f"cifar_mobilenet_v2+spa_{letter}": run(0.1) for letter in "abcd"}, ["train_loss"])
    FigureCanvasAgg(figure).draw()
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.x1
    panel = figure.axes[0].get_window_extent()
    assert not box.overlaps(panel)
    assert panel.height > panel.width / 2


def test_the_caption_tells_epochs_where_curves_end_and_what_the_band_is() -> None:
    several = figure_run_curves({"a": [run(0.1), run(0.2), run(0.4)], "b": run(0.5, epochs=5)}, ["train_loss"])
    assert " ".join(several.get_supxlabel().split()) == (
        "a 6 epochs, b 5 epochs · train loss after the last (mean ± std, median): a 1.83 ± 0.764 (2), b 1 · a 3 runs, "
        "b 1 run: median, in a band from lowest to highest"
    )
    late = figure_run_curves({"a": run(0.1)}, ["test_accuracy"], first_epoch=3)
    assert " ".join(late.get_supxlabel().split()) == (
        "6 epochs · drawn from epoch 3 · test accuracy after the last: a 50.00 %"
    )


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match="`runs` must be of 1 to 7 networks, which colors tell apart, got 8"):
        plot_run_curves({str(number): run(0.1) for number in range(8)})
    with pytest.raises(ValueError, match="`runs` must be of 1 to 7 networks"):
        plot_run_curves({})
    with pytest.raises(ValueError, match="must have the column learning_rate, and plain has epoch, train_loss"):
        plot_run_curves({"plain": run(0.1)}, column="learning_rate")
    with pytest.raises(ValueError, match=r"`first_epoch` must be one that .*, and short ended with epoch 3, before 4"):
        plot_run_curves({"plain": run(0.1), "short": run(0.1, epochs=3)}, first_epoch=4)
    with pytest.raises(ValueError, match="`columns` must name at least one column"):
        figure_run_curves({"plain": run(0.1)}, [])
