"""A line: loss and error along one direction in parameter space."""

import os
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from gradscape.landscape.axis import checked_axis
from gradscape.landscape.barrier import Barrier, measure_barrier
from gradscape.landscape.measured import Measured, read_measured, write_measured
from gradscape.landscape.summary import summarize

__all__ = ["Line"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Line(Measured):
    """Loss and error at θ + alpha·d.

    Attributes:
        alphas: Coordinates along the direction, (A,); from one network to another 0 is the first, 1 the second.
    """

    alphas: Float[np.ndarray, "alphas"]

    def __post_init__(self) -> None:
        checked_axis(self.alphas, "alphas")
        if self.blocks.count.shape[1:] != self.alphas.shape:
            raise ValueError(f"`blocks` must have the grid {self.alphas.shape}, got {self.blocks.count.shape[1:]}")

    def __repr__(self) -> str:
        return summarize("Line", {"alpha": self.alphas}, self.blocks, self.origin, self.meta)

    def barrier(self) -> Barrier:
        """How high the loss rises between two networks, above the straight line between their own losses.

        Returns:
            max over alpha in [0, 1] of L(alpha) − [(1 − alpha)·L(0) + alpha·L(1)], with its paired standard error.

        Raises:
            ValueError: 0 or 1 is not among the alphas, or the loss there is not finite.

        Example:
            >>> import torch
            >>> from gradscape.landscape import difference_direction, evaluate_line
            >>> first, second = torch.nn.Linear(4, 3), torch.nn.Linear(4, 3)
            >>> batches = [(torch.randn(64, 4), torch.arange(64) % 3)]
            >>> line = evaluate_line(first, batches, difference_direction(first, second), [0.0, 0.5, 1.0])
            >>> line.barrier().height  # cross-entropy is convex in a linear model's weights
            0.0
        """
        return measure_barrier(self.alphas, self.blocks)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to an HDF5 file, atomically."""
        write_measured(path, self, {"xcoordinates": self.alphas})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Line":
        """Read a line of ours, or one that goldstein's tool computed (then without standard errors)."""
        (alphas,), fields = read_measured(path, ("xcoordinates",))
        return cls(alphas=alphas, **fields)
