"""Areas below a level: closed forms, whatever the size of the values."""

import numpy as np
import pytest

from gradscape.landscape.metrics.areas import area_below

ALPHAS, BETAS = np.linspace(-1, 2, 13), np.linspace(0, 1, 5)


@pytest.mark.parametrize("size", [1.0, 1e-200, 1e200])
def test_below_a_plane_lies_the_part_of_the_rectangle_that_its_contour_cuts_off(size: float) -> None:
    plane = np.broadcast_to(ALPHAS * size, (1, len(BETAS), len(ALPHAS)))
    assert area_below(plane, np.array([0.35 * size]), ALPHAS, BETAS) == pytest.approx([1.35], rel=1e-12)


def test_a_cell_with_a_corner_without_a_value_does_not_count() -> None:
    flat = np.zeros((1, len(BETAS), len(ALPHAS)))
    flat[0, 0, 0] = np.nan
    cell = (ALPHAS[1] - ALPHAS[0]) * (BETAS[1] - BETAS[0])
    assert area_below(flat, np.array([1.0]), ALPHAS, BETAS) == pytest.approx([3 - cell])
