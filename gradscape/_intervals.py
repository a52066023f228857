"""Confidence intervals of accuracies, means and differences, all scipy's; NaN where there is too little to tell."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np
from jaxtyping import Bool, Float

# scipy's distributions take half a second, which whoever draws without intervals shall not pay: functions import them.

__all__ = [
    "ConfidenceInterval",
    "accuracy_over_images",
    "joint_level",
    "mean_of",
    "paired_difference",
    "paired_shares",
    "proportion",
    "proportion_difference",
    "resampled_share",
    "spread_of",
    "welch_difference",
]

Values = Sequence[float] | Float[np.ndarray, "_"]


@final
@dataclass(frozen=True)
class ConfidenceInterval:
    """A number with its interval.

    Attributes:
        value: The estimate.
        low: Lower end; NaN where there is none.
        high: Upper end; NaN where there is none.
        confidence: Its coverage, in (0, 1).
        method: What it is, in words.
    """

    value: float
    low: float
    high: float
    confidence: float
    method: str

    @property
    def leaves_out_zero(self) -> bool:
        """Whether all of it lies on one side of 0: what is expected of a difference that is one."""
        return self.low > 0 or self.high < 0


def proportion(right: int, count: int, *, confidence: float = 0.95) -> ConfidenceInterval:
    """A share of images, such as an accuracy, with Wilson's interval over images.

    Args:
        right: How many.
        count: Of how many.
        confidence: Its coverage.

    Raises:
        ValueError: `right` is not between 0 and `count`, or `count` is 0.

    Source: Wilson 1927.

    Example:
        >>> accuracy = proportion(90, 100)
        >>> round(accuracy.low, 3), round(accuracy.high, 3)
        (0.826, 0.945)
    """
    from scipy import stats

    if count < 1 or not 0 <= right <= count:
        raise ValueError(f"`right` must be between 0 and `count`, which is 1 or more; got {right} of {count}")
    found = stats.binomtest(right, count).proportion_ci(confidence, method="wilson")
    return ConfidenceInterval(right / count, float(found.low), float(found.high), confidence, "Wilson's over images")


def accuracy_over_images(accuracy: float, images: int, *, confidence: float = 0.95) -> ConfidenceInterval:
    """Wilson's interval of an accuracy that was recorded as a number, such as a training's.

    Args:
        accuracy: In [0, 1].
        images: How many it is of.
        confidence: Its coverage.

    Raises:
        ValueError: As for `proportion`.
    """
    return proportion(round(accuracy * images), images, confidence=confidence)


def joint_level(confidence: float, count: int) -> float:
    """Coverage that each of several intervals needs for all of them to hold together.

    Args:
        confidence: Coverage of all together, in (0, 1).
        count: How many there are; of none the level is that of one.

    Raises:
        ValueError: `confidence` is not in (0, 1).

    Source: Dunn 1961 (Bonferroni intervals).

    Example:
        >>> joint_level(0.95, 5)
        0.99
    """
    if not 0 < confidence < 1:
        raise ValueError(f"`confidence` must lie between 0 and 1, such as 0.95, got {confidence:g}")
    return 1 - (1 - confidence) / max(1, count)


def proportion_difference(
    first: tuple[int, int], second: tuple[int, int], *, confidence: float = 0.95
) -> ConfidenceInterval:
    """Difference of two shares of independent images, with Newcombe's interval, which Wilson's two give.

    Args:
        first: How many, and of how many.
        second: The same of the share that is taken off.
        confidence: Its coverage.

    Raises:
        ValueError: As for `proportion`.

    Source: Newcombe 1998, method 10.
    """
    one, other = (proportion(*counts, confidence=confidence) for counts in (first, second))
    value = one.value - other.value
    low = value - np.hypot(one.value - one.low, other.high - other.value)
    high = value + np.hypot(one.high - one.value, other.value - other.low)
    return ConfidenceInterval(value, float(low), float(high), confidence, "Newcombe's over images")


def mean_of(
    values: Values, *, confidence: float = 0.95, bounds: tuple[float, float] = (-np.inf, np.inf)
) -> ConfidenceInterval:
    """A mean with Student's interval; none from a single value.

    Args:
        values: Independent numbers, such as one of each training.
        confidence: Its coverage.
        bounds: What values there can be; the interval ends there.
    """
    found = np.asarray(values, np.float64)
    mean, error = float(found.mean()), _standard_error(found)
    one = _student(mean, error, len(found) - 1, confidence=confidence, method="Student's")
    low, high = np.clip([one.low, one.high], *bounds).tolist()
    return replace(one, low=low, high=high)


def welch_difference(first: Values, second: Values, *, confidence: float = 0.95) -> ConfidenceInterval:
    """Mean of the first less that of the second, two independent samples, with Welch's interval.

    Args:
        first: Independent numbers, such as one of each training.
        second: Those of another network.
        confidence: Its coverage.

    Source: Welch 1947.
    """
    one, other = (np.asarray(values, np.float64) for values in (first, second))
    squared = np.array([_standard_error(one), _standard_error(other)]) ** 2
    freedoms = np.array([len(one) - 1, len(other) - 1])
    total = float(squared.sum())
    # Welch and Satterthwaite's; without any spread it does not matter.
    freedom = total**2 / float((squared**2 / freedoms).sum()) if total > 0 else float(freedoms.min())
    return _student(
        float(one.mean() - other.mean()), float(np.sqrt(total)), freedom, confidence=confidence, method="Welch's"
    )


def paired_difference(first: Values, second: Values, *, confidence: float = 0.95) -> ConfidenceInterval:
    """Mean of the differences of two samples that belong together, with Student's interval.

    Args:
        first: Numbers, such as one of each image.
        second: Those of another network for the same images, in the same order.
        confidence: Its coverage.

    Raises:
        ValueError: There are not as many of both.
    """
    one, other = (np.asarray(values, np.float64) for values in (first, second))
    if one.shape != other.shape:
        raise ValueError(f"`first` and `second` must be as many, got {one.shape} and {other.shape}")
    found = mean_of(one - other, confidence=confidence)
    return ConfidenceInterval(found.value, found.low, found.high, confidence, "Student's over pairs")


def paired_shares(
    first: Bool[np.ndarray, "values"], second: Bool[np.ndarray, "values"], *, confidence: float = 0.95
) -> ConfidenceInterval:
    """Share of the first less that of the second, of the same images, with Bonett and Price's interval over pairs.

    Student's would be too narrow where only a few images tell the two apart, and nothing where none does.

    Args:
        first: Whether a network is right, for each image.
        second: Whether another one is, for the same images in the same order.
        confidence: Its coverage.

    Raises:
        ValueError: There are not as many of both, or none.

    Source: Bonett and Price 2012, "Adjusted Wald confidence interval for a difference of binomial proportions based on
    paired data".
    """
    from scipy import stats

    if first.shape != second.shape or not len(first):
        raise ValueError(f"`first` and `second` must be as many, one or more, got {first.shape} and {second.shape}")
    alone, other_alone, count = int((first & ~second).sum()), int((second & ~first).sum()), len(first)
    shares = np.array([alone + 1, other_alone + 1]) / (count + 2)
    middle = float(shares[0] - shares[1])
    error = float(np.sqrt((shares.sum() - middle**2) / (count + 2)))
    half = float(stats.norm.ppf((1 + confidence) / 2)) * error
    low, high = max(-1.0, middle - half), min(1.0, middle + half)
    return ConfidenceInterval((alone - other_alone) / count, low, high, confidence, "Bonett and Price's over pairs")


def resampled_share(value: float, drawn: Values, *, confidence: float = 0.95) -> ConfidenceInterval:
    """A score in [0, 1] that resampling moves, such as an average precision, with an interval over images.

    Scores of resamples lie higher or lower than those of as many new images: some images are there twice, others not
    at all. The interval is normal, as wide as the resamples say, around the value that is freed from that bias.

    Args:
        value: Of all images, each once.
        drawn: Of images drawn anew from them; what is not finite is left out.
        confidence: Its coverage.

    Source: Efron and Tibshirani 1993, sections 6.4 and 10.2 (standard error and bias by the bootstrap).
    """
    from scipy import stats

    known = np.asarray(drawn)[np.isfinite(drawn)]
    told = len(known) > 1
    half = float(stats.norm.ppf((1 + confidence) / 2) * known.std(ddof=1)) if told else np.nan
    middle = 2 * value - float(known.mean()) if told else np.nan
    low, high = np.clip([middle - half, middle + half], 0, 1).tolist()
    method = "bias-corrected normal over images, with the bootstrap's standard error"
    return ConfidenceInterval(value, low, high, confidence, method)


def spread_of(values: Values, *, digits: int = 2) -> str:
    """Say how numbers lie, to stand behind their mean: standard deviation of a sample, median and range.

    Args:
        values: Two or more, such as one of each training.
        digits: After the point.

    Example:
        >>> spread_of([90.0, 91.0, 92.5])
        '± 1.26 (std), median 91.00 (90.00 to 92.50)'
    """
    found = np.asarray(values, np.float64)
    std, median, low, high = found.std(ddof=1), np.median(found), found.min(), found.max()
    return f"± {std:.{digits}f} (std), median {median:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def _standard_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else np.nan


def _student(value: float, error: float, freedom: int | float, *, confidence: float, method: str) -> ConfidenceInterval:
    from scipy import stats

    half = float(stats.t.ppf((1 + confidence) / 2, freedom) * error) if np.isfinite(error) else np.nan
    return ConfidenceInterval(value, value - half, value + half, confidence, method)
