"""Attention maps: what an attention block computed for a batch of images."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradscape._arrays import load_arrays, save_arrays
from gradscape._taps import Kind

__all__ = ["AttentionMap", "load_attention_maps", "save_attention_maps"]


@dataclass(frozen=True, eq=False)
class AttentionMap:
    """One attention of one block.

    Attributes:
        name: Its module's name.
        block: Name of the attention block that it belongs to.
        kind: What it is, as `Tap` lists: "channel", "spatial", "mask", "scale weights", "batch weights", "subspace",
            "affinity" or "part".
        values: float32, of the shape of its kind; of shared attention (learned, the same for all images) the first
            dimension is no batch.
    """

    name: str
    block: str
    kind: Kind
    values: np.ndarray


def save_attention_maps(
    path: str | os.PathLike[str], maps: Mapping[str, AttentionMap], meta: Mapping[str, Any]
) -> None:
    """Write attention maps to one `.npz` file: an array for each, blocks and kinds in the provenance."""
    named = {name: {"block": one.block, "kind": one.kind} for name, one in maps.items()}
    save_arrays(path, {name: one.values for name, one in maps.items()}, {**meta, "attention_maps": named})


def load_attention_maps(path: str | os.PathLike[str]) -> tuple[dict[str, AttentionMap], dict[str, Any]]:
    """Read what `save_attention_maps` wrote: the maps by name, and the provenance.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It holds no attention maps.
    """
    arrays, meta = load_arrays(path)
    named = meta.pop("attention_maps", None)
    if named is None:
        raise ValueError(f"`{os.fspath(path)}` must hold attention maps, but holds {', '.join(arrays)}")
    return {name: AttentionMap(name, values=arrays[name], **entry) for name, entry in named.items()}, meta
