"""The rounds of an evaluation: each takes more images to every point, the points from coarse to fine."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from gradscape._profile import spent_on, spent_on_each
from gradscape.landscape.engine.blocks import Batch, Block, join_blocks
from gradscape.landscape.engine.ledger import Ledger
from gradscape.landscape.engine.pace import Pace
from gradscape.landscape.engine.plan import ExecutionPlan
from gradscape.landscape.engine.remeasurement import Remeasurement
from gradscape.landscape.engine.schedule import doubling_rounds
from gradscape.landscape.engine.workers import Job, Workers
from gradscape.landscape.statistics import BlockStatistics

__all__ = ["ROUND_IMAGES", "Clock", "Limits", "Progress", "Report", "evaluate_level", "evaluate_points"]

ROUND_IMAGES = 4096
"""So many images at most are held at a time, and seen by all points before the next are loaded."""

_REPORT_SECONDS = 0.5
_SAVE_SECONDS = 1.0
_PREVIEW_SECONDS = 2.0
_SHARE = 20  # writing and reporting may take one part in so many of the time, each


@dataclass(frozen=True)
class Progress:
    """How far an evaluation is.

    Attributes:
        done: Points evaluated; one evaluated on half of the images counts half.
        total: Points in all.
        images: Images that every point has been evaluated on.
        points_per_second: Rate since the start.
        seconds_left: Estimate from that rate, or until the time given is up.
        median_stderr: Median standard error of the loss over the points where it is finite; NaN while unknown.
    """

    done: float
    total: int
    images: int
    points_per_second: float
    seconds_left: float
    median_stderr: float


Report = Callable[[Progress], None]


@dataclass(frozen=True)
class Limits:
    """When to stop before all images are seen; a round that was begun is finished.

    Attributes:
        tolerance: Median standard error, as a share of the range of the loss.
        deadline: Moment on the monotonic clock, s.
    """

    tolerance: float | None = None
    deadline: float | None = None

    def reached(self, estimates: BlockStatistics) -> bool:
        """Whether the standard errors are small enough."""
        if self.tolerance is None:
            return False
        errors = estimates.stderr[np.isfinite(estimates.stderr)]
        return len(errors) > 0 and bool(np.median(errors) <= self.tolerance * _finite_range(estimates))

    def variance(self, estimates: BlockStatistics) -> float | None:
        """Square of the standard error that is small enough; None where none was asked for."""
        return None if self.tolerance is None else float((self.tolerance * _finite_range(estimates)) ** 2)

    def seconds_left(self) -> float | None:
        """Until the deadline; None where there is none."""
        return None if self.deadline is None else self.deadline - time.monotonic()

    def images(self, wanted: int, clock: "Clock", unit: int) -> int:
        """How many of the wanted images the next round can have in the time left, in whole batches."""
        if self.deadline is None:
            return wanted
        left = self.deadline - time.monotonic()
        if clock.images_per_second == 0:  # so far all was taken over from an earlier run
            return min(wanted, unit) if left > 0 else 0
        passes = left * clock.images_per_second - clock.calibrating_left
        return min(wanted, max(0, int(passes / clock.points) // unit * unit))


def _finite_range(estimates: BlockStatistics) -> float:
    """Of finite losses: one infinite point would make the range infinite, and any error small enough."""
    known = estimates.loss[np.isfinite(estimates.loss)]
    return float(np.ptp(known)) if len(known) else 0.0


def evaluate_points(
    workers: Workers,
    blocks: Iterable[Block],
    levels: Sequence[Sequence[int]],
    *,
    plan: ExecutionPlan,
    ledger: Ledger,
    clock: "Clock",
    limits: Limits,
    remeasurement: Remeasurement | None = None,
) -> None:
    """Enter into the ledger what it misses: round by round more images, in each round level by level more points.

    Args:
        workers: Who evaluates.
        blocks: All images, in their order.
        levels: Numbers of the points, those of a level after those of the levels before.
        plan: How many images make a batch, and how many points a job.
        ledger: Takes the results.
        clock: Is told of them.
        limits: When to stop.
        remeasurement: Of a run that goes on: checks what the ledger holds.

    Raises:
        ValueError: There are fewer images than the run to be resumed has seen, or it was another one.
    """
    source, start = iter(blocks), 0
    with clock:
        # The first round is a single block, so that a complete picture comes early. As the rounds double, what each of
        # them costs beside the forward passes (loading images, moving to every point) becomes a small share.
        for wanted in doubling_rounds(plan.block_size, plan.batch_size, ROUND_IMAGES):
            # No limit holds for the first round: a surface with unevaluated points is no answer.
            size = limits.images(wanted, clock, plan.batch_size) if start else wanted
            if start and (size == 0 or limits.reached(ledger.estimates())):
                return
            with spent_on("data"):
                found = list(islice(source, size // plan.block_size))
            if not found:
                # Only a source that has run dry tells how many images there are. A run that a limit ended does not
                # know, and must not correct its standard errors for a population that it has all seen.
                ledger.complete = True
                break
            batches = join_blocks(found, start, plan.batch_size // plan.block_size)
            # Before any work: images of another run are refused here, not when their results meet the old ones.
            ledger.open(start, found)
            with spent_on("data"):
                workers.load(batches)
            if remeasurement is not None:
                remeasurement.check(workers, batches)
            for level in levels:
                evaluate_level(workers, batches, level, plan=plan, ledger=ledger, clock=clock)
                if level is levels[-1]:
                    clock.blocks_done(start + len(found))
                # Within the first round no block is complete at all points, but every level that is done makes an even
                # grid of its own that can be shown. In later rounds there is a complete surface to be shown instead.
                elif start == 0:
                    clock.blocks_done(0)
            start += len(found)
    ledger.check_seen(start)


def evaluate_level(
    workers: Workers,
    batches: Sequence[Batch],
    level: Sequence[int],
    *,
    plan: ExecutionPlan,
    ledger: Ledger,
    clock: "Clock",
) -> None:
    """Enter what some points miss of some batches; arguments as for `evaluate_points`."""
    # A job is a point with all its batches, not a batch with all points: moving the weights costs a pass over every
    # parameter, and is paid once a round this way.
    images = sum(batch.count for batch in batches)
    jobs = []
    for begin in range(0, len(level), plan.points_per_forward):
        points = tuple(level[begin : begin + plan.points_per_forward])
        # Of points that go side by side, one may have results that the others lack, where a run was stopped between
        # them. It is evaluated with them once more, to the same bits: the form of the network must not change.
        missing = [number for number, batch in enumerate(batches) if ledger.needs(batch, points, plan.block_size)]
        if missing:
            jobs.append(Job(points, tuple(missing)))
        # What an earlier run has done is progress, but says nothing about how fast this one is.
        clock.tick(len(points) * (images - sum(batches[number].count for number in missing)), 0)
    clock.pace.rest()
    for job, measured in spent_on_each("points", workers.measure(jobs)):
        if not clock.calibrated(job.points):
            clock.pace.passed(sum(batches[number].count for number in job.batches), points=len(job.points))
        for point, one in zip(job.points, measured, strict=True):
            begin = 0
            for batch in (batches[number] for number in job.batches):
                ledger.enter(point, batch.first, plan.block_size, one.part(slice(begin, begin + batch.count)))
                begin += batch.count
            clock.tick(begin, begin)
        clock.pace.rest()  # of small networks, entering and saving takes as long as the forward passes


class Clock:
    """Says when to save, to report and to show, and keeps the rate.

    Args:
        points: How many there are, the origin included.
        images: How many images there are, if known: makes the estimate of the time left right.
        ledger: What is reported on.
        limits: Gives the time left where it is limited.
        pace: Is told of what was evaluated.
        save: Called now and then, and in any case at the end, also after an exception or Ctrl-C.
        report: Called twice a second and at the end.
        preview: Called with the number of complete blocks when a level of the first round is done, or a round.
        calibration: Images that go through the network at every point before the first evaluated one.
    """

    def __init__(
        self,
        points: int,
        images: int | None,
        ledger: Ledger,
        limits: Limits,
        *,
        pace: Pace,
        save: Callable[[], None] | None,
        report: Report | None,
        preview: Callable[[int], None] | None,
        calibration: int = 0,
    ) -> None:
        self.points, self.pace = points, pace
        self._calibration = calibration
        self._calibrated: set[int] = set()
        self.images_per_second = 0.0
        self._images, self._ledger, self._limits = images, ledger, limits
        self._passed = self._evaluated = self._complete = 0  # images times points; images
        self._passes: int | None = None  # in all
        # A preview is worth most at the beginning, where nothing has been seen yet: the first one does not wait.
        self._save = _Paced(save, _SAVE_SECONDS)
        self._report = _Paced(report, _REPORT_SECONDS)
        self._preview = _Paced(preview, _PREVIEW_SECONDS, at_once=True)

    def __enter__(self) -> None:
        self._began = time.monotonic()

    def tick(self, passed: int, evaluated: int) -> None:
        """So many images times points are behind us, of which so many were evaluated now."""
        self._passed += passed
        self._evaluated += evaluated
        spent = self._evaluated + self._calibration * len(self._calibrated)
        self.images_per_second = spent / max(time.monotonic() - self._began, 1e-9)
        if self._ledger.changed:
            self._save.if_due()
        self._report.if_due(self._progress)

    def expect(self, passes: int) -> None:
        """So many images times points are to come, and not all images at every point."""
        self._passes = self._passed + passes

    def calibrated(self, points: Sequence[int]) -> bool:
        """Note that points were evaluated; whether they were calibrated for that, and not before."""
        new = set(points) - self._calibrated if self._calibration else set()
        self._calibrated |= new
        return bool(new)

    @property
    def calibrating_left(self) -> int:
        """Images times points that are still to be gone through for calibration."""
        return self._calibration * (self.points - len(self._calibrated))

    def blocks_done(self, blocks: int) -> None:
        """So many blocks are complete at every point; at first none, but one at every point of a level."""
        self._complete = self._ledger.images(blocks)
        self._preview.if_due(lambda: max(blocks, 1))

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # Also after Ctrl-C, which comes as an exception: what has been computed is on disk before it goes on.
        if self._ledger.changed:
            self._save.call()
        if kind is None:
            self._report.call(self._progress)

    def _progress(self) -> Progress:
        statistics = self._ledger.estimates()
        images = self._images or int(statistics.images.max(initial=1))
        rate = self.images_per_second
        evaluated = self._evaluated / max(1, self._evaluated + self._calibration * len(self._calibrated))
        whole = self._passes or self.points * images
        todo = max(whole - self._passed, 0)
        left = (todo + (self.calibrating_left if todo else 0)) / rate if rate else float("nan")
        if self._limits.deadline is not None:
            left = min(left, max(0.0, self._limits.deadline - time.monotonic()))
        errors = statistics.stderr[(statistics.images > 1) & np.isfinite(statistics.stderr)]
        return Progress(
            done=self.points * min(self._passed / whole, 1.0),
            total=self.points,
            images=self._complete,
            points_per_second=evaluated * rate / images,
            seconds_left=left,
            median_stderr=float(np.median(errors)) if len(errors) else float("nan"),
        )


class _Paced:
    """Calls a function now and then: not sooner than after a pause, nor for more than its share of the time."""

    def __init__(self, function: Callable[..., None] | None, pause: float, *, at_once: bool = False) -> None:
        self._function, self._least = function, pause
        self._pause, self._called = pause, -math.inf if at_once else time.monotonic()

    def if_due(self, argument: Callable[[], Any] | None = None) -> None:
        if self._function is not None and time.monotonic() - self._called > self._pause:
            self.call(argument)

    def call(self, argument: Callable[[], Any] | None = None) -> None:
        if self._function is None:
            return
        began = time.monotonic()
        self._function(*([argument()] if argument else []))
        self._called = time.monotonic()
        self._pause = max(self._least, _SHARE * (self._called - began))
