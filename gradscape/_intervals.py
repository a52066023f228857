"""Confidence intervals of accuracies, means and differences, all scipy's; NaN where there is too little to tell."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

__all__ = [
    "ConfidenceInterval",
    "bootstrap",
    "mean_of",
    "paired_difference",
    "paired_shares",
    "proportion",
    "proportion_difference",
    "spread_of",
    "welch_difference",
]

Values = Sequence[float] | Float[np.ndarray, "values"]


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
    if count < 1 or not 0 <= right <= count:
        raise ValueError(f"`right` must be between 0 and `count`, which is 1 or more; got {right} of {count}")
    found = stats.binomtest(right, count).proportion_ci(confidence, method="wilson")
    return ConfidenceInterval(right / count, float(found.low), float(found.high), confidence, "Wilson's over images")


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


def mean_of(values: Values, *, confidence: float = 0.95) -> ConfidenceInterval:
    """A mean with Student's interval; none from a single value.

    Args:
        values: Independent numbers, such as one of each training.
        confidence: Its coverage.
    """
    found = np.asarray(values, np.float64)
    return _student(
        float(found.mean()), _standard_error(found), len(found) - 1, confidence=confidence, method="Student's"
    )


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
    if first.shape != second.shape or not len(first):
        raise ValueError(f"`first` and `second` must be as many, one or more, got {first.shape} and {second.shape}")
    alone, other_alone, count = int((first & ~second).sum()), int((second & ~first).sum()), len(first)
    shares = np.array([alone + 1, other_alone + 1]) / (count + 2)
    middle = float(shares[0] - shares[1])
    error = float(np.sqrt((shares.sum() - middle**2) / (count + 2)))
    half = float(stats.norm.ppf((1 + confidence) / 2)) * error
    low, high = max(-1.0, middle - half), min(1.0, middle + half)
    return ConfidenceInterval((alone - other_alone) / count, low, high, confidence, "Bonett and Price's over pairs")


def bootstrap(
    statistic: Callable[..., float],
    *samples: Float[np.ndarray, "values ..."],
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> ConfidenceInterval:
    """Any number of a sample, with the percentile interval over its resamples.

    Args:
        statistic: Takes the samples, drawn again, and gives a number.
        samples: Rows that belong together, as many in each: an image's confidence and whether it is right.
        confidence: Its coverage.
        resamples: How many times they are drawn.
        seed: Of the draws.

    Source: Efron and Tibshirani 1993, chapter 13.
    """
    value, rows = float(statistic(*samples)), np.arange(len(samples[0]))
    if len(rows) < 2:
        return ConfidenceInterval(value, np.nan, np.nan, confidence, "bootstrap")
    found = stats.bootstrap(
        (rows,),
        lambda drawn: statistic(*(sample[drawn] for sample in samples)),
        n_resamples=resamples,
        confidence_level=confidence,
        method="percentile",
        vectorized=False,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return ConfidenceInterval(value, float(found.low), float(found.high), confidence, "bootstrap over images")


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
    half = float(stats.t.ppf((1 + confidence) / 2, freedom) * error) if np.isfinite(error) else np.nan
    return ConfidenceInterval(value, value - half, value + half, confidence, method)
