"""Marks on reliefs: seen where nothing is before them, by a surface whose slopes are known."""

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d.axes3d import Axes3D  # type: ignore[import-untyped]

from gradscape.figures import plot_surface
from gradscape.figures.surfaces.seen_marks import SeenMarks
from gradscape.landscape import Surface
from tests.figures.results import make_surface

AXIS = np.linspace(-1, 1, 21)
X, Y = np.meshgrid(AXIS, AXIS)
PIT = np.clip(40 * (X**2 + Y**2), 0, 4)


def square(losses: np.ndarray) -> Surface:
    return make_surface(1 + losses, alphas=AXIS, betas=AXIS)


def mark(ax: Axes) -> SeenMarks:
    (found,) = [line for line in ax.lines if isinstance(line, SeenMarks)]
    return found


def dark(ax: Axes) -> int:
    """Pixels around the middle of the page that are as black as a mark."""
    figure = ax.get_figure()
    assert isinstance(figure, Figure)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = np.asarray(canvas.buffer_rgba())[..., :3]
    height, width, _ = picture.shape
    return int((picture[height // 6 : height * 3 // 5, width // 4 : width * 3 // 4].max(axis=-1) < 12).sum())


@pytest.mark.parametrize(
    ("losses", "seen"),
    [
        (np.zeros((21, 21)), True),
        (4 - PIT, True),  # on the top of a hill
        (PIT, False),  # at the ground of a pit with walls steeper than the view
        (Y + 1, True),  # on a slope that rises away from the view
        (4 * (Y < -0.15), False),  # behind a wall: the view comes from below on the map
        (4 * (Y > 0.15), True),
    ],
)
def test_the_origin_is_seen_where_no_wall_is_before_it(losses: np.ndarray, seen: bool) -> None:
    ax = plot_surface(square(losses), scale="raw")
    assert mark(ax).seen().tolist() == [seen]
    assert (dark(ax) > 5) == seen


def test_who_looks_from_above_sees_into_the_pit() -> None:
    ax = plot_surface(square(PIT), scale="raw")
    assert isinstance(ax, Axes3D)
    ax.view_init(elev=88)
    assert mark(ax).seen().tolist() == [True]


def test_falling_coordinates_change_nothing() -> None:
    for losses, seen in ((PIT, False), (4 - PIT, True)):
        turned = make_surface(1 + losses[::-1], alphas=AXIS, betas=AXIS[::-1])
        assert mark(plot_surface(turned, scale="raw")).seen().tolist() == [seen]


def test_a_gap_hides_nothing() -> None:
    losses = np.where(Y < -0.15, np.nan, 0.0)
    assert mark(plot_surface(square(losses))).seen().tolist() == [True]


def test_drawing_leaves_the_mark_where_it_is() -> None:
    ax = plot_surface(square(PIT), scale="raw")
    before = [list(side) for side in mark(ax).get_data_3d()]
    dark(ax)
    assert [list(side) for side in mark(ax).get_data_3d()] == before
