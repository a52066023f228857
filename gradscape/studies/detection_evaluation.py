"""A detector evaluated on a split: its average precision with intervals over images, and what it found in each."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import final

from torch import nn

from gradscape._average_precision import (
    AveragePrecision,
    average_precision,
    measure_average_precision,
    precision_by_image,
)
from gradscape._detections import Detections, Iou, Outputs
from gradscape._left_as_before import left_as_before
from gradscape._model_state import model_device
from gradscape._profile import spent_on
from gradscape._provenance import Provenance
from gradscape.landscape.engine import evaluable
from gradscape.studies.annotated_images import (
    AnnotatedImageBatches,
    annotated_provenance,
    begun_digest,
    check_annotated_classes,
)

__all__ = [
    "AveragePrecision",
    "DetectedImage",
    "DetectionEvaluation",
    "evaluate_detector",
    "measure_average_precision",
]

_RESAMPLES = 200  # enough for a standard error (Efron and Tibshirani 1993, section 6.4)


@final
@dataclass(frozen=True)
class DetectedImage:
    """What was found in one image.

    Attributes:
        image: Its number in the split's order.
        boxes: How many are annotated, regions of many left out.
        crowds: How many regions of many are annotated.
        detections: How many were found, of any score.
        not_finite: How many more were none, since a number of theirs is not finite.
        ap50: Average precision at an overlap of .50 in this image by itself, of the classes annotated in it; NaN where
            none is.
    """

    image: int
    boxes: int
    crowds: int
    detections: int
    not_finite: int
    ap50: float


@final
@dataclass(frozen=True, eq=False)
class DetectionEvaluation:
    """A detector on the images of a split.

    Attributes:
        precision: By what had to overlap: "box", and "mask" where the detector gives masks and the data have them.
        images: Of each image what was found in it, by its boxes.
        detections: All that was found, with what is annotated, in the pixels of the original pictures.
        confidence: Coverage of each interval.
        meta: Which detector and images, exactly, and the versions.
    """

    precision: Mapping[Iou, AveragePrecision]
    images: tuple[DetectedImage, ...]
    detections: Detections
    confidence: float
    meta: Provenance


@left_as_before
def evaluate_detector(
    model: nn.Module,
    split: AnnotatedImageBatches,
    *,
    confidence: float = 0.95,
    seed: int = 0,
    report: Callable[[int, int], object] | None = None,
) -> DetectionEvaluation:
    """Show a detector all images of a split, and measure its average precision.

    Args:
        model: Any that gives a list with a dict of boxes, classes and scores for each image; masks where it has them.
        split: The images with their boxes.
        confidence: Coverage of the intervals.
        seed: Of the bootstrap.
        report: Called after every batch with the images done, and all.

    Raises:
        ValueError: The images are of other classes than the detector's, or it gives something else than detections.
    """
    check_annotated_classes(model, split)
    digest, collected, done = begun_digest(split), None, 0
    with evaluable(model):
        for images, targets in split:
            with spent_on("points"):
                outputs = _checked_outputs(model(images.to(model_device(model))), len(images))
            if collected is None:
                masks = "masks" in targets and all("masks" in output for output in outputs)
                collected = Detections(split.classes, masks=masks)
            collected.add(outputs, targets)
            digest.add(images)
            done += len(images)
            if report is not None:
                report(done, split.num_images)
    if collected is None:
        raise ValueError(f"`split` must hold at least one image, got none in {split.name}; check `limit`")
    kinds: list[Iou] = ["box", "mask"] if collected.masks else ["box"]
    asked = {"resamples": _RESAMPLES, "seed": seed}
    precision = {iou: average_precision(collected, iou=iou, confidence=confidence, **asked) for iou in kinds}
    meta = annotated_provenance(model, split, image_digest=digest.text, resamples=_RESAMPLES, seed=seed)
    return DetectionEvaluation(precision, tuple(_image_records(collected)), collected, confidence, meta)


def _checked_outputs(outputs: object, count: int) -> Outputs:
    if not isinstance(outputs, list | tuple) or not all(isinstance(one, Mapping) for one in outputs):
        raise ValueError(
            f"`model` must give a list with a dict of boxes, classes and scores for each of {count} images, got "
            f"{type(outputs).__name__}; other networks are evaluated by `evaluate_networks`"
        )
    return outputs


def _image_records(collected: Detections) -> Iterator[DetectedImage]:
    found, boxes, crowds = ([0] * len(collected) for _ in range(3))
    for one in collected.detected:
        found[one["image_id"]] += 1
    for one in collected.annotated:
        (crowds if one["iscrowd"] else boxes)[one["image_id"]] += 1
    by_image = precision_by_image(collected).tolist()
    for image, row in enumerate(zip(boxes, crowds, found, collected.not_finite, by_image, strict=True)):
        yield DetectedImage(image, *row)
