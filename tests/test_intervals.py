"""Confidence intervals: against scipy's tests and closed forms, and what they cover."""

import math

import numpy as np
import pytest
from scipy import stats

from gradscape._intervals import (
    accuracy_over_images,
    joint_level,
    mean_of,
    paired_difference,
    paired_shares,
    proportion,
    proportion_difference,
    spread_of,
    welch_difference,
)

FIRST, SECOND = [0.91, 0.93, 0.88, 0.95], [0.85, 0.90, 0.86]


def test_share_has_wilsons_interval() -> None:
    found = proportion(9, 12, confidence=0.9)

    z, share, count = stats.norm.ppf(0.95), 9 / 12, 12
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    assert found.value == share
    assert (found.low, found.high) == pytest.approx((middle - half, middle + half))


@pytest.mark.parametrize(("right", "count"), [(3, 2), (-1, 2), (0, 0)])
def test_share_of_more_than_all_is_refused(right: int, count: int) -> None:
    with pytest.raises(ValueError, match="between 0 and `count`"):
        proportion(right, count)


def test_mean_has_students_interval() -> None:
    found = mean_of(FIRST)

    expected = stats.ttest_1samp(FIRST, 0.0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_single_training_has_no_interval() -> None:
    assert math.isnan(mean_of([0.9]).low)
    assert math.isnan(welch_difference([0.9], SECOND).high)


def test_difference_of_means_is_welchs() -> None:
    found = welch_difference(FIRST, SECOND)

    expected = stats.ttest_ind(FIRST, SECOND, equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_difference_of_pairs_is_narrower_than_that_of_samples_that_go_together() -> None:
    rng = np.random.default_rng(0)
    images = rng.normal(size=50)
    one, other = images + 0.1 + 0.01 * rng.normal(size=50), images + 0.01 * rng.normal(size=50)

    paired = paired_difference(one, other)

    expected = stats.ttest_rel(one, other).confidence_interval(0.95)
    assert (paired.low, paired.high) == pytest.approx((expected.low, expected.high))
    assert paired.leaves_out_zero
    assert not welch_difference(one, other).leaves_out_zero


def test_pairs_of_different_number_are_refused() -> None:
    with pytest.raises(ValueError, match="as many"):
        paired_difference(FIRST, SECOND)


def test_mean_of_what_has_bounds_has_its_interval_within_them() -> None:
    found, free = mean_of([99.0, 100.0, 99.8], bounds=(0.0, 100.0)), mean_of([99.0, 100.0, 99.8])
    assert free.high > 100
    assert (found.low, found.high) == (free.low, 100)


def test_accuracy_that_was_recorded_is_that_of_its_images() -> None:
    assert accuracy_over_images(0.9746478873239437, 355) == proportion(346, 355)


def test_level_of_each_of_several_intervals_is_bonferronis_and_refuses_what_is_no_share() -> None:
    assert joint_level(0.9, 4) == pytest.approx(0.975)
    assert joint_level(0.9, 0) == joint_level(0.9, 1) == pytest.approx(0.9)
    for wrong in (0.0, 1.0, 95.0):
        with pytest.raises(ValueError, match=f"`confidence` must lie between 0 and 1, such as 0.95, got {wrong:g}"):
            joint_level(wrong, 2)


def test_shares_that_belong_together_have_bonett_and_prices_interval() -> None:
    one = np.repeat([True, True, False, False], [70, 12, 4, 14])
    other = np.repeat([True, False, True, False], [70, 12, 4, 14])

    found = paired_shares(one, other)

    first, second = 13 / 102, 5 / 102
    half = stats.norm.ppf(0.975) * math.sqrt((first + second - (first - second) ** 2) / 102)
    assert found.value == pytest.approx(0.08)
    assert (found.low, found.high) == pytest.approx((first - second - half, first - second + half))
    students = paired_difference(one.astype(float), other.astype(float))
    assert (found.low, found.high) == pytest.approx((students.low, students.high), abs=0.01)


def test_few_images_that_tell_two_apart_prove_nothing() -> None:
    one, other = np.arange(355) < 300, np.arange(355) < 295

    assert stats.binomtest(5, 5).pvalue > 0.05  # McNemar's exact test
    assert not paired_shares(one, other).leaves_out_zero
    assert paired_shares(one, one).high > 0
    with pytest.raises(ValueError, match="as many"):
        paired_shares(one[:0], other[:0])


def test_difference_of_shares_is_newcombes() -> None:
    """His first example: 56 of 70 against 48 of 80, method 10."""
    found = proportion_difference((56, 70), (48, 80))

    assert found.value == pytest.approx(0.2)
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_spread_is_told_with_median_and_range() -> None:
    assert spread_of([0.5, 0.25, 0.75], digits=3) == "± 0.250 (std), median 0.500 (0.250 to 0.750)"
