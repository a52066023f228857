from typing import Any

import numpy as np
import pytest

from gradscape.landscape.estimator import allocate

POPULATION = 50_000
OPTIONS: dict[str, Any] = {"seen": np.full(3, 128), "least": 128, "most": POPULATION, "population": POPULATION}
VARIANCES, POINTS = np.array([16.0, 0.6, 0.02]), [49, 120, 2432]


def _reached(numbers: np.ndarray) -> float:
    return float((VARIANCES * (1 / numbers - 1 / POPULATION)).sum())


def test_a_variance_is_reached_at_a_cost_that_no_other_numbers_beat() -> None:
    numbers = allocate(VARIANCES, POINTS, target=0.002, budget=None, **OPTIONS)
    assert _reached(numbers) == pytest.approx(0.002, rel=1e-2)
    cost = (np.array(POINTS) * numbers).sum()
    for coarse in np.geomspace(1000, 50_000, 60):
        for middle in np.geomspace(128, coarse, 60):
            left = 0.002 - 16 * (1 / coarse - 1 / 50_000) - 0.6 * (1 / middle - 1 / 50_000)
            fine = 1 / (left / 0.02 + 1 / 50_000) if left > 0 else np.inf
            assert 49 * coarse + 120 * middle + 2432 * max(fine, 128) > 0.99 * cost


def test_a_budget_is_spent_and_not_more() -> None:
    numbers = allocate(VARIANCES, POINTS, target=None, budget=400_000.0, **OPTIONS)
    assert (np.array(POINTS) * (numbers - 128)).sum() == pytest.approx(400_000, rel=1e-2)
    assert list(numbers) == sorted(numbers, reverse=True)


def test_without_an_end_all_levels_see_everything() -> None:
    assert allocate(VARIANCES, POINTS, target=None, budget=None, **OPTIONS).tolist() == [50_000] * 3


def test_levels_that_parents_do_not_predict_see_as_many_images_as_these() -> None:
    numbers = allocate(np.array([1.0, 2.0, 2.0]), [49, 49, 49], target=0.005, budget=None, **OPTIONS)
    assert numbers[0] == numbers[1] == numbers[2] > 128
