"""A network in the form of a plan, tried on the first images: how fast is it, and what are its losses?"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, final

import numpy as np
import torch

from gradscape._model_state import model_device
from gradscape.landscape.engine.blocks import Batch, map_tensors
from gradscape.landscape.engine.graph import FoldedGraph
from gradscape.landscape.engine.network import AccompaniedNetwork, Network, TracedNetwork, ready_network
from gradscape.landscape.engine.plan import ExecutionPlan
from gradscape.landscape.engine.recalibration import moving_recalibrated
from gradscape.landscape.engine.trust import explained
from gradscape.landscape.engine.work import Work
from gradscape.landscape.engine.workers import Evaluator, Job

__all__ = ["CALLS", "PlanTrial", "module_losses", "module_seconds", "seconds_an_image", "timed"]

CALLS = 6  # forward passes that `PlanTrial.seconds` takes, with what is copied and moved for them

_FEW = 4  # images
_LONG = 0.05  # s, beside which calling operators takes no time
_MEASURED = 1.0  # s
_LEAST_JOBS = 3


def module_losses(work: Work, plan: ExecutionPlan, points: Sequence[int]) -> np.ndarray:
    """Losses of the first images by the module itself, (points, images)."""
    with _module(work, plan) as evaluator:
        return np.stack([evaluator.measure_one(Job((point,), (0,)))[0].losses for point in points])


def module_seconds(work: Work, plan: ExecutionPlan) -> float:
    """Time for a pass of the first images by the module itself, which checks have warmed up.

    Where even a few images take long, the others will take as long each: then they are not waited for.
    """
    whole, few = work.first.count, min(_FEW, work.first.count)
    seconds = _module_seconds(work, plan, few)
    return seconds * whole / few if seconds > _LONG else _module_seconds(work, plan, whole)


def _module_seconds(work: Work, plan: ExecutionPlan, images: int) -> float:
    stored = replace(work, first=work.first.part(0, images), recalibration=None)
    with _module(stored, plan) as evaluator:
        clock = undisturbed if plan.device == "cpu" else timed
        return min(clock(lambda: evaluator.measure_one(Job((0,), (0,)))) for _ in range(2))


def undisturbed(function: Callable[[], object]) -> float:
    """Seconds that a call on the CPU would take with nothing else on the machine, as nearly as can be told.

    What tracing takes is estimated for a quiet machine, and has to be compared with a pass on one.
    """
    began = time.process_time()
    seconds = timed(function)
    return min(seconds, time.process_time() - began)


@contextmanager
def _module(work: Work, plan: ExecutionPlan) -> Iterator[Evaluator]:
    """The module itself, with the first images."""
    ready = ready_network(work.model, work.directions, work.task.forward, plan, None, recalibration=work.recalibration)
    with ready as network, plan.own_threads():
        evaluator = _evaluator_of(work, network, plan)
        evaluator.load([Batch(work.first.inputs, work.first.labels, 0, work.first.count)])
        yield evaluator


@final
class PlanTrial:
    """A network in the form of a plan, with the first images, to be timed and asked.

    Raises:
        TracingError: The graph does not run in this form; also when it is timed or asked.
    """

    def __init__(self, work: Work, graph: FoldedGraph, plan: ExecutionPlan) -> None:
        self.work, self.graph, self.plan = work, graph, plan
        with explained(), plan.own_threads():
            recalibrated = work.recalibration is not None
            self._network = TracedNetwork(graph, work.model, work.directions, plan, recalibrated=recalibrated)
            self._evaluator = _evaluator_of(work, self._network, plan)
            # An operator that does not exist for these types and shapes fails at its first call: here, where another
            # form can still be taken.
            self._load(work.first.count)
            self._evaluator.measure_one(Job((0,), (0,)))

    def otherwise(self, **changes: Any) -> "PlanTrial":
        """The same under another plan."""
        plan = replace(self.plan, **changes)
        return self if plan == self.plan else PlanTrial(self.work, self.graph, plan)

    def losses(self, points: Sequence[int], *, images: int | None = None) -> np.ndarray:
        """Losses of the first images at each point, in a batch of so many; the module is there too, if it can be."""
        jobs = [Job((point,), (0,)) for point in points]
        moving = moving_recalibrated(self.work.model, self.work.directions, self.work.recalibration)
        with moving as move_to, explained(), self.plan.own_threads():
            evaluator = self._evaluator
            if self.plan.points_per_forward == 1:
                evaluator = _evaluator_of(self.work, AccompaniedNetwork(self._network, move_to), self.plan)
            self._load(images or self.work.first.count, evaluator)
            return np.stack([evaluator.measure_one(job)[0].losses[: self.work.first.count] for job in jobs])

    def seconds(self, images: int) -> float:
        """Time for an image at a point with so many images in a batch, the best of five."""
        self._load(images)
        job = Job((0,) * self.plan.points_per_forward, (0,))
        with explained(), self.plan.own_threads():
            # The best and not the mean: whatever else the machine does can only add time.
            best = min(timed(lambda: self._evaluator.measure_one(job)) for _ in range(5))
        return best / images / len(job.points)  # so that forms with different numbers of points can be compared

    def _load(self, images: int, evaluator: Evaluator | None = None) -> None:
        (evaluator or self._evaluator).load([_repeated(self.work, images)])


def _repeated(work: Work, images: int) -> Batch:
    """The first images over and over: more have not been loaded yet, and what they show does not change the time."""
    block = work.first
    repeats = -(-images // block.count)
    inputs, labels = map_tensors(lambda tensor: torch.cat([tensor] * repeats)[:images], (block.inputs, block.labels))
    return Batch(inputs, labels, 0, images)


def seconds_an_image(workers: Evaluator, work: Work, plan: ExecutionPlan) -> float:
    """Time for an image at a point as a run will have it: the mean over a second of whole batches.

    It is not the best of several times, by which forms are compared: what else the machine does takes its share of the
    run as well.
    """
    images = min(plan.batch_size, work.images or plan.batch_size)
    workers.load([_repeated(work, images)])
    job = Job((0,) * (plan.points_per_forward - 1) + (1,), (0,))
    workers.measure_one(job)  # the first one finds its kernels
    seconds, jobs = 0.0, 0
    while seconds < _MEASURED or jobs < _LEAST_JOBS:
        seconds += timed(lambda: workers.measure_one(job))
        jobs += 1
    return seconds / jobs / images / len(job.points)


def _evaluator_of(work: Work, network: Network, plan: ExecutionPlan) -> Evaluator:
    return Evaluator(network, work.coordinates, work.task, plan, device=model_device(work.model))


def timed(function: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began
