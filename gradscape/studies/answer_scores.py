"""Scores of a network by its answers to images, and how two networks differ on the same ones."""

from dataclasses import dataclass
from typing import final

import numpy as np

from gradscape._intervals import ConfidenceInterval, mean_of, paired_difference, paired_shares, proportion
from gradscape.studies.calibration import calibration_interval
from gradscape.studies.differences import verdict_of
from gradscape.studies.image_answers import ImageAnswers

__all__ = ["COMPARED", "SCORES", "AnswerDifference", "differ", "score_answers"]

SCORES = {"loss": "nats", "top1": "share", "top5": "share", "calibration_error": "share"}
"""Every score with its unit."""

COMPARED = ("top1", "loss")
"""Scores whose differences are paired over images."""

_UNKNOWN = "unknown: too few images"


@final
@dataclass(frozen=True)
class AnswerDifference:
    """How much a score differs between two networks on the same images.

    Attributes:
        score: "top1" or "loss".
        first: A network.
        second: Another one.
        difference: The first's score minus the second's, with its interval over images.
        images: How many images have a finite answer of both, or, for "top1", how many there are.
    """

    score: str
    first: str
    second: str
    difference: ConfidenceInterval
    images: int

    @property
    def verdict(self) -> str:
        """Which is higher, or that they are not distinguishable."""
        found = self.difference
        if not np.isfinite(found.low):
            return _UNKNOWN
        return verdict_of((self.first, self.second), found.low, found.high)


def score_answers(answers: ImageAnswers, *, confidence: float = 0.95, seed: int = 0) -> dict[str, ConfidenceInterval]:
    """Score a network.

    Loss and calibration error are those of the finite answers; every other answer is wrong in the shares.

    Args:
        answers: The network's.
        confidence: Coverage of each interval.
        seed: Of the bootstrap.

    Returns:
        Those of `SCORES` that can be: "top5" needs more than five classes, loss and calibration error a finite answer.
    """
    finite, count = answers.finite, len(answers)
    scores = {}
    if finite.any():
        scores["loss"] = mean_of(answers.loss[finite], confidence=confidence)
    scores["top1"] = proportion(int(answers.right.sum()), count, confidence=confidence)
    if answers.among_five is not None:
        scores["top5"] = proportion(int(answers.among_five.sum()), count, confidence=confidence)
    if finite.any():
        shown = answers.confidence[finite], answers.right[finite]
        scores["calibration_error"] = calibration_interval(*shown, coverage=confidence, seed=seed)
    return scores


def differ(
    score: str, named: tuple[tuple[str, ImageAnswers], tuple[str, ImageAnswers]], *, confidence: float
) -> AnswerDifference:
    """Compare two networks image by image.

    Args:
        score: One of `COMPARED`.
        named: The networks' names and answers, to the same images.
        confidence: Coverage of the interval.
    """
    (first, one), (second, other) = named
    if score == "top1":
        found = paired_shares(one.right, other.right, confidence=confidence)
        return AnswerDifference(score, first, second, found, len(one))
    both = one.finite & other.finite
    if both.sum() < 2:
        nothing = ConfidenceInterval(np.nan, np.nan, np.nan, confidence, "Student's over pairs")
        return AnswerDifference(score, first, second, nothing, int(both.sum()))
    found = paired_difference(one.loss[both], other.loss[both], confidence=confidence)
    return AnswerDifference(score, first, second, found, int(both.sum()))
