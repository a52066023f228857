"""Losses of detectors, which are given the boxes of a picture together with it."""

from collections.abc import Iterable, Iterator
from typing import Any, final

from torch import Tensor, nn

__all__ = ["DETECTION_LOSSES", "BoxBatches", "box_losses", "detection_loss", "named_detection_loss"]

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


def detection_loss(output: dict[str, Tensor], labels: Any) -> Tensor:
    """The `loss` of detectors: the sum of all losses of each picture, (N,)."""
    return sum(output.values())  # type: ignore[return-value]


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
