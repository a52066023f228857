"""Heatmaps of several models, methods and pictures: arrays, one grid, a table, and how faithful they are."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np

from gradscape._files import replacing_text
from gradscape._names import class_label
from gradscape.data.pictures import Pictures, save_shown_pictures
from gradscape.explain.cam import heatmaps
from gradscape.explain.faithfulness import MEASURES, Faithfulness, Mean, measure_faithfulness
from gradscape.explain.heatmap import Heatmaps
from gradscape.explain.layout import MapLayout
from gradscape.explain.output_kind import OutputKind
from gradscape.figures import Figure
from gradscape.figures.images.heatmap_panel import Style
from gradscape.figures.images.heatmaps import Arrangement, figure_heatmaps, images_per_page
from gradscape.figures.images.overlay import Background, HeatmapScale
from gradscape.models import Classifier
from gradscape.studies.comparison import save_differences
from gradscape.studies.differences import PairDifference
from gradscape.studies.drawing import save_pages
from gradscape.studies.faithfulness_differences import compare_faithfulness
from gradscape.studies.networks import class_name, class_number, file_name, provenance
from gradscape.studies.picture_names import titles

__all__ = [
    "CLASS_HEADINGS",
    "FAITHFULNESS_HEADINGS",
    "METHOD_HEADINGS",
    "Explanations",
    "draw_explanations",
    "explain_pictures",
    "tabulate_classes",
    "tabulate_faithfulness",
    "tabulate_methods",
]

_BATCH = 16
_TOLD = ("deletion", "insertion", "drop", "increase", "road")
CLASS_HEADINGS = ("image", "model", "class", "probability ")
FAITHFULNESS_HEADINGS = ("model", "method", *(f"{name} " for name in _TOLD))
METHOD_HEADINGS = ("model", "method", "target layer", "not drawn ")


@final
@dataclass(frozen=True, eq=False)
class Explanations:
    """Heatmaps of the same pictures by every model and method.

    Attributes:
        pictures: What was explained.
        heatmaps: Model -> method -> maps.
        labels: Each model's class names, or None.
        faithfulness: Model -> method -> measures; empty where nobody asked.
        differences: Of faithfulness, between models and between methods, paired over the pictures.
    """

    pictures: Pictures
    heatmaps: Mapping[str, Mapping[str, Heatmaps]]
    labels: Mapping[str, Sequence[str] | None]
    faithfulness: Mapping[str, Mapping[str, Faithfulness]]
    differences: Sequence[PairDifference] = ()

    def save(self, folder: Path) -> list[Path]:
        """Write the pictures, the arrays, `NAME/METHOD.npz`, and one table of everything, `cam.csv`.

        Where faithfulness of several was measured, `faithfulness_differences.csv` lies beside it.

        Returns:
            What was written.
        """
        written = [save_shown_pictures(self.pictures, folder)]
        for name, methods in self.heatmaps.items():
            for method, maps in methods.items():
                written.append(folder / file_name(name) / f"{file_name(method)}.npz")
                maps.save(written[-1])
        with replacing_text(folder / "cam.csv") as file:
            table = csv.writer(file)
            rows = list(_rows(self))
            table.writerow(rows[0])
            table.writerows(row.values() for row in rows)
        written.append(folder / "cam.csv")
        if self.differences:
            written.append(save_differences(folder / "faithfulness_differences.csv", self.differences))
        return written


def explain_pictures(
    models: Mapping[str, Classifier],
    pictures: Pictures,
    *,
    methods: Sequence[str] = ("gradcam++",),
    target_layer: str | None = None,
    class_index: str | None = None,
    outputs: OutputKind | None = None,
    layout: MapLayout | None = None,
    measured: bool = False,
) -> Explanations:
    """Make the heatmaps of every model and method, and measure how faithful they are if wanted.

    Args:
        models: By the name that pictures and folders take.
        pictures: What to explain.
        methods: Names of methods.
        target_layer: Name of a layer; None for the one found in each model.
        class_index: A class's number or name; None for what each model predicts for each picture.
        outputs: What the models' numbers are, as `heatmaps` takes it; None to have it measured.
        layout: How the target layers give their places, as `heatmaps` takes it; None to have it measured.
        measured: Whether to measure faithfulness.

    Raises:
        ValueError: A name is unknown, or a model cannot be explained this way.
    """
    asked = class_number(class_index, models)
    several = list(dict.fromkeys(methods))
    found, faithfulness = {}, {}
    for name, model in models.items():
        images = pictures.images.to(model.mean.device)
        about = provenance(name, model, pictures)
        parts = [
            heatmaps(
                model,
                batch,
                method=several,
                target_layer=target_layer,
                class_index=asked,
                outputs=outputs,
                layout=layout,
            )
            for batch in images.split(_BATCH)
        ]
        joined = {method: _joined([part[method] for part in parts], about) for method in parts[0]}
        found[name] = {method: _with_class_names(maps, model.labels) for method, maps in joined.items()}
        if measured:
            faithfulness[name] = {
                method: measure_faithfulness(model, images, maps) for method, maps in found[name].items()
            }
    labels = {name: model.labels for name, model in models.items()}
    return Explanations(pictures, found, labels, faithfulness, compare_faithfulness(faithfulness))


def draw_explanations(
    explained: Explanations,
    folder: Path,
    *,
    style: Style = "overlay",
    background: Background | None = None,
    scale: HeatmapScale = "image",
) -> list[Path]:
    """Draw everything in one grid, `cam.pdf` and `cam.png`; what does not fit on a page goes to `cam_page2` and so on.

    Args:
        explained: What to draw.
        folder: Where to.
        style: "overlay", "heatmap" or "masked".
        background: "color", "gray" or "none"; None for overlays in color and masks on gray.
        scale: "image" or "shared".

    Returns:
        What was written.
    """
    looks: dict[str, Any] = {"style": style, "background": background, "scale": scale}
    return save_pages(_pages(explained, looks), folder / "cam")


def tabulate_classes(explained: Explanations) -> list[tuple[str, ...]]:
    """Return the explained class of each picture and model, under `CLASS_HEADINGS`."""
    rows: list[tuple[str, ...]] = []
    for number, picture in enumerate(explained.pictures.names):
        for name, methods in explained.heatmaps.items():
            maps = next(iter(methods.values()))
            label = class_name(explained.labels, name, int(maps.class_index[number]))
            rows.append((picture, name, label, f"{100 * maps.probability[number]:.1f} %"))
    return rows


def tabulate_methods(explained: Explanations) -> list[tuple[str, ...]]:
    """Return each method's target layer and the number of maps that cannot be drawn, under `METHOD_HEADINGS`."""
    return [
        (name, method, maps.target_layer, str(len(maps.faults)))
        for name, methods in explained.heatmaps.items()
        for method, maps in methods.items()
    ]


