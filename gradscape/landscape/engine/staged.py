"""Rounds of an evaluation whose coarse levels see more images than the fine ones, for the regression estimator."""

import logging
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import final

import numpy as np

from gradscape._profile import spent_on
from gradscape.landscape.engine.blocks import Block, join_blocks
from gradscape.landscape.engine.ledger import Judgment, Ledger
from gradscape.landscape.engine.plan import ExecutionPlan
from gradscape.landscape.engine.remeasurement import Remeasurement
from gradscape.landscape.engine.rounds import ROUND_IMAGES, Clock, Limits, evaluate_level
from gradscape.landscape.engine.schedule import doubling_rounds
from gradscape.landscape.engine.workers import Workers
from gradscape.landscape.estimator import (
    JointMoments,
    Levels,
    Round,
    Sample,
    allocate,
    joint_moments,
    residual_variances,
)
from gradscape.landscape.statistics import BlockStatistics

__all__ = ["StagedLedger", "evaluate_stages"]

_log = logging.getLogger(__name__)

_EASED = tuple(0.8**power for power in range(12))  # what variances promise and what is reached are not quite the same
_LEAST_BLOCKS = 4  # of the finest level
_LEAST_IMAGES = 128  # of the finest level: with fewer nobody knows how well it is predicted


@final
class StagedLedger(Ledger):
    """An account that also tells how points vary together with their parents.

    Args:
        levels: Of the grid, whose first point has the number 1.
        population: As for a ledger.

    Attributes:
        rounds: Which levels saw which blocks.
    """

    def __init__(self, levels: Levels, population: int | None) -> None:
        super().__init__(1 + len(levels.level), population)
        self._grid = levels
        self._points = [levels.points(number) for number in range(levels.depth)]
        self._places = [{int(point) + 1: place for place, point in enumerate(part)} for part in self._points]
        self.rounds: list[Round] = []
        # By level and block: of losses own and among parents, of errors likewise; see `JointMoments`.
        self._joints: list[list[tuple[np.ndarray, ...]]] = [[] for _ in self._points]
        self._seen: dict[tuple[int, int], Judgment] = {}  # of points and blocks in this round, image by image

    @property
    def levels(self) -> list[list[int]]:
        """Numbers of the points of each level, the origin in the first one."""
        return [[0] * (number == 0) + (part + 1).tolist() for number, part in enumerate(self._points)]

    def take_over(self, sample: Sample, digests: Sequence[str]) -> None:
        """Take over what an earlier run had evaluated."""
        self.rounds = list(sample.rounds)
        self._joints = [
            [tuple(block) for block in zip(loss.own, loss.among, error.own, error.among, strict=True)]
            for loss, error in zip(sample.loss, sample.error, strict=True)
        ]
        self.restore(self._without_parents(sample.blocks), digests)

    def open(self, start: int, blocks: Sequence[Block]) -> None:
        """As for a ledger."""
        before = list(self.digests)
        super().open(start, blocks)
        changed = [number for number, digest in enumerate(before) if self.digests[number] != digest]
        for joints in self._joints if changed else ():
            del joints[changed[0] :]

    def begin(self, start: int, blocks: int, depth: int) -> None:
        """A round of blocks for so many levels."""
        self._seen = {}
        if (start, start + blocks, depth) not in self.rounds:
            self.rounds.append((start, start + blocks, depth))
        corners = self._grid.parents.shape[1]
        for joints, part in zip(self._joints[:depth], self._points, strict=False):
            shapes = [(len(part), corners), (len(part), corners, corners)] * 2
            joints += [tuple(map(np.zeros, shapes)) for _ in range(start + blocks - len(joints))]

    def enter(self, point: int, first: int, block_size: int, judged: Judgment) -> None:
        """Enter the losses of consecutive blocks, and how they vary with those of parents."""
        super().enter(point, first, block_size, judged)
        level = int(self._grid.level[point - 1]) if point else 0
        for number, start in enumerate(range(0, len(judged.losses), block_size), first):
            part = judged.part(slice(start, start + block_size))
            if point and level < self._grid.depth - 1:
                self._seen[point, number] = part
            if level > 0:
                self._enter_joints(level, point, number, part)

    def _enter_joints(self, level: int, point: int, block: int, judged: Judgment) -> None:
        others = [self._seen[int(parent) + 1, block] for parent in self._grid.parents[point - 1]]
        place, (own, among, *errors) = self._places[level][point], self._joints[level][block]
        own[place], among[place] = joint_moments(judged.losses, np.stack([one.losses for one in others]))
        if judged.right is not None:
            rights = np.stack([one.right for one in others if one.right is not None])
            errors[0][place], errors[1][place] = joint_moments(judged.right, rights)

    def sample(self) -> Sample:
        """All that was measured; the arrays are copies."""
        loss, error = (
            tuple(
                JointMoments(*(np.stack([block[kind + more] for block in joints]) for more in (0, 1)))
                for joints in self._joints
            )
            for kind in (0, 2)
        )
        return Sample(self.statistics(), loss, error, tuple(self.rounds))

    def extents(self) -> list[dict[str, int]]:
        """How many points each level has, and how many images they have seen."""
        stops = {level: stop for _, stop, levels in self.rounds for level in range(levels)}
        return [
            {"points": len(part), "images": self.images(stops.get(number, 0))}
            for number, part in enumerate(self._points)
        ]

    def estimates(self) -> BlockStatistics:
        """Estimates at the origin and at every point, as sums over the blocks that all of them saw."""
        statistics = self.statistics()
        if not len(statistics.count) or not (statistics.count[0] > 0).all():
            return statistics
        points, origin = self.sample().estimate(self._grid)
        return origin.reshape((1,)).join(points)

    def variances(self) -> np.ndarray:
        """By level, the variance of losses over images that parents leave."""
        sample = self.sample()
        return residual_variances(*sample.of_losses(self._grid), self._grid.with_origin())

    def settled(self, variances: np.ndarray, depth: int, images: int) -> float:
        """The part of the variance of estimates that is due to levels which see no more images, from `depth` on."""
        population, seen = self.population or images, [level["images"] for level in self.extents()]
        pairs = zip(variances[depth:], seen[depth:], strict=True)
        return float(sum(variance * (1 / number - 1 / population) for variance, number in pairs))

    def _without_parents(self, statistics: BlockStatistics) -> BlockStatistics:
        """Without what parents had in a round that was not finished: their losses are needed again, image by image."""
        if not self.rounds:
            return statistics
        start, stop, depth = self.rounds[-1]
        due = [point for level in self.levels[:depth] for point in level]
        if len(statistics.count) >= stop and (statistics.count[start:stop][:, due] > 0).all():
            return statistics
        parents = [point for level in self.levels[: depth - 1] for point in level]
        empty = BlockStatistics.empty(1, (1,), 0)
        arrays = {name: getattr(statistics, name).copy() for name in BlockStatistics.arrays()}
        for name, array in arrays.items():
            array[start:stop, parents] = getattr(empty, name)[0, 0]
        return BlockStatistics(**arrays, population=statistics.population)


