"""Decision maps: which class a network sees at every point of a plane of images, and how sure it is."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict, final

import numpy as np
from jaxtyping import Bool, Float, Int64

from gradscape._arrays import load_result, save_arrays
from gradscape._provenance import Provenance

__all__ = ["HALF_STEP", "DecisionMap"]

HALF_STEP = 0.5 / 255
"""Of pixels of 8 bits: what lies less than that outside of [0, 1] is rounded back."""

_NORMS = ("", "sign", "l2")

_ARRAYS: dict[str, Any] = {
    "alphas": Float[np.ndarray, "alphas"],
    "betas": Float[np.ndarray, "betas"],
    "class_index": Int64[np.ndarray, "betas alphas"],
    "confidence": Float[np.ndarray, "betas alphas"],
    "loss": Float[np.ndarray, "betas alphas"],
    "excess": Float[np.ndarray, "betas alphas"],
    "positions": Float[np.ndarray, "images 2"],
    "images": Float[np.ndarray, "images channels height width"],
    "image_class": Int64[np.ndarray, "images"],
    "image_confidence": Float[np.ndarray, "images"],
}


class _DecisionEntry(TypedDict):
    norm: str
    label: int
    classes: dict[str, str]


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class DecisionMap:
    """What a network says of the images in a plane, indexed [beta, alpha].

    Attributes:
        alphas: Coordinates along the first direction, (A,).
        betas: Coordinates along the second direction, (B,).
        class_index: Predicted class, (B, A).
        confidence: Probability of that class, (B, A).
        loss: Cross-entropy of the class `label`, (B, A); NaN where there is none.
        excess: By how much the pixel that does so most lies outside of [0, 1], (B, A).
        positions: Coordinates of the given images, (images, 2).
        images: The given images, (images, C, H, W).
        image_class: Predicted class of each.
        image_confidence: Its probability.
        norm: "sign" or "l2" of the gradient that the plane lies along; "" of a plane through three images.
        label: Class that the loss is of; -1 where there is none.
        classes: Names of the classes that occur, by number; none where they are unknown.
        meta: Provenance.
    """

    alphas: Float[np.ndarray, "alphas"]
    betas: Float[np.ndarray, "betas"]
    class_index: Int64[np.ndarray, "betas alphas"]
    confidence: Float[np.ndarray, "betas alphas"]
    loss: Float[np.ndarray, "betas alphas"]
    excess: Float[np.ndarray, "betas alphas"]
    positions: Float[np.ndarray, "images 2"]
    images: Float[np.ndarray, "images channels height width"]
    image_class: Int64[np.ndarray, "images"]
    image_confidence: Float[np.ndarray, "images"]
    norm: str
    label: int
    classes: Mapping[int, str]
    meta: Mapping[str, Any]

    def __post_init__(self) -> None:
        grid = len(self.betas), len(self.alphas)
        for name in ("class_index", "confidence", "loss", "excess"):
            if (shape := getattr(self, name).shape) != grid:
                raise ValueError(f"`{name}` must have the grid (betas, alphas) {grid}, got {shape}")
        if self.norm not in _NORMS:
            raise ValueError(f"`norm` must be sign, l2 or empty, got {self.norm!r}")
        count = len(self.images)
        if count != (1 if self.norm else 3) or {len(self.image_class), len(self.image_confidence)} != {count}:
            raise ValueError(f"`images` must be three with their classes, or one where there is a norm, got {count}")
        if self.positions.shape != (count, 2) or (self.label >= 0) != bool(self.norm):
            raise ValueError(
                "`positions` must have two coordinates of each image, and `label` a class along a gradient"
            )
        for name in ("alphas", "betas"):
            axis = getattr(self, name)
            if len(axis) < 2 or not np.isfinite(axis).all() or not (np.diff(axis) > 0).all():
                raise ValueError(f"`{name}` must be at least two finite coordinates in ascending order")
        if min(self.class_index.min(), self.image_class.min()) < 0:
            raise ValueError("`class_index` must hold classes from 0 on")

    @property
    def inside(self) -> Bool[np.ndarray, "betas alphas"]:
        """Where all pixels lie in [0, 1] but for half a step of 8 bits: elsewhere networks are asked about no image."""
        return self.excess <= HALF_STEP

    @property
    def occurring(self) -> list[int]:
        """Classes that are predicted somewhere, or of the images, ascending."""
        return sorted({*self.class_index.ravel().tolist(), *self.image_class.tolist()})

    def class_name(self, index: int) -> str:
        """What a class is called: its label, or its number."""
        return self.classes.get(index) or str(index)

    def shares(self) -> dict[int, float]:
        """Share of the points at which each class is predicted, the largest first."""
        found, counts = np.unique(self.class_index, return_counts=True)
        order = np.argsort(-counts, kind="stable")
        return {int(found[number]): float(counts[number] / self.class_index.size) for number in order}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to one `.npz` file."""
        entry: _DecisionEntry = {
            "norm": self.norm,
            "label": self.label,
            "classes": {str(index): name for index, name in self.classes.items()},
        }
        save_arrays(path, {name: getattr(self, name) for name in _ARRAYS}, {**self.meta, "decision": entry})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "DecisionMap":
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It holds no decision map.
        """

        def made(arrays: dict[str, np.ndarray], entry: _DecisionEntry, meta: Provenance) -> DecisionMap:
            classes = {int(index): name for index, name in entry["classes"].items()}
            return cls(**arrays, norm=entry["norm"], label=entry["label"], classes=classes, meta=meta)

        return load_result(path, "decision", made, called="a decision map", entry=_DecisionEntry, arrays=_ARRAYS)
