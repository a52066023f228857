"""A segmenter evaluated on a split: overlaps of classes and right pixels, with intervals over images."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor, nn

from gradscape._image_losses import IGNORED_LABEL
from gradscape._intervals import ConfidenceInterval, resampled_share
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

__all__ = ["PixelCounts", "SegmentationEvaluation", "evaluate_segmenter", "score_pixels"]

_RESAMPLES = 1000


@final
@dataclass(frozen=True, eq=False)
class PixelCounts:
    """How many pixels of each image are of each class; those whose label is ignored count nowhere.

    Attributes:
        annotated: By their labels.
        found: By the network's largest logit; a pixel with a logit that is not finite is of no class.
        right: By both.
        not_finite: Of each image how many pixels have a logit that is not finite.
    """

    annotated: Int64[np.ndarray, "images classes"]
    found: Int64[np.ndarray, "images classes"]
    right: Int64[np.ndarray, "images classes"]
    not_finite: Int64[np.ndarray, "images"]

    @property
    def pixels(self) -> Int64[np.ndarray, "images"]:
        """How many pixels of each image count."""
        return self.annotated.sum(axis=1)

    @property
    def image_accuracy(self) -> Float64[np.ndarray, "images"]:
        """Share of right pixels of each image; NaN where none counts."""
        return _shares(self.right.sum(axis=1), self.pixels)

    @property
    def image_iou(self) -> Float64[np.ndarray, "images"]:
        """Mean overlap of the classes that are in an image or are found in it; NaN where no pixel counts."""
        return _mean_known(_overlaps(self.annotated, self.found, self.right))


@final
@dataclass(frozen=True, eq=False)
class SegmentationEvaluation:
    """A segmenter on the images of a split.

    Attributes:
        scores: "iou", the mean of the classes that are annotated or found anywhere, and "pixel_accuracy", the share of
            right pixels, both in [0, 1] with an interval over images.
        class_iou: Intersection over union of each class, over all images together; NaN where it is neither annotated
            nor found.
        classes: Names of the classes.
        counts: What both are made of, image by image.
        confidence: Coverage of each interval.
        meta: Which network and images, exactly, and the versions.
    """

    scores: dict[str, ConfidenceInterval]
    class_iou: Float64[np.ndarray, "classes"]
    classes: tuple[str, ...]
    counts: PixelCounts
    confidence: float
    meta: Provenance


@left_as_before
def evaluate_segmenter(
    model: nn.Module,
    split: AnnotatedImageBatches,
    *,
    confidence: float = 0.95,
    seed: int = 0,
    report: Callable[[int, int], object] | None = None,
) -> SegmentationEvaluation:
    """Show a segmenter all images of a split, and measure how its classes overlap with those annotated.

    Args:
        model: Gives logits (N, classes, H, W) of images (N, 3, H, W).
        split: The images with their labels of pixels, −100 where a pixel does not count.
        confidence: Coverage of the intervals.
        seed: Of the bootstrap.
        report: Called after every batch with the images done, and all.

    Raises:
        ValueError: The images are of other classes than the network's, or it gives something else than such logits.
    """
    check_annotated_classes(model, split)
    digest, counted = begun_digest(split), list[PixelCounts]()
    done = 0
    with evaluable(model):
        for images, labels in split:
            with spent_on("points"):
                logits = model(images.to(model_device(model)))
                counted.append(_count(logits, labels, len(split.classes)))
            digest.add(images)
            done += len(images)
            if report is not None:
                report(done, split.num_images)
    if not counted:
        raise ValueError(f"`split` must hold at least one image, got none in {split.name}; check `limit`")
    names = ("annotated", "found", "right", "not_finite")
    counts = PixelCounts(*(np.concatenate([getattr(one, name) for one in counted]) for name in names))
    total = [getattr(counts, name).sum(axis=0) for name in names[:3]]
    return SegmentationEvaluation(
        score_pixels(counts, confidence=confidence, seed=seed),
        _overlaps(*total),
        tuple(split.classes),
        counts,
        confidence,
        annotated_provenance(model, split, image_digest=digest.text, resamples=_RESAMPLES, seed=seed),
    )


def score_pixels(counts: PixelCounts, *, confidence: float = 0.95, seed: int = 0) -> dict[str, ConfidenceInterval]:
    """Measure mean overlap and pixel accuracy, with intervals over images.

    Args:
        counts: Of all images.
        confidence: Coverage of each interval.
        seed: Of the bootstrap.

    Returns:
        "iou" and "pixel_accuracy".

    Source: Everingham et al. 2010 (intersection over union).
    """
    images = len(counts.pixels)
    drawn = np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), size=_RESAMPLES)
    once = np.ones((1, images), dtype=np.int64)
    # Of 20 to 300 made-up images, 95 % intervals held the truth in 91 to 96 % of 200 repeats; where each of 20 classes
    # is in one of 14 images, in 65, 93 and 96 % of 20, 60 and 300 images, those of quantiles in 6, 40 and 87 %.
    return {
        name: resampled_share(
            float(score(once, counts)[0]), score(drawn, counts) if images > 1 else [], confidence=confidence
        )
        for name, score in {"iou": _mean_overlap, "pixel_accuracy": _accuracy}.items()
    }


def _mean_overlap(times: Int64[np.ndarray, "draws images"], counts: PixelCounts) -> Float64[np.ndarray, "draws"]:
    """Mean overlap, each image counted so many times."""
    return _mean_known(_overlaps(times @ counts.annotated, times @ counts.found, times @ counts.right))


def _accuracy(times: Int64[np.ndarray, "draws images"], counts: PixelCounts) -> Float64[np.ndarray, "draws"]:
    return _shares(times @ counts.right.sum(axis=1), times @ counts.pixels)


def _overlaps(
    annotated: Int64[np.ndarray, "*rows"], found: Int64[np.ndarray, "*rows"], right: Int64[np.ndarray, "*rows"]
) -> Float64[np.ndarray, "*rows"]:
    return _shares(right, annotated + found - right)


def _shares(part: Int64[np.ndarray, "*rows"], whole: Int64[np.ndarray, "*rows"]) -> Float64[np.ndarray, "*rows"]:
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)


def _mean_known(values: Float64[np.ndarray, "rows classes"]) -> Float64[np.ndarray, "rows"]:
    """Mean of each row's numbers; NaN where it has none."""
    known = np.isfinite(values)
    counted = known.sum(axis=1)
    return np.divide(
        np.where(known, values, 0).sum(axis=1), counted, out=np.full(len(values), np.nan), where=counted > 0
    )


def _count(logits: object, labels: Tensor, classes: int) -> PixelCounts:
    """Pixels of a batch."""
    expected = (len(labels), classes, *labels.shape[1:])
    if not isinstance(logits, Tensor) or logits.shape != expected:
        got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ValueError(f"`model` must give logits {expected} of each pixel's class, got {got}")
    labels = labels.to(logits.device)
    counts, finite = labels != IGNORED_LABEL, logits.isfinite().all(1)
    # Pixels that do not count, or are of no class, are of one behind the last.
    annotated = torch.where(counts, labels, classes)
    found = torch.where(counts & finite, logits.argmax(1), classes)
    right = torch.where(annotated == found, annotated, classes)
    return PixelCounts(
        annotated=_by_image(annotated, classes),
        found=_by_image(found, classes),
        right=_by_image(right, classes),
        not_finite=(counts & ~finite).flatten(1).sum(1).cpu().numpy(),
    )


def _by_image(numbers: Tensor, classes: int) -> Int64[np.ndarray, "batch classes"]:
    rows = [one.flatten().bincount(minlength=classes + 1)[:classes] for one in numbers]
    return torch.stack(rows).cpu().numpy()