def tabulate_faithfulness(explained: Explanations) -> list[tuple[str, ...]]:
    """Return means ± standard errors over the pictures, under `FAITHFULNESS_HEADINGS`."""
    return [
        (name, method, *(_spelled(measured.means[measure]) for measure in _TOLD))
        for name, methods in explained.faithfulness.items()
        for method, measured in methods.items()
    ]


def _with_class_names(maps: Heatmaps, labels: Sequence[str] | None) -> Heatmaps:
    """The maps, whose file tells what their classes are called, also where the checkpoint is not at hand."""
    shown = {int(index): class_label(labels, int(index)) for index in maps.class_index}
    names = {str(index): name for index, name in shown.items() if name}
    return replace(maps, meta={**maps.meta, "class_names": names}) if names else maps


def _joined(parts: Sequence[Heatmaps], about: Mapping[str, Any]) -> Heatmaps:
    """Maps of one method from batch after batch."""
    arrays = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("raw", "class_index", "score", "probability")
    }
    first = parts[0]
    return Heatmaps(
        **arrays,
        image_size=first.image_size,
        method=first.method,
        target_layer=first.target_layer,
        meta={**first.meta, **about},
    )


def _pages(explained: Explanations, looks: Mapping[str, Any]) -> Iterator[Figure]:
    models, methods = len(explained.heatmaps), len(next(iter(explained.heatmaps.values())))
    count = len(explained.pictures.names)

    fitting: dict[Arrangement, int] = {
        "rows": images_per_page(models, methods, "rows"),
        "columns": images_per_page(models, methods, "columns"),
    }
    pages = {images_as: -(-count // most) for images_as, most in fitting.items() if most}
    arrangement = min(pages, key=lambda images_as: pages[images_as])
    step = -(-count // pages[arrangement])
    for start in range(0, count, step):
        yield figure_heatmaps(
            explained.pictures.images,
            explained.heatmaps,
            shown=range(start, min(start + step, count)),
            names=titles(explained.pictures),
            labels=explained.labels,
            images_as=arrangement,
            **looks,
        )


def _rows(explained: Explanations) -> Iterator[dict[str, Any]]:
    """A row of the table for each model, method and picture."""
    for name, methods in explained.heatmaps.items():
        for method, maps in methods.items():
            measured = explained.faithfulness.get(name, {}).get(method)
            for number, picture in enumerate(explained.pictures.names):
                index = int(maps.class_index[number])
                yield {
                    "image": picture,
                    "model": name,
                    "method": method,
                    "target_layer": maps.target_layer,
                    "class_index": index,
                    "class": class_name(explained.labels, name, index),
                    "probability": float(maps.probability[number]),
                    "score": float(maps.score[number]),
                    "fault": (measured or maps).faults.get(number, ""),
                    **({each: float(getattr(measured, each)[number]) for each in MEASURES} if measured else {}),
                }


def _spelled(mean: Mean) -> str:
    if not mean.count:
        return "-"
    error = f"±{mean.standard_error:.2f}" if np.isfinite(mean.standard_error) else ""
    return f"{mean.value:.2f}{error}"
