"""A line: loss and error along one direction in parameter space."""

import os
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from gradscape.landscape.axis import checked_axis
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

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to an HDF5 file, atomically."""
        write_measured(path, self, {"xcoordinates": self.alphas})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Line":
        """Read a line of ours, or one that goldstein's tool computed (then without standard errors)."""
        (alphas,), fields = read_measured(path, ("xcoordinates",))
        return cls(alphas=alphas, **fields)
