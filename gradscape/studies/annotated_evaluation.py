"""Detectors or segmenters evaluated on the same images: what is measured, printed and saved of each kind."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, final

from gradscape.data import load_annotated
from gradscape.data.annotated_split import Kind
from gradscape.models import Classifier
from gradscape.studies.detection_evaluation import DetectionEvaluation, evaluate_detector
from gradscape.studies.detection_files import (
    PRECISION_HEADINGS,
    describe_detections,
    save_detections,
    tabulate_precision,
)
from gradscape.studies.networks import common_image_size
from gradscape.studies.segmentation_evaluation import SegmentationEvaluation, evaluate_segmenter
from gradscape.studies.segmentation_files import (
    OVERLAP_HEADINGS,
    describe_segmentations,
    save_segmentations,
    tabulate_overlaps,
)

__all__ = ["EvaluatedNetworks", "evaluate_annotated"]

Report = Callable[[int, int], object]
Found = TypeVar("Found")


@final
@dataclass(frozen=True, eq=False)
class EvaluatedNetworks:
    """Networks of one kind on the same images.

    Attributes:
        evaluations: By network.
        headings: Of the table.
        rows: Of the table, as text.
        remarks: What must be known to read the numbers.
        save: Writes everything into a folder, and returns the files.
    """

    evaluations: Mapping[str, DetectionEvaluation] | Mapping[str, SegmentationEvaluation]
    headings: Sequence[str]
    rows: Sequence[tuple[str, ...]]
    remarks: Sequence[str]
    save: Callable[[Path], list[Path]]


def evaluate_annotated(
    models: Mapping[str, Classifier],
    data: str,
    split: str,
    *,
    kind: Kind,
    report: Report | None = None,
    seed: int = 0,
    **options: Any,
) -> EvaluatedNetworks:
    """Load images and evaluate networks on them, one after the other.

    Args:
        models: Detectors, or segmenters, by the name that tables take.
        data: Name of the data set.
        split: "train" or "test".
        kind: What is annotated: "boxes", "masks" or "pixels".
        report: Called after every batch with the images done, each as often as there are networks, and all.
        seed: Of the bootstrap, and of what `limit` chooses.
        **options: `batch_size` and `limit`, as `load_annotated` takes them.

    Raises:
        ValueError: Networks take images of several sizes, or data and networks do not fit.
        FileNotFoundError: The data are not where they were looked for.
    """
    images: Any = load_annotated(data, split, kind=kind, image_size=common_image_size(models), seed=seed, **options)

    def each(evaluate: Callable[..., Found]) -> dict[str, Found]:
        return {
            name: evaluate(model, images, seed=seed, report=_shifted(report, number, len(models)))
            for number, (name, model) in enumerate(models.items())
        }

    if kind == "pixels":
        divided = each(evaluate_segmenter)
        return EvaluatedNetworks(
            divided,
            OVERLAP_HEADINGS,
            tabulate_overlaps(divided),
            describe_segmentations(divided),
            lambda folder: save_segmentations(divided, folder),
        )
    detected = each(evaluate_detector)
    return EvaluatedNetworks(
        detected,
        PRECISION_HEADINGS,
        tabulate_precision(detected),
        describe_detections(detected),
        lambda folder: save_detections(detected, folder),
    )


def _shifted(report: Report | None, number: int, networks: int) -> Report | None:
    """Reports of one network as parts of all."""
    if report is None:
        return None
    return lambda done, images: report(number * images + done, networks * images)
