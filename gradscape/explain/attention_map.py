"""Attention maps: what an attention block computed for a batch of images."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

import numpy as np
from jaxtyping import Float
from torch import Tensor

from gradscape._arrays import load_result, save_arrays
from gradscape._notebook import html_table
from gradscape._provenance import Provenance
from gradscape._schema import check_arrays, check_record, shown
from gradscape._taps import Kind
from gradscape.explain.features import as_array

__all__ = ["AttentionMap", "MapCollector", "load_attention_maps", "save_attention_maps"]

_MOST_AFFINITY = 4 * 2**30  # bytes


class _AttentionMapEntry(TypedDict):
    name: str
    block: str
    kind: Kind
    grid: list[int] | None
    read: NotRequired[list[int] | None]  # files written before have less
    left_out: NotRequired[list[str]]


@dataclass(frozen=True, eq=False)
class AttentionMap:
    """One attention of one block.

    Attributes:
        name: Its module's name.
        block: Name of the attention block that it belongs to.
        kind: What it is, as `Tap` lists: "channel", "spatial", "mask", "scale weights", "batch weights", "subspace",
            "affinity" or "part".
        values: float32, of the shape of its kind; of shared attention (learned, the same for all images) the first
            dimension is no batch. An affinity is (N, heads, queries, keys).
        grid: (h, w) of the pixels or patches that an affinity's keys are, row by row, the last h·w keys; keys before
            them are class tokens and the like. None of another kind, and where the keys do not tell.
        read: Of an affinity of tokens with others before the patches: which of them the model's output reads after the
            last block, as `attention_maps` measured it. None where it did not.
        left_out: Of an affinity: names of the modules that attend in the same run, but whose weights are not shown.
    """

    name: str
    block: str
    kind: Kind
    values: np.ndarray
    grid: tuple[int, int] | None = None
    read: tuple[int, ...] | None = None
    left_out: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.grid is not None and (self.kind != "affinity" or np.prod(self.grid) > self.values.shape[-1]):
            raise ValueError(
                f"`grid` must lay out the keys of an affinity, got {self.grid} for the {self.kind} {self.values.shape}"
            )

    def _repr_html_(self) -> str:
        row = (self.values.shape, *(float(bound(self.values)) for bound in (np.min, np.mean, np.max)))
        return html_table(f"{self.kind} of {self.block}", ("shape", "smallest", "mean", "largest"), [row])


def save_attention_maps(
    path: str | os.PathLike[str], maps: Mapping[str, AttentionMap], meta: Mapping[str, Any]
) -> None:
    """Write attention maps to one `.npz` file: an array for each; all else that they say in the provenance."""
    said = ("name", "block", "kind", "grid", "read", "left_out")
    named = {key: {field: getattr(one, field) for field in said} for key, one in maps.items()}
    save_arrays(path, {key: one.values for key, one in maps.items()}, {**meta, "attention_maps": named})


def load_attention_maps(path: str | os.PathLike[str]) -> tuple[dict[str, AttentionMap], Provenance]:
    """Read what `save_attention_maps` wrote: the maps by name, and the provenance.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It holds no attention maps.
    """

    def made(
        arrays: dict[str, np.ndarray], named: dict[str, dict[str, Any]], meta: Provenance
    ) -> tuple[dict[str, AttentionMap], Provenance]:
        kind: Any = Float[np.ndarray, "..."]
        check_arrays(arrays, dict.fromkeys(named, kind))
        for entry in named.values():
            check_record(entry, _AttentionMapEntry)
            if entry["grid"] is not None and (len(entry["grid"]) != 2 or min(entry["grid"]) < 1):
                raise ValueError(f"`grid` must be (h, w), got {shown(entry['grid'])}")
        return {key: AttentionMap(values=arrays[key], **_as_tuples(entry)) for key, entry in named.items()}, meta

    return load_result(path, "attention_maps", made, called="attention maps", entry=dict[str, dict[str, Any]])


def _as_tuples(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()}


class MapCollector:
    """Takes the attention maps of one forward pass as they arise.

    Attributes:
        maps: The maps by module name, in the order of their arrival. What comes from the same module again is called
            `name:2`, `name:3` and so on.
        left_out: Names of modules that attend in another way than a map can show.
        batch: How many images there are.
        image_size: (H, W) of the images in pixels, or what volumes and signals have instead.

    Args:
        images: The shape of the images, (N, channels, height, width).
    """

    def __init__(self, images: tuple[int, ...]) -> None:
        self.maps: dict[str, AttentionMap] = {}
        self.left_out: dict[str, None] = {}
        self.batch = images[0]
        self.image_size = images[2:]
        self._affinity_left = _MOST_AFFINITY

    def reserve(self, name: str, shape: tuple[int, ...]) -> None:
        """Make sure that an affinity of this shape is wanted, before anyone computes it.

        Raises:
            ValueError: If all affinities together would take too much memory.
        """
        self._affinity_left -= 4 * math.prod(shape)
        if self._affinity_left < 0:
            raise ValueError(
                f"`images` must be fewer or smaller: with {name}, {' × '.join(map(str, shape))}, the affinities take "
                f"more than {_MOST_AFFINITY / 2**30:.0f} GiB; or leave 'affinity' out of `kinds`"
            )

    def add(self, name: str, block: str, kind: Kind, values: Tensor, *, grid: tuple[int, int] | None = None) -> None:
        """Keep a copy of a map, and the grid of an affinity."""
        key, call = name, 1
        while key in self.maps:
            call += 1
            key = f"{name}:{call}"
        self.maps[key] = AttentionMap(name, block, kind, as_array(values), grid)

    def leave_out(self, name: str) -> None:
        """Note that a module attends whose weights are not shown."""
        self.left_out[name or "the model's own forward"] = None
