"""What classifiers, detectors and segmenters are measured by, and on which data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from gradscape.data import load_annotated, load_split
from gradscape.data.named_batches import NamedBatches
from gradscape.landscape import (
    BoxBatches,
    box_losses,
    box_losses_and_precision,
    detection_ap50,
    find_loss,
    find_metric,
)
from gradscape.landscape.engine import ForwardFunction, LossFunction, MetricFunction, call
from gradscape.models import Classifier, TargetKind
from gradscape.studies.targets import LOSSES, common_targets

__all__ = ["NetworkTask", "task_of"]

_METRICS: Mapping[TargetKind, str] = {"classes": "top1", "boxes": "none", "masks": "none", "pixels": "pixel_accuracy"}


@final
@dataclass(frozen=True)
class NetworkTask:
    """How networks of one kind are measured, and on what.

    Attributes:
        kind: What they need to know of each image.
        data: The data set's name.
        loss_name: Name of the loss.
        loss: (output, labels) -> one number per image.
        metric: (output, labels) -> right or wrong per image; None where there is none.
        forward: (model, inputs) -> output.
    """

    kind: TargetKind
    data: str
    loss_name: str
    loss: LossFunction
    metric: MetricFunction | None
    forward: ForwardFunction

    def load(self, split: str, *, root: Any = None, download: bool = False, **options: Any) -> NamedBatches:
        """Load a split of the data as the networks are measured on it.

        Args:
            split: "train" or "test".
            root: Of published data sets, as for `load_split`, and so is the next.
            download: Whether they may be fetched.
            **options: More of `load_split` or `load_annotated`.
        """
        if self.kind == "classes":
            return load_split(self.data, split, root=root, download=download, **options)
        loaded = load_annotated(self.data, split, kind=self.kind, **options)
        return loaded if self.kind == "pixels" else BoxBatches(loaded)


def task_of(
    models: Mapping[str, Classifier], data: str, *, loss: str | None = None, metric: str | None = None
) -> NetworkTask:
    """How networks are measured, by what they are.

    Args:
        models: By name; all of one kind.
        data: Name of the data set.
        loss: Name of another loss than their own: the cross-entropy of classifiers, the sum of a detector's losses, the
            mean cross-entropy of a segmenter's pixels.
        metric: Name of another metric than top-1, none for detectors, and the share of right pixels.

    Raises:
        ValueError: They are of several kinds, the data are of another, or loss or metric is unknown.
    """
    kind = common_targets([model.meta["name"] for model in models.values()], data=[data])
    name = loss or LOSSES[kind][0]
    counted, forward = find_metric(metric or _METRICS[kind]), call
    if kind in ("boxes", "masks"):
        forward = box_losses_and_precision if counted is detection_ap50 else box_losses
    return NetworkTask(kind, data, name, find_loss(name), counted, forward)
