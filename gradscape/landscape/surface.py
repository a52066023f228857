"""A surface: loss and error over a plane in parameter space."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float

from gradscape._names import unknown_name
from gradscape.landscape.axis import checked_axis
from gradscape.landscape.common_images import on_common_images, unlike_images
from gradscape.landscape.difference import Difference
from gradscape.landscape.field import NON_FINITE, NOT_EVALUATED, UNRELIABLE, Field, Reading, scale_minmax, value_label
from gradscape.landscape.measured import Measured, read_measured, write_measured
from gradscape.landscape.statistics import paired_difference
from gradscape.landscape.summary import summarize
from gradscape.landscape.topology.pairing import find_topology
from gradscape.landscape.topology.persistence import Topology

__all__ = ["Surface", "Value"]

Value = Literal["loss", "error"]

# Name -> label, unit, and the words for where there is little room.
_FIELDS = {
    "loss": ("{loss}", "", "loss"),
    "error": ("{error}", "share", "error"),
    "loss_stderr": ("standard error of the {loss}", "", "standard error"),
    "count": ("images evaluated", "", "images"),
    "nonfinite": ("images with a non-finite loss", "", "non-finite images"),
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Surface(Measured):
    """Loss and error on a grid of points θ + alpha·d_alpha + beta·d_beta.

    Every array is indexed [beta, alpha]: a row is a beta, so `contourf(alphas, betas, loss)` needs no transpose.

    Attributes:
        alphas: Coordinates along the first direction, (A,), in units of the direction.
        betas: Coordinates along the second direction, (B,).

    Example:
        >>> import torch
        >>> from gradscape.landscape import evaluate_surface, random_directions
        >>> net, batches = torch.nn.Linear(4, 3), [(torch.randn(64, 4), torch.arange(64) % 3)]
        >>> axis = [-1.0, 0.0, 1.0]
        >>> surface = evaluate_surface(net, batches, random_directions(net, seed=0), axis, axis)
        >>> surface.save("surface.h5")
        >>> scaled = Surface.load("surface.h5").minmax()
        >>> scaled.shape, float(scaled.min()), float(scaled.max())
        ((3, 3), 0.0, 1.0)
    """

    alphas: Float[np.ndarray, "alphas"]
    betas: Float[np.ndarray, "betas"]

    def __post_init__(self) -> None:
        checked_axis(self.alphas, "alphas")
        checked_axis(self.betas, "betas")
        grid, wanted = self.blocks.count.shape[1:], (len(self.betas), len(self.alphas))
        if grid != wanted:
            raise ValueError(f"`blocks` must have the grid (betas, alphas) = {wanted}, got {grid}")

    def __repr__(self) -> str:
        axes = {"alpha": self.alphas, "beta": self.betas}
        return summarize("Surface", axes, self.blocks, self.origin, self.meta)

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the fields that `field` gives: all that were measured."""
        nowhere = {
            "error": np.isnan(self.error) | (self.count == 0),
            "loss_stderr": np.isnan(self.loss_stderr) | (self.count == 0),
        }
        begun = bool(self.count.any())
        return tuple(name for name in _FIELDS if not (begun and name in nowhere and nowhere[name].all()))

    def field(self, value: str = "loss") -> Field:
        """One of the surface's values, with all that a picture says of it.

        Args:
            value: "loss", "error", "loss_stderr" (or "stderr" for short), "count" or "nonfinite" (numbers of images).

        Returns:
            Values (B, A); errors as shares in [0, 1].

        Raises:
            ValueError: The name is unknown, or this was not measured.
        """
        name = "loss_stderr" if value == "stderr" else value
        if name not in _FIELDS:
            raise unknown_name("value", value, [*_FIELDS, "stderr"])
        if name not in self.fields:
            raise ValueError(f'`value` "{value}" was not measured on this surface: draw the loss')
        label, unit, short = _FIELDS[name]
        return Field(
            name=name,
            alphas=self.alphas,
            betas=self.betas,
            values=np.asarray(getattr(self, name), dtype=float),
            label=label.format(loss=value_label(self.meta, "loss"), error=value_label(self.meta, "error")),
            unit=unit,
            short=short,
            stderr=self.loss_stderr if name == "loss" else None,
            marks=self._marks(),
            origin=self._readings(),
            images=int(self.meta.get("images") or self.count.max(initial=0)),
            population=int(self.meta.get("population") or self.blocks.population),
            meta=self.meta,
        )

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
        return scale_minmax(np.asarray(getattr(self, value), dtype=float), axis)

    def difference(self, other: "Surface") -> Difference:
        """This loss minus another's over the images that both have seen, with its paired standard error.

        Where one has seen more images than the other, it is taken over those that both have, as a smaller evaluation
        would have given it: see `on_common_images`.

        Raises:
            ValueError: The surfaces differ in coordinates, in the loss, or in the images they were evaluated on.
        """
        if not (np.array_equal(self.alphas, other.alphas) and np.array_equal(self.betas, other.betas)):
            raise ValueError("`other` must have the same alphas and betas: evaluate both on one grid")
        if unlike := unlike_images(self, other):
            raise ValueError(
                f"`other` must be evaluated on the same images in the same order, but has different {unlike}: use one "
                "data set, seed, batch size and estimator"
            )
        losses = [_loss_function(surface.meta) for surface in (self, other)]
        if losses[0] != losses[1]:
            raise ValueError(f"`other` must be measured by the same loss, got {losses[0]} and {losses[1]}")
        first, second = on_common_images((self, other), (self.betas, self.alphas))
        loss, stderr = paired_difference(first.blocks, second.blocks)
        evaluated = first.count > 0
        return Difference(
            alphas=self.alphas,
            betas=self.betas,
            loss=loss,
            loss_stderr=stderr,
            origin=_origin_difference(first, second),
            marks={
                NON_FINITE: evaluated & ~np.isfinite(loss),
                NOT_EVALUATED: ~evaluated,
                UNRELIABLE: first._unreliable | second._unreliable,
            },
            images=int(first.count.max(initial=0)),
            population=self.blocks.population,
            metas=(self.meta, other.meta),
        )

    def topology(
        self, value: str = "loss", *, confidence: float = 0.95, resamples: int = 1000, seed: int = 0
    ) -> Topology:
        """Find minima, saddles and persistence pairs, and which of them are more than noise.

        A pair is kept where its persistence is more than twice a band that holds the whole surface over all images at
        once, by a bootstrap over blocks of images. All images seen, the band is 0; of a file without blocks it is NaN.

        Args:
            value: "loss" or "error".
            confidence: Of the band, in (0, 1).
            resamples: Of the bootstrap.
            seed: Of the bootstrap.

        Raises:
            ValueError: An option is unknown or out of range, points were not evaluated or none is finite, the grid
                has fewer than two rows or columns, or gudhi is not installed.

        Source: Edelsbrunner and Harer, Computational Topology (2010), chapters VII and VIII; Fasy et al. 2014 (band).
        """
        if value not in ("loss", "error"):
            raise unknown_name("value", value, ["loss", "error"])
        options: dict[str, Any] = {"confidence": confidence, "resamples": resamples, "seed": seed}
        rounding = self.loss_rounding[np.isfinite(self.loss_rounding)].max(initial=0) if value == "loss" else 0.0
        return find_topology(self.field(value), self.blocks, rounding=float(rounding), **options)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to an HDF5 file, atomically; goldstein's tools can plot it."""
        write_measured(path, self, {"xcoordinates": self.alphas, "ycoordinates": self.betas})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Surface":
        """Read a surface of ours, or one that goldstein's tool computed (then without standard errors)."""
        (alphas, betas), fields = read_measured(path, ("xcoordinates", "ycoordinates"))
        return cls(alphas=alphas, betas=betas, **fields)

    @property
    def _unreliable(self) -> Bool[np.ndarray, "betas alphas"]:
        # Without any standard error (a foreign file, a single image) there is none to distrust.
        return np.isfinite(self.loss_stderr) & ~self.reliable

    def _marks(self) -> dict[str, Bool[np.ndarray, "betas alphas"]]:
        evaluated = self.count > 0
        return {
            NON_FINITE: evaluated & ~np.isfinite(self.loss),
            NOT_EVALUATED: ~evaluated,
            UNRELIABLE: self._unreliable,
        }

    def _readings(self) -> tuple[Reading, ...]:
        """Loss and error of the trained network itself, as far as they were measured."""
        readings = (
            Reading("loss", float(self.origin.loss), float(self.origin.stderr)),
            Reading("error", float(self.origin.error), unit="share"),
        )
        return tuple(reading for reading in readings if np.isfinite(reading.value))


def _origin_difference(first: Surface, second: Surface) -> tuple[float, float]:
    if not np.array_equal(first.origin.count, second.origin.count):
        return np.nan, np.nan
    loss, stderr = paired_difference(first.origin, second.origin)
    return float(loss), float(stderr)


def _loss_function(meta: Mapping[str, Any]) -> str:
    """Which function it was: another lambda has another digest; of a file that does not tell, what it is called."""
    functions = meta.get("functions")
    return (
        str(functions["loss"]) if isinstance(functions, Mapping) and "loss" in functions else value_label(meta, "loss")
    )
