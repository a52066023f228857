"""What an estimator finds in a sample and its resamples, and the interval that follows."""

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float
from scipy import stats

from gradscape.landscape.metrics.resampling import Resamples
from gradscape.landscape.statistics import LEAST_BLOCKS

__all__ = ["Estimates", "Interval", "interval", "joined", "undefined"]

_ONE_BLOCK = 0.5  # share of the variance that a single block may have
_ROUNDING = 1e-9


@final
@dataclass(frozen=True, eq=False)
class Estimates:
    """An estimator's values.

    Attributes:
        values: In the sample, first, and in its resamples, (samples,).
        target: What the values in resamples estimate: the metric of the sample's own mean surface, noise and all.
            None where the estimator has no bias to speak of.
        note: Why the value is undefined or unreliable.
        least: The interval reaches down to here at least.
        most: And up to here.
        inverse: Whether the metric is 1 over what was estimated; its interval has no upper end where that can be 0.
    """

    values: Float[np.ndarray, "samples"]
    target: float | None = None
    note: str = ""
    least: float = np.inf
    most: float = -np.inf
    inverse: bool = False

    @property
    def resampled(self) -> Float[np.ndarray, "resamples"]:
        """The metric in each resample."""
        if not self.inverse:
            return self.values[1:]
        with np.errstate(divide="ignore"):
            return np.asarray(1 / np.maximum(self.values[1:], 0.0))


def undefined(samples: Resamples, reason: str) -> Estimates:
    """A metric that this surface does not have."""
    return Estimates(np.full(len(samples.weights), np.nan), note=reason)


@final
@dataclass(frozen=True)
class Interval:
    """An estimate with its interval over images, NaN where there is none.

    Attributes:
        value: The estimate, its bias taken off.
        low: Lower end.
        high: Upper end.
        note: Why it is undefined or unreliable.
        vague: Whether it was opened, because the images do not bound the value.
    """

    value: float
    low: float
    high: float
    note: str
    vague: bool = False


def interval(
    samples: Resamples, estimates: Estimates, *, confidence: float, bounds: tuple[float, float] = (-np.inf, np.inf)
) -> Interval:
    """Student interval: estimate ± t · standard deviation over resamples, with K − 1 degrees of freedom for K blocks.

    What resamples of the sample are off the sample's own value on average is the bias, and is taken off. Percentiles
    would contain it twice: the sample's noise is in every resample already.

    Args:
        samples: The sample and its resamples.
        estimates: What was estimated in each.
        confidence: Wanted coverage.
        bounds: What values the metric can have.

    Source: Efron and Tibshirani 1993, chapters 10 (bias) and 12 (Student's interval).
    """
    if estimates.inverse:
        low = 1 / bounds[1] if np.isfinite(bounds[1]) else -np.inf  # below 0 is beyond infinity
        return _inverted(_interval(samples, estimates, confidence, (low, 1 / bounds[0])))
    return _interval(samples, estimates, confidence, bounds)


def _interval(samples: Resamples, estimates: Estimates, confidence: float, bounds: tuple[float, float]) -> Interval:
    value, note = float(estimates.values[0]), estimates.note
    if not np.isfinite(value) or samples.sample.exact:
        return Interval(value, value, value, note)
    if not samples.sample.enough:
        reason = f"no interval: {LEAST_BLOCKS} blocks of images are needed, these are {len(samples.sample.weights)}"
        return Interval(value, np.nan, np.nan, joined(note, reason))
    found = estimates.values[1:]
    finite = np.isfinite(found)
    if finite.mean() <= 0.5:
        return Interval(value, np.nan, np.nan, joined(note, "undefined in most resamples"))
    if estimates.target is not None:
        value -= float(found[finite].mean()) - estimates.target
    value = float(np.clip(value, *bounds))
    half = float(stats.t.ppf((1 + confidence) / 2, len(samples.sample.weights) - 1) * found[finite].std(ddof=1))
    low, high = (
        float(np.clip(end, *bounds)) for end in (min(value - half, estimates.least), max(value + half, estimates.most))
    )
    vague = estimates.least <= estimates.most
    if (1 - finite.mean()) > (1 - confidence) / 2:
        low, high, note, vague = bounds[0], bounds[1], joined(note, "undefined in some resamples"), True
    note = joined(note, _concentration(samples.weights[1:][finite], found[finite]))
    return Interval(value, low, high, note, vague=vague)


def _inverted(ratio: Interval) -> Interval:
    if np.isnan(ratio.value):
        return ratio
    if ratio.low > 0 or (np.isnan(ratio.low) and ratio.value > 0):
        return Interval(1 / ratio.value, 1 / ratio.high, 1 / ratio.low, ratio.note, vague=ratio.vague)
    note = joined(ratio.note, "the smaller eigenvalue cannot be told from 0")
    if ratio.value <= 0:
        return Interval(np.nan, np.nan, np.nan, note)
    return Interval(1 / ratio.value, 1 / ratio.high, np.inf, note, vague=True)


def _concentration(weights: np.ndarray, found: np.ndarray) -> str:
    """A note if a single block of images has most of the variance, which no interval survives."""
    if found.std() <= _ROUNDING * np.abs(found).max():
        return ""
    influence = (weights - weights.mean(axis=0)).T @ (found - found.mean())
    most = float((influence**2).max() / (influence**2).sum())
    return f"one block of images has {100 * most:.0f} % of the variance" if most > _ONE_BLOCK else ""


def joined(*notes: str) -> str:
    """Notes as one, without the empty ones."""
    return "; ".join(note for note in notes if note)
