"""What is to be evaluated, as far as a plan depends on it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import nn

from gradscape.landscape.directions import Direction
from gradscape.landscape.engine.blocks import Block
from gradscape.landscape.engine.graph import FoldedGraph, TracingError
from gradscape.landscape.engine.plan import BLOCK_IMAGES
from gradscape.landscape.engine.recalibration import Recalibration
from gradscape.landscape.engine.task import Task
from gradscape.landscape.estimator import Levels

__all__ = ["KnownGraphs", "Work"]

KnownGraphs = dict[nn.Module, FoldedGraph | TracingError]


@dataclass(frozen=True, eq=False)
class Work:
    """What is to be evaluated, as far as a plan depends on it.

    Attributes:
        model: In `eval()`.
        directions: One for each axis.
        coordinates: Position of each point, (points, axes); the first is the origin.
        shape: Points on each axis, without the origin.
        task: What is measured.
        first: The first block of images.
        images: How many there will be; None if unknown.
        population: Of how many they are said to be drawn; None for as many as there are.
        seconds: How long it may take; None if as long as it takes.
        tolerance: At which standard error it stops; None if it does not.
        block_size: How many images make a block.
        levels: Of the grid, where coarse ones may see more images than fine ones; None where all see the same.
        batch_norm: What becomes of running statistics: stored, moving or recalibrated; none where there are none.
        recalibration: Measures them at every point, if they are recalibrated.
        graphs: Graphs of models that were traced before, or why they cannot be; new ones are added.
    """

    model: nn.Module
    directions: Sequence[Direction]
    coordinates: np.ndarray
    shape: Sequence[int]
    task: Task
    first: Block
    images: int | None
    population: int | None
    seconds: float | None
    tolerance: float | None = None
    block_size: int = BLOCK_IMAGES
    levels: Levels | None = None
    batch_norm: str = "none"
    recalibration: Recalibration | None = None
    graphs: KnownGraphs = field(default_factory=dict)

    def batch_norm_record(self) -> dict[str, Any]:
        """What the provenance says of batch norms."""
        measured = self.recalibration.record() if self.recalibration else {}
        return {"statistics": self.batch_norm, **measured}

    def probes(self) -> list[int]:
        """Points that tell positions apart: the origin, the farthest from it, and the nearest that is not the origin.

        Many a grid has the origin in a corner. The farthest point moves most, but networks may break down there.
        """
        distances = np.linalg.norm(self.coordinates, axis=1)
        nearest = int(np.argmin(np.where(distances > 0, distances, np.inf)))
        return list(dict.fromkeys([0, int(np.argmax(distances)), nearest]))
