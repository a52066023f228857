"""Whose heatmaps are more faithful: differences between models and methods, paired over the images."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from gradscape._intervals import joint_level, paired_difference
from gradscape.explain.faithfulness import Faithfulness
from gradscape.studies.comparison import DIFFERENCE_HEADINGS, difference_rows
from gradscape.studies.differences import (
    PairDifference,
    describe_together,
    permutation_p,
    tell_verdicts,
    verdict_of,
)

__all__ = [
    "DIFFERENCE_HEADINGS",
    "HIGHER_IS_BETTER",
    "compare_faithfulness",
    "compare_measures",
    "describe_pairing",
    "tabulate_faithfulness_differences",
]

HIGHER_IS_BETTER = {"deletion": False, "insertion": True, "drop": False, "increase": True, "road": True}
"""Measure that is told -> whether more of it is more faithful."""

_NO_SPREAD = "unknown: images without any spread"

_Measured = Mapping[tuple[str, str], Mapping[str, np.ndarray]]
_Pair = tuple[tuple[str, str], tuple[str, str]]


def compare_faithfulness(
    measured: Mapping[str, Mapping[str, Faithfulness]], *, confidence: float = 0.95, seed: int = 0
) -> list[PairDifference]:
    """Compare models under one method, and methods on one model, image by image.

    Faithfulness differs more between images than between heatmaps of one image: of the same images the mean of the
    differences is known better than the difference of the means. It has Student's interval; images on which either of
    the two has no number are left out.

    Args:
        measured: Model -> method -> measures of the same images.
        confidence: Coverage of all intervals together, by Bonferroni.
        seed: Of the permutations, of which an image's two numbers change places.

    Returns:
        A difference for each measure of `HIGHER_IS_BETTER` and each pair; none of a single model and method.

    Source: Student 1908; Dunn 1961 (Bonferroni intervals).
    """
    found: _Measured = {
        (model, method): {name: getattr(one, name) for name in HIGHER_IS_BETTER}
        for model, methods in measured.items()
        for method, one in methods.items()
    }
    pairs = [(one, other) for one, other in combinations(found, 2) if one[0] == other[0] or one[1] == other[1]]
    return compare_measures(found, pairs=pairs, confidence=confidence, seed=seed)


def compare_measures(
    found: _Measured, *, pairs: Sequence[_Pair], confidence: float = 0.95, seed: int = 0
) -> list[PairDifference]:
    """The same for chosen pairs.

    Args:
        found: Model and method -> measure -> its numbers, one for each image, NaN where there is none.
        pairs: What is compared, each a model and a method.
        confidence: Coverage of all intervals together.
        seed: Of the permutations.
    """
    level = joint_level(confidence, len(pairs) * len(HIGHER_IS_BETTER))
    return [
        _difference(name, pair, (found[pair[0]][name], found[pair[1]][name]), confidence=level, seed=seed)
        for name in HIGHER_IS_BETTER
        for pair in pairs
    ]


def tabulate_faithfulness_differences(differences: Sequence[PairDifference]) -> list[tuple[str, ...]]:
    """Return a row of text for each difference, under `DIFFERENCE_HEADINGS`."""
    return difference_rows(differences, {})


def describe_pairing(differences: Sequence[PairDifference], images: int, *, confidence: float = 0.95) -> str:
    """Say what the intervals are, and why some verdicts are unknown.

    Args:
        differences: One or more.
        images: How many were explained.
        confidence: Coverage of all together.
    """
    reasons = tell_verdicts([one.verdict for one in differences])[1]
    if not any(np.isfinite(one.low) for one in differences):
        return "\n".join(reasons)
    together = describe_together(len(differences), confidence=confidence, paired=f"{images} images")
    return "\n".join([*reasons, together])


def _difference(
    name: str,
    pair: _Pair,
    values: tuple[np.ndarray, np.ndarray],
    *,
    confidence: float,
    seed: int,
) -> PairDifference:
    first, second = _call(pair)
    known = np.isfinite(values[0]) & np.isfinite(values[1])
    if known.sum() < 2:
        return PairDifference(name, first, second, np.nan, np.nan, np.nan, np.nan, "unknown: fewer than 2 images")
    one, other = (np.asarray(each[known], np.float64) for each in values)
    found = paired_difference(one, other, confidence=confidence)
    if found.low == found.high != 0:
        return PairDifference(name, first, second, found.value, np.nan, np.nan, np.nan, _NO_SPREAD)
    share = permutation_p(one, other, seed=seed, paired=True)
    better_first = (first, second) if HIGHER_IS_BETTER[name] else (second, first)
    verdict = verdict_of(better_first, found.low, found.high, more="more faithful")
    return PairDifference(name, first, second, found.value, found.low, found.high, share, verdict)


def _call(pair: _Pair) -> tuple[str, str]:
    """What each of two is called: by what they do not share, then by what they do."""
    (model, method), (other_model, other_method) = pair
    if model == other_model:
        return f"{method}, {model}", f"{other_method}, {model}"
    return f"{model}, {method}", f"{other_model}, {other_method}"
