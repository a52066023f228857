"""The highest of several values: an interval that knows the place was chosen, against draws of all of it."""

import numpy as np
import pytest
from scipy.stats import t as student

from gradscape.landscape.highest import Contenders, find_highest


def contenders(blocks: np.ndarray) -> Contenders:
    values = blocks.mean(axis=0)
    errors = blocks.std(axis=0, ddof=1) / len(blocks) ** 0.5
    return Contenders(values, errors, blocks - values, np.full(blocks.shape[1], len(blocks)))


def test_of_one_that_stands_out_it_is_students() -> None:
    blocks = np.random.default_rng(0).normal(0, 1, (8, 3)) + np.array([0, 50, 1])
    found = find_highest(contenders(blocks))
    half = student.ppf(0.975, 7) * blocks[:, 1].std(ddof=1) / 8**0.5
    assert found.place == 1
    assert (found.low, found.high) == pytest.approx((blocks[:, 1].mean() - half, blocks[:, 1].mean() + half))


def test_of_many_alike_it_covers_where_the_usual_one_fails() -> None:
    draw, held, usual = np.random.default_rng(0), 0, 0
    for _ in range(300):
        blocks = draw.normal(0, 1, (16, 25))  # all are 0, so that the highest is 0
        found = find_highest(contenders(blocks))
        held += found.low <= 0 <= found.high
        chosen = blocks[:, found.place]
        usual += abs(chosen.mean()) <= student.ppf(0.975, 15) * chosen.std(ddof=1) / 4
    assert held >= 0.93 * 300
    assert usual < 0.7 * 300


def test_points_that_go_together_cost_nothing() -> None:
    blocks = np.repeat(np.random.default_rng(0).normal(0, 1, (16, 1)), 9, axis=1) + np.linspace(0, 1e-6, 9)
    together, alone = find_highest(contenders(blocks)), find_highest(contenders(blocks[:, -1:]))
    assert (together.low, together.high) == pytest.approx((alone.low, alone.high), abs=0.06)


def test_values_without_an_error_count_as_they_are_and_unknown_ones_do_not() -> None:
    found = find_highest(
        Contenders(np.array([0.0, -1, np.nan]), np.array([0.0, 0.1, np.nan]), np.zeros((4, 3)), np.full(3, 4))
    )
    assert (found.place, found.low, found.high) == (0, 0.0, 0.0)
    alone = find_highest(Contenders(np.array([1.0]), np.array([np.nan]), np.zeros((1, 1)), np.ones(1, int)))
    assert np.isnan([alone.low, alone.high]).all()
