"""What a network's attention blocks compute for pictures: arrays and every kind of picture of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
    draws_map,
    figure_attention,
    figure_batch_weights,
    figure_channel_weights,
    figure_scale_weights,
)
from gradscape.models import Classifier
from gradscape.studies.drawing import save_pages
from gradscape.studies.networks import provenance
from gradscape.studies.picture_names import picture_stems, titles

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
_LARGE_ROWS = 5  # where a block has a map or two, which are drawn larger
_STRIPS = 6
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
    """Draw maps of each picture, weights of channels and scales, and the ranking of the batch, as far as there are any.

    Args:
        seen: What to draw.
        folder: It gets `attention_PICTURE`, `channels`, `scale_weights` and `batch_weights`.
        blocks: Names of attention blocks all of whose maps are drawn; by default of every block the last, which is
            what it does to its features.

    Returns:
        What was written.

    Raises:
        ValueError: A block is unknown.
    """
    drawn = _chosen(seen.maps, blocks)
    kinds = {one.kind for one in drawn.values()}
    written: list[Path] = []
    if any(draws_map(one) for one in drawn.values()):
        for number, stem in enumerate(picture_stems(seen.pictures)):
            written += save_pages(_pages(seen, number, drawn), folder / f"attention_{stem}")
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


def _pages(seen: SeenAttention, number: int, maps: AttentionMaps) -> Iterator[Figure]:
    placed = {name: one for name, one in maps.items() if draws_map(one)}
    many = any(one.values.ndim == 4 and one.values.shape[1] > 2 for one in placed.values())
    for part in _cut(placed, _ROWS if many else _LARGE_ROWS):
        yield figure_attention(seen.pictures.images[number], part, number=number, title=titles(seen.pictures)[number])


def _cut(maps: Mapping[str, AttentionMap], size: int) -> Iterator[AttentionMaps]:
    names = list(maps)
    for start in range(0, len(names), size):
        yield {name: maps[name] for name in names[start : start + size]}
