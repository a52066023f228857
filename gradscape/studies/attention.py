"""What a network's attention blocks compute for pictures: arrays and every kind of picture of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import final

import numpy as np

from gradscape._names import unknown_name
from gradscape._provenance import Provenance
from gradscape.data.pictures import Pictures, save_shown_pictures
from gradscape.explain.attention import attention_maps
from gradscape.explain.attention_map import AttentionMap, save_attention_maps
from gradscape.figures import Figure
from gradscape.figures.images.attention import (
    figure_attention_maps,
    figure_batch_weights,
    figure_channel_weights,
    figure_scale_weights,
)
from gradscape.figures.images.attention_overview import figure_attention_overview
from gradscape.figures.images.attention_rows import MAP_KINDS, draws_map
from gradscape.models import Classifier
from gradscape.studies.drawing import save_pages
from gradscape.studies.networks import provenance
from gradscape.studies.picture_names import titles

__all__ = [
    "HEADINGS",
    "AttentionMaps",
    "SeenAttention",
    "attend_pictures",
    "draw_attention",
    "multiply_batch_weights",
    "tabulate_attention",
]

_ROWS = 9  # on a page
_BLOCKS = 26
_COLUMNS = 8
_STRIPS = 24
HEADINGS = ("attention", "kind", "shape")

AttentionMaps = dict[str, AttentionMap]


@final
@dataclass(frozen=True, eq=False)
class SeenAttention:
    """Attention of one network for some pictures.

    Attributes:
        name: The network's name.
        pictures: What it was shown, as one batch.
        maps: Attention by name.
        meta: Provenance.
    """

    name: str
    pictures: Pictures
    maps: AttentionMaps
    meta: Provenance

    def save(self, folder: Path) -> list[Path]:
        """Write all maps, `attention.npz`, and the pictures beside them, `pictures.npz`.

        Returns:
            What was written.
        """
        save_attention_maps(folder / "attention.npz", self.maps, self.meta)
        return [folder / "attention.npz", save_shown_pictures(self.pictures, folder)]


def attend_pictures(name: str, model: Classifier, pictures: Pictures, *, blocks: Sequence[str] = ()) -> SeenAttention:
    """Collect a network's attention.

    Args:
        name: The network's name.
        model: The network.
        pictures: The batch.
        blocks: Names of attention blocks that it must have.

    Raises:
        ValueError: The network has no attention, or not those blocks.
    """
    maps = attention_maps(model, pictures.images.to(model.mean.device))
    _chosen(maps, blocks)
    return SeenAttention(name, pictures, maps, provenance(name, model, pictures))


def draw_attention(seen: SeenAttention, folder: Path, *, blocks: Sequence[str] = ()) -> list[Path]:
    """Draw maps over the pictures, weights of channels and scales, and the ranking of the batch, as far as there are.

    Args:
        seen: What to draw.
        folder: It gets `attention_KIND` for each kind of map, `channels`, `scale_weights` and `batch_weights`.
        blocks: Names of attention blocks all of whose maps are drawn, each head or channel by itself; by default of
            every block the last, which is what it does to its features, in the mean over heads or channels.

    Returns:
        What was written.

    Raises:
        ValueError: A block is unknown.
    """
    drawn = _chosen(seen.maps, blocks)
    written: list[Path] = []
    for kind in MAP_KINDS:
        placed = {name: one for name, one in drawn.items() if draws_map(one) and one.kind == kind}
        if placed:
            pages = _single_maps(seen, placed) if blocks else _overviews(seen, placed)
            written += save_pages(pages, folder / f"attention_{kind}")
    kinds = {one.kind for one in drawn.values()}
    if "channel" in kinds:
        channels = {name: one for name, one in drawn.items() if one.kind == "channel"}
        written += save_pages(map(figure_channel_weights, _cut(channels, _STRIPS)), folder / "channels")
    if "scale weights" in kinds:
        written += save_pages(iter([figure_scale_weights(drawn, title=seen.name)]), folder / "scale_weights")
    if "batch weights" in kinds:
        page = figure_batch_weights(seen.pictures.images, multiply_batch_weights(drawn), names=titles(seen.pictures))
        written += save_pages(iter([page]), folder / "batch_weights")
    return written


def tabulate_attention(seen: SeenAttention) -> list[tuple[str, ...]]:
    """Return name, kind and shape of everything that was collected, under `HEADINGS`."""
    return [(name, one.kind, " × ".join(map(str, one.values.shape))) for name, one in seen.maps.items()]


def multiply_batch_weights(maps: AttentionMaps) -> AttentionMap:
    """Return the product of all blocks' batch weights, by which an image's features are multiplied on their way.

    Args:
        maps: Attention by name, with at least one of kind "batch weights".
    """
    weights = [one for one in maps.values() if one.kind == "batch weights"]
    if len(weights) == 1:
        return weights[0]
    product = np.prod([one.values for one in weights], axis=0, dtype=np.float64).astype(np.float32)
    return AttentionMap("batch_weights", f"all {len(weights)} blocks, multiplied", "batch weights", product)


def _chosen(maps: AttentionMaps, blocks: Sequence[str]) -> AttentionMaps:
    known = dict.fromkeys(one.block for one in maps.values())
    for block in blocks:
        if block not in known:
            raise unknown_name("block", block, known)
    if blocks:
        return {name: one for name, one in maps.items() if one.block in blocks}
    last = {one.block: name for name, one in maps.items() if draws_map(one)}
    return {name: one for name, one in maps.items() if not draws_map(one) or last[one.block] == name}


def _overviews(seen: SeenAttention, maps: AttentionMaps) -> Iterator[Figure]:
    """Blocks in rows and pictures in columns, as many as can be told apart on a page."""
    count = len(seen.pictures.images)
    for part, start in product(list(_cut(maps, _BLOCKS)), range(0, count, _COLUMNS)):
        batch = slice(start, start + _COLUMNS)
        several = {name: replace(one, values=_of_images(one, batch, count)) for name, one in part.items()}
        names = titles(seen.pictures)[batch]
        yield figure_attention_overview(seen.pictures.images[batch], several, names=names, title=seen.name)


def _single_maps(seen: SeenAttention, maps: AttentionMaps) -> Iterator[Figure]:
    """Pictures and their attentions in rows, heads or channels in columns."""
    names = titles(seen.pictures)
    step = max(_ROWS // len(maps), 1)
    title = f"{seen.name} · {', '.join(maps)}" if len(maps) == 1 else seen.name
    for start in range(0, len(names), step):
        numbers = range(start, min(start + step, len(names)))
        yield figure_attention_maps(seen.pictures.images, maps, shown=numbers, names=names, title=title)


def _of_images(one: AttentionMap, batch: slice, count: int) -> np.ndarray:
    """An attention's values for some pictures; what is the same for all stays."""
    return one.values[batch] if len(one.values) == count else one.values


def _cut(maps: Mapping[str, AttentionMap], size: int) -> Iterator[AttentionMaps]:
    names = list(maps)
    for start in range(0, len(names), size):
        yield {name: maps[name] for name in names[start : start + size]}
