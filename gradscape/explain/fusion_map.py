"""Feature fusion: features before an attention block, the attention's part, and both together."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
from jaxtyping import Float

from gradscape._arrays import load_result, save_arrays
from gradscape._notebook import html_table
from gradscape._provenance import Provenance

__all__ = ["FusionMaps"]

_ARRAYS = dict.fromkeys(("before", "part", "fused"), Float[np.ndarray, "images channels height width"])


class _FusionEntry(TypedDict):
    block: str
    names: list[str]


@dataclass(frozen=True, eq=False)
class FusionMaps:
    """Three stages of one attention block, for N images.

    Attributes:
        before: (N, C, H, W) float32, the features that the attention works on.
        part: What the attention adds to them, or the factor it multiplies them with, broadcast to (N, C, H, W).
        fused: (N, C, H, W), the features with their attention.
        block: Name of the attention block.
        names: What the three are called in the block's paper, such as ("convolution", "CPA", "sum").
        meta: Provenance; `formula` says how the three belong together, such as "fused = before × (1 + part)".
    """

    before: np.ndarray
    part: np.ndarray
    fused: np.ndarray
    block: str
    names: tuple[str, str, str]
    meta: Mapping[str, Any]

    def __post_init__(self) -> None:
        shapes = {self.before.shape, self.part.shape, self.fused.shape}
        if len(shapes) != 1 or self.before.ndim != 4:
            raise ValueError(f"`before`, `part` and `fused` must have one shape (N, C, H, W), got {shapes}")

    def _repr_html_(self) -> str:
        images, channels, height, width = self.before.shape
        shown = zip(self.names, (self.before, self.part, self.fused), strict=True)
        rows = [(name, float(maps.min()), float(maps.mean()), float(maps.max())) for name, maps in shown]
        title = f"{self.block}: {images} images, {channels} channels, {height} × {width}"
        return html_table(title, ("features", "smallest", "mean", "largest"), rows)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to one `.npz` file."""
        arrays = {name: getattr(self, name) for name in ("before", "part", "fused")}
        save_arrays(path, arrays, {**self.meta, "fusion": {"block": self.block, "names": list(self.names)}})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "FusionMaps":
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It holds no fusion maps.
        """

        def made(arrays: dict[str, np.ndarray], named: _FusionEntry, meta: Provenance) -> FusionMaps:
            first, second, third = named["names"]
            return cls(**arrays, block=named["block"], names=(first, second, third), meta=meta)

        return load_result(path, "fusion", made, called="fusion maps", entry=_FusionEntry, arrays=_ARRAYS)
