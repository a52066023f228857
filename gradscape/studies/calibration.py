"""Calibration error: how far a network's confidence is from how often it is right."""

import numpy as np
from jaxtyping import Bool, Float64

from gradscape._intervals import ConfidenceInterval

__all__ = ["BINS", "calibration_error", "calibration_interval"]

BINS = 15
"""Bins of the calibration error, as in its source."""

_DRAWS = 2000

Confidences = Float64[np.ndarray, "images"]
Rights = Bool[np.ndarray, "images"]


def calibration_error(confidence: Confidences, right: Rights, *, bins: int = BINS) -> float:
    """Expected calibration error: Σ_m n_m/n · |share of right answers in bin m − mean confidence in it|.

    Bins are equally wide, (low, high].

    Args:
        confidence: Probability of each predicted class, in [0, 1].
        right: Whether it is the right one.
        bins: How many.

    Source: Guo et al. 2017, equation 3, with 15 bins.

    Example:
        >>> round(calibration_error(np.array([0.95, 0.95, 0.55, 0.55]), np.array([True, True, True, False])), 6)
        0.05
    """
    return float(np.abs(_gaps(confidence, right, bins)[0]).sum())


def calibration_interval(
    confidence: Confidences, right: Rights, *, coverage: float = 0.95, seed: int = 0
) -> ConfidenceInterval:
    """The calibration error with a parametric bootstrap's interval over images.

    The error of a sample is too large, since chance makes gaps in every bin, and larger still in resamples, whose
    percentiles would count chance twice. So the gaps of the bins are drawn from normal distributions around those that
    were found, and the interval of the error is turned around at the value. It begins at 0 where a network that is
    calibrated would give as large an error.

    Args:
        confidence: As for `calibration_error`.
        right: As for `calibration_error`.
        coverage: Of the interval.
        seed: Of the draws.

    Returns:
        The error with its interval; without one of a single image.

    Source: Davison and Hinkley 1997, section 5.2, for the turning; Bröcker and Smith 2007 for what a calibrated network
    gives.
    """
    gaps, errors = _gaps(confidence, right, BINS)
    value = float(np.abs(gaps).sum())
    if len(right) < 2:
        return ConfidenceInterval(value, np.nan, np.nan, coverage, "bootstrap over images")
    noise = errors * np.random.default_rng(seed).standard_normal((_DRAWS, BINS))
    tails = (1 - coverage) / 2, (1 + coverage) / 2
    lowest, highest = np.quantile(np.abs(gaps + noise).sum(axis=1), tails)
    calibrated = np.quantile(np.abs(noise).sum(axis=1), tails[1])
    low = 0.0 if value <= calibrated else max(0.0, 2 * value - float(highest))
    high = min(1.0, max(value, 2 * value - float(lowest)))
    return ConfidenceInterval(value, low, high, coverage, "bootstrap over images")


def _gaps(confidence: Confidences, right: Rights, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """By how much the answers of each bin are more right than sure, as a part of all images; and its standard error."""
    inner, count = np.linspace(0, 1, bins + 1)[1:-1], len(right)
    own, gaps = np.digitize(confidence, inner, right=True), right - confidence
    means, squares = (np.bincount(own, power, minlength=bins) / count for power in (gaps, gaps**2))
    return means, np.sqrt(np.maximum(0, squares - means**2) / count)
