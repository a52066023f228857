"""Means over trainings and random directions, and their differences between networks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from jaxtyping import Float
from scipy import stats

from gradscape._intervals import mean_of, welch_difference
from gradscape.landscape.metrics.measure import Measure

__all__ = [
    "NOT_DISTINGUISHABLE",
    "Draws",
    "PairDifference",
    "describe_together",
    "half_width",
    "pair_difference",
    "permutation_p",
    "tell_verdicts",
    "verdict_of",
]

NOT_DISTINGUISHABLE = "not distinguishable"
_SINGLE = "unknown: one draw of directions says nothing about others"
_NO_SPREAD = "unknown: draws without any spread"
_UNKNOWN = "unknown: "
_PERMUTATIONS = 999


@final
@dataclass(frozen=True)
class PairDifference:
    """How much a metric differs between two networks.

    Attributes:
        metric: The metric's name.
        first: A network.
        second: Another one.
        difference: The first's mean minus the second's.
        low: Lower end of the interval; NaN where the verdict is unknown.
        high: Upper end.
        permutation_p: Twice the share of the ways to deal out the trainings (of one training each the draws) to two
            networks that differ as much in this direction; NaN likewise.
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
    """A metric of a network in several trainings, in several draws of directions each.

    Trainings are drawn from all seeds, and directions anew for each training, so that the values x_tk of training
    t = 1 … T in draw k = 1 … K_t are nested: what is special about a training is in all its draws, which are no
    independent sample. Only the trainings are::

        m_t = Σ_k x_tk / K_t        mean = Σ_t m_t / T        s² = Σ_t (m_t − mean)² / (T − 1)

        mean ± t(T − 1) · s / √T

    s²/T has no bias for the variance of the mean, σ²(trainings)/T + Σ_t σ²(directions)/(K_t T²), also where the K_t
    differ. Of a single training the spread of others is unknown: then its draws are the sample, and the interval is
    about that training alone.

    Attributes:
        measures: The measure in each draw.
        values: Its values, (draws,); NaN where undefined.
        resampled: The mean in each resample of the images, (resamples,); the same images for all networks.
        trainings: Which training each draw is of; empty where all are of one.
        bounds: What values there can be.

    Source: Searle, Casella and McCulloch 1992, Variance Components (nested samples).
    """

    measures: Sequence[Measure]
    values: Float[np.ndarray, "draws"]
    resampled: Float[np.ndarray, "resamples"]
    trainings: Sequence[str] = ()
    bounds: tuple[float, float] = (-np.inf, np.inf)

    @classmethod
    def of(
        cls,
        found: Sequence[tuple[Measure, np.ndarray]],
        trainings: Sequence[str] = (),
        *,
        bounds: tuple[float, float] = (-np.inf, np.inf),
    ) -> "Draws":
        """Put together what `measure_resamples` found in each draw."""
        values = np.array([measure.value for measure, _ in found])
        several = trainings or [""] * len(found)
        defined = [number for number, (measure, _) in enumerate(found) if np.isfinite(measure.value)]
        resampled = np.zeros(0)
        if defined:
            drawn = np.stack([found[number][1] for number in defined])
            resampled = _means_within([several[number] for number in defined], drawn).mean(axis=0)
        return cls([measure for measure, _ in found], values, resampled, trainings, bounds)

    @property
    def num_trainings(self) -> int:
        """How many trainings there are."""
        return len(set(self.trainings)) or 1

    @property
    def sample(self) -> Float[np.ndarray, "sample"]:
        """What is independent: the mean in each training, or the draws of the only one; without undefined draws."""
        finite = np.isfinite(self.values)
        if self.num_trainings == 1:
            return self.values[finite]
        kept = [training for training, one in zip(self.trainings, finite, strict=True) if one]
        return _means_within(kept, self.values[finite])

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
        """Mean with an interval over trainings, directions and images; of a single draw its own measure."""
        if len(self.measures) == 1:
            return self.measures[0]
        name, unit, values = self.measures[0].name, self.measures[0].unit, self.sample
        notes = [measure.note for measure in self.measures if measure.note]
        note = f"{len(notes)} of {len(self.measures)} draws: {notes[0]}" if notes else ""
        if len(values) < 2 or self.unbounded:
            return Measure(name, float(values.mean()) if len(values) else np.nan, np.nan, np.nan, unit, note)
        found = mean_of(values, confidence=confidence)
        half = float(np.hypot(found.high - found.value, _image_half(self.resampled, confidence)))
        middle = found.value
        low, high = np.clip([middle - half, middle + half], *self.bounds).tolist()
        return Measure(name, middle, low, high, unit, note)


def pair_difference(
    metric: str, pair: tuple[str, str], ours: Draws, theirs: Draws, *, confidence: float, seed: int
) -> PairDifference:
    """Compare the means of two networks.

    Args:
        metric: The metric's name.
        pair: The networks' names.
        ours: The first one's draws.
        theirs: The second one's.
        confidence: Coverage of the interval.
        seed: Of the permutations, where there are too many to go through all.
    """
    first, second = ours.sample, theirs.sample
    if not len(first) or not len(second):
        return PairDifference(metric, *pair, np.nan, np.nan, np.nan, np.nan, "undefined")
    difference = float(first.mean() - second.mean())
    if reason := _unknown(pair, ours, theirs):
        return PairDifference(metric, *pair, difference, np.nan, np.nan, np.nan, reason)
    half = half_width(ours, theirs, confidence)
    low, high = difference - half, difference + half
    share = permutation_p(first, second, seed=seed)
    return PairDifference(metric, *pair, difference, low, high, share, verdict_of(pair, low, high))


