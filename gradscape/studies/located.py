"""Heatmaps of parts of pictures: of a box that a detector finds, or of the pixels that a segmenter gives to a class."""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

from gradscape._files import save_rows
from gradscape._names import class_label
from gradscape.data.pictures import Pictures, save_shown_pictures
from gradscape.explain.detections import explain_detection
from gradscape.explain.explained import NothingFoundError
from gradscape.explain.heatmap import Heatmaps
from gradscape.explain.layout import MapLayout
from gradscape.explain.pixels import explain_pixels
from gradscape.figures import Figure
from gradscape.figures.caption import add_remark
from gradscape.figures.images.heatmap_panel import Style
from gradscape.figures.images.located_heatmaps import LocatedHeatmap, figure_located_heatmaps, located_per_page
from gradscape.figures.images.method_titles import method_title
from gradscape.figures.images.overlay import Background
from gradscape.models import Classifier
from gradscape.models.segmentation import Segmenter
from gradscape.studies.drawing import save_pages
from gradscape.studies.networks import NetworkKind, class_name, class_number, file_name, network_kind, provenance
from gradscape.studies.picture_names import picture_stems, titles

__all__ = [
    "LOCATED_HEADINGS",
    "LocatedExplanations",
    "check_options",
    "draw_located",
    "explain_boxes",
    "explain_located",
    "explain_segments",
    "tabulate_located",
]

LOCATED_HEADINGS = ("image", "model", "class", "score ", "box (pixels)", "target layer")

_PERTURBED = "measures of faithfulness count classes of whole pictures"
_OUTPUTS = "what its numbers are is known"
_SCALED = "maps of other pictures explain other things, and each has its own scale"
_REFUSED: dict[str, dict[NetworkKind, str]] = {
    "measured": {"detector": _PERTURBED, "segmenter": _PERTURBED},
    "outputs": {"detector": _OUTPUTS, "segmenter": _OUTPUTS},
    "scale": {"detector": _SCALED, "segmenter": _SCALED},
    "target_layer": {"detector": "a box is explained at the level of the feature pyramid that it comes from"},
    "layout": {"detector": "the places of its feature pyramid are known"},
    "detection": {"classifier": "it finds no boxes", "segmenter": "it finds no boxes"},
    "region": {"classifier": "it has one answer for a picture", "detector": "a box is explained as it was found"},
}
_CORNERS = ("x1", "y1", "x2", "y2")

_log = logging.getLogger(__name__)


@final
@dataclass(frozen=True, eq=False)
class LocatedExplanations:
    """Heatmaps of one part of each picture by every model and method.

    Attributes:
        pictures: What was explained, as canvases.
        heatmaps: Model -> number of a picture -> method -> the map of this picture; its `meta` has the `box` in pixels
            of the canvas, if it is one of a box. A picture in which there is nothing to explain is left out.
        labels: Each model's class names, or None.
    """

    pictures: Pictures
    heatmaps: Mapping[str, Mapping[int, Mapping[str, Heatmaps]]]
    labels: Mapping[str, Sequence[str] | None]

    def save(self, folder: Path) -> list[Path]:
        """Write the pictures, the arrays, `NAME/PICTURE/METHOD.npz`, and one table of everything, `cam.csv`.

        Returns:
            What was written.
        """
        written, stems = [save_shown_pictures(self.pictures, folder)], picture_stems(self.pictures)
        for name, numbers in self.heatmaps.items():
            for number, methods in numbers.items():
                for method, maps in methods.items():
                    written.append(folder / file_name(name) / stems[number] / f"{file_name(method)}.npz")
                    maps.save(written[-1])
        rows = list(_rows(self))
        save_rows(folder / "cam.csv", list(rows[0]), rows)
        return [*written, folder / "cam.csv"]


def check_options(kind: NetworkKind, given: Collection[str]) -> None:
    """Refuse what says nothing to networks of a kind.

    Args:
        kind: Of the networks.
        given: Names of what was asked for: arguments of `explain_pictures`, `explain_boxes` and `explain_segments`, and
            "scale".

    Raises:
        ValueError: Something is not for this kind.
    """
    for name in given:
        if kind in _REFUSED.get(name, {}):
            raise ValueError(f"`{name}` says nothing to a {kind}: {_REFUSED[name][kind]}; leave it out")


def explain_located(models: Mapping[str, Classifier], pictures: Pictures, **given: Any) -> LocatedExplanations:
    """Explain boxes of detectors, or pixels of segmenters.

    Args:
        models: All detectors, or all segmenters.
        pictures: Canvases.
        given: What `explain_boxes` or `explain_segments` takes.

    Raises:
        ValueError: As these.
    """
    explain = explain_boxes if network_kind(models) == "detector" else explain_segments
    return explain(models, pictures, **given)


