"""Surfaces refined between the points of a coarse grid: through the points, never beyond them, and said."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.contour import ContourSet
from mpl_toolkits.mplot3d.art3d import Poly3DCollection  # type: ignore[import-untyped]

from gradscape.figures import figure_comparison, figure_landscape
from gradscape.figures.surfaces.seen_marks import SeenMarks
from gradscape.figures.surfaces.shading import shade
from gradscape.figures.surfaces.smoothing import smooth
from gradscape.landscape import Field
from gradscape.landscape.field import NOT_EVALUATED
from tests.figures.results import ALPHAS, BETAS, bowl, make_surface, with_gaps


def smoothed(field: Field, scale: str = "raw") -> Field:
    return smooth(field, shade([field], scale))  # type: ignore[arg-type]


def test_a_smoothed_field_goes_through_its_points_and_stays_between_them() -> None:
    field = make_surface(with_gaps(bowl())[::-1] ** 2).field()
    fine = smoothed(replace(field, values=np.where(np.isfinite(field.values), field.values, 1.0)))
    rows, columns = (np.searchsorted(axis, of) for axis, of in ((fine.betas, BETAS), (fine.alphas, ALPHAS)))
    np.testing.assert_array_equal(fine.betas[rows], BETAS)
    np.testing.assert_array_equal(fine.alphas[columns], ALPHAS)
    points = np.where(np.isfinite(field.values), field.values, 1.0)
    np.testing.assert_allclose(fine.values[np.ix_(rows, columns)], points)
    parts = columns[1]
    for beta in range(4):
        for alpha in range(6):
            cell = fine.values[rows[beta] : rows[beta + 1] + 1, alpha * parts : (alpha + 1) * parts + 1]
            corners = points[beta : beta + 2, alpha : alpha + 2]
            assert corners.min() - 1e-12 <= cell.min() <= cell.max() <= corners.max() + 1e-12


def test_a_plane_stays_a_plane() -> None:
    field = make_surface(3 + np.add.outer(2 * BETAS, ALPHAS)).field()
    fine = smoothed(field)
    np.testing.assert_allclose(fine.values, 3 + np.add.outer(2 * fine.betas, fine.alphas))


def test_on_a_log_scale_an_exponential_stays_one() -> None:
    field = make_surface(np.exp(np.add.outer(2 * BETAS, 3 * ALPHAS))).field()
    fine = smoothed(field, "log")
    np.testing.assert_allclose(fine.values, np.exp(np.add.outer(2 * fine.betas, 3 * fine.alphas)))


def test_falling_coordinates_give_the_same_surface() -> None:
    field = make_surface(bowl()).field()
    turned = smoothed(replace(field, betas=BETAS[::-1], values=field.values[::-1]))
    fine = smoothed(field)
    np.testing.assert_allclose(turned.betas[::-1], fine.betas, atol=1e-12)
    np.testing.assert_allclose(turned.values[::-1], fine.values)


def test_nothing_is_bridged() -> None:
    values = bowl()
    values[2, 3] = np.nan
    fine = smoothed(make_surface(values).field())
    inside = (np.abs(fine.alphas[None]) < 0.33) & (np.abs(fine.betas[:, None]) < 0.25)
    assert np.isnan(fine.values[inside]).all()
    outside = (np.abs(fine.alphas[None]) >= 0.34) | (np.abs(fine.betas[:, None]) >= 0.26)
    assert np.isfinite(fine.values[outside]).all()


def test_a_smoothed_relief_shows_its_points_and_says_how_many_there_are() -> None:
    figure = figure_landscape(make_surface(), kind="surface", smoothed=True)
    FigureCanvasAgg(figure).draw()
    panel = figure.axes[0]
    (mesh,) = [artist for artist in panel.collections if isinstance(artist, Poly3DCollection)]
    assert len(mesh._faces) > 60 * 60
    # Lines of the finer grid would look like evaluated ones.
    np.testing.assert_array_equal(mesh.get_edgecolor(), mesh.get_facecolor())
    (dots,) = [line for line in panel.lines if isinstance(line, SeenMarks) and line.get_label() == "evaluated"]
    np.testing.assert_allclose(np.sort(np.asarray(dots.get_data_3d())[2]), np.sort(bowl().ravel()))
    assert "smoothed between 7 × 5 evaluated points (dots)" in " ".join(figure.get_supxlabel().split())


def test_nothing_is_smoothed_unless_asked() -> None:
    for figure in (figure_landscape(make_surface(), kind="surface"), figure_comparison([make_surface()] * 2)):
        assert "smooth" not in figure.get_supxlabel()


@pytest.mark.parametrize("kind", ["contour", "filled"])
def test_smoothed_contours_show_their_points_and_say_how_many_there_are(kind: Any) -> None:
    corners = {}
    for smoothed in (False, True):
        figure = figure_landscape(make_surface(), kind=kind, smoothed=smoothed)
        (lines,) = [artist for artist in figure.axes[0].collections if isinstance(artist, ContourSet)]
        corners[smoothed] = max(np.shape(path.vertices)[0] for path in lines.get_paths())
    assert corners[True] > 4 * corners[False]
    (dots,) = [line for line in figure.axes[0].lines if line.get_label() == "evaluated"]
    assert np.size(dots.get_xdata()) == bowl().size
    assert "smoothed between 7 × 5 evaluated points (dots)" in " ".join(figure.get_supxlabel().split())


def test_what_is_next_to_a_gap_keeps_its_reason() -> None:
    values = bowl()
    values[2, 3] = np.nan
    field = replace(make_surface(values).field(), marks={NOT_EVALUATED: np.isnan(values)})
    fine = smoothed(field)
    np.testing.assert_array_equal(fine.marks[NOT_EVALUATED], np.isnan(fine.values))
    assert fine.marks[NOT_EVALUATED].any()


def test_cells_are_never_smoothed() -> None:
    with pytest.raises(ValueError, match='`smoothed` interpolates between points, which "heat" draws as they are'):
        figure_landscape(make_surface(), kind="heat", smoothed=True)
