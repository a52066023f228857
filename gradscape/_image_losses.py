"""Losses of single images from their logits: what training lowers and what landscapes draw are the same numbers."""

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["IGNORED_LABEL", "cross_entropy_of", "focal_of", "pixel_cross_entropy_of"]

IGNORED_LABEL = -100
"""Label of images that do not count: torch's own `ignore_index`."""

_FOCUSING = 2


def cross_entropy_of(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of each image in nats, (batch,), or of each pixel.

    Args:
        logits: (batch, classes), or with pixels behind them.
        labels: Classes, (batch,), or their probabilities, (batch, classes).
    """
    return F.cross_entropy(logits, labels if labels.is_floating_point() else labels.long(), reduction="none")


def pixel_cross_entropy_of(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of each image's pixels in nats, (batch,), over those that are not ignored; 0 without any.

    Args:
        logits: (batch, classes, height, width).
        labels: Classes, (batch, height, width); −100 where a pixel does not count.
    """
    losses = F.cross_entropy(logits, labels, reduction="none", ignore_index=IGNORED_LABEL)
    return losses.flatten(1).sum(1) / (labels != IGNORED_LABEL).flatten(1).sum(1).clamp(min=1)


def focal_of(logits: Tensor, labels: Tensor) -> Tensor:
    r"""Focal loss of each image in nats, (batch,): \(-(1 - p)^2 \log p\) with the probability p of its class.

    It is the cross-entropy, weighted by how wrong the answer is. The probabilities are those of a softmax, as a
    classifier has them: `torchvision.ops.sigmoid_focal_loss`, made for detectors, has a sigmoid for each class, and is
    the same where there are two classes. There is no α, which balances objects and background.

    Args:
        logits: (batch, classes), or with pixels behind them.
        labels: Classes, (batch,).

    Raises:
        ValueError: The labels are probabilities, of which none is that of the image's class.

    Source: Lin et al., 2017, Focal loss for dense object detection (arXiv 1708.02002), equation 4 with γ = 2.
    """
    if labels.is_floating_point():
        raise ValueError(f"`loss` focal takes class indices as labels, got {labels.dtype} {tuple(labels.shape)}")
    losses = cross_entropy_of(logits, labels)
    return torch.expm1(-losses).pow(_FOCUSING) * losses
