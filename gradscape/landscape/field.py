"""A field: one value at each point of a plane in parameter space, with all that a picture says of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, final

import numpy as np
from jaxtyping import Bool, Float

from gradscape.landscape.axis import checked_axis

__all__ = ["NON_FINITE", "NOT_EVALUATED", "UNRELIABLE", "Field", "Reading", "decades", "scale_minmax", "value_label"]

NOT_EVALUATED = "not evaluated"
NON_FINITE = "non-finite"
UNRELIABLE = "with an unreliable standard error"

_USUAL = {"loss": ("loss", "cross_entropy"), "error": ("metric", "top1")}
_LABELS = {
    "cross_entropy": "cross-entropy loss",
    "focal": "focal loss",
    "detection_loss": "loss of detection",
    "pixel_cross_entropy": "cross-entropy loss of pixels",
    "top1": "top-1 error",
    "detection_ap50": "1 − AP50 of each picture",
    "pixel_accuracy": "share of wrong pixels",
}


@final
@dataclass(frozen=True)
class Reading:
    """What was measured at one point, such as the trained network itself.

    Attributes:
        name: What it is, in a word: "loss".
        value: The number, in `unit`.
        stderr: Its standard error, in the same unit; 0 where there is none to speak of.
        unit: As that of a `Field`.
    """

    name: str
    value: float
    stderr: float = 0.0
    unit: str = ""


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Field:
    """What lies over the plane θ + alpha·d_alpha + beta·d_beta: all that maps, reliefs and pages need to draw it.

    Arrays are indexed [beta, alpha]: a row is a beta, so `contourf(alphas, betas, values)` needs no transpose.

    Attributes:
        name: What it is, as options name it: "loss", "error", "loss_stderr". Fields of one name can be compared.
        alphas: Coordinates along the first direction, (A,), in units of the direction.
        betas: Coordinates along the second direction, (B,).
        values: One value a point, (B, A), in `unit`; NaN or infinite ones are drawn as gaps.
        label: What it is in full, as a color bar says it: "cross-entropy loss".
        unit: Unit of `values`, empty for pure numbers; a "share", in [0, 1], is drawn in percent.
        short: What it is where there is little room, such as on an axis; by default the name.
        stderr: Standard error of `values`, (B, A), in the same unit; None where there is none to speak of.
        marks: What is out of the ordinary -> the points, (B, A), it is said of. Captions count them, and gaps are
            named by them.
        signed: Whether 0 is the middle, and colors tell below from above.
        origin: What was measured at the trained network itself, for captions.
        notes: What else captions say, in a few words each.
        images: Images behind each value; 0 where there are none to count.
        population: Images that those were drawn from.
        meta: Provenance: model, data, seed, normalization.
    """

    name: str
    alphas: Float[np.ndarray, "alphas"]
    betas: Float[np.ndarray, "betas"]
    values: Float[np.ndarray, "betas alphas"]
    label: str
    unit: str = ""
    short: str = ""
    stderr: Float[np.ndarray, "betas alphas"] | None = None
    marks: Mapping[str, Bool[np.ndarray, "betas alphas"]] = field(default_factory=dict)
    signed: bool = False
    origin: tuple[Reading, ...] = ()
    notes: tuple[str, ...] = ()
    images: int = 0
    population: int = 0
    meta: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        checked_axis(self.alphas, "alphas")
        checked_axis(self.betas, "betas")
        wanted = (len(self.betas), len(self.alphas))
        arrays = {
            "values": self.values,
            "stderr": self.stderr,
            **{f"marks {name}": at for name, at in self.marks.items()},
        }
        for argument, array in arrays.items():
            if array is not None and array.shape != wanted:
                raise ValueError(f"`{argument}` must have the grid (betas, alphas) = {wanted}, got {array.shape}")
        if not self.short:
            object.__setattr__(self, "short", self.name.replace("_", " "))

    def minmax(self, axis: Literal["column"] | None = None) -> Float[np.ndarray, "betas alphas"]:
        """Values scaled to [0, 1] by (v − min)/(max − min) over the finite ones; a constant scales to 0.

        Args:
            axis: None scales the field as a whole; "column" each column (one alpha) by itself, as
                scikit-learn's MinMaxScaler does, which changes the field's shape.

        Returns:
            (B, A); non-finite values stay what they are.

        Source: UPANets, appendix C.
        """
        return scale_minmax(self.values, axis)


def scale_minmax(
    values: Float[np.ndarray, "betas alphas"], axis: Literal["column"] | None
) -> Float[np.ndarray, "betas alphas"]:
    """Values as `Field.minmax` scales them; a surface scales what it holds by the same rule."""
    if axis not in (None, "column"):
        raise ValueError(f'`axis` must be None or "column", got {axis!r}')
    finite = np.isfinite(values)
    along = 0 if axis == "column" else None
    low = np.min(values, axis=along, where=finite, initial=np.inf)
    high = np.max(values, axis=along, where=finite, initial=-np.inf)
    with np.errstate(invalid="ignore"):
        spread = high - low
        return np.where(finite, (values - low) / np.where(spread > 0, spread, 1.0), values)


def decades(values: Float[np.ndarray, "..."]) -> float:
    """Powers of ten between the lowest positive value and the highest; 0 where any is negative or none is positive.

    Args:
        values: Of any shape; what is not finite is left out.
    """
    finite = values[np.isfinite(values)]
    positive = finite[finite > 0]
    if not len(positive) or (finite < 0).any():
        return 0.0
    return float(np.log10(positive.max()) - np.log10(positive.min()))


def value_label(meta: Mapping[str, Any], value: Literal["loss", "error"]) -> str:
    """What was measured, by its provenance: "cross-entropy loss", "top-1 error", or the user's own function.

    Args:
        meta: Provenance of a surface or a line.
        value: "loss" or "error".
    """
    role, usual = _USUAL[value]
    name = str(meta.get(role) or usual)
    # Of a function made inside another only its own name, for which there is room.
    return _LABELS.get(name, f"{value} ({name.rpartition('.')[2]})")
