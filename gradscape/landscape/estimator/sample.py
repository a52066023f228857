"""What was measured where levels saw different numbers of images, and the estimates that follow."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Int

from gradscape.landscape.estimator.levels import Levels
from gradscape.landscape.estimator.moments import JointMoments
from gradscape.landscape.estimator.regression import Observed, level_variances, regress
from gradscape.landscape.statistics import BlockStatistics

__all__ = ["Round", "Sample", "blocks_seen", "seen_by_level"]

Round = tuple[int, int, int]
"""First block, the block after the last, and how many of the levels, coarse to fine, have then seen all before that."""


def blocks_seen(rounds: Sequence[Round], depth: int) -> list[int]:
    """How many blocks each of so many levels has seen."""
    return [max((stop for _, stop, levels in rounds if levels > number), default=0) for number in range(depth)]


def seen_by_level(count: Int[np.ndarray, "blocks points"], all_levels: Levels) -> list[int]:
    """How many of the first blocks all points of each level have seen, coarse to fine.

    Args:
        count: Images of each block at each point, the origin first.
        all_levels: Of these points.
    """
    parts = (count[:, all_levels.points(number)] > 0 for number in range(all_levels.depth))
    return [int(part.all(axis=1).cumprod().sum()) for part in parts]


@final
@dataclass(frozen=True, eq=False)
class Sample:
    """Sums over blocks, as far as each level saw them.

    Attributes:
        blocks: Of the origin and then every point of the grid in C order, (blocks, 1 + points).
        loss: By level, but for the coarsest, how losses vary together with those of parents.
        error: By level, how errors do.
        rounds: Which levels saw which blocks.
    """

    blocks: BlockStatistics
    loss: tuple[JointMoments, ...]
    error: tuple[JointMoments, ...]
    rounds: tuple[Round, ...]

    def estimate(self, levels: Levels) -> tuple[BlockStatistics, BlockStatistics]:
        """Estimates over all images, as sums over the blocks that the finest level saw: at the points, at the origin.

        Args:
            levels: Of the grid.
        """
        raw, all_levels = self.blocks, levels.with_origin()
        loss = regress(self._losses(all_levels), all_levels, raw.population)
        count = self._complete(all_levels)
        with np.errstate(invalid="ignore", divide="ignore"):
            wrong = 1 - raw.right / raw.count
        spread = raw.count * wrong * (1 - wrong)
        error = regress(Observed(wrong, spread, count, self.error), all_levels, raw.population)
        least = len(loss.mean)
        count = count[:least]
        with np.errstate(invalid="ignore"):
            total = (count * error.mean).sum(axis=0) / count.sum(axis=0)
            shares = error.mean + (np.clip(total, 0, 1) - total)
        found = BlockStatistics(
            count=count,
            mean=loss.mean,
            m2=loss.m2,
            right=count * (1 - shares),
            nonfinite=raw.nonfinite[:least],
            population=raw.population,
        )
        return found.points(slice(1, None)), found.points(0)

    def variances(self, levels: Levels) -> np.ndarray:
        """What each level has to do with the variance of estimates of losses; see `level_variances`.

        Args:
            levels: Of the grid.
        """
        all_levels = levels.with_origin()
        return level_variances(self._losses(all_levels), all_levels)

    def gain(self, estimates: BlockStatistics) -> float:
        """How many times as large the variance of plain means of as many passes is; NaN where nothing was estimated.

        Args:
            estimates: Of the points, as `estimate` gives them.
        """
        seen = self.blocks.points(slice(1, None))
        passes, population = float(seen.images.mean()), self.blocks.population
        if not passes:
            return float("nan")
        own, plain = estimates.reshape((-1,)).stderr ** 2, seen.variance * (1 / passes - 1 / population)
        known = np.isfinite(own) & np.isfinite(plain)
        if not known.any() or not (least := float(np.median(own[known]))):
            return float("nan")
        return float(np.median(plain[known])) / least

    def _losses(self, all_levels: Levels) -> Observed:
        return Observed(self.blocks.mean, self.blocks.m2, self._complete(all_levels), self.loss)

    def _complete(self, all_levels: Levels) -> np.ndarray:
        """Counts of images, without those of blocks that some point of a level has not seen yet."""
        count = self.blocks.count.copy()
        for number, whole in enumerate(seen_by_level(count, all_levels)):
            count[whole:, all_levels.points(number)] = 0
        return count

    def seen(self, levels: Levels) -> list[int]:
        """How many blocks each level has seen, coarse to fine.

        Args:
            levels: Of the grid.
        """
        return seen_by_level(self.blocks.count, levels.with_origin())

    def cut(self, seen: Sequence[int], levels: Levels) -> "Sample":
        """What it would be if each level had seen no more than so many of the first blocks.

        Args:
            seen: Of each level, coarse to fine; no more than the level before.
            levels: Of the grid.
        """
        kept = np.arange(max(seen))[:, None] < np.asarray(seen)[levels.with_origin().level]
        return Sample(
            blocks=self.blocks.only(kept),
            loss=tuple(joint.first(stop) for joint, stop in zip(self.loss, seen[1:], strict=True)),
            error=tuple(joint.first(stop) for joint, stop in zip(self.error, seen[1:], strict=True)),
            rounds=tuple((0, stop, number) for number, stop in enumerate(seen, 1)),
        )
