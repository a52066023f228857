"""Losses and metrics of classifiers, from what a network gives; and what is known of the losses that torch brings."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape._image_losses import IGNORED_LABEL, cross_entropy_of, focal_of, pixel_cross_entropy_of
from gradscape.landscape.engine.blocks import leaves_in

__all__ = [
    "bce_with_logits",
    "binary",
    "class_weight",
    "cross_entropy",
    "focal",
    "has_class_weights",
    "ignored_label",
    "is_single",
    "logits_of",
    "mse",
    "nll",
    "pixel_accuracy",
    "pixel_cross_entropy",
    "top1",
    "top5",
]

Loss = Callable[[Any, Any], Tensor]


def cross_entropy(output: Any, labels: Tensor) -> Tensor:
    """Cross-entropy of each image in nats, (N,), from logits (N, C) and labels (N,).

    Labels may also be the classes' probabilities, (N, C). Images labelled −100 do not count, as in torch.
    """
    return cross_entropy_of(logits_of(output), labels)


def focal(output: Any, labels: Tensor) -> Tensor:
    """Focal loss of each image in nats, (N,), from logits (N, C) and labels (N,): (1 − p)² times the cross-entropy.

    The probability of the image's class, by the softmax, is p. Images labelled −100 do not count.

    Raises:
        ValueError: The labels are probabilities.

    Source: Lin et al., 2017 (arXiv 1708.02002), equation 4 with γ = 2.
    """
    return focal_of(logits_of(output), labels)


def nll(output: Any, labels: Tensor) -> Tensor:
    """Negative log-likelihood of each image in nats, (N,), from logarithms of probabilities (N, C) and labels (N,).

    Images labelled −100 do not count, as in torch.
    """
    labels = labels if labels.is_floating_point() else labels.long()
    return F.nll_loss(logits_of(output), labels, reduction="none")


def pixel_cross_entropy(output: Any, labels: Tensor) -> Tensor:
    """Mean cross-entropy of each image's pixels in nats, (N,), from logits (N, C, H, W) and labels (N, H, W).

    Pixels labelled −100 do not count; an image of these alone has the loss 0.
    """
    return pixel_cross_entropy_of(logits_of(output), labels)


def pixel_accuracy(output: Any, labels: Tensor) -> Tensor:
    """Share of each image's pixels whose largest logit is the label's, (N,), of those that are not labelled −100.

    Logits that are not finite are wrong answers; an image without pixels that count is right.
    """
    logits = logits_of(output)
    counted = (labels != IGNORED_LABEL).flatten(1)
    right = ((logits.argmax(dim=1) == labels) & torch.isfinite(logits).all(dim=1)).flatten(1) & counted
    count = counted.sum(1)
    return torch.where(count > 0, right.sum(1) / count.clamp(min=1), 1.0)


def bce_with_logits(output: Any, labels: Tensor) -> Tensor:
    """Binary cross-entropy of each image in nats, (N,): the mean over its logits, (N,), (N, 1) or (N, K).

    Labels are 0 or 1, or probabilities, as many as there are logits.
    """
    return _mean_of_each(F.binary_cross_entropy_with_logits, logits_of(output), labels)


def mse(output: Any, labels: Tensor) -> Tensor:
    """Mean squared error of each image, (N,), over its outputs; there are as many labels as outputs."""
    return _mean_of_each(F.mse_loss, logits_of(output), labels)


def _mean_of_each(function: Callable[..., Tensor], output: Tensor, labels: Tensor) -> Tensor:
    # Never broadcast: (N, 1) against (N,) would compare every output with every label.
    if labels.numel() != output.numel() or len(labels) != len(output):
        raise ValueError(
            f"`loss` needs a label for each output, but these are {tuple(labels.shape)} and {tuple(output.shape)}: "
            "give another `loss`, or `forward` to take out the outputs that labels belong to"
        )
    each = function(output, labels.reshape(output.shape).to(output.dtype), reduction="none")
    return each.reshape(len(output), -1).mean(dim=1)


def top1(output: Any, labels: Tensor) -> Tensor:
    """Whether the largest logit is the label's, (N,) bool; logits that are not finite are wrong answers.

    Of a single logit, (N,) or (N, 1), whether it is above 0 where the label is 1, and only there.
    """
    logits = logits_of(output)
    if is_single(logits):
        return binary(logits, labels)
    return (logits.argmax(dim=1) == labels) & torch.isfinite(logits).all(dim=1)


def binary(output: Any, labels: Tensor) -> Tensor:
    """Whether every logit is above 0 where its label is 1, and only there, (N,) bool.

    Logits (N,), (N, 1) or, of several labels an image, (N, K); labels 0 or 1, of the same shape or (N,).
    """
    logits = logits_of(output)
    flat, wanted = logits.reshape(len(logits), -1), labels.reshape(len(labels), -1)
    return (((flat > 0) == (wanted > 0.5)) & torch.isfinite(flat)).all(dim=1)


def top5(output: Any, labels: Tensor) -> Tensor:
    """Whether the label's logit is among the five largest, (N,) bool; logits that are not finite are wrong answers."""
    logits = logits_of(output)
    among = logits.topk(min(5, logits.shape[1]), dim=1).indices == labels[:, None]
    return among.any(dim=1) & torch.isfinite(logits).all(dim=1)


def logits_of(output: Any) -> Tensor:
    """The logits in a network's output: the output itself, its `logits`, or the only tensor that can be them.

    Raises:
        ValueError: Several tensors could be meant, or none.
    """
    if isinstance(output, Tensor):
        return output
    leaves = {way: leaf for way, leaf in leaves_in(output) if isinstance(leaf, Tensor)}
    if ("logits",) in leaves:
        return leaves["logits",]
    possible = [leaf for leaf in leaves.values() if leaf.dim() and leaf.is_floating_point()]
    vectors = [leaf for leaf in possible if leaf.dim() <= 2] if len(possible) > 1 else possible
    if len(vectors) != 1:
        held = ", ".join(f"{'.'.join(map(str, way))}: {tuple(leaf.shape)}" for way, leaf in leaves.items())
        raise ValueError(
            f"`forward` must say which part of the model's {type(output).__name__} holds the logits "
            f"({held or 'no tensor'}): give such as forward=lambda model, inputs: model(inputs)[0]"
        )
    return vectors[0]


def is_single(logits: Tensor) -> bool:
    """Whether there is one logit an image."""
    return logits.dim() == 1 or logits.shape[1:] == (1,)


def ignored_label(loss: Loss) -> int | None:
    """The class index that a loss ignores, as far as it is one of ours or torch's."""
    if loss in (cross_entropy, focal, nll):
        return IGNORED_LABEL
    if isinstance(loss, (nn.CrossEntropyLoss, nn.NLLLoss)):
        return loss.ignore_index
    if isinstance(loss, partial) and loss.func in (F.cross_entropy, F.nll_loss):
        return loss.keywords.get("ignore_index", IGNORED_LABEL)
    return None


def has_class_weights(loss: Loss) -> bool:
    """Whether a loss of torch's weights the classes."""
    return ignored_label(loss) is not None and _weight(loss) is not None


def class_weight(loss: Loss, labels: Tensor) -> Tensor:
    """The weights, float64, that a loss with class weights gives the labels (N,), as far as it has one for them."""
    weight = _weight(loss)
    assert weight is not None
    indices = labels.cpu().long()
    return weight.detach().double().cpu()[indices[(indices >= 0) & (indices < len(weight))]]


def _weight(loss: Loss) -> Tensor | None:
    return loss.keywords.get("weight") if isinstance(loss, partial) else getattr(loss, "weight", None)