def evaluate_stages(
    workers: Workers,
    blocks: Iterable[Block],
    *,
    plan: ExecutionPlan,
    ledger: StagedLedger,
    clock: Clock,
    limits: Limits,
    images: int,
    remeasurement: Remeasurement | None = None,
) -> None:
    """Enter into the ledger what the regression estimator needs: few images everywhere, more of them at coarse levels.

    Args:
        workers: Who evaluates.
        blocks: All images, in their order.
        plan: How many images make a batch, and how many points a job.
        ledger: Takes the results.
        clock: Is told of them.
        limits: When to stop.
        images: How many there are.
        remeasurement: Of a run that goes on.

    Raises:
        ValueError: There are fewer images than the run to be resumed has seen, or it was another one.
    """
    source, start = iter(blocks), 0
    recorded = list(ledger.rounds)
    with clock:
        for wanted in doubling_rounds(plan.block_size, plan.batch_size, ROUND_IMAGES):
            if recorded:
                begin, end, depth = recorded.pop(0)
                size = end - begin
            else:
                depth, size = _next(ledger, start, wanted, plan=plan, clock=clock, limits=limits, images=images)
            with spent_on("data"):
                found = list(islice(source, size)) if depth else []
            if len(found) < size and start + len(found) < len(ledger.digests):
                start += len(found)
                break  # to be told below, before anything is written
            if not found:
                break
            batches = join_blocks(found, start, plan.batch_size // plan.block_size)
            ledger.open(start, found)
            ledger.begin(start, len(found), depth)
            with spent_on("data"):
                workers.load(batches)
            if remeasurement is not None:
                remeasurement.check(workers, batches)
            for level in ledger.levels[:depth]:
                evaluate_level(workers, batches, level, plan=plan, ledger=ledger, clock=clock)
                if start == 0:
                    clock.blocks_done(0)
            start += len(found)
            clock.blocks_done(start)
    ledger.check_seen(start)


def _next(
    ledger: StagedLedger, start: int, wanted: int, *, plan: ExecutionPlan, clock: Clock, limits: Limits, images: int
) -> tuple[int, int]:
    """How many levels see the next round, and how many blocks it has; 0 levels where enough is known."""
    seen, all_levels = ledger.images(start), ledger.levels
    unit = plan.batch_size // plan.block_size
    least = max(_LEAST_IMAGES, _LEAST_BLOCKS * plan.block_size)
    if seen < min(least, images):
        # No limit holds for the first round: a surface with points not evaluated is no answer.
        allowed = limits.images(wanted, clock, plan.batch_size) if start else wanted
        return (len(all_levels), allowed // plan.block_size) if allowed else (0, 0)
    depth, left, goal = ledger.rounds[-1][2], limits.seconds_left(), limits.variance(ledger)
    if limits.reached(ledger) or (left is not None and left <= 0):
        return 0, 0
    if left is None and goal is None:
        return depth, wanted // plan.block_size
    variances, rate = ledger.variances(), clock.images_per_second
    settled = ledger.settled(variances, depth, images)
    if goal is not None and settled >= goal:
        _log.warning(
            "the finest points have seen too few images for this tolerance, and see no more: take a new output"
        )
        return 0, 0
    budget = None if left is None else left * rate if rate else np.inf
    for ease in _EASED if goal is not None else (1.0,):
        numbers = allocate(
            variances[:depth],
            [len(level) for level in all_levels[:depth]],
            seen=seen,
            least=least,
            most=images,
            population=ledger.population or images,
            target=None if goal is None else max(ease * goal - settled, 0.0),
            budget=budget,
        )
        if due := int((numbers > seen).sum()):
            more = min(wanted, int(numbers[due - 1]) - seen)
            if budget is None:
                return due, -(-more // plan.batch_size) * unit
            # Of a run that goes on nobody knows yet how fast it is.
            batches = 1 if budget == np.inf else more // plan.batch_size
            return (due, batches * unit) if batches else (0, 0)
    return 0, 0
