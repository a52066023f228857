import numpy as np
import pytest

from gradscape.landscape.estimator import grid_levels


@pytest.mark.parametrize("axes", [(np.linspace(-1, 1, 51),) * 2, (np.linspace(-0.3, 1, 26), np.linspace(2, -1, 9))])
def test_every_point_lies_between_parents_of_coarser_levels_which_interpolate_planes(
    axes: tuple[np.ndarray, np.ndarray],
) -> None:
    levels = grid_levels(axes)
    rows, columns = (one.ravel() for one in np.meshgrid(*axes, indexing="ij"))
    fine = levels.level > 0
    assert (levels.level[levels.parents[fine]] < levels.level[fine][:, None]).all()
    for values in (rows, columns, 2 + rows - 3 * columns):
        assert (values[levels.parents] * levels.weights).sum(axis=1)[fine] == pytest.approx(values[fine])
    assert sorted(np.concatenate([levels.points(number) for number in range(levels.depth)])) == [*range(len(rows))]


def test_the_origin_and_the_corners_are_in_the_coarsest_level() -> None:
    axis = np.linspace(-1, 1, 51)
    levels = grid_levels([axis, axis])
    grid = levels.level.reshape(51, 51)
    assert [grid[place] for place in ((25, 25), (0, 0), (0, 50), (50, 50))] == [0, 0, 0, 0]
    assert len(levels.points(0)) <= 49


def test_a_small_grid_is_one_level() -> None:
    assert grid_levels([np.linspace(-1, 1, 5), np.linspace(-1, 1, 7)]).depth == 1
