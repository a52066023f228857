"""Who does the forward passes: this process, or others that are told by jobs."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from gradscape.landscape.engine.blocks import Batch
from gradscape.landscape.engine.ledger import Judgment
from gradscape.landscape.engine.network import Network
from gradscape.landscape.engine.plan import ExecutionPlan
from gradscape.landscape.engine.task import Task, checked_right, judge

__all__ = ["Evaluator", "Job", "Workers"]


@dataclass(frozen=True)
class Job:
    """Some batches at points that go through the network side by side.

    Attributes:
        points: Numbers of the points, as many as the plan has in a forward pass, or fewer.
        batches: Which of the batches that were loaded.
    """

    points: tuple[int, ...]
    batches: tuple[int, ...]


class Workers(ABC):
    """Do jobs in any order."""

    @abstractmethod
    def load(self, batches: Sequence[Batch]) -> None:
        """Take the images that the next jobs are about."""

    @abstractmethod
    def measure(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, list[Judgment]]]:
        """Do the jobs, or parts of them; of each, what was found at its points, its batches one after another."""


@final
class Evaluator(Workers):
    """This process.

    Args:
        network: What is evaluated.
        coordinates: Position of each point, (points, axes).
        task: What is measured.
        plan: How.
        device: Where.
    """

    def __init__(
        self, network: Network, coordinates: np.ndarray, task: Task, plan: ExecutionPlan, *, device: torch.device
    ) -> None:
        self._network, self._task, self._plan, self._device = network, task, plan, device
        self._coordinates: list[list[float]] = coordinates.tolist()
        self._batches: list[Batch] = []

    def load(self, batches: Sequence[Batch]) -> None:
        """Bring the images to the device."""
        self._batches = [batch.to(self._device, memory_format=self._plan.memory_format) for batch in batches]

    def measure(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, list[Judgment]]]:
        """Do the jobs one after the other."""
        for job in jobs:
            yield job, self.measure_one(job)

    def measure_one(self, job: Job) -> list[Judgment]:
        """Do one job."""
        positions = [self._coordinates[point] for point in job.points]
        self._network.move_to(positions + positions[-1:] * (self._plan.points_per_forward - len(positions)))
        judged: list[list[tuple[Tensor, Tensor | None]]] = [[] for _ in positions]
        with torch.no_grad():
            for batch in (self._batches[number] for number in job.batches):
                outputs = self._network.outputs(batch.inputs)
                with self._plan.arithmetic(exact=True):
                    for one, output in zip(judged, outputs, strict=False):
                        one.append(judge(output, batch.labels, batch.count, self._task))
        return [_collected(one) for one in judged]


def _collected(judged: Sequence[tuple[Tensor, Tensor | None]]) -> Judgment:
    """Bring the results of all batches to the host at once: every copy waits for the device."""
    losses = torch.cat([losses for losses, _ in judged]).cpu().numpy()
    rights = [right for _, right in judged if right is not None]
    if not rights:
        return Judgment(losses, None)
    right = torch.cat(rights).cpu()
    return Judgment(losses, checked_right(right).numpy())
