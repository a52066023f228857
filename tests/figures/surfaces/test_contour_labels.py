"""Where contour lines are labelled, and what their color bar shows."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, QuadMesh
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from matplotlib.text import Text

from gradscape.figures import figure_comparison, figure_landscape, plot_contour
from gradscape.figures.style import SMALL
from gradscape.landscape import Surface
from tests.figures.results import make_surface


def square(loss: str) -> Surface:
    axis = np.linspace(-1, 1, 41)
    x, y = np.meshgrid(axis, axis)
    radius = x**2 + y**2
    losses = {
        "bowl": 0.25 + x**2 + 3 * y**2,
        "pit": 1e-4 + 20 * radius**2 / (0.02 + radius**2),
        "slope": 1 + x + 0.3 * y,
        "ripples": 2 + np.sin(9 * x) * np.cos(7 * y),
        "ridge": 1e-3 + 400 * np.abs(x) ** 5 + y**2,
    }
    return make_surface(losses[loss], alphas=axis, betas=axis)


def labels(ax: Axes) -> list[Text]:
    return [text for text in ax.texts if text.get_text()]


def outline(text: Text) -> np.ndarray:
    """Corners of a turned label, (4, 2) pixels."""
    box = text.get_window_extent()
    turned = np.deg2rad(text.get_rotation())
    width, height = SMALL * 0.6 * len(text.get_text()), SMALL
    assert text.figure is not None
    half = np.array([[-width, -height], [width, -height], [width, height], [-width, height]]) / 2
    half *= text.figure.dpi / 72
    turn = np.array([[np.cos(turned), np.sin(turned)], [-np.sin(turned), np.cos(turned)]])
    return np.array([(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2]) + half @ turn


def lines(ax: Axes) -> ContourSet:
    (found,) = [artist for artist in ax.collections if isinstance(artist, ContourSet)]
    return found


def finished(figure: Figure) -> Figure:
    FigureCanvasAgg(figure).draw()
    return figure


@pytest.mark.parametrize("loss", ["bowl", "pit", "slope", "ripples", "ridge"])
def test_labels_lie_inside_the_frame_and_apart(loss: str) -> None:
    panel = finished(figure_landscape(square(loss), kind="contour")).axes[0]
    box = panel.get_window_extent()
    written = labels(panel)
    assert written
    for text in written:
        corners = outline(text)
        assert (corners > [box.x0, box.y0]).all(), text.get_text()
        assert (corners < [box.x1, box.y1]).all(), text.get_text()
    middles = np.array([outline(text).mean(axis=0) for text in written])
    gaps = np.hypot(*(middles[:, None] - middles[None]).T) + 1e9 * np.eye(len(middles))
    assert gaps.min() > SMALL * 0.9 * panel.figure.dpi / 72


def test_lines_that_crowd_around_the_origin_are_left_without_labels() -> None:
    panel = finished(figure_landscape(square("pit"), kind="contour")).axes[0]
    origin = panel.transData.transform((0, 0))
    for text in labels(panel):
        assert np.hypot(*(outline(text).mean(axis=0) - origin)) > 12 * panel.figure.dpi / 72
    assert {"10"} <= {text.get_text() for text in labels(panel)} < {f"{level:g}" for level in lines(panel).levels}


def test_labels_lie_on_their_lines() -> None:
    surface = square("bowl")
    panel = finished(figure_landscape(surface, kind="contour")).axes[0]
    for text in labels(panel):
        x, y = panel.transData.inverted().transform(outline(text).mean(axis=0))
        assert 0.25 + x**2 + 3 * y**2 == pytest.approx(float(text.get_text()), abs=0.05)


def test_labels_of_several_panels_are_placed_in_each() -> None:
    figure = finished(figure_comparison([square("bowl"), square("slope")], kind="contour"))
    assert all(labels(panel) for panel in figure.axes[:2])


def test_labels_in_axes_of_the_users_own_lie_inside_too() -> None:
    figure = Figure()
    _, right = figure.subplots(1, 2)
    panel = plot_contour(square("bowl"), ax=right)
    assert labels(panel)
    box = panel.get_window_extent()
    assert all(box.contains(*outline(text).mean(axis=0)) for text in labels(panel))


@pytest.mark.parametrize("loss", ["bowl", "pit"])
def test_the_color_bar_of_lines_shows_these_lines_alone(loss: str) -> None:
    figure = finished(figure_landscape(square(loss), kind="contour"))
    panel, bar = figure.axes
    drawn = next(artist for artist in bar.collections[::-1] if isinstance(artist, LineCollection))
    places = [float(segment[0, 1]) for segment in drawn.get_segments()]
    assert places == pytest.approx(list(lines(panel).levels), rel=1e-3)  # the bar's own grid is so fine
    assert not [artist for artist in bar.collections if isinstance(artist, QuadMesh) and artist.get_visible()]
    expected = lines(panel).to_rgba(np.asarray(lines(panel).levels))
    np.testing.assert_allclose(np.asarray(drawn.get_colors(), dtype=float), expected)


def test_the_color_bar_of_a_flat_surface_shows_no_line() -> None:
    axis = np.linspace(-1, 1, 5)
    figure = finished(figure_landscape(make_surface(np.full((5, 5), 2.3), alphas=axis, betas=axis), kind="contour"))
    bar = figure.axes[1]
    drawn = [artist for artist in bar.collections if isinstance(artist, LineCollection)]
    assert not [segment for artist in drawn for segment in artist.get_segments()]


@pytest.mark.parametrize("kind", ["contour", "filled", "heat", "surface"])
def test_numbers_at_a_bar_do_not_run_into_each_other(kind: Any) -> None:
    bar = finished(figure_comparison([square("ridge")] * 3, kind=kind)).axes[-1]
    vertical = bool(bar.get_ylabel())
    shown = bar.get_yticklabels() if vertical else bar.get_xticklabels()
    boxes = [text.get_window_extent() for text in shown if text.get_text()]
    assert len(boxes) >= 3
    ends = sorted((box.y0, box.y1) if vertical else (box.x0, box.x1) for box in boxes)
    assert all(before[1] < after[0] for before, after in pairwise(ends))
