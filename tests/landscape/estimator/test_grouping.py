import numpy as np
import pytest

from gradscape.landscape.estimator.grouping import grouped_deviations

SIZES = np.array([16.0] * 60 + [7.0])


@pytest.mark.parametrize("seen", [(61, 30, 8), (40, 40, 8), (27, 9, 8), (61, 8, 8), (20, 20, 20)])
@pytest.mark.parametrize("population", [1500, 10**6])
def test_groups_vary_as_means_over_the_images_of_each_level_do(seen: tuple[int, ...], population: int) -> None:
    images = np.cumsum(SIZES)[np.array(seen) - 1]
    left = 1 / images - 1 / population
    # What each block adds to each group, by a point for each block that deviates there alone.
    parts = [grouped_deviations(np.eye(blocks), level, seen, SIZES, population) for level, blocks in enumerate(seen)]
    for first, one in enumerate(parts):
        for second, other in enumerate(parts):
            both = min(seen[first], seen[second])
            # A block of 16 images has the variance 1, of 7 16/7.
            together = (one[:, :both] * other[:, :both] * 16 / SIZES[:both]).sum() / seen[-1]
            assert together == pytest.approx(left[min(first, second)] / left[-1], rel=1e-12)


def test_a_level_that_saw_all_images_does_not_vary() -> None:
    found = grouped_deviations(np.ones((61, 3)), 0, (61, 8), SIZES, int(SIZES.sum()))
    assert found.shape == (8, 3)
    assert not found.any()
