"""Both ends of the Hessian's spectrum at every point of a plane."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from jaxtyping import Bool, Float, Int

from gradscape._hdf5 import Hdf5Group, open_hdf5, save_hdf5
from gradscape._names import error_line, unknown_name
from gradscape._provenance import Provenance
from gradscape.landscape.axis import checked_axis
from gradscape.landscape.field import NON_FINITE, NOT_EVALUATED, Field, Reading
from gradscape.landscape.record import check_landscape_record

__all__ = ["CURVATURE_FIELDS", "NOT_CONVERGED", "CurvatureMap"]

NOT_CONVERGED = "not converged"

CURVATURE_FIELDS = {
    "max_eig": ("largest eigenvalue of the Hessian", "largest eigenvalue"),
    "min_eig": ("smallest eigenvalue of the Hessian", "smallest eigenvalue"),
    "ratio": ("|smallest / largest eigenvalue|", "eigenvalue ratio"),
}
"""Names of the fields, as the original tool has them -> label, and the words for where there is little room."""

_GROUP = "gradscape"
_FORMAT = 1
_GRIDS = ("max_residual", "min_residual")
_UNFILLED = -1.0


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class CurvatureMap:
    """The largest and the smallest eigenvalue, with signs, of the loss's Hessian at θ + alpha·d_alpha + beta·d_beta.

    Arrays are indexed [beta, alpha]. Values lie within the true spectrum: `max_eig` is never above the largest
    eigenvalue, `min_eig` never below the smallest.

    Attributes:
        alphas: Coordinates along the first direction, (A,).
        betas: Coordinates along the second direction, (B,).
        max_eig: Largest eigenvalue, (B, A); NaN where not evaluated or not finite.
        min_eig: Smallest eigenvalue, likewise: the most negative one.
        max_residual: |H·v − max_eig·v|, (B, A): some eigenvalue is at most as far away.
        min_residual: The same of the smallest.
        products: Hessian products that the point took, (B, A); 0 where it was not evaluated.
        converged: Whether both ends are within the tolerance, (B, A).
        origin: (largest, smallest) of the trained network itself; NaN where unknown.
        meta: Provenance; also parameters, tolerance, and `checks`, points that were measured again from a cold start.
        warm: Vectors of the last point's ends, (2, dimension), from which an unfinished map goes on; else None.

    Raises:
        ValueError: Shapes do not fit the axes.
    """

    alphas: Float[np.ndarray, "alphas"]
    betas: Float[np.ndarray, "betas"]
    max_eig: Float[np.ndarray, "betas alphas"]
    min_eig: Float[np.ndarray, "betas alphas"]
    max_residual: Float[np.ndarray, "betas alphas"]
    min_residual: Float[np.ndarray, "betas alphas"]
    products: Int[np.ndarray, "betas alphas"]
    converged: Bool[np.ndarray, "betas alphas"]
    origin: tuple[float, float]
    meta: Mapping[str, Any]
    warm: Float[np.ndarray, "two dimension"] | None = None

    def __post_init__(self) -> None:
        checked_axis(self.alphas, "alphas")
        checked_axis(self.betas, "betas")
        wanted = (len(self.betas), len(self.alphas))
        for name in ("max_eig", "min_eig", *_GRIDS, "products", "converged"):
            if getattr(self, name).shape != wanted:
                raise ValueError(f"`{name}` must have the grid (betas, alphas) = {wanted}")

    @property
    def ratio(self) -> Float[np.ndarray, "betas alphas"]:
        """|min_eig / max_eig|: how much of the curvature is concave.

        Source: Li et al. 2018, section 6.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.abs(self.min_eig / self.max_eig)

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the fields that `field` gives."""
        return tuple(CURVATURE_FIELDS)

    def field(self, value: str = "ratio") -> Field:
        """One of the map's values, with all that a picture says of it.

        Args:
            value: "max_eig", "min_eig" or "ratio".

        Raises:
            ValueError: The name is unknown.
        """
        if value not in CURVATURE_FIELDS:
            raise unknown_name("value", value, CURVATURE_FIELDS)
        label, short = CURVATURE_FIELDS[value]
        values = getattr(self, value)
        evaluated = self.products > 0
        largest, smallest = self.origin
        readings = {"max_eig": largest, "min_eig": smallest, "ratio": abs(smallest / largest) if largest else np.nan}
        images = int(self.meta.get("images") or 0)
        return Field(
            name=value,
            alphas=self.alphas,
            betas=self.betas,
            values=values,
            label=label,
            short=short,
            marks={
                NON_FINITE: evaluated & ~np.isfinite(values),
                NOT_EVALUATED: ~evaluated,
                NOT_CONVERGED: evaluated & np.isfinite(values) & ~self.converged,
            },
            signed=value != "ratio" and bool((values < 0).any() and (values > 0).any()),
            origin=(Reading(short, readings[value]),) if np.isfinite(readings[value]) else (),
            images=images,
            population=int(self.meta.get("population") or images),
            meta=self.meta,
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to an HDF5 file, atomically, with the original tool's names at its root."""
        check_landscape_record(self.meta)
        filled = self.products > 0
        arrays = {
            "xcoordinates": self.alphas,
            "ycoordinates": self.betas,
            "max_eig": np.where(filled, self.max_eig, _UNFILLED),
            "min_eig": np.where(filled, self.min_eig, _UNFILLED),
            **{f"{_GROUP}/{name}": getattr(self, name) for name in _GRIDS},
            f"{_GROUP}/products": self.products,
            f"{_GROUP}/converged": self.converged.astype(np.int8),
            f"{_GROUP}/origin": np.array(self.origin, dtype=float),
            **({} if self.warm is None else {f"{_GROUP}/warm": self.warm}),
        }
        attributes: dict[str, str | int] = {"format": _FORMAT, "meta": Provenance.of(self.meta).to_json()}
        save_hdf5(path, arrays, {f"{_GROUP}/{name}": value for name, value in attributes.items()})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "CurvatureMap":
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It holds something else.
        """
        with open_hdf5(path, "map of the curvature") as file:
            if "max_eig" not in file or _GROUP not in file:
                raise ValueError(f"{path} holds no map of the curvature: gradscape curvature makes them")
            return cls._read(file)

    @classmethod
    def _read(cls, file: Hdf5Group) -> "CurvatureMap":
        group = file.group(_GROUP)
        if (stored := group.whole("format")) != _FORMAT:
            raise ValueError(f"{file.path} has format {stored}, this version reads {_FORMAT}")
        text = group.text("meta")
        try:
            meta = Provenance.from_json(text)
            check_landscape_record(meta)
            alphas, betas = (
                checked_axis(file.array(name, axes=1).astype(float), name) for name in ("xcoordinates", "ycoordinates")
            )
        except (TypeError, ValueError) as problem:
            raise group.refusal("meta", f"or an axis cannot be: {error_line(problem)}") from problem
        grid = (len(betas), len(alphas))
        products = group.array("products", shape=grid, kinds="iu")
        if products.min(initial=0) < 0:
            raise group.refusal("products", "must not be negative")
        values = {name: file.array(name, shape=grid).astype(float) for name in ("max_eig", "min_eig")}
        origin = group.array("origin", shape=(2,)).astype(float)
        return cls(
            alphas=alphas,
            betas=betas,
            **{name: np.where(products > 0, one, np.nan) for name, one in values.items()},
            **{name: group.array(name, shape=grid).astype(float) for name in _GRIDS},
            products=products,
            converged=group.array("converged", shape=grid, kinds="iu").astype(bool),
            origin=(float(origin[0]), float(origin[1])),
            meta=meta,
            warm=group.array("warm", axes=2) if "warm" in group else None,
        )
