"""Means over trainings, in which draws of directions are nested."""

import numpy as np
import pytest
from scipy import stats

from gradscape.landscape.metrics.measure import Measure
from gradscape.studies.differences import NOT_DISTINGUISHABLE, Draws, half_width, pair_difference

NOTHING = np.zeros(0)


def nested(values: np.ndarray, resampled: np.ndarray = NOTHING) -> Draws:
    """Draws of (trainings, draws) values, NaN where a training has fewer."""
    places = [(training, value) for training, row in enumerate(values) for value in row if not np.isnan(value)]
    measures = [Measure("roughness", value, value, value, "") for _, value in places]
    kept = np.array([value for _, value in places])
    return Draws(measures, kept, resampled, [str(training) for training, _ in places])


def test_the_mean_over_trainings_has_students_interval_over_their_means() -> None:
    values = np.random.default_rng(0).normal(3, 1, (4, 5))
    values[1, 2:] = np.nan
    found = nested(values).mean(0.9)
    means = np.nanmean(values, axis=1)
    expected = stats.ttest_1samp(means, 0.0).confidence_interval(0.9)
    assert found.value == pytest.approx(means.mean())
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_a_difference_is_welchs_over_the_means_and_permutes_whole_trainings() -> None:
    generator = np.random.default_rng(1)
    first, second = generator.normal(3, 1, (4, 3)), generator.normal(9, 2, (3, 2))
    found = pair_difference("r", ("a", "b"), nested(first), nested(second), confidence=0.95, seed=0)
    expected = stats.ttest_ind(first.mean(axis=1), second.mean(axis=1), equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.verdict == "b is higher"
    assert found.permutation_p == pytest.approx(2 / 35), "7 trainings are dealt out, not 18 draws"


def test_more_draws_of_the_same_trainings_do_not_narrow_what_trainings_leave_open() -> None:
    trainings = np.array([[1.0], [2.0], [3.0]])
    one, many = nested(trainings).mean(0.95), nested(np.repeat(trainings, 50, axis=1)).mean(0.95)
    assert (many.low, many.high) == pytest.approx((one.low, one.high))


def test_one_training_against_several_is_unknown_and_says_of_which() -> None:
    several, single = nested(np.arange(6.0).reshape(3, 2)), nested(np.array([[9.0, 9.5, 10.0]]))
    found = pair_difference("r", ("a", "b"), several, single, confidence=0.95, seed=0)
    assert found.verdict == "unknown: one training of b says nothing about others"
    assert np.isnan(found.low)
    assert found.difference == pytest.approx(2.5 - 9.5)


def test_resamples_of_images_count_each_training_alike() -> None:
    rows = [(Measure("r", float(number), 0.0, 9.0, ""), np.full(4, float(number))) for number in range(3)]
    found = Draws.of(rows, ["a", "a", "b"])
    assert found.resampled.tolist() == [1.25] * 4  # the mean of 0.5 and 2
    assert found.sample.tolist() == [0.5, 2.0]


@pytest.mark.slow
@pytest.mark.parametrize("between", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("counts", [(3, 3, 3, 3, 3), (5, 5, 1, 1, 2)])
def test_intervals_over_trainings_cover_what_they_say_and_those_over_all_draws_do_not(
    between: float, counts: tuple[int, ...]
) -> None:
    generator, truth, repeats = np.random.default_rng(5), 7.0, 1500
    covered = naive = differs = 0
    trainings = [str(training) for training, count in enumerate(counts) for _ in range(count)]
    measures = [Measure("roughness", truth, truth, truth, "")] * len(trainings)

    def drawn() -> Draws:
        values = truth + generator.normal(0, between, (len(counts), 1)) + generator.normal(0, 1, (len(counts), 5))
        kept = np.concatenate([row[:count] for row, count in zip(values, counts, strict=True)])
        return Draws(measures, kept, NOTHING, trainings)

    for _ in range(repeats):
        ours, theirs = drawn(), drawn()
        found = ours.mean(0.95)
        covered += found.low <= truth <= found.high
        flat = ours.values
        naive += abs(flat.mean() - truth) <= stats.t.ppf(0.975, len(flat) - 1) * flat.std(ddof=1) / len(flat) ** 0.5
        differs += abs(ours.sample.mean() - theirs.sample.mean()) > half_width(ours, theirs, 0.95)
    assert covered / repeats == pytest.approx(0.95, abs=0.02)
    assert differs / repeats == pytest.approx(0.05, abs=0.02)
    if between >= 1:
        assert naive / repeats < 0.9


def test_undefined_draws_leave_no_verdict() -> None:
    values = np.array([[1.0, 2.0], [3.0, 4.0]])
    broken = Draws(nested(values).measures, np.array([1.0, np.nan, 3.0, 4.0]), NOTHING, ["0", "0", "1", "1"])
    found = pair_difference("r", ("a", "b"), broken, nested(values), confidence=0.95, seed=0)
    assert found.verdict == "unknown: undefined in some draws"
    assert found.difference == pytest.approx((1.0 + 3.5) / 2 - 2.5)


def test_equal_trainings_are_not_distinguishable() -> None:
    values = np.array([[1.0, 2.0], [3.0, 4.0]])
    found = pair_difference("r", ("a", "b"), nested(values), nested(values), confidence=0.95, seed=0)
    assert found.verdict == NOT_DISTINGUISHABLE
