"""Evaluations of detectors as tables and files: what is printed, and what lies in a folder afterwards."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gradscape._average_precision import AveragePrecision
from gradscape.studies.annotated_files import describe_intervals, save_annotated
from gradscape.studies.detection_evaluation import DetectionEvaluation
from gradscape.studies.evaluation_files import interval_text, score_text

__all__ = ["PRECISION_HEADINGS", "describe_detections", "save_detections", "tabulate_precision"]

PRECISION_HEADINGS = (
    "network",
    "of",
    "AP (%) ",
    "interval ",
    "AP50 ",
    "AP75 ",
    "small ",
    "medium ",
    "large ",
    "boxes ",
)

_SCORES = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
_CORNERS = ("x1", "y1", "x2", "y2")


def tabulate_precision(evaluations: Mapping[str, DetectionEvaluation]) -> list[tuple[str, ...]]:
    """Return a row of text for each network and kind of overlap, under `PRECISION_HEADINGS`."""
    return [
        (
            name,
            f"{iou}es" if iou == "box" else f"{iou}s",
            score_text(found.ap, "ap"),
            interval_text(found.intervals["ap"], "ap"),
            *(score_text(getattr(found, score), score) for score in _SCORES[1:]),
            f"{found.boxes:,}",
        )
        for name, evaluation in evaluations.items()
        for iou, found in evaluation.precision.items()
    ]


def describe_detections(evaluations: Mapping[str, DetectionEvaluation]) -> list[str]:
    """Say what must be known to read the numbers, a line each."""
    measured = next(iter(evaluations.values())).precision["box"]
    about = (
        "AP is the mean over overlaps (IoU) of .50 to .95 and over the classes annotated, as COCO counts it; small and "
        "large are below 32² and above 96² pixels of the original pictures"
    )
    lines = describe_intervals(evaluations, measured.intervals["ap"].method, about)
    if measured.crowds:
        lines.append(f"what is found in {measured.crowds:,} regions of many is neither right nor wrong")
    broken = {name: one.precision["box"].not_finite for name, one in evaluations.items()}
    if counts := ", ".join(f"{count:,} by {name}" for name, count in broken.items() if count):
        lines.append(f"detections that are not finite, and count as none: {counts}")
    return lines


def save_detections(evaluations: Mapping[str, DetectionEvaluation], folder: Path) -> list[Path]:
    """Write detections, scores, and what was found in each image.

    In `folder` that is evaluation.csv, evaluation_classes.csv, and evaluation.json with both and how they came about;
    of each network, in a folder of its name where there are several, detections.csv (in pixels of the original
    pictures) and images.csv.

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
        tables={name: _tables(one) for name, one in evaluations.items()},
        scores={
            name: [row for found in one.precision.values() for row in _rows(name, found)]
            for name, one in evaluations.items()
        },
        classes={
            name: [row for found in one.precision.values() for row in _by_class(name, found)]
            for name, one in evaluations.items()
        },
        remarks=describe_detections,
    )


def _tables(evaluation: DetectionEvaluation) -> dict[str, Any]:
    records = [asdict(image) for image in evaluation.images]
    found = ("image", "class", "score", *_CORNERS), _detection_rows(evaluation)
    return {"detections.csv": found, "images.csv": (list(records[0]), records)}


def _detection_rows(evaluation: DetectionEvaluation) -> Iterator[dict[str, Any]]:
    detections = evaluation.detections
    for one in detections.detected:
        left, top, wide, high = one["bbox"]
        about = {"image": one["image_id"], "class": detections.classes[one["category_id"]], "score": one["score"]}
        yield {**about, **dict(zip(_CORNERS, (left, top, left + wide, top + high), strict=True))}


def _rows(name: str, found: AveragePrecision) -> list[dict[str, Any]]:
    counts = {"images": found.images, "boxes": found.boxes, "not_finite": found.not_finite}
    return [
        {
            "network": name,
            "iou": found.iou,
            "score": score,
            "value": getattr(found, score),
            **dict.fromkeys(("low", "high", "confidence", "method")),
            **(asdict(found.intervals[score]) if score in found.intervals else {}),
            **counts,
        }
        for score in _SCORES
    ]


def _by_class(name: str, found: AveragePrecision) -> list[dict[str, Any]]:
    about = {"network": name, "iou": found.iou}
    return [
        {**about, "class": called, "ap": ap, "boxes": int(boxes)}
        for called, ap, boxes in zip(found.classes, found.class_ap.tolist(), found.class_boxes, strict=True)
    ]
