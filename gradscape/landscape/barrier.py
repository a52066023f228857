"""The barrier between two networks: how high loss and error rise on the straight way from one to the other."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, final

import numpy as np
from jaxtyping import Float

from gradscape.landscape.highest import Contenders, find_highest
from gradscape.landscape.statistics import RELIABLE_EFFECTIVE_IMAGES, BlockStatistics, paired_difference

__all__ = ["Barrier", "Definition", "Rise", "measure_barrier"]

Definition = Literal["chord", "ends", "midpoint"]

_MIDDLE: Final = 0.5
_ROUNDING = 1e-12  # of the values of both ends: as much as straight lines miss by in double precision


@final
@dataclass(frozen=True)
class Rise:
    """How far loss or error rise between two networks, by one definition.

    Attributes:
        height: In the loss's unit, or a share of the images; infinite where the loss on the way is not finite.
        stderr: Standard error of the height, paired over blocks of images, at the alpha that was found; 0 where all
            images were seen, NaN with fewer than two blocks.
        low: Lower end of the 95 % interval of the rise over all images of the data, which takes into account that the
            place of the highest was chosen by the same images.
        high: Upper end.
        alpha: Where it is, in [0, 1].
        reliable: Whether enough images carry it to trust the interval.
    """

    height: float
    stderr: float
    low: float
    high: float
    alpha: float
    reliable: bool


@final
@dataclass(frozen=True)
class Barrier:
    """Highest rise of the loss above the straight line between the losses of two networks, and its kin.

    Three definitions are in use. With L over the same images everywhere, and alpha among the points of the line:
    "chord" is max over alpha of L(alpha) − [(1 − alpha)·L(0) + alpha·L(1)] (Entezari et al. 2022), "ends" is
    max over alpha of L(alpha) − ½[L(0) + L(1)] (Frankle et al. 2020), "midpoint" is L(½) − ½[L(0) + L(1)]. They differ
    as far as the ends do. "ends" is at least ½|L(0) − L(1)|, also where nothing rises in between.

    Attributes:
        height: By "chord", of the loss, in its unit; infinite where the loss on the way is not finite.
        stderr: Standard error of the height, paired over blocks of images, at the alpha that was found; 0 where all
            images were seen, NaN with fewer than two blocks.
        alpha: Where it is, in [0, 1]; at an end there is no rise.
        images: How many images it rests on.
        loss: By definition; without "midpoint" where ½ is not among the points, or was not evaluated.
        error: The same of the error, in [0, 1]; empty where no metric was measured.
    """

    height: float
    stderr: float
    alpha: float
    images: int
    loss: Mapping[Definition, Rise]
    error: Mapping[Definition, Rise]


@final
@dataclass(frozen=True, eq=False)
class _Way:
    """What was measured from one network to the other, of loss or error.

    Attributes:
        along: (points,) alphas from 0 to 1.
        between: At these.
        first: At 0, one point.
        second: At 1, one point.
        squares: Mean square of a value over the images, at the points, at 0 and at 1: what tells how many carry it.
    """

    along: Float[np.ndarray, " points"]
    between: BlockStatistics
    first: BlockStatistics
    second: BlockStatistics


def measure_barrier(alphas: Float[np.ndarray, " alphas"], blocks: BlockStatistics) -> Barrier:
    """Measure how far loss and error rise between the networks at alpha = 0 and 1, all over the same images.

    Args:
        alphas: Coordinates with 0 (the first network) and 1 (the second) among them.
        blocks: What was measured there, (blocks, alphas).

    Raises:
        ValueError: An end is not among the alphas, was not evaluated, or has a loss that is not finite.

    Source: Entezari et al. 2022, "The Role of Permutation Invariance in Linear Mode Connectivity of Neural Networks",
        definition 3.1; Frankle et al. 2020, "Linear Mode Connectivity and the Lottery Ticket Hypothesis", section 2;
        for the standard error Cochran (1977), section 9A; for the interval see `find_highest`.
    """
    first, second = (_end(alphas, blocks, place) for place in (0.0, 1.0))
    way = np.flatnonzero((alphas >= 0) & (alphas <= 1))
    between = blocks.points(way)
    # Of a run that was stopped the points may hold more images or fewer: only those that all three have are compared.
    shared = np.where((first.count > 0) & (second.count > 0), between.count, 0)
    losses = _Way(alphas[way], replace(between, count=shared), first, second)
    loss = _rises(losses)
    highest = loss["chord"]
    return Barrier(
        height=highest.height,
        stderr=highest.stderr,
        alpha=highest.alpha,
        images=int(shared[:, alphas[way] == highest.alpha].sum()),
        loss=loss,
        error=_rises(_of_errors(losses)) if np.isfinite(first.error).all() and np.isfinite(second.error).all() else {},
    )


def _rises(way: _Way) -> dict[Definition, Rise]:
    chord, ends = (_rise(way, share) for share in (way.along, np.full_like(way.along, _MIDDLE)))
    middle = (way.along == _MIDDLE) & way.between.count.any(axis=0)
    at_middle = replace(way, along=way.along[middle], between=way.between.points(np.flatnonzero(middle)))
    found: dict[Definition, Rise] = {"chord": chord, "ends": ends}
    return found | ({"midpoint": _rise(at_middle, at_middle.along)} if middle.any() else {})


def _rise(way: _Way, share: Float[np.ndarray, " points"]) -> Rise:
    """The highest rise above (1 − share)·first + share·second."""
    straight = replace(way.between, mean=(1 - share) * way.first.mean + share * way.second.mean)
    heights, errors = paired_difference(way.between, straight)
    ends = np.abs(way.first.loss) + np.abs(way.second.loss)
    heights = np.where(np.abs(heights) <= _ROUNDING * ends, 0.0, heights)
    count = way.between.count
    reached, complete = count.any(axis=0), way.between.images == way.between.population
    heights = np.where(reached & ~np.isfinite(heights), np.inf, heights)
    errors = np.where(complete & np.isfinite(heights), 0.0, errors)
    with np.errstate(invalid="ignore"):
        deviations = np.where(count > 0, way.between.mean - straight.mean - heights, 0.0) * count
    found = find_highest(Contenders(heights, errors, deviations, (count > 0).sum(axis=0)))
    place = found.place
    carried = way.between.images[place] if errors[place] == 0 else _carrying(way, share, place)
    return Rise(
        height=float(heights[place]),
        stderr=float(errors[place]),
        low=found.low,
        high=found.high,
        alpha=float(way.along[place]),
        reliable=bool(np.isfinite(errors[place]) and (errors[place] == 0 or carried >= RELIABLE_EFFECTIVE_IMAGES)),
    )


def _carrying(way: _Way, share: Float[np.ndarray, " points"], place: int) -> float:
    """How many images carry a rise, at least: those of its three values together, by Minkowski's inequality.

    An end whose loss few images carry does no harm where that loss is small beside the loss on the way.
    """
    parts = ((way.between.points(np.array([place])), 1.0), (way.first, 1 - share[place]), (way.second, share[place]))
    with np.errstate(all="ignore"):
        mean = sum(factor * float(np.abs(part.loss[0])) for part, factor in parts)
        root = sum(factor * float(np.sqrt(np.abs(_mean_square(part)[0]))) for part, factor in parts)
        return float(way.between.images[place]) * (mean / root) ** 2 if root else float(way.between.images[place])


def _mean_square(part: BlockStatistics) -> Float[np.ndarray, " points"]:
    return part.loss**2 + np.nan_to_num(part.variance * (part.images - 1) / part.images)


def _of_errors(way: _Way) -> _Way:
    """The same with each image's loss replaced by 1 where the answer is wrong, else 0."""
    first, second, between = (_errors(part) for part in (way.first, way.second, way.between))
    return _Way(way.along, between, first, second)


def _errors(part: BlockStatistics) -> BlockStatistics:
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(part.count > 0, 1 - part.right / part.count, np.nan)
    return replace(part, mean=mean, m2=part.count * mean * (1 - mean), nonfinite=np.zeros_like(part.nonfinite))


def _end(alphas: Float[np.ndarray, " alphas"], blocks: BlockStatistics, place: float) -> BlockStatistics:
    found = np.flatnonzero(alphas == place)
    if not len(found):
        raise ValueError(f"`alphas` must hold 0 and 1, where the two networks are, but {place:g} is not among them")
    end = blocks.points(found)
    if not np.isfinite(end.loss).all():
        raise ValueError(f"the loss at alpha = {place:g} must be known and finite for a barrier, got {end.loss[0]:g}")
    return end
