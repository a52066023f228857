"""Attention: maps of each block for a picture, and weights that have no place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import torch

from gradscape.data.pictures import ShownPictures
from gradscape.explain.attention import attention_maps
from gradscape.explain.attention_map import AttentionMap, load_attention_maps
from gradscape.figures.images.attention_rows import draws_map
from gradscape.figures.web.packed_maps import packed_maps, shrunk
from gradscape.models import Classifier
from gradscape.studies.attention import multiply_batch_weights
from gradscape.studies.report.commands import command, image_options, network_path
from gradscape.studies.report.definition import ReportKind, Section, Shown, Suggestion
from gradscape.studies.report.facts import Fact, state
from gradscape.studies.report.found import Found, ReportedNetwork, owned
from gradscape.studies.report.gallery import GalleryPanel, make_galleries, show_galleries

__all__ = ["ATTENTION"]

_ROWS, _COLUMNS, _LARGEST_TILE = 8, 6, 32
_STRIPS, _STRIP_ROWS, _STRIP_COLUMNS = 6, 64, 256
_SCALES = {1: ("global",), 2: ("fine", "global"), 3: ("fine", "coarse", "global")}


@final
@dataclass(frozen=True, eq=False)
class _FoundAttention:
    """A network's attention maps for some pictures.

    Attributes:
        maps: By name.
    """

    maps: Mapping[str, AttentionMap]

    @property
    def count(self) -> int:
        """Number of pictures, 0 where no map tells it."""
        # Learned weights are the same for all images, so that their first dimension is one or something else.
        return max((len(one.values) for one in self.maps.values() if one.values.ndim == 4), default=0)


def _read(path: Path) -> Found[_FoundAttention]:
    maps, meta = load_attention_maps(path)
    return Found(path, _FoundAttention(maps), meta)


def _show(networks: Sequence[ReportedNetwork], pictures: Sequence[Found[ShownPictures]]) -> Shown | None:
    return show_galleries(
        make_galleries(networks, pictures, _FoundAttention, count=lambda attention: attention.count, panel=_panel)
    )


def _panel(network: ReportedNetwork, attention: _FoundAttention, names: Sequence[str]) -> GalleryPanel:
    maps = attention.maps
    # Of each block the last map, which is what it does to its features.
    last = {one.block: one for one in maps.values() if draws_map(one)}
    placed = _spread(list(last.values()), _ROWS)
    weights = [one for one in maps.values() if one.kind == "channel"]
    strips = [_strip(one) for one in _spread(weights, _STRIPS)]
    return {
        "network": network.title,
        "rows": [_row(one, len(names)) for one in placed],
        "left_out": len(last) - len(placed),
        "strips": strips,
        "strips_left_out": len(weights) - len(strips),
        "scales": _scale_weights(maps),
        "ranking": _ranking(maps, names),
    }


def _spread(items: Sequence[AttentionMap], most: int) -> list[AttentionMap]:
    """At most so many, evenly from the first to the last."""
    if len(items) <= most:
        return list(items)
    return [items[round(number * (len(items) - 1) / (most - 1))] for number in range(most)]


def _row(one: AttentionMap, count: int) -> dict[str, Any]:
    """For each picture the mean of all channels or heads, then the first ones; of shared maps the same for all."""
    values = one.values if len(one.values) > 1 else np.repeat(one.values, count, axis=0)
    values = values[:count]
    if one.grid is not None:
        values = _of_one_query(values, one.grid)
    layers = values.shape[1]
    shown = values[:, :_COLUMNS]
    if layers > 1:
        shown = np.concatenate([values.mean(axis=1, keepdims=True), shown], axis=1)
    pictures = [packed_maps(shrunk(each, _LARGEST_TILE)) for each in shown]
    return {"block": one.block, "kind": one.kind, "layers": layers, "pictures": pictures}


def _of_one_query(values: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """(N, heads, h, w): what the class token looks at where there is one, else what the pixel in the middle does."""
    height, width = grid
    tokens = values.shape[3] - height * width
    query = 0 if tokens else height // 2 * width + width // 2
    return values[:, :, query, tokens:].reshape(*values.shape[:2], height, width)


def _strip(one: AttentionMap) -> dict[str, Any]:
    values = one.values.reshape(len(one.values), -1)
    return {"block": one.block, "shape": list(values.shape), **packed_maps(values[None, :_STRIP_ROWS, :_STRIP_COLUMNS])}


def _scale_weights(maps: Mapping[str, AttentionMap]) -> list[dict[str, Any]]:
    rows = []
    for one in maps.values():
        if one.kind == "scale weights":
            weights = np.abs(one.values).ravel()
            names = _SCALES.get(len(weights), tuple(f"scale {number}" for number in range(len(weights))))
            said = ", ".join(f"{name} {weight:.3f}" for name, weight in zip(names, weights.tolist(), strict=True))
            rows.append({"block": one.block, "said": said})
    return rows


def _ranking(maps: Mapping[str, AttentionMap], names: Sequence[str]) -> list[str]:
    """Pictures from the one with the most weight among its batch to the one with the least."""
    if not any(one.kind == "batch weights" for one in maps.values()):
        return []
    weights = multiply_batch_weights(dict(maps)).values.ravel()[: len(names)]
    order = np.argsort(-weights, kind="stable")
    return [f"{names[number]}: {weights[number]:.3f}" for number in order.tolist()]


def _describe(network: ReportedNetwork) -> list[Fact]:
    return [state("attention", found) for found in network.of(_FoundAttention)]


def _commands(networks: Sequence[ReportedNetwork]) -> list[str]:
    return [
        command("attention", network_path(network), *image_options(found), "-o", found.path.parent)
        for network, found in owned(networks, _FoundAttention)
    ]


def _attends(model: Classifier) -> bool:
    """Whether it has attention that can be shown: most kinds are only found while a network runs."""
    blank = torch.zeros(1, 3, model.image_size, model.image_size, device=model.mean.device)
    try:
        return bool(attention_maps(model, blank))
    except (ValueError, TypeError, RuntimeError):  # it has none, or cannot be looked into
        return False


ATTENTION = ReportKind(
    section=Section("attention", "Attention"),
    readers={".npz:attention_maps": _read},
    show=_show,
    describe=_describe,
    commands=_commands,
    suggestion=Suggestion("attention maps", "attention {network} --images {images}", fits=_attends),
)
