"""A surface: loss and error over a plane in parameter space."""

import os
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from gradscape._provenance import PROVENANCE, ProvenanceField
from gradscape.landscape.measured import Measured, read_measured, write_measured
from gradscape.landscape.statistics import paired_difference

__all__ = ["Difference", "Surface", "Value"]

Value = Literal["loss", "error"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Surface(Measured):
    """Loss and error on a grid of points θ + alpha·d_alpha + beta·d_beta.

    Every array is indexed [beta, alpha]: a row is a beta, so `contourf(alphas, betas, loss)` needs no transpose.

    Attributes:
        alphas: Coordinates along the first direction, (A,), in units of the direction.
        betas: Coordinates along the second direction, (B,).
    """

    alphas: Float[np.ndarray, "alphas"]
    betas: Float[np.ndarray, "betas"]
    meta: ProvenanceField = PROVENANCE  # again, since type checkers forget what an inherited field gives

    def __post_init__(self) -> None:
        grid, wanted = self.blocks.count.shape[1:], (len(self.betas), len(self.alphas))
        if grid != wanted:
            raise ValueError(f"`blocks` must have the grid (betas, alphas) = {wanted}, got {grid}")

    def minmax(
        self, axis: Literal["column"] | None = None, *, value: Value = "loss"
    ) -> Float[np.ndarray, "betas alphas"]:
        """Values scaled to [0, 1] by (v − min)/(max − min) over the finite ones; a constant scales to 0.

        Args:
            axis: None scales the surface as a whole; "column" each column (one alpha) by itself, as
                scikit-learn's MinMaxScaler does, which changes the surface's shape.
            value: "loss" or "error".

        Returns:
            (B, A); non-finite values stay what they are.

        Source: UPANets, appendix C.
        """
        if axis not in (None, "column"):
            raise ValueError(f'`axis` must be None or "column", got {axis!r}')
        values: np.ndarray = getattr(self, value)
        finite = np.isfinite(values)
        along = 0 if axis == "column" else None
        low = np.min(values, axis=along, where=finite, initial=np.inf)
        high = np.max(values, axis=along, where=finite, initial=-np.inf)
        with np.errstate(invalid="ignore"):
            spread = high - low
            return np.where(finite, (values - low) / np.where(spread > 0, spread, 1.0), values)

    def difference(self, other: "Surface") -> "Difference":
        """This loss minus another's over the same images, with its paired standard error.

        Raises:
            ValueError: The surfaces differ in coordinates or in the images they were evaluated on.
        """
        if not (np.array_equal(self.alphas, other.alphas) and np.array_equal(self.betas, other.betas)):
            raise ValueError("`other` must have the same alphas and betas: evaluate both on one grid")
        if self.meta.get("blocks") != other.meta.get("blocks"):
            raise ValueError(
                "`other` must be evaluated on the same images in the same order: use one data set and seed"
            )
        loss, stderr = paired_difference(self.blocks, other.blocks)
        return Difference(alphas=self.alphas, betas=self.betas, loss=loss, loss_stderr=stderr)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to an HDF5 file, atomically; goldstein's tools can plot it."""
        write_measured(path, self, {"xcoordinates": self.alphas, "ycoordinates": self.betas})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Surface":
        """Read a surface of ours, or one that goldstein's tool computed (then without standard errors)."""
        (alphas, betas), fields = read_measured(path, ("xcoordinates", "ycoordinates"))
        return cls(alphas=alphas, betas=betas, **fields)


@dataclass(frozen=True, eq=False)
class Difference:
    """Difference of two surfaces' losses over the same images.

    Attributes:
        alphas: (A,) coordinates.
        betas: (B,) coordinates.
        loss: (B, A) first minus second.
        loss_stderr: (B, A) paired standard error; NaN with fewer than two blocks.
    """

    alphas: Float[np.ndarray, "alphas"]
    betas: Float[np.ndarray, "betas"]
    loss: Float[np.ndarray, "betas alphas"]
    loss_stderr: Float[np.ndarray, "betas alphas"]
