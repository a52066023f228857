"""Means over random directions, and their differences between networks."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float
from scipy import stats

from gradscape.landscape.metrics.measure import METRICS, Measure

__all__ = ["NOT_DISTINGUISHABLE", "Draws", "PairDifference", "half_width", "pair_difference"]

NOT_DISTINGUISHABLE = "not distinguishable"
_SINGLE = "unknown: one draw of directions says nothing about others"
_NO_SPREAD = "unknown: draws without any spread"
_PERMUTATIONS = 999


@final
@dataclass(frozen=True)
class PairDifference:
    """How much a metric differs between two networks.

    Attributes:
        metric: The metric's name.
        first: A network.
        second: Another one.
        difference: Mean over the first's draws minus that over the second's.
        low: Lower end of the interval; NaN where the verdict is unknown.
        high: Upper end.
        permutation_p: Twice the share of the ways to deal out the draws to two networks that differ as much in this
            direction; NaN likewise.
        verdict: Which is higher, or that they are not distinguishable.
    """

    metric: str
    first: str
    second: str
    difference: float
    low: float
    high: float
    permutation_p: float
    verdict: str


@final
@dataclass(frozen=True, eq=False)
class Draws:
    """A metric of a network in several draws of directions.

    Attributes:
        measures: The measure in each draw.
        values: Its values, (draws,); NaN where undefined.
        resampled: Mean over the draws in each resample of the images, (resamples,); the same images for all networks.
    """

    measures: Sequence[Measure]
    values: Float[np.ndarray, "draws"]
    resampled: Float[np.ndarray, "resamples"]

    @classmethod
    def of(cls, found: Sequence[tuple[Measure, np.ndarray]]) -> "Draws":
        """Put together what `measure_resamples` found in each draw."""
        values = np.array([measure.value for measure, _ in found])
        defined = [drawn for (measure, drawn) in found if np.isfinite(measure.value)]
        return cls([measure for measure, _ in found], values, np.mean(defined, axis=0) if defined else np.zeros(0))

    @property
    def defined(self) -> Float[np.ndarray, "defined"]:
        """The values of the draws that have one."""
        return self.values[np.isfinite(self.values)]

    @property
    def unbounded(self) -> str:
        """Why their mean has no interval; "" where it has one.

        Draws are not undefined by chance: a basin is when it is too wide, and leaving it out would make the others
        look narrow.
        """
        if not np.isfinite(self.values).all():
            return "undefined in some draws"
        if any(np.isnan(measure.low) for measure in self.measures):
            return "no interval over images, as the notes say"
        return "the images leave it open, as the notes say" if any(one.vague for one in self.measures) else ""

    def mean(self, confidence: float) -> Measure:
        """Mean over draws with an interval over directions and images; with a single draw its own measure."""
        if len(self.measures) == 1:
            return self.measures[0]
        name, unit, values = self.measures[0].name, self.measures[0].unit, self.defined
        notes = [measure.note for measure in self.measures if measure.note]
        note = f"{len(notes)} of {len(self.measures)} draws: {notes[0]}" if notes else ""
        if len(values) < 2 or self.unbounded:
            return Measure(name, float(values.mean()) if len(values) else np.nan, np.nan, np.nan, unit, note)
        with _equal_values():
            ends = stats.ttest_1samp(values, 0.0).confidence_interval(confidence)
        half = float(np.hypot(np.nan_to_num(ends.high - ends.low) / 2, _image_half(self.resampled, confidence)))
        middle = float(values.mean())
        low, high = np.clip([middle - half, middle + half], *METRICS[name].bounds).tolist()
        return Measure(name, middle, low, high, unit, note)


def pair_difference(
    metric: str, pair: tuple[str, str], ours: Draws, theirs: Draws, *, confidence: float, seed: int
) -> PairDifference:
    """Compare the means of two networks' draws.

    Args:
        metric: The metric's name.
        pair: The networks' names.
        ours: The first one's draws.
        theirs: The second one's.
        confidence: Coverage of the interval.
        seed: Of the permutations, where there are too many to go through all.
    """
    first, second = ours.defined, theirs.defined
    if not len(first) or not len(second):
        return PairDifference(metric, *pair, np.nan, np.nan, np.nan, np.nan, "undefined")
    difference = float(first.mean() - second.mean())
    if min(len(first), len(second)) < 2:
        return PairDifference(metric, *pair, difference, np.nan, np.nan, np.nan, _SINGLE)
    if reason := ours.unbounded or theirs.unbounded:
        return PairDifference(metric, *pair, difference, np.nan, np.nan, np.nan, f"unknown: {reason}")
    if difference and np.ptp(first) == np.ptp(second) == 0:
        return PairDifference(metric, *pair, difference, np.nan, np.nan, np.nan, _NO_SPREAD)
    half = half_width(ours, theirs, confidence)
    low, high = difference - half, difference + half
    test = stats.permutation_test(
        (first, second), _mean_difference, n_resamples=_PERMUTATIONS, vectorized=True, rng=np.random.default_rng(seed)
    )
    verdict = NOT_DISTINGUISHABLE if low <= 0 <= high else f"{pair[0] if difference > 0 else pair[1]} is higher"
    return PairDifference(metric, *pair, difference, low, high, float(test.pvalue), verdict)


def half_width(ours: Draws, theirs: Draws, confidence: float) -> float:
    """Half-width of the interval of a difference of means, of two draws at least each.

    Over directions it is Welch's; over images, which both networks share, normal by the resamples' differences. The
    two are added in quadrature.

    Source: Welch 1947; Zou and Donner 2008.
    """
    with _equal_values():
        ends = stats.ttest_ind(ours.defined, theirs.defined, equal_var=False).confidence_interval(confidence)
    over_directions = np.nan_to_num(ends.high - ends.low) / 2
    return float(np.hypot(over_directions, _image_half(ours.resampled - theirs.resampled, confidence)))


@contextmanager
def _equal_values() -> Iterator[None]:
    """Draws may all have the same value, such as a convex share of 1: scipy warns, and gives NaN for no width."""
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def _mean_difference(first: np.ndarray, second: np.ndarray, axis: int) -> np.ndarray:
    return np.asarray(first.mean(axis=axis) - second.mean(axis=axis))


def _image_half(resampled: np.ndarray, confidence: float) -> float:
    """Half-width of a normal interval over images; 0 where nothing is left to sampling."""
    finite = resampled[np.isfinite(resampled)]
    return float(stats.norm.ppf((1 + confidence) / 2) * finite.std(ddof=1)) if len(finite) > 1 else 0.0
