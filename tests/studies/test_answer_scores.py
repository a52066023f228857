"""Scores of answers, and what tells two networks apart."""

import math
from typing import Any

import numpy as np
import pytest

from gradscape._intervals import proportion
from gradscape.studies.answer_scores import differ, score_answers
from gradscape.studies.differences import NOT_DISTINGUISHABLE
from gradscape.studies.image_answers import ImageAnswers


def answers(right: np.ndarray, *, loss: np.ndarray | None = None, confidence: Any = 0.9, **more: Any) -> ImageAnswers:
    """To images of class 0; what is not right is taken for class 1."""
    count = len(right)
    return ImageAnswers(
        labels=np.zeros(count, np.int64),
        predicted=np.where(right, 0, 1),
        confidence=np.broadcast_to(np.float64(confidence), count),
        loss=np.linspace(0.5, 1, count) if loss is None else loss,
        right=right,
        among_five=more.pop("among_five", None),
        classes=("a", "b"),
        **more,
    )


def first_right(right: int, count: int) -> np.ndarray:
    return np.arange(count) < right


def test_scores_are_shares_and_means_with_their_intervals() -> None:
    right, five = first_right(30, 40), first_right(36, 40)
    found = score_answers(answers(right, among_five=five), confidence=0.9)
    assert list(found) == ["loss", "top1", "top5", "calibration_error"]
    assert (found["top1"], found["top5"]) == (proportion(30, 40, confidence=0.9), proportion(36, 40, confidence=0.9))
    assert found["loss"].value == pytest.approx(0.75)
    assert found["loss"].method == "Student's"
    assert found["calibration_error"].value == pytest.approx(0.15)
    assert "top5" not in score_answers(answers(right))


def test_answers_that_are_not_finite_are_wrong_but_in_no_mean() -> None:
    right = first_right(30, 40)
    found = answers(right, loss=np.where(right, 0.5, np.nan), confidence=np.where(right, 0.8, np.nan))
    found.predicted[~right] = -1
    scores = score_answers(found)
    assert scores["top1"].value == 0.75
    assert [scores["loss"].value, scores["calibration_error"].value] == pytest.approx([0.5, 0.2])
    found.predicted[:] = -1
    assert list(score_answers(found)) == ["top1"]


def test_pairs_tell_apart_what_two_intervals_do_not() -> None:
    right = first_right(80, 100)
    better = right | (np.arange(100) >= 90)  # ten more, and none less
    one, other = (answers(each, loss=1.0 - each) for each in (better, right))
    found = differ("top1", (("one", one), ("other", other)), confidence=0.95)
    assert found.difference.value == pytest.approx(0.1)
    assert found.verdict == "one is higher"
    assert score_answers(one)["top1"].low < score_answers(other)["top1"].high
    loss = differ("loss", (("one", one), ("other", other)), confidence=0.95)
    assert loss.difference.value == pytest.approx(-0.1)
    assert (loss.verdict, loss.images) == ("other is higher", 100)
    assert differ("top1", (("a", one), ("b", one)), confidence=0.95).verdict == NOT_DISTINGUISHABLE


def test_losses_are_compared_where_both_are_finite() -> None:
    one, other = answers(first_right(3, 4)), answers(first_right(3, 4))
    one.predicted[0] = other.predicted[2] = -1
    assert differ("loss", (("a", one), ("b", other)), confidence=0.95).images == 2
    one.predicted[:] = -1
    found = differ("loss", (("a", one), ("b", other)), confidence=0.95)
    assert found.verdict == "unknown: too few images"
    assert math.isnan(found.difference.value)
