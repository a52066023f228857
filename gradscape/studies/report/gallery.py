"""Heatmaps, attention and features as data for the page, which colors and enlarges them."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from gradscape.data.pictures import ShownPictures
from gradscape.explain.attention_map import AttentionMap
from gradscape.explain.fusion_map import FusionMaps
from gradscape.explain.heatmap import Heatmaps
from gradscape.figures.images.attention import draws_map
from gradscape.figures.web.report_maps import packed_maps, picture_sheet, shrunk
from gradscape.studies.attention import multiply_batch_weights
from gradscape.studies.report.collect import Found
from gradscape.studies.report.networks import Network

__all__ = ["Gallery", "attention_galleries", "fusion_galleries", "heatmap_galleries"]

_MOST_PICTURES = 24
_LARGEST_MAP = 56  # pixels a side
_ATTENTION_ROWS, _ATTENTION_COLUMNS = 8, 6
_STRIPS, _STRIP_ROWS, _STRIP_COLUMNS = 6, 64, 256
_TILES, _LARGEST_TILE = 16, 32
_SCALES = {1: ("global",), 2: ("fine", "global"), 3: ("fine", "coarse", "global")}


@dataclass(frozen=True, eq=False)
class Gallery:
    """What networks make of the same pictures.

    Attributes:
        names: Of the pictures, as many as are shown.
        left_out: How many more there are.
        content: The same and all else, as JSON can hold it.
        networks: Titles.
        methods: Names of methods, where there are several.
        classes: Names of the classes that are explained.
    """

    names: tuple[str, ...]
    left_out: int
    content: dict[str, Any]
    networks: tuple[str, ...]
    methods: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()


def heatmap_galleries(networks: Sequence[Network], pictures: Sequence[Found[ShownPictures]]) -> list[Gallery]:
    """One for each set of pictures: a panel for each network, method and picture."""
    galleries = []
    for digest, group in _by_pictures(networks, "heatmaps").items():
        names, left_out, shown = _pictures(digest, [found.result for _, found in group], pictures)
        panels = [_heatmap_panel(network, found.result, len(names)) for network, found in group]
        classes = list(dict.fromkeys(name for panel in panels for name in panel["classes"]))
        content = {"names": names, "pictures": shown, "panels": panels}
        galleries.append(
            Gallery(
                names,
                left_out,
                content,
                tuple(dict.fromkeys(network.title for network, _ in group)),
                methods=tuple(sorted({panel["method"] for panel in panels})),
                classes=tuple(sorted(classes, key=_natural)),
            )
        )
    return galleries


def attention_galleries(networks: Sequence[Network], pictures: Sequence[Found[ShownPictures]]) -> list[Gallery]:
    """One for each set of pictures: attention maps of each network for each picture, and weights without places."""
    return _galleries(networks, pictures, "attention", _attention_panel)


def fusion_galleries(networks: Sequence[Network], pictures: Sequence[Found[ShownPictures]]) -> list[Gallery]:
    """One for each set of pictures: a block's features before attention, its part, and both together."""
    return _galleries(networks, pictures, "fusion", _fusion_panel)


def _galleries(
    networks: Sequence[Network],
    pictures: Sequence[Found[ShownPictures]],
    kind: str,
    panel: Callable[[str, Any, Sequence[str]], dict[str, Any]],
) -> list[Gallery]:
    galleries = []
    for digest, group in _by_pictures(networks, kind).items():
        names, left_out, shown = _pictures(digest, [found.result for _, found in group], pictures)
        panels = [panel(network.title, found.result, names) for network, found in group]
        content = {"names": names, "pictures": shown, "panels": panels}
        titles = tuple(dict.fromkeys(network.title for network, _ in group))
        galleries.append(Gallery(names, left_out, content, titles))
    return galleries


def _by_pictures(networks: Sequence[Network], kind: str) -> dict[str, list[tuple[Network, Found[Any]]]]:
    groups: dict[str, list[tuple[Network, Found[Any]]]] = {}
    for network in networks:
        for found in getattr(network, kind):
            meta = found.result.meta
            key = str(meta.image_digest or (meta.get("image_names"), len(_batch(found.result))))
            groups.setdefault(key, []).append((network, found))
    return groups


