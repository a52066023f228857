"""What was measured where levels saw different numbers of images, and the estimates that follow."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from gradscape.landscape.estimator.levels import Levels
from gradscape.landscape.estimator.moments import JointMoments
from gradscape.landscape.estimator.regression import regress
from gradscape.landscape.statistics import BlockStatistics

__all__ = ["Round", "Sample"]

Round = tuple[int, int, int]
"""First block, the block after the last, and how many of the levels saw them, coarse to fine."""


@final
@dataclass(frozen=True, eq=False)
class Sample:
    """Sums over blocks, as far as each level saw them.

    Attributes:
        blocks: Of the origin and then every point of the grid in C order, (blocks, 1 + points).
        loss: By level, how losses vary together with those of parents.
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
        loss = regress(*self.of_losses(levels), all_levels, raw.population)
        count = self._complete(all_levels)
        with np.errstate(invalid="ignore", divide="ignore"):
            wrong = 1 - raw.right / raw.count
        spread = raw.count * wrong * (1 - wrong)
        error = regress(wrong, spread, _with_origin(self.error), count, all_levels, raw.population)
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

    def of_losses(self, levels: Levels) -> tuple[np.ndarray, np.ndarray, tuple[JointMoments, ...], np.ndarray]:
        """What `regress` takes of the losses: means, sums of squares, joint moments and counts, the origin first."""
        return self.blocks.mean, self.blocks.m2, _with_origin(self.loss), self._complete(levels.with_origin())

    def _complete(self, all_levels: Levels) -> np.ndarray:
        """Counts of images, without those of blocks that some point of a level has not seen yet."""
        count = self.blocks.count.copy()
        for number in range(all_levels.depth):
            points = all_levels.points(number)
            whole = int((count[:, points] > 0).all(axis=1).cumprod().sum())
            count[whole:, points] = 0
        return count

    def seen(self, levels: Levels) -> tuple[int, ...]:
        """How many blocks each level has seen, coarse to fine.

        Args:
            levels: Of the grid.
        """
        all_levels = levels.with_origin()
        reached = (self._complete(all_levels) > 0).sum(axis=0)
        return tuple(int(reached[all_levels.points(number)[0]]) for number in range(all_levels.depth))

    def cut(self, seen: Sequence[int], levels: Levels) -> "Sample":
        """What it would be if each level had seen no more than so many of the first blocks.

        Args:
            seen: Of each level, coarse to fine; no more than the level before.
            levels: Of the grid.
        """
        kept = np.arange(max(seen))[:, None] < np.asarray(seen)[levels.with_origin().level]
        stops = sorted(set(seen))
        return Sample(
            blocks=self.blocks.only(kept),
            loss=tuple(joint.first(stop) for joint, stop in zip(self.loss, seen, strict=True)),
            error=tuple(joint.first(stop) for joint, stop in zip(self.error, seen, strict=True)),
            rounds=tuple(
                (start, stop, sum(blocks >= stop for blocks in seen))
                for start, stop in zip([0, *stops], stops, strict=False)
            ),
        )


def _with_origin(joints: tuple[JointMoments, ...]) -> tuple[JointMoments, ...]:
    """The same with the origin first in the coarsest level."""
    first, *others = joints
    return (
        JointMoments(*(np.insert(array, 0, 0.0, axis=1) for array in (first.own, first.among))),
        *others,
    )
