"""Which levels are to see which images next, for the regression estimator."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float

from gradscape.landscape.engine.plan import ExecutionPlan
from gradscape.landscape.engine.rounds import ROUND_IMAGES, Clock, Limits
from gradscape.landscape.estimator import Round, allocate
from gradscape.landscape.statistics import LEAST_BLOCKS, BlockStatistics

__all__ = ["Stage", "Staging"]

_log = logging.getLogger(__name__)

# What variances promise and what is reached are not quite the same; in the end all images are seen.
_EASED = (*(0.8**power for power in range(12)), 0.0)
_LEAST_IMAGES = 128  # of the finest level: with fewer nobody knows how well it is predicted
_WORTH_RETURNING = 1.5  # times as many images as a level has seen that was left behind


@final
@dataclass(frozen=True, eq=False)
class Stage:
    """How far an evaluation by levels is.

    Attributes:
        blocks: How many blocks each level has seen, coarse to fine.
        images: How many images these hold.
        points: How many points each level has.
        estimates: At the origin and at every point.
        variances: What each level has to do with the variance of estimates; NaN before all points were seen.
    """

    blocks: Sequence[int]
    images: Sequence[int]
    points: Sequence[int]
    estimates: BlockStatistics
    variances: Float[np.ndarray, " levels"]


@final
class Staging:
    """Decides on the rounds of a run, from nothing but how far it is, its limits and its rate.

    Args:
        images: How many there are.
        plan: How many make a block, and a batch.
        limits: When to stop.
        can_return: Whether levels may see images that coarser ones have seen in an earlier round.
    """

    def __init__(self, images: int, plan: ExecutionPlan, limits: Limits, *, can_return: bool) -> None:
        self._images, self._plan, self._limits, self._can_return = images, plan, limits, can_return

    def next_round(self, stage: Stage, clock: Clock) -> Round | None:
        """The next round, of the finest level that is to see more images; None where enough is known."""
        in_all, size = -(-self._images // self._plan.block_size), self._plan.block_size
        unit = self._plan.batch_size // size
        seen, depth = stage.blocks[-1], len(stage.blocks)
        least = min(in_all, max(LEAST_BLOCKS, -(-_LEAST_IMAGES // size)))
        if not seen:  # no limit holds for the first round: a surface with points not evaluated is no answer
            return 0, 1, depth
        if seen < least:
            wanted = max(unit, seen // unit * unit)
            allowed = self._limits.images(wanted * size, clock, self._plan.batch_size) // size
            return (seen, seen + allowed, depth) if allowed else None
        left = self._limits.seconds_left()
        if self._limits.reached(stage.estimates) or (left is not None and left <= 0):
            return None
        goal = self._limits.variance(stage.estimates)
        rate = clock.images_per_second
        # Of a run that goes on nobody knows yet how fast it is: then as much as a batch at every point is tried.
        passes = None if left is None else left * rate if rate else sum(stage.points) * self._plan.batch_size
        numbers = self._numbers(stage, goal, passes)
        clock.expect(int(np.array(stage.points) @ (numbers - np.array(stage.images))))
        for level in reversed(range(depth)):
            had = stage.blocks[level]
            more = min(-(-int(numbers[level]) // size), in_all) - had
            if more <= 0:
                continue
            more = min(more, max(unit, min(had, ROUND_IMAGES // size) // unit * unit))
            more = min(-(-more // unit) * unit, in_all - had)
            if passes is not None and (allowed := int(passes / sum(stage.points[: level + 1]) / size)) < more:
                more = allowed // unit * unit
            if more:
                return had, had + more, level + 1
        return None

    def _numbers(self, stage: Stage, goal: float | None, passes: float | None) -> np.ndarray:
        """How many images each level is to see in all."""
        seen = np.array(stage.images)
        if goal is None and passes is None:
            return np.full(len(seen), self._images)
        behind = seen < seen[0]
        for ease in _EASED if goal is not None else (1.0,):
            target = None if goal is None else ease * goal
            numbers = self._allocated(stage, np.ones(len(seen), bool), target, passes)
            stay = behind & ((numbers < _WORTH_RETURNING * seen) | (not self._can_return))
            if stay.any():
                settled = self._variance(stage, seen)[stay].sum()
                if target is None or settled < target:
                    rest = None if target is None else target - settled
                    numbers = self._allocated(stage, ~stay, rest, passes)
                elif not self._can_return:
                    numbers = np.where(stay, seen, self._images)
            if (numbers > seen).any():
                return numbers
        if not self._can_return:
            _log.warning(
                "fine points have seen too few images for this tolerance, and `batches` can be gone through only once: "
                "go on with a list or a data set"
            )
        return seen

    def _allocated(self, stage: Stage, free: np.ndarray, target: float | None, passes: float | None) -> np.ndarray:
        """Numbers of images, where only some of the levels are free to see more."""
        numbers = np.array(stage.images)
        numbers[free] = allocate(
            stage.variances[free],
            np.array(stage.points)[free].tolist(),
            seen=numbers[free],
            least=0,
            most=self._images,
            population=self._population(stage),
            target=target,
            budget=passes,
        )
        return numbers

    def _population(self, stage: Stage) -> int:
        return max(stage.estimates.population, self._images)

    def _variance(self, stage: Stage, images: np.ndarray) -> np.ndarray:
        """By level, its part of the variance of estimates."""
        return stage.variances * (1 / images - 1 / self._population(stage))
