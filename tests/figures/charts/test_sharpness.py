import numpy as np
import pytest

from gradscape.figures.charts.sharpness import figure_sharpness, plot_sharpness
from gradscape.landscape.metrics.measure import Measure


def _measure(value: float, half: float) -> Measure:
    return Measure("sam", value, value - half, value + half, "nats")


def test_every_network_has_a_dot_and_an_interval_at_every_rho() -> None:
    rises = {"a": {0.1: _measure(1.0, 0.2), 0.01: _measure(0.1, 0.2)}, "b": {0.1: _measure(2.0, np.nan)}}
    ax = plot_sharpness(rises)
    assert ax.get_yscale() == "log"
    bars = [np.asarray(line.get_ydata(), dtype=float) for line in ax.lines if line.get_linestyle() == "-"]
    np.testing.assert_allclose(
        np.array(bars), np.array([[0.8, 1.2], [0.1 / 3, 0.3]])
    )  # that down to below 0 reaches the lower edge
    assert ax.get_ylim()[0] == pytest.approx(0.1 / 3)
    dots = {
        line.get_label(): np.asarray(line.get_ydata(), dtype=float)
        for line in ax.lines
        if line.get_linestyle() == "None"
    }
    np.testing.assert_allclose(dots["a"], np.array([1.0, 0.1]))
    np.testing.assert_allclose(dots["b"], np.array([2.0]))
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0.01", "0.1"]


def test_rises_that_are_not_positive_are_on_an_even_scale() -> None:
    assert plot_sharpness({"a": {0.1: _measure(-1.0, 0.2)}}).get_yscale() == "linear"
    assert plot_sharpness({"a": {0.1: _measure(np.nan, 0.2)}}).get_yscale() == "linear"


def test_a_page_has_a_panel_for_each_kind_and_one_legend() -> None:
    rises = {kind: {name: {0.1: _measure(1.0, 0.2)} for name in ("a", "$b$")} for kind in "vwxyz"}
    page = figure_sharpness(rises, caption="rise of the loss")
    assert [ax.get_title() for ax in page.axes] == list("vwxyz")
    assert [text.get_text() for text in page.legends[0].get_texts()] == ["a", "$b$"]
    with pytest.raises(ValueError, match="`rises` must hold at least one kind"):
        figure_sharpness({})
    with pytest.raises(ValueError, match="with at least one rho"):
        plot_sharpness({})
