"""How one forward pass over a block of images is judged, and whether the model can be judged at all."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape.landscape.images import Block
from gradscape.landscape.plan import ExecutionPlan

Loss = Callable[[Any, Any], Tensor]
Metric = Callable[[Any, Any], Tensor]
Forward = Callable[[nn.Module, Any], Any]

_CHECKED_IMAGES = 16
_TOLERANCE = {"fp32": 1e-4, "bf16": 5e-2}


def cross_entropy(output: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of each image in nats, (N,), from logits (N, C) and labels (N,)."""
    return F.cross_entropy(output, labels, reduction="none")


def top1(output: Tensor, labels: Tensor) -> Tensor:
    """Whether the largest logit is the label's, (N,) bool; logits that are not finite are wrong answers."""
    return (output.argmax(dim=1) == labels) & torch.isfinite(output).all(dim=1)


def call(model: nn.Module, inputs: Any) -> Any:
    """The plain forward pass."""
    return model(inputs)


@dataclass(frozen=True)
class Task:
    """What is measured.

    Attributes:
        loss: (output, labels) -> (N,), one number an image.
        metric: (output, labels) -> (N,) right or wrong, or None.
        forward: (model, inputs) -> output, for models whose inputs or outputs are no plain tensors.
    """

    loss: Loss = cross_entropy
    metric: Metric | None = top1
    forward: Forward = call

    def names(self) -> dict[str, str | None]:
        """Names of the three functions, for the provenance."""

        def name(function: Callable[..., Any] | None) -> str | None:
            return None if function is None else getattr(function, "__qualname__", type(function).__name__)

        return {"loss": name(self.loss), "metric": name(self.metric), "forward": name(self.forward)}


def measure_block(model: nn.Module, block: Block, task: Task, plan: ExecutionPlan) -> Tensor:
    """Mean loss, sum of squared deviations, right answers (NaN without metric) and non-finite losses, (4,) float64."""
    with plan.arithmetic():
        output = task.forward(model, block.inputs)
    output = _in_fp32(output)
    losses = _per_image(task.loss(output, block.labels), block.count, "loss").double()
    mean = losses.mean()
    squares = (losses - mean).square().sum()
    right = torch.full_like(mean, torch.nan)
    if task.metric is not None:
        right = _per_image(task.metric(output, block.labels), block.count, "metric").double().sum()
    return torch.stack([mean, squares, right, (~losses.isfinite()).sum().double()])


def check_model(model: nn.Module, block: Block, task: Task, plan: ExecutionPlan) -> None:
    """Refuse a model whose loss of an image is random or depends on the other images.

    Three passes over the first images: twice the same, and once with other companions.

    Raises:
        ValueError: The loss of an image changed; the message says when.
    """

    def losses(inputs: Any, labels: Any, count: int) -> Tensor:
        with plan.arithmetic():
            output = task.forward(model, inputs)
        return _per_image(task.loss(_in_fp32(output), labels), count, "loss").double()

    count = min(block.count, _CHECKED_IMAGES)
    first = block.part(0, count)
    together = losses(first.inputs, first.labels, count)
    if not _same(together, losses(first.inputs, first.labels, count), 0.0):
        raise ValueError(
            "`model` must give the same loss for the same image, but two passes in eval() differ: "
            "is there a dropout or noise that ignores eval()?"
        )
    half = block.part(0, (count + 1) // 2)
    alone = losses(half.inputs, half.labels, half.count)
    if not _same(together[: half.count], alone, _TOLERANCE[plan.precision]):
        raise ValueError(
            "`model` must judge each image by itself, but in eval() the loss of an image depends on the others in "
            "its batch: is there a batch norm without running statistics, or attention over the batch?"
        )


def _same(first: Tensor, second: Tensor, tolerance: float) -> bool:
    return bool(torch.allclose(first, second, rtol=tolerance, atol=tolerance, equal_nan=True))


def _in_fp32(output: Any) -> Any:
    if isinstance(output, Tensor) and output.is_floating_point() and output.element_size() < 4:
        return output.float()
    return output


def _per_image(values: Tensor, count: int, role: str) -> Tensor:
    if values.shape != (count,):
        raise ValueError(
            f"`{role}` must give one number per image, ({count},), got the shape {tuple(values.shape)}: "
            'take the unreduced form, such as cross_entropy(output, labels, reduction="none")'
        )
    return values