def _pictures(
    digest: str, results: Sequence[Any], pictures: Sequence[Found[ShownPictures]]
) -> tuple[tuple[str, ...], int, dict[str, Any] | None]:
    """Names of the pictures that are shown, how many are not, and the sheet of them if it was kept."""
    count = len(_batch(results[0]))
    kept = next((found.result for found in pictures if found.result.digest == digest), None)
    given = next((result.meta["image_names"] for result in results if result.meta.get("image_names")), None)
    named = given if given and len(given) == count else [f"image {number}" for number in range(count)]
    names = tuple(os.path.splitext(name)[0] or name for name in named)
    shown = names[:_MOST_PICTURES]
    return shown, count - len(shown), picture_sheet(kept.pixels[: len(shown)]) if kept else None


def _batch(result: Any) -> Any:
    """Something with an entry for each image."""
    if isinstance(result, Heatmaps):
        return result.raw
    if isinstance(result, FusionMaps):
        return result.before
    if result.meta.images:
        return range(result.meta.images)
    # Learned weights are the same for all images, so that their first dimension is one or something else.
    lengths = [len(one.values) for one in result.maps.values() if one.values.ndim == 4]
    return range(max(lengths, default=0))


def _heatmap_panel(network: Network, maps: Heatmaps, count: int) -> dict[str, Any]:
    raw = maps.raw[:count]
    if max(raw.shape[1:]) > _LARGEST_MAP:
        raw = F.adaptive_avg_pool2d(torch.from_numpy(raw), _LARGEST_MAP).numpy()
    finite = np.isfinite(raw).all(axis=(1, 2), keepdims=True)
    positive = np.where(finite, np.clip(raw, 0, None), 0).astype(np.float32)
    classes = [network.class_name(int(index)) if index >= 0 else "own score" for index in maps.class_index[:count]]
    return {
        "network": network.title,
        "method": maps.method,
        "layer": maps.target_layer,
        "size": list(maps.image_size),
        "classes": classes,
        "said": [_said(name, float(p)) for name, p in zip(classes, maps.probability[:count], strict=True)],
        "faults": {str(number): fault for number, fault in maps.faults.items() if number < count},
        "highest": [float(f"{one.max():.4g}") for one in positive],
        "maps": [packed_maps(one[None]) for one in positive],
    }


def _said(name: str, probability: float) -> str:
    return f"{name}, {100 * probability:.1f} %" if np.isfinite(probability) else name


def _attention_panel(title: str, result: Any, names: Sequence[str]) -> dict[str, Any]:
    maps: Mapping[str, AttentionMap] = result.maps
    # Of each block the last map, which is what it does to its features.
    last = {one.block: one for one in maps.values() if draws_map(one)}
    placed = _spread(list(last.values()), _ATTENTION_ROWS)
    weights = [one for one in maps.values() if one.kind == "channel"]
    strips = [_strip(one) for one in _spread(weights, _STRIPS)]
    return {
        "network": title,
        "rows": [_attention_row(one, len(names)) for one in placed],
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


def _attention_row(one: AttentionMap, count: int) -> dict[str, Any]:
    """For each picture the mean of all channels or heads, then the first ones; of shared maps the same for all."""
    values = one.values if len(one.values) > 1 else np.repeat(one.values, count, axis=0)
    values = values[:count]
    if one.grid is not None:
        values = _of_one_query(values, one.grid)
    layers = values.shape[1]
    shown = values[:, :_ATTENTION_COLUMNS]
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


def _fusion_panel(title: str, maps: FusionMaps, names: Sequence[str]) -> dict[str, Any]:
    stages = []
    for name, values in zip(maps.names, (maps.before, maps.part, maps.fused), strict=True):
        pictures = [packed_maps(shrunk(one[:_TILES], _LARGEST_TILE)) for one in values[: len(names)]]
        stages.append({"name": name, "pictures": pictures})
    return {
        "network": title,
        "block": maps.block,
        "formula": str(maps.meta.get("formula", "")),
        "channels": maps.before.shape[1],
        "stages": stages,
    }


def _natural(name: str) -> tuple[int, str]:
    return (int(name), "") if name.isdecimal() else (-1, name)