def verdict_of(pair: tuple[str, str], low: float, high: float, *, more: str = "higher") -> str:
    """Say which of two is higher, by an interval of the first's less the second's that has both ends.

    Args:
        pair: What the two are called.
        low: Lower end.
        high: Upper end.
        more: What that means.
    """
    if low > 0 or high < 0:
        return f"{pair[0] if low > 0 else pair[1]} is {more}"
    return NOT_DISTINGUISHABLE


def tell_verdicts(verdicts: Sequence[str]) -> tuple[list[str], list[str]]:
    """Verdicts as a table's rows tell them, and below it once why some are unknown.

    Args:
        verdicts: One of each row.

    Returns:
        The rows', and a line for each reason.

    Example:
        >>> tell_verdicts(["unknown: one draw", "a is higher", "unknown: one draw"])
        (['unknown', 'a is higher', 'unknown'], ['unknown: one draw'])
    """
    reasons = list(dict.fromkeys(verdict for verdict in verdicts if verdict.startswith(_UNKNOWN)))
    called = {reason: f"unknown ({number})" for number, reason in enumerate(reasons, 1)}
    if len(reasons) == 1:
        called = {reasons[0]: "unknown"}
    rows = [called.get(verdict, verdict) for verdict in verdicts]
    return rows, [f"{called[reason]}: {reason.removeprefix(_UNKNOWN)}" for reason in reasons]


def describe_together(count: int, *, confidence: float, paired: str = "") -> str:
    """Say how sure the intervals of comparisons are.

    Args:
        count: Of the comparisons, one or more.
        confidence: Coverage of all together.
        paired: Over what they are paired, if so.
    """
    over = f", paired over {paired}" if paired else ""
    if count == 1:
        return f"1 comparison{over}: its interval holds with {100 * confidence:g} %"
    return f"{count} comparisons{over}: their intervals hold together with {100 * confidence:g} % (Bonferroni)"


def permutation_p(first: np.ndarray, second: np.ndarray, *, seed: int, paired: bool = False) -> float:
    """Twice the share of the ways to deal out numbers whose means differ as much in this direction.

    Args:
        first: One sample.
        second: Another one.
        seed: Of the permutations, where there are too many to go through all.
        paired: Whether only two numbers at the same place change places.
    """
    options: dict[str, Any] = {"n_resamples": _PERMUTATIONS, "rng": np.random.default_rng(seed), "vectorized": True}
    kind = "samples" if paired else "independent"
    return float(stats.permutation_test((first, second), _mean_difference, permutation_type=kind, **options).pvalue)


def half_width(ours: Draws, theirs: Draws, confidence: float) -> float:
    """Half-width of the interval of a difference of means, of two trainings or two draws at least each.

    Over trainings (of one training each over directions) it is Welch's; over images, which both networks share, normal
    by the resamples' differences. The two are added in quadrature.

    Source: Welch 1947; Zou and Donner 2008.
    """
    found = welch_difference(ours.sample, theirs.sample, confidence=confidence)
    return float(np.hypot(found.high - found.value, _image_half(ours.resampled - theirs.resampled, confidence)))


def _unknown(pair: tuple[str, str], ours: Draws, theirs: Draws) -> str:
    """Why the difference has no interval; "" where it has one."""
    for one, other, name in ((ours, theirs, pair[0]), (theirs, ours, pair[1])):
        if one.num_trainings == 1 and other.num_trainings > 1:
            return f"unknown: one training of {name} says nothing about others"
    if min(len(ours.sample), len(theirs.sample)) < 2:
        return _SINGLE
    if reason := ours.unbounded or theirs.unbounded:
        return f"unknown: {reason}"
    same = np.ptp(ours.sample) == np.ptp(theirs.sample) == 0
    return _NO_SPREAD if same and ours.sample[0] != theirs.sample[0] else ""


def _means_within(trainings: Sequence[str], values: np.ndarray) -> np.ndarray:
    """Mean of the values (draws, …) of each training, in the order in which the trainings come."""
    of, known = np.array(trainings), dict.fromkeys(trainings)
    return np.array([values[of == training].mean(axis=0) for training in known])


def _mean_difference(first: np.ndarray, second: np.ndarray, axis: int) -> np.ndarray:
    return np.asarray(first.mean(axis=axis) - second.mean(axis=axis))


def _image_half(resampled: np.ndarray, confidence: float) -> float:
    """Half-width of a normal interval over images; 0 where nothing is left to sampling."""
    finite = resampled[np.isfinite(resampled)]
    return float(stats.norm.ppf((1 + confidence) / 2) * finite.std(ddof=1)) if len(finite) > 1 else 0.0
