"""The engine: every block of images at every point. The one place to make fast."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import nn

from gradscape._model_state import model_device
from gradscape.landscape.directions import Direction
from gradscape.landscape.images import Block, cut_chunks
from gradscape.landscape.ledger import Ledger
from gradscape.landscape.moving import moving
from gradscape.landscape.plan import ExecutionPlan
from gradscape.landscape.task import Task, check_model, measure_block
from gradscape.landscape.unchanged import evaluating

_CHUNK_IMAGES = 4096  # all points are evaluated on so many images before the next so many are loaded
_REPORT_SECONDS = 0.5
_SAVE_SECONDS = 1.0
_SAVE_SHARE = 20  # writing may take one part in so many of the time


@dataclass(frozen=True)
class Progress:
    """How far an evaluation is.

    Attributes:
        done: Points evaluated; one evaluated on half of the images counts half.
        total: Points in all.
        points_per_second: Rate since the start.
        seconds_left: Estimate from that rate.
        median_stderr: Median standard error of the loss over the points; NaN while unknown.
    """

    done: float
    total: int
    points_per_second: float
    seconds_left: float
    median_stderr: float


Report = Callable[[Progress], None]


def evaluate_points(
    model: nn.Module,
    batches: Iterable[Any],
    directions: Sequence[Direction],
    coordinates: Float[np.ndarray, "points axes"],
    *,
    task: Task,
    plan: ExecutionPlan,
    ledger: Ledger,
    images: int | None = None,
    save: Callable[[], None] | None = None,
    report: Report | None = None,
) -> None:
    """Enter into the ledger what it misses. The model is the same to the bit afterwards.

    Args:
        model: The network, moved in place and put back.
        batches: Pairs (inputs, labels) in a fixed order.
        directions: One for each axis.
        coordinates: Position of each point along the directions; the first point is the origin.
        task: What is measured.
        plan: How.
        ledger: Takes the results, point by point.
        images: How many images `batches` holds, if known: makes the estimate of the time left right.
        save: Called now and then, and in any case at the end, also after an exception or Ctrl-C.
        report: Called twice a second and at the end.
    """
    clock = _Clock(len(coordinates), images, ledger, save=save, report=report)
    start = 0
    with evaluating(model), moving(model, directions) as move_to, clock:
        for chunk in cut_chunks(batches, plan.batch_size, _CHUNK_IMAGES):
            blocks = [block.to(model_device(model)) for block in chunk]
            if start == 0:
                check_model(model, blocks[0], task, plan)
            ledger.open(start, blocks)
            for point, position in enumerate(coordinates.tolist()):
                missing = ledger.missing(start, start + len(blocks), point)
                if missing:
                    move_to(position)
                    _evaluate(model, {number: blocks[number - start] for number in missing}, point, task, plan, ledger)
                clock.tick(sum(block.count for block in blocks), sum(blocks[n - start].count for n in missing))
            start += len(blocks)
        if start < len(ledger.digests):
            raise ValueError(
                f"`batches` give {start} blocks of images, but the run to be resumed has {len(ledger.digests)}: "
                "use at least its limit, or another output"
            )


def _evaluate(
    model: nn.Module, blocks: dict[int, Block], point: int, task: Task, plan: ExecutionPlan, ledger: Ledger
) -> None:
    measured = {number: measure_block(model, block, task, plan) for number, block in blocks.items()}
    for number, block in blocks.items():
        ledger.enter(number, point, block.count, measured[number])


class _Clock:
    """Says when to save and to report, and keeps the rate."""

    def __init__(
        self,
        points: int,
        images: int | None,
        ledger: Ledger,
        *,
        save: Callable[[], None] | None,
        report: Report | None,
    ) -> None:
        self._points, self._images, self._ledger = points, images, ledger
        self._save, self._report = save, report
        self._passed = self._evaluated = 0  # images times points
        self._pause, self._silence = _SAVE_SECONDS, _REPORT_SECONDS

    def __enter__(self) -> None:
        self._began = self._saved = self._reported = time.monotonic()

    def tick(self, passed: int, evaluated: int) -> None:
        self._passed += passed
        self._evaluated += evaluated
        now = time.monotonic()
        if self._save and self._ledger.changed and now - self._saved > self._pause:
            self._save()
            self._saved = time.monotonic()
            self._pause = max(_SAVE_SECONDS, _SAVE_SHARE * (self._saved - now))
        if self._report and now - self._reported > self._silence:
            self._report(self._progress())
            self._reported = time.monotonic()
            self._silence = max(_REPORT_SECONDS, _SAVE_SHARE * (self._reported - now))

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._save and self._ledger.changed:
            self._save()
        if self._report and kind is None:
            self._report(self._progress())

    def _progress(self) -> Progress:
        statistics = self._ledger.statistics()
        images = self._images or int(statistics.images.max(initial=1))
        rate = self._evaluated / max(time.monotonic() - self._began, 1e-9)
        left = self._points * images - self._passed
        errors = statistics.stderr[statistics.images > 1]
        return Progress(
            done=self._passed / images,
            total=self._points,
            points_per_second=rate / images,
            seconds_left=left / rate if rate else float("nan"),
            median_stderr=float(np.median(errors)) if len(errors) else float("nan"),
        )
