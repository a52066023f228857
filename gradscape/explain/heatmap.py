"""Heatmaps: how much each place of an image spoke for a class."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
import torch
from jaxtyping import Float, Integer
from torch.nn import functional as F

from gradscape._arrays import load_result, save_arrays
from gradscape._notebook import html_table
from gradscape._provenance import Provenance

__all__ = ["Heatmaps"]

_ARRAYS = {
    "raw": Float[np.ndarray, "images *sides"],
    "display": Float[np.ndarray, "images *image_size"],
    "class_index": Integer[np.ndarray, "images"],
    "score": Float[np.ndarray, "images"],
    "probability": Float[np.ndarray, "images"],
}
_RESIZING = {1: "linear", 2: "bilinear", 3: "trilinear"}


class _HeatmapEntry(TypedDict):
    method: str
    target_layer: str
    image_size: list[int]


@dataclass(frozen=True, eq=False)
class Heatmaps:
    """Class-activation maps of one method at one layer, for N images.

    Attributes:
        raw: (N, h, w) float32, signed, at the layer's size, as the method's equation gives it; of volumes (N, d, h, w),
            of signals (N, l).
        image_size: (H, W) of the images in pixels; (D, H, W) of volumes, (L,) of signals.
        method: Name of the method.
        target_layer: Name of the layer whose features are weighed.
        class_index: (N,) int64, what was explained; -1 where a score of the user's was.
        score: (N,) float32, the explained score: the class's logit, or the user's number.
        probability: (N,) float32, probability of the class, by the rule of `meta["outputs"]` (see `heatmaps`); NaN
            where a score of the user's was explained.
        meta: Provenance: model, versions, options.
    """

    raw: np.ndarray
    image_size: tuple[int, ...]
    method: str
    target_layer: str
    class_index: np.ndarray
    score: np.ndarray
    probability: np.ndarray
    meta: Mapping[str, Any]

    def __post_init__(self) -> None:
        if self.raw.ndim not in (2, 3, 4) or len(self.image_size) != self.raw.ndim - 1:
            raise ValueError(
                "`raw` must be (images, height, width), (images, depth, height, width) of volumes, or (images, length) "
                f"of signals, with as many sides as `image_size` {self.image_size}, got {self.raw.shape}"
            )
        for name in ("class_index", "score", "probability"):
            if getattr(self, name).shape != self.raw.shape[:1]:
                raise ValueError(f"`{name}` must hold a value for each of the {len(self.raw)} images")

    @property
    def display(self) -> np.ndarray:
        """(N, H, W) float32: what is positive, resized linearly to the image, each map min-max scaled to [0, 1].

        A map without positive values, or the same everywhere, is 0; one with a value that is not finite is NaN.
        """
        positive = self._positive()
        low, high = (bound(positive, axis=self._sides, keepdims=True) for bound in (np.min, np.max))
        return self._masked((positive - low) / np.where(high > low, high - low, 1))

    @property
    def shared_display(self) -> np.ndarray:
        """(N, H, W) float32: what is positive, resized linearly to the image, over the largest value of all the maps.

        Zero is 0, so that images can be compared; a map with a value that is not finite is NaN.
        """
        positive = self._positive()
        return self._masked(positive / (positive.max(initial=0) or 1))

    @property
    def faults(self) -> dict[int, str]:
        """What must not be painted: image number -> "not finite", "all zero", "nothing positive" or "constant"."""
        faults = {}
        for number, one in enumerate(self.raw):
            if not np.isfinite(one).all():
                faults[number] = "not finite"
            elif not one.any():
                faults[number] = "all zero"
            elif one.max() <= 0:
                faults[number] = "nothing positive"
            elif one.max() == one.min():
                faults[number] = "constant"
        return faults

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to one `.npz` file, also `display`, so that no other program has to scale."""
        arrays = {name: getattr(self, name) for name in ("raw", "display", "class_index", "score", "probability")}
        named = {"method": self.method, "target_layer": self.target_layer, "image_size": list(self.image_size)}
        save_arrays(path, arrays, {**self.meta, "heatmaps": named})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Heatmaps":
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It holds no heatmaps.
        """

        def made(arrays: dict[str, np.ndarray], named: _HeatmapEntry, meta: Provenance) -> Heatmaps:
            kept = {name: array for name, array in arrays.items() if name != "display"}
            image_size = tuple(named["image_size"])
            if arrays["display"].shape[1:] != image_size:
                raise ValueError(f"`display` must be of the images' size {image_size}, got {arrays['display'].shape}")
            return cls(
                **kept, image_size=image_size, method=named["method"], target_layer=named["target_layer"], meta=meta
            )

        return load_result(path, "heatmaps", made, called="heatmaps", entry=_HeatmapEntry, arrays=_ARRAYS)

    def _repr_html_(self) -> str:
        count, size = len(self.raw), " × ".join(map(str, self.raw.shape[1:]))
        columns = (self.class_index.tolist(), self.score.tolist(), self.probability.tolist())
        faults = self.faults
        rows = [(image, *cells, faults.get(image, "")) for image, cells in enumerate(zip(*columns, strict=True))]
        title = f"{count} maps by {self.method} at {self.target_layer}, {size}"
        return html_table(title, ("image", "class", "score", "probability", "fault"), rows)

    def _positive(self) -> np.ndarray:
        """What is positive, at the images' size; 0 where a map is not finite."""
        finite = np.where(self._unusable(), 0, self.raw).astype(np.float32)
        maps = torch.from_numpy(finite).clamp(min=0)[:, None]
        mode = _RESIZING[len(self.image_size)]
        return F.interpolate(maps, self.image_size, mode=mode, align_corners=False)[:, 0].numpy()

    def _masked(self, maps: np.ndarray) -> np.ndarray:
        return np.where(self._unusable(), np.nan, maps).astype(np.float32)

    def _unusable(self) -> np.ndarray:
        """(N, 1, 1): whether anything in a map is not finite."""
        return ~np.isfinite(self.raw).all(axis=self._sides, keepdims=True)

    @property
    def _sides(self) -> tuple[int, ...]:
        return tuple(range(1, self.raw.ndim))
