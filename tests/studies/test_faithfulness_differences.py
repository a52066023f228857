"""Faithfulness of several models and methods, paired over images."""

import numpy as np
import pytest
from scipy import stats

from gradscape.explain.faithfulness import MEASURES, Faithfulness
from gradscape.studies.differences import NOT_DISTINGUISHABLE
from gradscape.studies.faithfulness_differences import (
    HIGHER_IS_BETTER,
    compare_faithfulness,
    tabulate_faithfulness_differences,
)

IMAGES = np.random.default_rng(0).normal(0.5, 0.3, 20)


def measured(shift: float, noise: int, **changes: np.ndarray) -> Faithfulness:
    values = IMAGES + shift + 0.02 * np.random.default_rng(noise).normal(size=20)
    arrays = dict.fromkeys(MEASURES, values) | changes
    return Faithfulness(confidence=np.ones(20), **arrays, faults={}, meta={})


def test_differences_are_paired_over_images_and_say_who_is_more_faithful() -> None:
    ours, theirs = measured(0.05, 1), measured(0.0, 2)
    found = {one.metric: one for one in compare_faithfulness({"a": {"gradcam": ours}, "b": {"gradcam": theirs}})}
    assert list(found) == list(HIGHER_IS_BETTER)
    expected = stats.ttest_rel(ours.road, theirs.road).confidence_interval(1 - 0.05 / 5)
    assert (found["road"].low, found["road"].high) == pytest.approx((expected.low, expected.high))
    assert found["road"].verdict == "a, gradcam is more faithful"
    assert found["deletion"].verdict == "b, gradcam is more faithful", "of deletion less is better"
    assert found["road"].permutation_p <= 0.002
    unpaired = stats.ttest_ind(ours.road, theirs.road).confidence_interval(1 - 0.05 / 5)
    assert unpaired.low < 0 < unpaired.high, "without pairs it would be hidden by what images differ"


def test_images_without_a_number_are_left_out_of_both() -> None:
    holes = IMAGES.copy()
    holes[:18] = np.nan
    few = compare_faithfulness({"a": {"x": measured(0, 1, road=holes)}, "b": {"x": measured(0, 2)}})
    road = next(one for one in few if one.metric == "road")
    assert np.isfinite(road.low)
    none = compare_faithfulness({"a": {"x": measured(0, 1, road=np.full(20, np.nan))}, "b": {"x": measured(0, 2)}})
    assert none[-1].verdict == "unknown: fewer than 2 images"


def test_only_what_shares_the_model_or_the_method_is_compared() -> None:
    models = {name: {method: measured(0, 1) for method in ("x", "y")} for name in "ab"}
    found = compare_faithfulness(models)
    pairs = {(one.first, one.second) for one in found}
    assert pairs == {("x, a", "y, a"), ("x, b", "y, b"), ("a, x", "b, x"), ("a, y", "b, y")}
    assert {one.verdict for one in found} == {NOT_DISTINGUISHABLE}
    assert compare_faithfulness({"a": {"x": measured(0, 1)}}) == []


def test_a_few_images_that_all_say_the_same_are_no_proof() -> None:
    ours = measured(0, 1, increase=np.array([1.0, 1.0, 1.0] + [np.nan] * 17))
    theirs = measured(0, 1, increase=np.zeros(20))
    found = compare_faithfulness({"a": {"x": ours}, "b": {"x": theirs}})
    increase = next(one for one in found if one.metric == "increase")
    assert increase.verdict == "unknown: images without any spread"
    assert np.isnan(increase.low)


def test_differences_are_told_in_a_table() -> None:
    rows = tabulate_faithfulness_differences(
        compare_faithfulness({"a": {"x": measured(0.05, 1)}, "b": {"x": measured(0, 2)}})
    )
    assert rows[0][:2] == ("deletion", "a, x − b, x")
