"""Rounds of an evaluation whose coarse levels see more images than the fine ones, for the regression estimator."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import final

import numpy as np

from gradscape._profile import spent_on
from gradscape.landscape.engine.blocks import Batch, Block, join_blocks
from gradscape.landscape.engine.ledger import Judgment, Ledger
from gradscape.landscape.engine.plan import ExecutionPlan
from gradscape.landscape.engine.remeasurement import Remeasurement
from gradscape.landscape.engine.rounds import Clock, Limits, evaluate_level
from gradscape.landscape.engine.staging import Stage, Staging
from gradscape.landscape.engine.workers import Workers
from gradscape.landscape.estimator import JointMoments, Levels, Round, Sample, blocks_seen, joint_moments, seen_by_level
from gradscape.landscape.statistics import BlockStatistics

__all__ = ["StagedLedger", "evaluate_stages"]


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
        # By level but the coarsest, and block: of losses own and among parents, of errors likewise; see `JointMoments`.
        self._joints: list[list[tuple[np.ndarray, ...]]] = [[] for _ in self._points[1:]]
        self._parents: dict[tuple[int, int], Judgment] = {}  # by point and block in this round, image by image
        self._depth = 0  # of this round

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
        self.restore(sample.blocks, digests)

    def open(self, start: int, blocks: Sequence[Block]) -> None:
        """As for a ledger."""
        before = list(self.digests)
        super().open(start, blocks)
        changed = [number for number, digest in enumerate(before) if self.digests[number] != digest]
        if changed:
            extents = blocks_seen(self.rounds, len(self._points))[1:]
            for level, (joints, extent) in enumerate(zip(self._joints, extents, strict=True), 1):
                del joints[changed[0] :]
                self._make_room(level, extent)

    def begin(self, found: Round) -> None:
        """A round, for which parents are evaluated again where their losses are needed image by image."""
        _, stop, self._depth = found
        self._parents = {}
        if found not in self.rounds:
            self.rounds.append(found)
        for level in range(1, self._depth):
            self._make_room(level, stop)

    def _make_room(self, level: int, blocks: int) -> None:
        corners, points, joints = self._grid.parents.shape[1], len(self._points[level]), self._joints[level - 1]
        shapes = [(points, corners), (points, corners, corners)] * 2
        joints += [tuple(map(np.zeros, shapes)) for _ in range(blocks - len(joints))]

    def needs(self, batch: Batch, points: Sequence[int], block_size: int) -> bool:
        """Also what is known as sums alone, of points that others of this round are regressed on."""
        if self.misses(batch, points, block_size):
            return True
        parents = [point for point in points if self._is_parent(point)]
        blocks = range(batch.first, batch.first - (-batch.count // block_size))
        return any((point, block) not in self._parents for point in parents for block in blocks)

    def enter(self, point: int, first: int, block_size: int, judged: Judgment) -> None:
        """Enter the losses of consecutive blocks, and how they vary with those of parents."""
        super().enter(point, first, block_size, judged)
        level = int(self._grid.level[point - 1]) if point else 0
        for number, start in enumerate(range(0, len(judged.losses), block_size), first):
            part = judged.part(slice(start, start + block_size))
            if self._is_parent(point):
                self._parents[point, number] = part
            if level > 0:
                self._enter_joints(level, point, number, part)

    def _is_parent(self, point: int) -> bool:
        return point > 0 and int(self._grid.level[point - 1]) < self._depth - 1

    def _enter_joints(self, level: int, point: int, block: int, judged: Judgment) -> None:
        others = [self._parents[int(parent) + 1, block] for parent in self._grid.parents[point - 1]]
        place, (own, among, *errors) = self._places[level][point], self._joints[level - 1][block]
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

    @property
    def opened(self) -> int:
        """How many blocks some level has seen or begun to."""
        return max((stop for _, stop, _ in self.rounds), default=0)

    def seen(self) -> list[int]:
        """How many blocks all points of each level have seen."""
        return seen_by_level(self._arrays["count"], self._grid.with_origin())

    def extents(self) -> list[dict[str, int]]:
        """How many points each level has, and how many images they have seen."""
        return [
            {"points": len(part), "images": self.images(blocks)}
            for part, blocks in zip(self._points, self.seen(), strict=True)
        ]

    def estimates(self) -> BlockStatistics:
        """Estimates at the origin and at every point, as sums over the blocks that all of them saw."""
        return self._estimates(self.sample()) if min(self.seen()) else self.statistics()

    def _estimates(self, sample: Sample) -> BlockStatistics:
        points, origin = sample.estimate(self._grid)
        return origin.reshape((1,)).join(points)

    def stage(self) -> Stage:
        """How far it is: what was seen, what follows from it, and what more images would bring."""
        extents, seen = self.extents(), self.seen()
        images, points = ([level[name] for level in extents] for name in ("images", "points"))
        if not min(seen):
            return Stage(seen, images, points, self.statistics(), np.full(len(seen), np.nan))
        sample = self.sample()
        return Stage(seen, images, points, self._estimates(sample), sample.variances(self._grid))

    def is_whole(self, found: Round) -> bool:
        """Whether all points of a round have seen its blocks."""
        _, stop, depth = found
        return min(self.seen()[:depth]) >= stop


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
        blocks: All images, in their order; an iterator can be gone through but once, so that levels which see no more
            images stay as they are.
        plan: How many images make a batch, and how many points a job.
        ledger: Takes the results.
        clock: Is told of them.
        limits: When to stop.
        images: How many there are.
        remeasurement: Of a run that goes on.

    Raises:
        ValueError: There are fewer images than the run to be resumed has seen, or it was another one.
    """
    loader = _Loader(blocks, workers, ledger, plan)
    staging = Staging(images, plan, limits, can_return=loader.can_return)

    def evaluate(start: int, stop: int, depth: int) -> bool:
        batches = loader.load(start, stop)
        if not batches:
            return False
        ledger.begin((start, loader.stop, depth))
        for level in ledger.levels[:depth]:
            evaluate_level(workers, batches, level, plan=plan, ledger=ledger, clock=clock)
            if start == 0:
                clock.blocks_done(0)
        clock.blocks_done(min(ledger.seen()))
        return True

    with clock:
        clock.tick(int(ledger.statistics().count.sum()), 0)
        checked = 0
        for number, (start, stop, depth) in enumerate(ledger.rounds):
            if stop > checked:
                batches = loader.load(checked, stop)
                if loader.stop < stop:  # nothing beyond was evaluated, or this refuses
                    ledger.check_seen(loader.stop)
                    ledger.rounds[number] = (start, loader.stop, depth)
                if remeasurement is not None and batches:
                    remeasurement.check(workers, batches)
                checked = stop
            left = limits.seconds_left()
            late = left is not None and left <= 0 and min(ledger.seen()) > 0
            if not late and not ledger.is_whole(ledger.rounds[number]):
                evaluate(*ledger.rounds[number])
        while (following := staging.next_round(ledger.stage(), clock)) and evaluate(*following):
            pass


