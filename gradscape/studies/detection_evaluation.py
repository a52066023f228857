"""A detector evaluated on a split: its average precision with intervals over images, and what it found in each."""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, final, runtime_checkable

import torch
from torch import Tensor, nn

from gradscape._average_precision import (
    AveragePrecision,
    average_precision,
    measure_average_precision,
    precision_by_image,
)
from gradscape._detections import Detections, Iou, Outputs, Targets
from gradscape._digest import TensorDigest, digest_model
from gradscape._left_as_before import left_as_before
from gradscape._model_state import model_device
from gradscape._profile import spent_on
from gradscape._provenance import Provenance, current_versions
from gradscape.landscape.engine import evaluable
from gradscape.models import Classifier
from gradscape.studies.evaluation import SEEN, TEST
from gradscape.studies.image_records import KnownImages, record_test, was_trained_with

__all__ = [
    "AnnotatedImageBatches",
    "AveragePrecision",
    "DetectedImage",
    "DetectionEvaluation",
    "evaluate_detector",
    "measure_average_precision",
]

_RESAMPLES = 200  # enough for a standard error (Efron and Tibshirani 1993, section 6.4)

_log = logging.getLogger(__name__)


@runtime_checkable
class AnnotatedImageBatches(KnownImages, Protocol):
    """A split with boxes: batches of (images, targets), and what is known of them; attributes as those of `Split`."""

    @property
    def classes(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def image_size(self) -> int: ...  # noqa: D102
    @property
    def batch_size(self) -> int: ...  # noqa: D102

    def __iter__(self) -> Iterator[tuple[Tensor, Targets]]: ...


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
    _check_same_classes(model, split)
    digest, collected, done = _begun_digest(split), None, 0
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
    meta = _provenance(model, split, image_digest=digest.text, seed=seed)
    return DetectionEvaluation(precision, tuple(_image_records(collected)), collected, confidence, meta)


def _checked_outputs(outputs: object, count: int) -> Outputs:
    if not isinstance(outputs, list | tuple) or not all(isinstance(one, Mapping) for one in outputs):
        raise ValueError(
            f"`model` must give a list with a dict of boxes, classes and scores for each of {count} images, got "
            f"{type(outputs).__name__}; other networks are evaluated by `evaluate_networks`"
        )
    return outputs


def _check_same_classes(model: nn.Module, split: AnnotatedImageBatches) -> None:
    if not isinstance(model, Classifier):
        return
    known, labels = model.meta["num_classes"], model.labels
    if known != len(split.classes):
        raise ValueError(
            f"`split` must be of the {known} classes that the detector tells apart, but {split.name} has "
            f"{len(split.classes)}; take images of its own classes"
        )
    if not labels or tuple(labels) == tuple(split.classes):
        return
    if sorted(labels) == sorted(split.classes):
        raise ValueError(
            f"`split` must count its classes as the detector does, but {split.name} has them in another order; bring "
            "them into that of `gradscape import --labels`"
        )
    own, other = next(pair for pair in zip(labels, split.classes, strict=True) if pair[0] != pair[1])
    _log.warning(
        "classes of %s have other names, such as %r for %r: see that the same are meant", split.name, other, own
    )


def _begun_digest(split: AnnotatedImageBatches) -> TensorDigest:
    """The digest of the images as one batch, to which they are still to be added."""
    digest = TensorDigest()
    digest.begin("images", torch.float32, (split.num_images, 3, split.image_size, split.image_size))
    return digest


def _image_records(collected: Detections) -> Iterator[DetectedImage]:
    found, boxes, crowds = ([0] * len(collected) for _ in range(3))
    for one in collected.detected:
        found[one["image_id"]] += 1
    for one in collected.annotated:
        (crowds if one["iscrowd"] else boxes)[one["image_id"]] += 1
    by_image = precision_by_image(collected).tolist()
    for image, row in enumerate(zip(boxes, crowds, found, collected.not_finite, by_image, strict=True)):
        yield DetectedImage(image, *row)


def _provenance(model: nn.Module, split: AnnotatedImageBatches, *, image_digest: str, seed: int) -> Provenance:
    about = model.meta if isinstance(model, Classifier) else {}
    path = model.path if isinstance(model, Classifier) else None
    return Provenance(
        model=about.get("name"),
        weights=digest_model(model),
        data=split.name,
        split=split.split,
        images=split.num_images,
        image_digest=image_digest,
        population=split.population,
        seed=seed,
        versions=current_versions("torchvision", "faster-coco-eval"),
        others={
            TEST: record_test(split),
            "batch_size": split.batch_size,
            "resamples": _RESAMPLES,
            **({SEEN: True} if was_trained_with(about, split) else {}),
            **({"checkpoint": path} if path else {}),
        },
    )