def explain_boxes(
    models: Mapping[str, Classifier],
    pictures: Pictures,
    *,
    methods: Sequence[str] = ("hirescam",),
    class_index: str | None = None,
    detection: int = 0,
) -> LocatedExplanations:
    """Explain one of the boxes that each detector finds in each picture; where there are not so many a line is logged.

    Args:
        models: By the name that pictures and folders take.
        pictures: Canvases.
        methods: Names of methods, as `explain_detection` takes them.
        class_index: A class's number or name, whose boxes alone are counted; None for all.
        detection: Which box of each picture, from 0, the surest.

    Raises:
        ValueError: A name is unknown, or there is no such box in any picture.
    """
    asked = class_number(class_index, models)

    def explained(model: Classifier, number: int) -> Mapping[str, Heatmaps]:
        image = pictures.images[number : number + 1].to(model.mean.device)
        found = explain_detection(model, image, method=methods, detection=detection, class_index=asked)
        box = [float(one) for one in found.box]
        return {method: _with_entries(maps, box=box) for method, maps in found.heatmaps.items()}

    of = "" if class_index is None else f" of class {class_index}"
    return _explained(models, pictures, explained, f"{f'detection {detection}' if detection else 'box'}{of}")


def explain_segments(
    models: Mapping[str, Classifier],
    pictures: Pictures,
    *,
    class_index: str | None = None,
    region: tuple[int, int, int, int] | None = None,
    methods: Sequence[str] = ("hirescam",),
    target_layer: str | None = None,
    layout: MapLayout | None = None,
) -> LocatedExplanations:
    """Explain a class at the pixels that each segmenter gives to it; where there are none a line is logged.

    Args:
        models: By the name that pictures and folders take.
        pictures: Canvases, of which only what shows a picture counts.
        class_index: A class's number or name.
        region: x1, y1, x2, y2 in pixels of the canvases, whose pixels are explained instead.
        methods: Names of methods, as `explain_pixels` takes them.
        target_layer: Name of a layer; None for the last map of the backbone: behind it, in the head, a place knows
            little more than the answer there.
        layout: As `heatmaps` takes it.

    Raises:
        ValueError: No class came, a name is unknown, the region is not in a picture, or the class in none.
    """
    asked = class_number(class_index, models)
    if asked is None:
        raise ValueError("`class_index` must say which class of a segmenter to explain: give its number or name")

    def explained(model: Classifier, number: int) -> Mapping[str, Heatmaps]:
        assert isinstance(model.network, Segmenter)
        layer = target_layer or f"backbone.stages.{len(model.network.backbone.stages) - 1}"
        image = pictures.images[number : number + 1].to(model.mean.device)
        shown = pictures.covered[number] if pictures.covered else None
        options: dict[str, Any] = {"target_layer": layer, "layout": layout, "region": region, "shown": shown}
        maps = explain_pixels(model, image, class_index=asked, method=methods, **options)
        return {method: _with_entries(one, box=region and list(map(float, region))) for method, one in maps.items()}

    return _explained(models, pictures, explained, f"pixel of class {class_index}")


def draw_located(
    explained: LocatedExplanations, folder: Path, *, style: Style = "overlay", background: Background | None = None
) -> list[Path]:
    """Draw pictures in rows, models and methods in columns, `cam.pdf` and `cam.png`, then `cam_page2` and so on.

    Args:
        explained: What to draw.
        folder: Where to.
        style: "overlay", "heatmap" or "masked".
        background: "color", "gray" or "none"; None for overlays in color and masks on gray.

    Returns:
        What was written.
    """
    return save_pages(_pages(explained, {"style": style, "background": background}), folder / "cam")


def tabulate_located(explained: LocatedExplanations) -> list[tuple[str, ...]]:
    """Return what is explained in each picture for each model, under `LOCATED_HEADINGS`."""
    rows: list[tuple[str, ...]] = []
    for number, picture in enumerate(explained.pictures.names):
        for name, numbers in explained.heatmaps.items():
            if number not in numbers:
                rows.append((picture, name, "nothing found", "", "", ""))
                continue
            maps = next(iter(numbers[number].values()))
            box = ", ".join(f"{one:.1f}" for one in maps.meta.get("box") or ())
            label = class_name(explained.labels, name, int(maps.class_index[0]))
            rows.append((picture, name, label, f"{100 * maps.probability[0]:.1f} %", box, maps.target_layer))
    return rows