@final
class _Loader:
    """Hands blocks to the workers, and goes through all of them once more where earlier ones are asked for.

    Attributes:
        stop: The block after the last one that the workers have.
    """

    def __init__(self, blocks: Iterable[Block], workers: Workers, ledger: StagedLedger, plan: ExecutionPlan) -> None:
        self._blocks, self._workers, self._ledger, self._plan = blocks, workers, ledger, plan
        self._source, self._position = iter(blocks), 0
        self._asked, self._batches = (0, 0), list[Batch]()
        self.stop = 0

    @property
    def can_return(self) -> bool:
        """Whether blocks can be gone through more than once."""
        return not isinstance(self._blocks, Iterator)

    @spent_on("data")
    def load(self, start: int, stop: int) -> list[Batch]:
        """Blocks from one to before another, as far as there are any; they have to be those seen before."""
        if (start, stop) == self._asked:
            return self._batches
        if start < self._position:
            self._source, self._position = iter(self._blocks), 0
        taken = list(islice(self._source, start - self._position, stop - self._position))
        self._position, self.stop, self._asked = stop, start + len(taken), (start, stop)
        self._batches = join_blocks(taken, start, self._plan.batch_size // self._plan.block_size)
        if taken:
            # Before any work: images of another run are refused here, not when their results meet the old ones.
            self._ledger.open(start, taken)
            self._workers.load(self._batches)
        return self._batches
