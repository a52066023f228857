"""Heatmaps: by network, method and picture, over the pictures or alone."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from gradscape._provenance import Provenance
from gradscape._schema import fitting
from gradscape.data.pictures import ShownPictures
from gradscape.explain.heatmap import Heatmaps
from gradscape.figures.images.method_titles import method_title
from gradscape.figures.web.packed_maps import packed_maps
from gradscape.studies.report.commands import command, image_options, network_paths
from gradscape.studies.report.definition import ReportKind, Shown, Suggestion
from gradscape.studies.report.facts import Fact, state
from gradscape.studies.report.faithfulness import FAITHFULNESS, measured_rows
from gradscape.studies.report.found import Found, ReportedNetwork, together
from gradscape.studies.report.gallery import Gallery, GalleryPanel, make_galleries, show_galleries

__all__ = ["HEATMAPS"]

_LARGEST_MAP = 56  # pixels a side


def _read(path: Path) -> Found[Heatmaps]:
    maps = Heatmaps.load(path)
    if len(maps.image_size) != 2:
        raise ValueError("its heatmaps are of volumes or signals, which the report does not show")
    return Found(path, maps, Provenance.of(maps.meta))


def _show(networks: Sequence[ReportedNetwork], pictures: Sequence[Found[ShownPictures]]) -> Shown | None:
    galleries = make_galleries(networks, pictures, Heatmaps, count=lambda maps: len(maps.raw), panel=_panel)
    return show_galleries([_with_choices(gallery) for gallery in galleries])


def _with_choices(gallery: Gallery) -> Gallery:
    panels: list[GalleryPanel] = gallery.content["panels"]
    methods = {panel["method"] for panel in panels}
    classes = dict.fromkeys(name for panel in panels for name in panel["classes"])
    return replace(gallery, choices={"method": tuple(sorted(methods)), "class": tuple(sorted(classes, key=_natural))})


def _natural(name: str) -> tuple[int, str]:
    return (int(name), "") if name.isdecimal() else (-1, name)


def _panel(network: ReportedNetwork, maps: Heatmaps, names: Sequence[str]) -> GalleryPanel:
    count = len(names)
    raw = maps.raw[:count]
    if max(raw.shape[1:]) > _LARGEST_MAP:
        raw = F.adaptive_avg_pool2d(torch.from_numpy(raw), _LARGEST_MAP).numpy()
    finite = np.isfinite(raw).all(axis=(1, 2), keepdims=True)
    positive = np.where(finite, np.clip(raw, 0, None), 0).astype(np.float32)
    told = fitting(maps.meta, "class_names", dict) or {}  # also where the checkpoint is not at hand
    classes = [
        str(told.get(str(index), network.class_name(index))) if index >= 0 else "own score"
        for index in maps.class_index[:count].tolist()
    ]
    return {
        "network": network.title,
        "method": method_title(maps.method),
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


def _describe(network: ReportedNetwork) -> list[Fact]:
    return [
        state("heatmaps", found, method=found.result.method, target_layer=found.result.target_layer)
        for found in network.of(Heatmaps)
    ]


def _commands(networks: Sequence[ReportedNetwork]) -> list[str]:
    return [_command(group) for group in together(networks, Heatmaps, _run)]


def _run(found: Found[Heatmaps]) -> object:
    """What heatmaps of one run share."""
    return [str(found.path.parent.parent), found.picture_digest]


def _command(group: Sequence[tuple[ReportedNetwork, Found[Heatmaps]]]) -> str:
    maps, first = [found.result for _, found in group], group[0][1]
    parts: list[object] = [*network_paths(group), *image_options(first)]
    parts += [part for method in dict.fromkeys(one.method for one in maps) for part in ("--method", method)]
    layers = {one.target_layer for one in maps}
    if len(layers) == 1:
        parts += ["--layer", *layers]
    # One class for all may have been asked for; several can only be what was predicted.
    classes = {int(index) for one in maps for index in one.class_index}
    if len(classes) == 1 and not all((one.probability > 0.5).all() for one in maps):
        parts += ["--class", *classes]
    if any(measured_rows(network) for network, _ in group):
        parts.append("--faithfulness")
    return command("cam", *parts, "-o", first.path.parent.parent)


HEATMAPS = ReportKind(
    section=FAITHFULNESS.section,
    readers={".npz:heatmaps": _read},
    show=_show,
    describe=_describe,
    commands=_commands,
    suggestion=Suggestion("heatmaps", "cam {networks} --images {images}"),
)
