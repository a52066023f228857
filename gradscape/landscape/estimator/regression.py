"""The regression estimator: means over many images, from few images and points around that many were seen at."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float, Int

from gradscape.landscape.estimator.grouping import grouped_deviations
from gradscape.landscape.estimator.levels import Levels
from gradscape.landscape.estimator.moments import JointMoments

__all__ = ["Regressed", "regress", "residual_variances"]

_RIDGE = 0.1  # of the mean variance of the parents: as strongly do coefficients hold to those of interpolation
_TINY = np.finfo(float).tiny
_LEAST_BLOCKS = 3  # of which two fit what the third is corrected by


@final
@dataclass(frozen=True, eq=False)
class Regressed:
    """Estimates of a value, told as sums over the blocks that the finest level saw.

    A plain mean over these blocks, and its standard error s/√n·√(1 − n/N), are the estimate and its own.

    Attributes:
        mean: Of each block, (blocks, points): what it says of the mean over all images.
        m2: Sum of squared deviations within each block, likewise.
    """

    mean: Float[np.ndarray, "blocks points"]
    m2: Float[np.ndarray, "blocks points"]


def regress(
    mean: Float[np.ndarray, "blocks points"],
    m2: Float[np.ndarray, "blocks points"],
    joints: Sequence[JointMoments],
    count: Int[np.ndarray, "blocks points"],
    levels: Levels,
    population: int,
) -> Regressed:
    """Estimate the mean over all images at every point, coarse to fine.

    A point's losses are regressed on those of the four points of coarser levels around it, on the images that it saw;
    what these are on average over the more images that they saw then corrects its mean. The coefficients that correct
    a block of images come from all other blocks (cross-fitting), and are drawn to those of interpolation, which few
    images cannot improve on. Where no parent has seen more images, or is better known by its own, it is the plain mean.

    Args:
        mean: Mean of each block at each point.
        m2: Sum of squared deviations from it.
        joints: How the points of each level vary with their parents, (blocks seen, points of the level, …).
        count: Images; the points of a level have all seen the same first blocks.
        levels: Of the grid.
        population: Number of images that all these were drawn from.

    Source: Cochran, Sampling Techniques (1977), chapter 7 (regression estimators); Giles 2015 (levels).
    """
    seen, sizes = (count > 0).sum(axis=0), count.max(axis=1).astype(float)
    total, least = np.cumsum(sizes), int(seen.min())
    levels_seen = [int(seen[levels.points(number)[0]]) for number in range(levels.depth)]
    estimate, informed = np.full(mean.shape[1], np.nan), np.zeros(mean.shape[1], bool)
    found = Regressed(*np.full((2, least, mean.shape[1]), np.nan))
    for number in range(levels.depth):
        points = levels.points(number)
        parents, blocks = levels.parents[points], int(seen[points[0]])
        more = ((seen[parents] > blocks) | informed[parents]).any(axis=1) & np.isfinite(estimate[parents]).all(axis=1)
        joint = joints[number].first(blocks)
        slopes = _slopes(mean, joint, sizes[:blocks], levels, points, more=more)
        informed[points] = slopes.any(axis=(0, 2))
        with np.errstate(invalid="ignore", over="ignore"):
            off = (slopes * _known(mean[:blocks, parents] - estimate[parents])).sum(axis=2)
            corrected = mean[:blocks, points] - off
            estimate[points] = sizes[:blocks] @ corrected / total[blocks - 1]
            # A level that saw more images varies less than its first blocks do.
            images, shown = float(total[blocks - 1]), float(total[least - 1])
            share = _left(images, population) / _left(shown, population) if blocks > least else 1.0
            spread = grouped_deviations(corrected - estimate[points], number, levels_seen, sizes, population)
            within = share * _residual_squares(m2[:blocks, points], joint, slopes)[:least]
            if number:
                usual = np.tensordot(sizes[:blocks] / total[blocks - 1], slopes, axes=1)
                spread = spread + (usual * _known(found.mean[:, parents] - estimate[parents])).sum(axis=2)
                # Parents of one cell vary nearly as one, and not more than that.
                within += (np.abs(slopes[:least]) * np.sqrt(_known(found.m2[:, parents]))).sum(axis=2) ** 2
            found.mean[:, points] = estimate[points] + spread - sizes[:least] @ spread / total[least - 1]
            found.m2[:, points] = within
    return found


def residual_variances(
    mean: Float[np.ndarray, "blocks points"],
    m2: Float[np.ndarray, "blocks points"],
    joints: Sequence[JointMoments],
    count: Int[np.ndarray, "blocks points"],
    levels: Levels,
) -> Float[np.ndarray, " levels"]:
    """By level, the median over its points of the variance over images that its parents leave; all of it in level 0.

    Args:
        mean: As for `regress`.
        m2: As for `regress`.
        joints: As for `regress`.
        count: As for `regress`.
        levels: Of the grid.
    """
    sizes, found = count.max(axis=1).astype(float), []
    for number in range(levels.depth):
        points = levels.points(number)
        blocks = int((count[:, points[0]] > 0).sum())
        joint = joints[number].first(blocks)
        slopes = _slopes(mean, joint, sizes[:blocks], levels, points, more=np.full(len(points), number > 0))
        weights = sizes[:blocks, None]
        with np.errstate(invalid="ignore", over="ignore"):
            around = mean[:blocks, levels.parents[points]]
            around = around - (weights[..., None] * around).sum(axis=0) / weights.sum()
            between = mean[:blocks, points] - (slopes * _known(around)).sum(axis=2)
            between -= (weights * between).sum(axis=0) / weights.sum()
            squares = _residual_squares(m2[:blocks, points], joint, slopes) + weights * between**2
        variances = squares.sum(axis=0) / max(weights.sum() - 1, 1)
        known = variances[np.isfinite(variances)]
        found.append(float(np.median(known)) if len(known) else 0.0)
    return np.array(found)


def _residual_squares(m2: np.ndarray, joint: JointMoments, slopes: np.ndarray) -> np.ndarray:
    """Sums of squared deviations within blocks that the parents leave."""
    explained = 2 * (slopes * _known(joint.own)).sum(axis=2)
    again = np.einsum("bpc,bpcd,bpd->bp", slopes, _known(joint.among), slopes)
    return np.where(np.isfinite(m2), np.maximum(m2 - explained + again, 0.0), m2)


def _known(values: np.ndarray) -> np.ndarray:
    """0 in the place of what is not finite: nothing leans on that."""
    return np.where(np.isfinite(values), values, 0.0)


def _left(images: float, population: int) -> float:
    """What is left of a variance by a mean over so many images."""
    return max(1 - images / population, 0.0) / images


def _slopes(
    mean: np.ndarray, joint: JointMoments, sizes: np.ndarray, levels: Levels, points: np.ndarray, *, more: np.ndarray
) -> Float[np.ndarray, "blocks points corners"]:
    """Coefficients for each block of images, from all the others; 0 where parents know no `more`."""
    parents, blocks = levels.parents[points], len(sizes)
    corners = parents.shape[1]
    slopes = np.zeros((blocks, len(points), corners))
    if blocks < _LEAST_BLOCKS:
        return slopes
    around, own = joint.among, joint.own
    known = np.isfinite(mean[:blocks, parents]).all(axis=(0, 2)) & np.isfinite(mean[:blocks, points]).all(axis=0)
    known &= np.isfinite(around).all(axis=(0, 2, 3)) & np.isfinite(own).all(axis=(0, 2))
    chosen = np.flatnonzero(known & more)
    if not len(chosen):
        return slopes
    weight = sizes[:, None, None]
    share = weight / weight.sum()
    x, y = mean[:blocks, parents[chosen]], mean[:blocks, points[chosen], None]
    x, y = x - (share * x).sum(axis=0), y - (share * y).sum(axis=0)
    # Sums over all blocks, about the mean of all; without one block they are about the mean of the others.
    scale = weight * weight / (weight.sum() - weight)
    outer, mixed = x[..., :, None] * x[..., None, :], x * y
    around, own = around[:, chosen], own[:, chosen]
    xx = (around + weight[..., None] * outer).sum(axis=0) - around - (weight + scale)[..., None] * outer
    xy = (own + weight * mixed).sum(axis=0) - own - (weight + scale) * mixed
    prior = np.broadcast_to(levels.weights[points[chosen]], xy.shape)
    ridge = _RIDGE * np.trace(xx, axis1=2, axis2=3) / corners
    rest = xy - np.einsum("bpcd,bpd->bpc", xx, prior)
    matrix = xx + (ridge + _TINY)[..., None, None] * np.eye(corners)
    slopes[:, chosen] = prior + np.linalg.solve(matrix, rest[..., None])[..., 0]
    return slopes
