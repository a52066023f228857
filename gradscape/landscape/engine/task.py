"""How one forward pass over images is judged, and whether the model can be judged at all."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape.landscape.engine.blocks import Block, map_tensors, tensors_in
from gradscape.landscape.engine.identity import function_identity

__all__ = [
    "ForwardFunction",
    "LossFunction",
    "MetricFunction",
    "Task",
    "call",
    "check_model",
    "cross_entropy",
    "judge",
    "judged_by_role",
    "same_output",
    "top1",
]

LossFunction = Callable[[Any, Any], Tensor]
MetricFunction = Callable[[Any, Any], Tensor]
ForwardFunction = Callable[[nn.Module, Any], Any]


_CHECKED_IMAGES = 16
# Shares of the largest output: kernels may sum in another order, at another batch size more so.
_REPEATED = 1e-5
_COMPANIONS = 1e-4
_JUDGED_ALONE = 1e-3  # of the largest loss: one that attacks or differentiates makes more of rounding


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

    loss: LossFunction = cross_entropy
    metric: MetricFunction | None = top1
    forward: ForwardFunction = call

    def names(self) -> dict[str, str | None]:
        """Names of loss and metric, for people."""

        def name(function: Callable[..., Any] | None) -> str | None:
            return None if function is None else getattr(function, "__qualname__", type(function).__qualname__)

        return {"loss": name(self.loss), "metric": name(self.metric)}

    def identities(self) -> dict[str, str]:
        """Names of the functions with digests of what they are: another lambda has another one."""
        functions = {"loss": self.loss, "metric": self.metric, "forward": self.forward}
        return {role: function_identity(function) for role, function in functions.items()}


def judge(output: Any, labels: Any, count: int, task: Task) -> tuple[Tensor, Tensor | None]:
    """Loss and right or wrong of each image, both (count,) float64; None without a metric."""
    losses = _per_image(task.loss(output, labels), count, "loss").double()
    right = None if task.metric is None else _per_image(task.metric(output, labels), count, "metric").double()
    return losses, right


def check_model(model: nn.Module, block: Block, task: Task) -> None:
    """Refuse a model or a task whose result for an image is random or depends on the other images.

    Three passes over the first images: twice the same, and once with fewer companions.

    Args:
        model: In `eval()`, in exact arithmetic.
        block: The first images, on the model's device.
        task: What is measured.

    Raises:
        ValueError: The output of an image changed, or its loss or metric did; or one of the user's functions
            differentiates although gradients are off. The message says when.
    """
    first = block.part(0, min(block.count, _CHECKED_IMAGES))
    half = first.part(0, (first.count + 1) // 2)
    together, judged = _passed(model, first, task)
    again, judged_again = _passed(model, first, task)
    alone, judged_alone = _passed(model, half, task)
    if not same_output(together, again, _REPEATED):
        raise ValueError(
            "`model` must give the same output for the same image, but two passes in eval() differ: "
            "is there a dropout or noise that ignores eval()?"
        )
    if not same_output(_first(together, half.count), alone, _COMPANIONS):
        raise ValueError(
            "`model` must judge each image by itself, but in eval() the output for an image depends on the others in "
            "its batch: is there a batch norm without running statistics, or attention over the batch?"
        )
    for role, values in judged.items():
        if not same_output(values, judged_again[role], _REPEATED):
            raise ValueError(
                f"`{role}` must give the same number for the same output, but two calls differ: let what is random in "
                "it start from a seed of its own, such as with torch.Generator"
            )
        if not same_output(_first(values, half.count), judged_alone[role], _JUDGED_ALONE):
            raise ValueError(
                f"`{role}` must judge each image by itself, but what it gives for an image depends on the others in "
                "its batch: does it divide by a sum over the batch, or compare its images?"
            )


def judged_by_role(output: Any, labels: Any, count: int, task: Task) -> dict[str, Tensor]:
    """What loss and metric give for each image, (count,) float64, by the names of these options.

    They get a copy of the output, which they may write into.

    Raises:
        ValueError: One of them differentiates although gradients are off.
    """
    found = {}
    for role, function in (("loss", task.loss), ("metric", task.metric)):
        if function is not None:
            copied = map_tensors(lambda tensor: tensor.detach().clone(), output)
            with _gradients_explained(role):
                found[role] = _per_image(function(copied, labels), count, role).double()
    return found


def _passed(model: nn.Module, images: Block, task: Task) -> tuple[Any, dict[str, Tensor]]:
    """Output and judgment: one after the other, since a loss may read what the forward pass left in the model."""
    with _gradients_explained("forward"):
        output = task.forward(model, images.inputs)
    return output, judged_by_role(output, images.labels, images.count, task)


def _first(output: Any, count: int) -> Any:
    return map_tensors(lambda tensor: tensor[:count], output)


@contextmanager
def _gradients_explained(role: str) -> Iterator[None]:
    """Say what to do instead of torch's own "element 0 of tensors does not require grad"."""
    try:
        yield
    except RuntimeError as problem:
        if "does not require grad" not in str(problem):
            raise
        raise ValueError(
            f"`{role}` must turn gradients on where it differentiates, since an evaluation runs without them: put "
            "`with torch.enable_grad():` around that part, and call the network within it"
        ) from problem


def same_output(first: Any, second: Any, tolerance: float) -> bool:
    """Whether outputs agree up to a share of the largest value."""
    for one, other in zip(tensors_in(first), tensors_in(second), strict=True):
        scale = one.double().abs().nan_to_num(0.0, 0.0, 0.0).max().item() if one.numel() else 0.0
        if one.shape != other.shape or not torch.allclose(
            one.double(), other.double(), rtol=0.0, atol=tolerance * scale, equal_nan=True
        ):
            return False
    return True


def _per_image(values: Tensor, count: int, role: str) -> Tensor:
    if not isinstance(values, Tensor):
        raise TypeError(f"`{role}` must give a tensor with one number per image, got {type(values).__name__}")
    if values.shape != (count,):
        fix = ': take the unreduced form, such as cross_entropy(output, labels, reduction="none")'
        raise ValueError(
            f"`{role}` must give one number per image, ({count},), got the shape {tuple(values.shape)}"
            + (fix if role == "loss" else "")
        )
    return values.detach()
