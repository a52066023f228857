import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from gradscape.figures.surfaces.metrics import figure_measures, plot_measures
from gradscape.landscape.metrics.measure import Measure

ROUGH = {
    "with $hortcut": Measure("roughness", 2.0, 1.5, 2.6, "1/d²"),
    "plain": Measure("roughness", 5.0, 4.0, np.inf, "1/d²"),
    "lost": Measure("roughness", np.nan, np.nan, np.nan, "1/d²", "a loss is not finite"),
}


def test_each_network_has_a_row_with_its_interval_and_its_draws() -> None:
    ax = plot_measures(ROUGH, draws={"with $hortcut": [1.8, 2.2]})
    assert ax.get_xlabel() == "roughness (1/d²)"
    assert [label.get_text() for label in ax.get_yticklabels()] == list(ROUGH)
    drawn = [np.asarray(line.get_xdata()).tolist() for line in ax.lines]
    assert drawn[:3] == [[1.8, 2.2], [1.5, 2.6], [2.0]]
    assert [text.get_text() for text in ax.texts] == ["undefined"]
    low, high = ax.get_ylim()
    assert low > high  # the first network stands above


def test_an_interval_without_an_end_points_beyond_the_edge() -> None:
    ax = plot_measures({"plain": ROUGH["plain"]})
    assert [line.get_marker() for line in ax.lines].count(">") == 1
    assert np.isfinite(ax.get_xlim()).all()


def test_the_page_has_a_panel_for_each_metric_and_a_caption() -> None:
    names = ("sharpness", "basin_width", "curvature", "roughness", "convex_share")
    measures = {
        network: {name: Measure(name, 1.0 + shift, 0.5, 2.0, "") for name in names}
        for network, shift in (("a", 0), ("b", 1), ("c", 2))
    }
    figure = figure_measures(measures, caption="5 draws each")
    FigureCanvasAgg(figure).draw()
    assert [ax.get_xlabel() for ax in figure.axes] == [name.replace("_", " ") for name in names]
    assert figure.get_supxlabel() == "5 draws each"


def test_measures_of_several_metrics_cannot_share_a_panel_nor_differ_between_networks() -> None:
    sharp = Measure("sharpness", 1.0, 0.5, 2.0, "nats")
    with pytest.raises(ValueError, match=r"`measures` must be of one metric, got roughness, sharpness"):
        plot_measures({"a": ROUGH["plain"], "b": sharp})
    with pytest.raises(ValueError, match=r"`measures` must hold the same metrics, at least one, for every network"):
        figure_measures({"a": {"roughness": ROUGH["plain"]}, "b": {"sharpness": sharp}})
