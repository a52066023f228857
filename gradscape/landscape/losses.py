"""Losses and metrics by name, as command lines give them."""

from collections.abc import Callable, Mapping
from typing import Any

from gradscape._names import is_function_name, load_function, unknown_name
from gradscape.landscape.detection import DETECTION_LOSSES, detection_ap50, detection_loss, named_detection_loss
from gradscape.landscape.engine import LossFunction, MetricFunction
from gradscape.landscape.engine.logits import (
    bce_with_logits,
    binary,
    cross_entropy,
    focal,
    mse,
    nll,
    pixel_accuracy,
    pixel_cross_entropy,
    top1,
    top5,
)

__all__ = ["find_loss", "find_metric"]

_LOSSES: Mapping[str, LossFunction] = {
    "cross_entropy": cross_entropy,
    "bce_with_logits": bce_with_logits,
    "mse": mse,
    "nll": nll,
    "focal": focal,
    "pixel_cross_entropy": pixel_cross_entropy,
    "detection_loss": detection_loss,
    **{name: named_detection_loss(name) for name in DETECTION_LOSSES},
}
_OHEM = (
    "`loss` ohem is the mean cross-entropy of the hardest half of a training batch: which images these are depends on "
    "the batch, and a landscape needs one number for each image. Take cross_entropy, which it is of those that it keeps"
)
_METRICS: Mapping[str, MetricFunction | None] = {
    "top1": top1,
    "top5": top5,
    "binary": binary,
    "pixel_accuracy": pixel_accuracy,
    "detection_ap50": detection_ap50,
    "none": None,
}


def find_loss(name: str) -> LossFunction:
    """A loss by its name.

    Args:
        name: cross_entropy, bce_with_logits, mse, nll (of a network that gives logarithms of probabilities), focal;
            pixel_cross_entropy, the mean of an image's pixels; detection_loss, the sum of a detector's losses, or one
            of these by torchvision's name (`DETECTION_LOSSES`), with `forward=box_losses` and `BoxBatches`; or
            `package.module:function`, which is imported, from the current directory too: (output, labels) -> one
            number per image.

    Raises:
        ValueError: There is no such loss, or it is one of batches: `ohem`.
        TypeError: What was imported cannot be called.

    Example:
        >>> find_loss("mse").__name__
        'mse'
    """
    if name == "ohem":
        raise ValueError(_OHEM)
    return _found("loss", name, _LOSSES)


def find_metric(name: str) -> MetricFunction | None:
    """A metric by its name.

    Args:
        name: top1, top5, binary (is every logit above 0 where its label is 1?), pixel_accuracy (the share of right
            ones), detection_ap50 (with `forward=box_losses_and_precision`), none, or `package.module:function` as for
            `find_loss`: (output, labels) -> right or wrong per image.

    Returns:
        None for "none".

    Raises:
        ValueError: There is no such metric.
        TypeError: What was imported cannot be called.

    Example:
        >>> find_metric("none") is None
        True
    """
    return _found("metric", name, _METRICS)


def _found(argument: str, name: str, known: Mapping[str, Callable[..., Any] | None]) -> Any:
    if name in known:
        return known[name]
    if is_function_name(name):
        return load_function(argument, name)
    unknown = unknown_name(argument, name, known, listed=False)
    raise ValueError(f"{unknown}; known: {', '.join(known)}, package.module:function")
