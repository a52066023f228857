"""What classifiers, detectors and segmenters are measured by, and on which data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal, final

from gradscape.data import is_annotated, load_annotated, load_split
from gradscape.data.named_batches import NamedBatches
from gradscape.landscape import BoxBatches, box_losses, box_losses_and_precision, detection_ap50, find_loss, find_metric
from gradscape.landscape.engine import ForwardFunction, LossFunction, MetricFunction, call
from gradscape.models import Classifier
from gradscape.models.detection import Detector
from gradscape.models.segmentation import Segmenter

__all__ = ["AnswerKind", "NetworkTask", "answer_kind", "task_of"]

AnswerKind = Literal["classes", "boxes", "masks", "pixels"]
"""What a network answers with, and what its data hold: a class for each image, boxes, masks, or a class a pixel."""

_LOSSES: Mapping[AnswerKind, str] = {
    "classes": "cross_entropy",
    "boxes": "detection_loss",
    "masks": "detection_loss",
    "pixels": "pixel_cross_entropy",
}
_METRICS: Mapping[AnswerKind, str] = {"classes": "top1", "boxes": "none", "masks": "none", "pixels": "pixel_accuracy"}
_CALLED: Mapping[AnswerKind, str] = {
    "classes": "a classifier",
    "boxes": "a detector",
    "masks": "a detector of masks",
    "pixels": "a segmenter",
}


@final
@dataclass(frozen=True)
class NetworkTask:
    """How networks of one kind are measured.

    Attributes:
        kind: What they answer with.
        loss_name: Name of the loss.
        loss: (output, labels) -> one number per image.
        metric: (output, labels) -> right or wrong per image; None where there is none.
        forward: (model, inputs) -> output.
    """

    kind: AnswerKind
    loss_name: str
    loss: LossFunction
    metric: MetricFunction | None
    forward: ForwardFunction

    def loader(self, name: str) -> Callable[..., NamedBatches]:
        """What loads a data set of this kind: takes its name, the split, and options of `load_split`.

        Args:
            name: The data set's.

        Raises:
            ValueError: The data set has other labels than such networks need.
        """
        if is_annotated(name) != (self.kind != "classes"):
            known = "coco:PATH or voc:PATH" if self.kind != "classes" else "images with a class each"
            raise ValueError(f"{_CALLED[self.kind]} needs {known} as data, got {name}")
        return load_split if self.kind == "classes" else partial(_load_annotated, kind=self.kind)


def task_of(models: Mapping[str, Classifier], *, loss: str | None = None, metric: str | None = None) -> NetworkTask:
    """How networks are measured, by what they are.

    Args:
        models: By name; all of one kind.
        loss: Name of another loss than their own: the cross-entropy of classifiers, the sum of a detector's losses, the
            mean cross-entropy of a segmenter's pixels.
        metric: Name of another metric than top-1, none for detectors, and the share of right pixels.

    Raises:
        ValueError: They are of several kinds, or loss or metric is unknown.
    """
    kinds = {name: answer_kind(model) for name, model in models.items()}
    if len(set(kinds.values())) > 1:
        told = ", ".join(f"{name} is {_CALLED[kind]}" for name, kind in kinds.items())
        raise ValueError(f"networks that are compared must be of one kind, but {told}: look at them one by one")
    kind = next(iter(kinds.values()))
    name = loss or _LOSSES[kind]
    counted, forward = find_metric(metric or _METRICS[kind]), call
    if kind in ("boxes", "masks"):
        forward = box_losses_and_precision if counted is detection_ap50 else box_losses
    return NetworkTask(kind, name, find_loss(name), counted, forward)


def answer_kind(model: Classifier) -> AnswerKind:
    """What a network answers with."""
    if isinstance(model.network, Detector):
        return "masks" if model.network.finds_masks else "boxes"
    return "pixels" if isinstance(model.network, Segmenter) else "classes"


def _load_annotated(
    name: str, split: str, *, kind: AnswerKind, image_size: int, limit: int | None = None, seed: int = 0, **_: object
) -> NamedBatches:
    """Folders of published data and downloads, which other options are about, do not concern such data."""
    assert kind != "classes"
    loaded = load_annotated(name, split, kind=kind, image_size=image_size, limit=limit, seed=seed)
    return loaded if kind == "pixels" else BoxBatches(loaded)