def _explained(
    models: Mapping[str, Classifier],
    pictures: Pictures,
    explain: Callable[[Classifier, int], Mapping[str, Heatmaps]],
    sought: str,
) -> LocatedExplanations:
    found: dict[str, dict[int, Mapping[str, Heatmaps]]] = {name: {} for name in models}
    missing = []
    for name, model in models.items():
        for number, picture in enumerate(pictures.names):
            try:
                maps = explain(model, number)
            except NothingFoundError:
                missing.append((picture, name))
                continue
            index = int(next(iter(maps.values())).class_index[0])
            names = {str(index): called} if (called := class_label(model.labels, index)) else None
            about = provenance(name, model, pictures.only(number))
            found[name][number] = {
                method: _with_entries(one, **about, class_names=names) for method, one in maps.items()
            }
    if not any(found.values()):
        raise ValueError(
            f"`images` must show what is explained, but {', '.join(models)} finds no {sought} in any of them"
        )
    for picture, name in missing:
        _log.warning("%s is not explained for %s, which finds no %s in it", picture, name, sought)
    return LocatedExplanations(pictures, found, {name: model.labels for name, model in models.items()})


def _with_entries(maps: Heatmaps, **entries: Any) -> Heatmaps:
    return replace(maps, meta={**maps.meta, **{name: one for name, one in entries.items() if one is not None}})


def _pages(explained: LocatedExplanations, looks: Mapping[str, Any]) -> Iterator[Figure]:
    count = len(explained.pictures.names)
    images = [explained.pictures.cropped(number) for number in range(count)]
    found = _columns(explained)
    step = located_per_page([tuple(one.shape[1:]) for one in images], len(found))
    pages = -(-count // step)
    step = -(-count // pages)
    names = titles(explained.pictures)
    for start in range(0, count, step):
        page = slice(start, start + step)
        series = {title: several[page] for title, several in found.items()}
        drawn = figure_located_heatmaps(images[page], series, names=names[page], **looks)
        add_remark(drawn, _said(explained))
        yield drawn


def _said(explained: LocatedExplanations) -> str:
    """Networks, methods and layers, as far as titles do not say them."""
    every = [(name, one) for name, numbers in explained.heatmaps.items() for one in numbers.values()]
    layers = dict.fromkeys(maps.target_layer for _, methods in every for maps in methods.values())
    models = dict.fromkeys(name for name, _ in every)
    methods = dict.fromkeys(method_title(method) for _, several in every for method in several)
    return f"{', '.join(models)}; {', '.join(methods)}; target layer{'s' * (len(layers) > 1)} {', '.join(layers)}"


def _columns(explained: LocatedExplanations) -> dict[str, list[LocatedHeatmap | None]]:
    """Model and method, as far as there are several -> what is drawn of each picture."""
    every = [methods for numbers in explained.heatmaps.values() for methods in numbers.values()]
    methods = list(every[0])
    columns: dict[str, list[LocatedHeatmap | None]] = {}
    for name, numbers in explained.heatmaps.items():
        for method in methods:
            parts = [name] if len(explained.heatmaps) > 1 else []
            title = "\n".join([*parts, *([method_title(method)] if len(methods) > 1 or not parts else [])])
            columns[title] = [
                _located(explained, name, number, numbers[number][method]) if number in numbers else None
                for number in range(len(explained.pictures.names))
            ]
    return columns


def _located(explained: LocatedExplanations, name: str, number: int, maps: Heatmaps) -> LocatedHeatmap:
    height, width = explained.pictures.cropped(number).shape[1:]
    index = int(maps.class_index[0])
    return LocatedHeatmap(
        maps.display[0, :height, :width],
        called=class_name(explained.labels, name, index),
        score=float(maps.probability[0]),
        box=maps.meta.get("box"),
        fault=maps.faults.get(0),
    )


def _rows(explained: LocatedExplanations) -> Iterator[dict[str, Any]]:
    """A row of the table for each model, picture and method."""
    for name, numbers in explained.heatmaps.items():
        for number, methods in numbers.items():
            for method, maps in methods.items():
                index = int(maps.class_index[0])
                yield {
                    "image": explained.pictures.names[number],
                    "model": name,
                    "method": method,
                    "target_layer": maps.target_layer,
                    "class_index": index,
                    "class": class_name(explained.labels, name, index),
                    "score": float(maps.probability[0]),
                    **dict(zip(_CORNERS, maps.meta.get("box") or [""] * len(_CORNERS), strict=True)),
                    "fault": maps.faults.get(0, ""),
                }
