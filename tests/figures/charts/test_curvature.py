"""What the page of Hessians draws."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.container import ErrorbarContainer
from matplotlib.patches import Rectangle

from gradscape.figures.caption import caption_of
from gradscape.figures.charts.curvature import figure_curvature, plot_density, plot_eigenvalues, plot_trace
from tests.landscape.hessian.curvatures import made_up


def test_bars_are_eigenvalues_and_points_what_they_are_worth() -> None:
    one, other = made_up(), made_up(seed=1)
    ax = plot_eigenvalues({"one": one, "other": other})
    heights = [bar.get_height() for bar in ax.patches if isinstance(bar, Rectangle)]
    assert heights == pytest.approx([*one.spectrum.values, *other.spectrum.values])
    assert [text.get_text() for text in ax.get_xticklabels()] == ["$\\lambda_{1}$", "$\\lambda_{2}$", "lowest"]
    held_out = one.spectrum.held_out
    assert held_out is not None
    bars = [container for container in ax.containers if isinstance(container, ErrorbarContainer)]
    (lines,) = bars[0].lines[2]
    ends = np.array([segment[:, 1] for segment in lines.get_segments()])
    assert np.allclose(ends.T, held_out.interval())


def test_what_is_not_converged_is_hatched_and_the_caption_says_so() -> None:
    bars = [bar for bar in plot_eigenvalues({"one": made_up()}).patches if isinstance(bar, Rectangle)]
    assert [bool(bar.get_hatch()) for bar in bars] == [False, False, True]
    assert "hatched: not converged" in caption_of(figure_curvature({"one": made_up()}))
    sure = replace(made_up().spectrum, converged=np.ones(3, bool))
    assert "hatched" not in caption_of(figure_curvature({"one": replace(made_up(), spectrum=sure)}))


def test_layers_are_sums_of_their_parameters() -> None:
    one = made_up()
    ax = plot_trace({"one": one})
    assert one.trace is not None
    assert one.trace.layers is not None
    means = one.trace.layers.mean(axis=0)
    (dots,) = [line for line in ax.lines if line.get_label() == "one"]
    assert np.asarray(dots.get_ydata()) == pytest.approx([means[0] + means[1], means[2]])


def test_negative_parts_of_a_trace_are_seen() -> None:
    one = made_up()
    assert one.trace is not None
    assert one.trace.layers is not None
    assert plot_trace({"one": one}).get_ylim()[0] == 0
    layers = one.trace.layers * [1.0, 1.0, -1.0]
    ax = plot_trace({"one": replace(one, trace=replace(one.trace, layers=layers, images=layers.sum(axis=1)))})
    assert ax.get_ylim()[0] < layers[:, 2].mean()


def test_a_density_is_the_smoothed_one() -> None:
    one = made_up()
    (line,) = plot_density({"one": one}).lines
    assert one.density is not None
    places, drawn = np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)
    middle, _ = one.density.smoothed(places)
    assert np.allclose(drawn[np.isfinite(drawn)], middle[np.isfinite(drawn)])


def test_the_page_has_what_was_measured_and_says_of_what() -> None:
    one = made_up()
    figure = figure_curvature({"one": one})
    assert len(figure.axes) == 3
    told = caption_of(figure)
    assert "one on digits (test); Hessian of the mean loss over 120 of 500 images" in told
    assert "with 95 % intervals" in told
    assert "3 probes of 10 steps" in told
    bare = replace(one, trace=None, density=None)
    assert len(figure_curvature({"one": bare}).axes) == 1
