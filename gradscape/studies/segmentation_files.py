"""Evaluations of segmenters as tables and files: what is printed, and what lies in a folder afterwards."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gradscape.studies.annotated_files import describe_intervals, save_annotated
from gradscape.studies.evaluation_files import interval_text, score_text
from gradscape.studies.segmentation_evaluation import SegmentationEvaluation

__all__ = ["OVERLAP_HEADINGS", "describe_segmentations", "save_segmentations", "tabulate_overlaps"]

OVERLAP_HEADINGS = ("network", "mean IoU (%) ", "interval ", "pixel accuracy (%) ", "interval ", "pixels ")


def tabulate_overlaps(evaluations: Mapping[str, SegmentationEvaluation]) -> list[tuple[str, ...]]:
    """Return a row of text for each network, under `OVERLAP_HEADINGS`."""
    return [
        (
            name,
            *(
                text
                for score, found in one.scores.items()
                for text in (score_text(found.value, score), interval_text(found, score))
            ),
            f"{int(one.counts.pixels.sum()):,}",
        )
        for name, one in evaluations.items()
    ]


def describe_segmentations(evaluations: Mapping[str, SegmentationEvaluation]) -> list[str]:
    """Say what must be known to read the numbers, a line each."""
    first = next(iter(evaluations.values()))
    about = (
        "mean IoU is the mean over classes of intersection over union, each over all images together, of the classes "
        "that are annotated or found; pixels are those of the canvases that have a label"
    )
    broken = {name: int(one.counts.not_finite.sum()) for name, one in evaluations.items()}
    lines = describe_intervals(evaluations, first.scores["iou"].method, about)
    if counts := ", ".join(f"{count:,} by {name}" for name, count in broken.items() if count):
        lines.append(f"pixels whose logits are not finite, and count as wrong: {counts}")
    return lines


def save_segmentations(evaluations: Mapping[str, SegmentationEvaluation], folder: Path) -> list[Path]:
    """Write scores, and how each image was divided.

    In `folder` that is evaluation.csv, evaluation_classes.csv, and evaluation.json with both and how they came about;
    of each network, in a folder of its name where there are several, images.csv.

    Args:
        evaluations: By the network's name, all on the same images.
        folder: Where they go.

    Returns:
        The files.

    Raises:
        ValueError: There are none, or they are not on the same images.
    """
    return save_annotated(
        evaluations,
        folder,
        tables={name: {"images.csv": _image_rows(one)} for name, one in evaluations.items()},
        scores={name: _rows(name, one) for name, one in evaluations.items()},
        classes={name: _by_class(name, one) for name, one in evaluations.items()},
        remarks=describe_segmentations,
    )


def _image_rows(evaluation: SegmentationEvaluation) -> tuple[list[str], list[dict[str, Any]]]:
    counts = evaluation.counts
    columns = {
        "image": range(len(counts.pixels)),
        "pixels": counts.pixels.tolist(),
        "not_finite": counts.not_finite.tolist(),
        "pixel_accuracy": counts.image_accuracy.tolist(),
        "iou": counts.image_iou.tolist(),
    }
    return list(columns), [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _rows(name: str, evaluation: SegmentationEvaluation) -> list[dict[str, Any]]:
    counts = evaluation.counts
    about = {"images": len(counts.pixels), "not_finite": int(counts.not_finite.sum())}
    return [{"network": name, "score": score, **asdict(found), **about} for score, found in evaluation.scores.items()]


def _by_class(name: str, evaluation: SegmentationEvaluation) -> list[dict[str, Any]]:
    pixels = evaluation.counts.annotated.sum(axis=0).tolist()
    return [
        {"network": name, "class": called, "iou": iou, "pixels": count}
        for called, iou, count in zip(evaluation.classes, evaluation.class_iou.tolist(), pixels, strict=True)
    ]
