"""The regression estimator: means over many images, from few images and points around that many were seen at."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float, Int

from gradscape.landscape.estimator.grouping import grouped_deviations
from gradscape.landscape.estimator.levels import Levels
from gradscape.landscape.estimator.moments import JointMoments

__all__ = ["Observed", "Regressed", "level_variances", "regress"]

_RIDGE = 0.1  # of the mean variance of the parents: as strongly do coefficients hold to those of interpolation
_TINY = np.finfo(float).tiny
_ROUNDING = 1e-9  # of a variance: less is what subtracting sums leaves
_LEAST_BLOCKS = 3  # of which two fit what the third is corrected by


@final
@dataclass(frozen=True, eq=False)
class Observed:
    """A value of every image that was seen, as sums over blocks of images.

    Attributes:
        mean: Mean of each block at each point, (blocks, points).
        m2: Sum of squared deviations from it, likewise.
        count: Images, likewise; the points of a level have all seen the same first blocks.
        joints: How the points of each level but the coarsest vary with their parents, (blocks seen, points of the
            level, …).
    """

    mean: Float[np.ndarray, "blocks points"]
    m2: Float[np.ndarray, "blocks points"]
    count: Int[np.ndarray, "blocks points"]
    joints: Sequence[JointMoments]

    @property
    def sizes(self) -> Float[np.ndarray, " blocks"]:
        """Images of each block."""
        return self.count.max(axis=1).astype(float)

    def variance(self, blocks: int, points: Int[np.ndarray, "*some"]) -> Float[np.ndarray, "*some"]:
        """Over the images of the first blocks, at some points."""
        mean, m2, sizes = self.mean[:blocks, points], self.m2[:blocks, points], self.sizes[:blocks]
        with np.errstate(invalid="ignore", over="ignore"):
            between = mean - np.average(mean, axis=0, weights=sizes)
            squares = np.tensordot(sizes, between**2, axes=1) + m2.sum(axis=0)
            return squares / max(sizes.sum() - 1, 1)

    @property
    def seen(self) -> Int[np.ndarray, " points"]:
        """Blocks that each point has seen."""
        return (self.count > 0).sum(axis=0)


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


def regress(observed: Observed, levels: Levels, population: int) -> Regressed:
    """Estimate the mean over all images at every point, coarse to fine.

    A point's losses are regressed on those of the four points of coarser levels around it, on the images that it saw;
    what these are on average over the more images that they saw then corrects its mean. The coefficients that correct
    a block of images come from all other blocks (cross-fitting), and are drawn to those of interpolation, which few
    images cannot improve on. Where no parent has seen more images, or is better known by its own, it is the plain mean.

    Args:
        observed: What was measured.
        levels: Of the grid.
        population: Number of images that all these were drawn from.

    Source: Cochran, Sampling Techniques (1977), chapter 7 (regression estimators); Giles 2015 (levels); Wu, Estimation
    of variance of the ratio estimator (1982), whose v₂ scales a variance by what is known of the parents.
    """
    mean, sizes, seen = observed.mean, observed.sizes, observed.seen
    total, least = np.cumsum(sizes), int(seen.min())
    levels_seen = [int(seen[levels.points(number)[0]]) for number in range(levels.depth)]
    estimate, variance = np.full((2, mean.shape[1]), np.nan)
    informed = np.zeros(mean.shape[1], bool)
    found = Regressed(*np.full((2, least, mean.shape[1]), np.nan))
    for number in range(levels.depth):
        points = levels.points(number)
        parents, blocks = levels.parents[points], int(seen[points[0]])
        more = ((seen[parents] > blocks) | informed[parents]).any(axis=1) & np.isfinite(estimate[parents]).all(axis=1)
        left = _leave(observed, levels, number, more=more)
        informed[points] = left.slopes.any(axis=(0, 2))
        with np.errstate(invalid="ignore", over="ignore"):
            off = (left.slopes * _known(mean[:blocks, parents] - estimate[parents])).sum(axis=2)
            corrected = mean[:blocks, points] - off
            estimate[points] = sizes[:blocks] @ corrected / total[blocks - 1]
            # Where parents vary more over all images that they saw than over these, so do residuals, if these follow.
            around = observed.m2[:blocks, parents].mean(axis=2)
            more_varied = _ratio(variance[parents].mean(axis=1), observed.variance(blocks, parents).mean(axis=1))
            more_varied[(number == 0) | ~informed[points]] = 1.0
            own = 1 + _follows(observed.m2[:blocks, points], around) * (more_varied - 1)
            variance[points] = own * observed.variance(blocks, points)
            scale = 1 + _follows(left.squares, around) * (more_varied - 1)
            spread = np.sqrt(scale) * grouped_deviations(
                corrected - estimate[points], number, levels_seen, sizes, population
            )
            # A level that saw more images knows its variance by all of them, and varies less than the first do.
            if blocks > least:
                scale *= _left(total[blocks - 1], population) / _left(total[least - 1], population)
                first = left.squares[:least].sum(axis=0) / total[least - 1]
                scale *= _ratio(left.squares.sum(axis=0) / total[blocks - 1], first)
            within = scale * left.squares[:least]
            if number:
                usual = np.tensordot(sizes[:blocks] / total[blocks - 1], left.slopes, axes=1)
                spread = spread + (usual * _known(found.mean[:, parents] - estimate[parents])).sum(axis=2)
                # Parents of one cell vary nearly as one, and not more than that.
                within = within + (np.abs(left.slopes[:least]) * np.sqrt(_known(found.m2[:, parents]))).sum(axis=2) ** 2
            found.mean[:, points] = estimate[points] + spread - sizes[:least] @ spread / total[least - 1]
            found.m2[:, points] = within
    return found


def level_variances(observed: Observed, levels: Levels) -> Float[np.ndarray, " levels"]:
    """What each level has to do with the variance of estimates: v, of which Σ v·(1/n − 1/N) is that of a usual point.

    With A points in level l, whose parents leave the share r of the variance over images and hand down the share h of
    their own, v = s²·r·W/ΣA, where W_l = A_l + h_l+1·W_l+1 is how many points a level's own variance reaches, and s²
    the median over all points. Shares are means over a level's points, so that a part of the surface where neighbors
    tell nothing counts for as much as it is.

    Args:
        observed: What was measured.
        levels: Of the grid.
    """
    left, handed, usual, reached = [], [], [], []
    for number in range(levels.depth):
        points = levels.points(number)
        rest = _leave(observed, levels, number, more=np.full(len(points), number > 0))
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            around = observed.mean[: len(rest.sizes), levels.parents[points]]
            around = around - np.average(around, axis=0, weights=rest.sizes)
            residuals = observed.mean[: len(rest.sizes), points] - (rest.slopes * _known(around)).sum(axis=2)
            whole = observed.variance(len(rest.sizes), points)
            shares = np.minimum(rest.variance(residuals) / whole, 1.0)
        known = np.isfinite(shares) & (whole > 0)
        left.append(float(shares[known].mean()) if known.any() else 0.0)
        handed.append(float((rest.slopes.mean(axis=0).sum(axis=1) ** 2).mean()))
        usual.append(whole[known])
        reached.append(float(len(points)))
    for number in reversed(range(levels.depth - 1)):
        reached[number] += min(handed[number + 1], 1.0) * reached[number + 1]
    everywhere = np.concatenate(usual)
    scale = float(np.median(everywhere)) if len(everywhere) else 0.0
    return scale * np.array(left) * np.array(reached) / len(levels.level)


@final
@dataclass(frozen=True, eq=False)
class _Left:
    """What their parents leave of the points of a level.

    Attributes:
        slopes: Coefficients of the parents for each block, (blocks, points, corners).
        squares: Sums of squared deviations of residuals within blocks, (blocks, points).
        sizes: Images of each block.
    """

    slopes: Float[np.ndarray, "blocks points corners"]
    squares: Float[np.ndarray, "blocks points"]
    sizes: Float[np.ndarray, " blocks"]

    def variance(self, residuals: Float[np.ndarray, "blocks points"]) -> Float[np.ndarray, " points"]:
        """Of residuals over images, from their means in each block and the squares within."""
        between = residuals - self.sizes @ residuals / self.sizes.sum()
        squares = (self.squares + self.sizes[:, None] * between**2).sum(axis=0)
        return squares / max(self.sizes.sum() - 1, 1)


def _leave(observed: Observed, levels: Levels, number: int, *, more: np.ndarray) -> _Left:
    """Regress a level on its parents, where these know `more`; the coarsest has none."""
    points = levels.points(number)
    blocks = int(observed.seen[points[0]])
    m2, sizes = observed.m2[:blocks, points], observed.sizes[:blocks]
    if not number:
        return _Left(np.zeros((blocks, len(points), levels.parents.shape[1])), m2, sizes)
    joint = observed.joints[number - 1].first(blocks)
    slopes = _slopes(observed.mean[:blocks], joint, sizes, levels, points, more=more)
    return _Left(slopes, _residual_squares(m2, joint, slopes), sizes)


def _follows(squares: np.ndarray, around: np.ndarray) -> np.ndarray:
    """In how far squares of blocks grow with those of parents, (points,): 1 where in proportion, 0 where not at all."""
    deviations = around - around.mean(axis=0)
    slopes = (deviations * squares).sum(axis=0) / np.maximum((deviations**2).sum(axis=0), _TINY)
    follows = slopes * around.mean(axis=0) / np.maximum(squares.mean(axis=0), _TINY)
    return np.clip(np.where(np.isfinite(follows), follows, 0.0), 0.0, 1.0)


def _ratio(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Of variances; 1 where one is 0 or unknown."""
    known = np.isfinite(first) & np.isfinite(second) & (first > 0) & (second > 0)
    return np.divide(first, second, out=np.ones_like(first), where=known)


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
    # What one block has alone leaves rounding, and no coefficients, to the others.
    everything = around.sum(axis=0) + (weight[..., None] * outer).sum(axis=0)
    scale_of_all = _ROUNDING * np.trace(everything, axis1=1, axis2=2)
    ridge = _RIDGE * np.maximum(np.trace(xx, axis1=2, axis2=3), scale_of_all) / corners
    rest = xy - np.einsum("bpcd,bpd->bpc", xx, prior)
    matrix = xx + (ridge + _TINY)[..., None, None] * np.eye(corners)
    slopes[:, chosen] = prior + np.linalg.solve(matrix, rest[..., None])[..., 0]
    return slopes
