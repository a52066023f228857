"""Networks on reliefs: as high as the relief is there, and hidden where it hides them."""

from typing import Any

import numpy as np
import pytest

from gradscape.figures import plot_surface
from gradscape.figures.surfaces.raised_trajectories import finer_path, heights_above
from gradscape.figures.surfaces.seen_marks import SeenMarks
from gradscape.landscape import Field
from tests.figures.results import ALPHAS, BETAS, bowl, make_surface, with_gaps
from tests.figures.trajectories import make_path, make_points


def field(values: np.ndarray, *, alphas: np.ndarray = ALPHAS, betas: np.ndarray = BETAS) -> Field:
    return Field(name="loss", alphas=alphas, betas=betas, values=values, label="loss")


@pytest.mark.parametrize("turned", [False, True])
def test_on_a_plane_heights_are_exact_and_beside_it_there_are_none(turned: bool) -> None:
    alphas, betas = (ALPHAS[::-1], BETAS[::-1]) if turned else (ALPHAS, BETAS)
    x, y = np.meshgrid(alphas, betas)
    at = np.array([-1.0, -0.31, 0.2, 1.0, 1.1, 0.0]), np.array([-0.5, 0.07, 0.33, 0.5, 0.0, -0.6])
    heights = heights_above(field(3 * x - y, alphas=alphas, betas=betas), 3 * x - y, *at)
    np.testing.assert_allclose(heights[:4], (3 * at[0] - at[1])[:4], atol=1e-12)
    assert np.isnan(heights[4:]).all()


def test_at_its_points_a_relief_has_their_heights() -> None:
    x, y = np.meshgrid(ALPHAS, BETAS)
    np.testing.assert_allclose(heights_above(field(bowl()), bowl(), x.ravel(), y.ravel()), bowl().ravel())


def test_cells_with_a_gap_carry_nothing() -> None:
    heights = np.where(np.isfinite(with_gaps(bowl())), with_gaps(bowl()), np.nan)
    at = np.array([-0.7, 0.0]), np.array([-0.4, 0.0])
    assert np.isnan(heights_above(field(heights), heights, *at)).tolist() == [True, False]


def test_a_finer_path_goes_straight_from_network_to_network() -> None:
    path = make_path()
    finer = finer_path(path, 50)
    assert 50 <= len(finer) <= 55
    for corner in zip(path.alphas, path.betas, strict=True):
        assert np.hypot(*(finer - corner).T).min() < 1e-12
    steps = np.hypot(*np.diff(finer, axis=0).T)
    assert steps.max() < 0.06


def marks(surface: Any, label: str) -> SeenMarks:
    (found,) = [one for one in plot_surface(surface).lines if one.get_label() == label]
    assert isinstance(found, SeenMarks)
    return found


def test_a_path_lies_on_the_relief_and_a_wall_hides_it() -> None:
    entry = make_path().to_entry()
    flat = marks(make_surface(np.full((5, 7), 2.0), trajectories=[entry]), "sgd")
    assert flat.seen().all()
    np.testing.assert_allclose(flat.get_data_3d()[2], 2.0)
    x, y = np.meshgrid(np.linspace(-1, 1, 21), np.linspace(-0.5, 0.5, 21))
    wall = make_surface(1 + 1.0 * (y < -0.35) + 6.0 * (y > 0.45), alphas=x[0], betas=y[:, 0], trajectories=[entry])
    hidden = ~marks(wall, "sgd").seen()
    assert hidden.any()
    assert not hidden.all()


def test_points_of_a_plane_are_on_the_relief() -> None:
    networks = marks(make_surface(trajectories=[make_points().to_entry()]), "network")
    alphas, betas, heights = networks.get_data_3d()
    np.testing.assert_allclose(alphas, [0, 0.8, 0.2])
    np.testing.assert_allclose(heights[0], 0.25)
    assert len(betas) == 3
