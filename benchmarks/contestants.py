"""The programs that take turns on a subject."""

import copy
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from bare_forward import bare_forward
from plain_loop import BATCH_SIZE, WORKERS, plain_loop
from positions import Position
from subject import Subject

from gradscape._model_state import model_device
from gradscape.landscape.engine.blocks import Batch, cut_blocks, join_blocks
from gradscape.landscape.engine.network import Network, evaluable, ready_network
from gradscape.landscape.engine.plan import BLOCK_IMAGES, ExecutionPlan
from gradscape.landscape.engine.task import Task
from gradscape.landscape.engine.trials import choose_plan
from gradscape.landscape.engine.work import Work
from gradscape.landscape.engine.workers import Evaluator, Job

PLAIN = "plain loop"
POINTS = 51 * 51  # of the surface that the plan is made for

Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True, eq=False)
class Contestant:
    """One program.

    Attributes:
        prepare: Position -> the function that is timed and gives the mean loss there (NaN where it cannot be compared).
        precision: Which peak of the machine its rate is compared with.
        points: Points that one call of the timed function evaluates.
        note: What a reader should know beside the numbers.
    """

    prepare: Callable[[Position], Callable[[], float]]
    precision: Precision = "fp32"
    points: int = 1
    note: str = ""


def contestants(subject: Subject, *, loop_workers: int = WORKERS) -> dict[str, Contestant]:
    """The plain loop, the bare forward pass, and gradscape, by name."""
    given = subject.net, subject.images, subject.labels, subject.directions
    loop = plain_loop(*given, workers=loop_workers)
    note = f"batches of {BATCH_SIZE}, {loop_workers} DataLoader workers"
    found = {PLAIN: Contestant(lambda position: lambda: loop(position)[0], note=note)}
    precisions: tuple[Precision, ...] = ("fp32", "bf16")
    for precision in precisions:
        note, prepare = bare_forward(*given, precision=precision)
        found[f"bare forward {precision}"] = Contestant(prepare, precision, note=note)
    for precision in precisions:
        engine = planned_engine(subject, precision)
        found[f"gradscape {precision}"] = Contestant(engine.point, precision, note=engine.note)
    return found


@dataclass(frozen=True, eq=False)
class Engine:
    """gradscape's engine, planned for one subject.

    Attributes:
        network: The folded graph, with the module beside it, which goes along for losses that read it.
        held: Keeps the module movable for as long as the engine lives.
        plan: How it is evaluated.
        note: What the planner found.
        batches: All images.
        device: Where the network is.
    """

    network: Network
    held: ExitStack
    plan: ExecutionPlan
    note: str
    batches: Sequence[Batch]
    device: torch.device

    def point(self, position: Position) -> Callable[[], float]:
        """One point: move, forward pass over all images, losses brought together."""
        evaluator = Evaluator(self.network, np.array([position]), Task(), self.plan, device=self.device)
        evaluator.load(self.batches)
        job = Job((0,), tuple(range(len(self.batches))))
        return lambda: float(evaluator.measure_one(job)[0].losses.mean())


def planned_engine(subject: Subject, precision: Precision, *, compiled: bool | None = None) -> Engine:
    """The engine as it would evaluate a 51×51 surface, where the network is.

    Args:
        subject: Its network, images and directions are on one device.
        precision: "fp32" or "bf16".
        compiled: Whether `torch.compile` makes code of the graph; None for what the planner chooses.

    Raises:
        RuntimeError: The network was not traced.
    """
    net = copy.deepcopy(subject.net)
    blocks = list(cut_blocks([(subject.images, subject.labels)], BLOCK_IMAGES))
    with evaluable(net):
        work = Work(
            model=net,
            directions=subject.directions,
            coordinates=np.repeat([(0.0, 0.0), (-1.0, -1.0)], [1, POINTS], axis=0),
            shape=(1, POINTS),
            task=Task(),
            first=blocks[0],
            images=len(subject.images),
            population=None,
            seconds=None,
        )
        chosen = choose_plan(work, precision=precision, batch_size=None)
        if chosen.graph is None:
            raise RuntimeError(f"{subject.name} was not traced: {chosen.notes['graph']}")
    plan = chosen.plan if compiled is None else replace(chosen.plan, compiled=compiled)
    held = ExitStack()
    network = held.enter_context(ready_network(net, subject.directions, work.task.forward, plan, chosen.graph))
    note = f"batches of {plan.batch_size}; {chosen.notes['graph']}{'; compiled' if plan.compiled else ''}"
    batches = join_blocks(blocks, 0, plan.batch_size // plan.block_size)
    return Engine(network, held, plan, note, batches, model_device(net))
