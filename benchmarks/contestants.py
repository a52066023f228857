"""Who is measured on what: a network with images and directions, and the programs that take turns on it."""

import copy
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from bare_forward import bare_forward
from plain_loop import BATCH_SIZE, WORKERS, Position, plain_loop
from torch import Tensor, nn

from gradscape._checkpoint import read_foreign_state
from gradscape.landscape import random_directions
from gradscape.landscape.directions import Direction
from gradscape.landscape.engine.blocks import Batch, cut_blocks, join_blocks
from gradscape.landscape.engine.network import TracedNetwork, evaluable
from gradscape.landscape.engine.plan import BLOCK_IMAGES, ExecutionPlan
from gradscape.landscape.engine.task import Task
from gradscape.landscape.engine.trials import Work, choose_plan
from gradscape.landscape.engine.workers import Evaluator, Job
from gradscape.models import create_model

IMAGE_SIZE, CLASSES = 32, 10
TRAINED = "resnet56_projection"  # the network that the test data have a checkpoint of
PLAIN = "plain loop"
POINTS = 51 * 51  # of the surface that the plan is made for

Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True, eq=False)
class Subject:
    """What all contestants measure.

    Attributes:
        name: The network's name.
        net: In `eval()`, of normalized images.
        images: (N, 3, 32, 32), normalized.
        labels: (N,).
        directions: (d_alpha, d_beta), filter-normalized.
        description: Which images and weights these are.
    """

    name: str
    net: nn.Module
    images: Tensor
    labels: Tensor
    directions: tuple[Direction, Direction]
    description: str


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


def load_subject(name: str, count: int) -> Subject:
    """Real images and the trained ResNet-56 where GRADSCAPE_TEST_DATA says where they are; else random ones."""
    folder = os.environ.get("GRADSCAPE_TEST_DATA")
    torch.manual_seed(0)
    net = create_model(name, num_classes=CLASSES, image_size=IMAGE_SIZE)
    images, labels = _real_images(Path(folder), count) if folder else _random_images(count)
    trained = bool(folder) and name == TRAINED
    if trained:
        net.load_state_dict(read_foreign_state(Path(str(folder), "checkpoints", "tomgoldstein-resnet56-model_300.t7")))
    else:
        _estimate_statistics(net, images)
    return Subject(
        name,
        net.eval(),
        images,
        labels,
        random_directions(net, seed=0),
        f"{name}, {'trained' if trained else 'fresh'} weights, {count} {'real' if folder else 'random'} images",
    )


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
        network: The folded graph.
        plan: How it is evaluated.
        note: What the planner found.
        batches: All images.
    """

    network: TracedNetwork
    plan: ExecutionPlan
    note: str
    batches: Sequence[Batch]

    def point(self, position: Position) -> Callable[[], float]:
        """One point: move, forward pass over all images, losses brought together."""
        evaluator = Evaluator(self.network, np.array([position]), Task(), self.plan, device=torch.device("cpu"))
        evaluator.load(self.batches)
        job = Job((0,), tuple(range(len(self.batches))))
        return lambda: float(evaluator.measure_one(job)[0].losses.mean())


def planned_engine(subject: Subject, precision: Precision) -> Engine:
    """The engine as it would evaluate a 51×51 surface.

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
        planned = choose_plan(work, precision=precision, batch_size=None)
        if planned.graph is None:
            raise RuntimeError(f"{subject.name} was not traced: {planned.notes['graph']}")
        network = TracedNetwork(planned.graph, net, subject.directions, planned.plan)
    plan = planned.plan
    note = f"batches of {plan.batch_size}; {planned.notes['graph']}{'; compiled' if plan.compiled else ''}"
    return Engine(network, plan, note, join_blocks(blocks, 0, plan.batch_size // plan.block_size))


def _real_images(folder: Path, count: int) -> tuple[Tensor, Tensor]:
    """The first training images of CIFAR-10, normalized as the ResNet-56 was trained."""
    with np.load(folder / "cifar10" / "cifar10_train4000_lossless.npz") as arrays:
        pixels, labels = arrays["images"][:count], arrays["labels"][:count]
    if len(pixels) < count:
        raise ValueError(f"`count` must be at most {len(pixels)}, the number of real images, got {count}")
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in ([125.3, 123.0, 113.9], [63.0, 62.1, 66.7]))
    images = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() - mean) / std
    return images.contiguous(), torch.from_numpy(labels)


def _random_images(count: int) -> tuple[Tensor, Tensor]:
    return torch.randn(count, 3, IMAGE_SIZE, IMAGE_SIZE), torch.randint(CLASSES, (count,))


def _estimate_statistics(net: nn.Module, images: Tensor) -> None:
    """Give batch norms the statistics of some images: fresh ones let the activations of deep networks explode."""
    net.train()
    with torch.no_grad():
        for _ in range(3):
            net(images[:128])
