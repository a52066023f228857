"""The barrier between two networks, against closed forms and a slow calculation."""

from dataclasses import replace

import numpy as np
import pytest

from gradscape.landscape import Line
from gradscape.landscape.statistics import BlockStatistics

ALPHAS = np.array([-0.5, 0.0, 0.25, 0.75, 1.0, 1.5])


def line_of(means: np.ndarray, *, count: np.ndarray | None = None, population: int = 4000) -> Line:
    """A line of these mean losses, (blocks, alphas), of 32 images a block."""
    counted = np.full(means.shape, 32) if count is None else count
    blocks = BlockStatistics(
        count=counted,
        mean=np.where(counted > 0, means, np.nan),
        m2=np.where(counted > 0, 1.0, np.nan),
        right=np.where(counted > 0, 16.0, np.nan),
        nonfinite=np.zeros(means.shape, np.int64),
        population=population,
    )
    return Line(alphas=ALPHAS, blocks=blocks, origin=blocks.points(1), meta={})


def test_it_is_the_highest_rise_above_the_straight_line_between_the_ends() -> None:
    straight = 1 + 2 * ALPHAS
    barrier = line_of((straight + np.array([9, 0, 1.5, 2.5, 0, 9]))[None]).barrier()
    assert barrier.height == pytest.approx(2.5)
    assert (barrier.alpha, barrier.images) == (0.75, 32)
    assert line_of((straight - np.array([0, 0, 1, 1, 0, 0]))[None]).barrier().height == 0


def test_its_standard_error_is_paired_over_the_blocks() -> None:
    means = np.random.default_rng(0).random((5, 6)) + np.array([0, 0, 1, 3, 0, 0])
    barrier = line_of(means).barrier()
    rises = means[:, 3] - (0.25 * means[:, 1] + 0.75 * means[:, 4])
    assert barrier.height == pytest.approx(rises.mean())
    assert barrier.stderr == pytest.approx(rises.std(ddof=1) / 5**0.5 * (1 - 160 / 4000) ** 0.5)
    shifted = line_of(means + np.arange(5)[:, None])  # what all points of a block share cancels
    assert shifted.barrier().stderr == pytest.approx(barrier.stderr)


def test_where_no_error_can_be_given_there_is_none_and_of_all_images_it_is_0() -> None:
    means = np.array([[0, 1, 3.0, 3, 1, 0]])
    assert np.isnan(line_of(means).barrier().stderr)
    assert line_of(means, population=32).barrier().stderr == 0


def test_of_a_run_that_was_stopped_the_images_of_all_three_points_count() -> None:
    means = np.array([[0, 1, 3.0, 3.5, 1, 0], [9, 5, 7.0, 9, 5, 9]])
    count = np.array([[32] * 6, [0, 32, 32, 0, 0, 0]])
    barrier = line_of(means, count=count).barrier()
    assert barrier.height == pytest.approx(2.5)
    assert (barrier.alpha, barrier.images) == (0.75, 32)


def test_a_loss_on_the_way_that_is_not_finite_is_an_infinite_barrier() -> None:
    barrier = line_of(np.array([[np.nan, 1, np.inf, 3, 1, np.nan]])).barrier()
    assert (barrier.height, barrier.alpha) == (np.inf, 0.25)


def test_without_both_networks_there_is_no_barrier() -> None:
    line = line_of(np.ones((1, 6)))
    with pytest.raises(ValueError, match="must hold 0 and 1, where the two networks are, but 1 is not among them"):
        replace(line, alphas=0.5 * ALPHAS).barrier()
    with pytest.raises(ValueError, match="the loss at alpha = 1 must be known and finite for a barrier, got nan"):
        line_of(np.array([[0, 1, 3.0, 3, np.nan, 0]])).barrier()
