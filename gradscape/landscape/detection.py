"""Losses and errors of detectors, which are given the boxes of a picture together with it."""

from collections.abc import Iterable, Iterator
from typing import Any, final

import torch
from torch import Tensor, nn

from gradscape._average_precision import precision_by_image
from gradscape._detections import Detections

__all__ = [
    "DETECTION_LOSSES",
    "BoxBatches",
    "box_losses",
    "box_losses_and_precision",
    "detection_ap50",
    "detection_loss",
    "named_detection_loss",
]

DETECTION_LOSSES = (
    "loss_classifier",
    "loss_box_reg",
    "loss_objectness",
    "loss_rpn_box_reg",
    "loss_mask",
    "classification",
    "bbox_regression",
    "bbox_ctrness",
)
"""What torchvision's detectors call their losses."""


@final
class BoxBatches:
    """Batches of a detector with the boxes among its inputs, for `evaluate_surface` and its like.

    Args:
        batches: Pairs (pictures, dict of their boxes), such as `load_annotated` gives; what else it tells of itself
            (`num_images`, `population`, `name` …) is told here too.

    Example:
        >>> import torch
        >>> boxes = {"boxes": torch.tensor([[[1.0, 2.0, 9.0, 8.0]]]), "classes": torch.zeros(1, 1, dtype=torch.int64)}
        >>> [(inputs, labels)] = BoxBatches([(torch.rand(1, 3, 16, 16), boxes)])
        >>> inputs[1] is labels
        True
    """

    def __init__(self, batches: Iterable[Any]) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[Any]:
        for images, targets in self._batches:
            yield (images, targets), targets

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._batches, name)


def box_losses(model: nn.Module, inputs: Any) -> dict[str, Tensor]:
    """The `forward` of detectors: their losses of each picture by name, (N,) each.

    Args:
        model: Has `losses(images, targets)`, as gradscape's detectors have.
        inputs: Pictures and their boxes, as `BoxBatches` gives them.
    """
    losses: Any = model.losses
    return losses(*inputs)


def box_losses_and_precision(model: nn.Module, inputs: Any) -> dict[str, Tensor]:
    """The `forward` of detectors whose error is wanted too: `box_losses`, and `ap50`, (N,).

    Each picture goes through by itself, since rounding that depends on its batch may find another box.

    Args:
        model: As in `box_losses`; gives for each picture a dict of boxes, classes and scores.
        inputs: As there.
    """
    images, targets = inputs
    found = Detections([str(number) for number in range(int(targets["classes"].max()) + 1)] or ["0"])
    numbers = len(found.classes)
    for place in range(len(images)):
        (output,) = model(images[place : place + 1])
        known = output["classes"] < numbers  # of a class that no picture here has
        picture = {name: one[place : place + 1] for name, one in targets.items()}
        found.add([{name: one[known] for name, one in output.items()}], picture)
    precision = torch.from_numpy(precision_by_image(found))
    without = torch.tensor([not (targets["classes"][place] >= 0).any() for place in range(len(images))])
    return {**box_losses(model, inputs), "ap50": torch.where(without, 1.0, precision).to(images.device)}


def detection_ap50(output: dict[str, Tensor], labels: Any) -> Tensor:
    """The `metric` of detectors: the average precision at an overlap of .50 of each picture by itself, (N,).

    The error of a landscape is then 1 minus its mean over pictures, which is another number than COCO's AP50 of all
    pictures together: that has no value for a block of pictures. A picture without boxes counts as right.
    """
    return output["ap50"]


def detection_loss(output: dict[str, Tensor], labels: Any) -> Tensor:
    """The `loss` of detectors: the sum of all losses of each picture, (N,)."""
    return torch.stack([one for name, one in output.items() if name in DETECTION_LOSSES]).sum(0)


def named_detection_loss(name: str) -> Any:
    """One of a detector's losses as the `loss` of an evaluation.

    Args:
        name: One of `DETECTION_LOSSES`.
    """

    def loss(output: dict[str, Tensor], labels: Any) -> Tensor:
        if name not in output:
            raise ValueError(f"`loss` must be one that the detector has, {', '.join(output)}, got {name}")
        return output[name]

    loss.__name__ = loss.__qualname__ = name
    return loss
