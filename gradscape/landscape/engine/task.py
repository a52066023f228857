"""How one forward pass over images is judged, and whether the model can be judged at all."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gradscape._taps import check_images_apart
from gradscape.landscape.engine.blocks import Block, leaves_in, map_tensors, tensors_in
from gradscape.landscape.engine.identity import function_identity
from gradscape.landscape.engine.logits import cross_entropy, top1

__all__ = [
    "ForwardFunction",
    "LossFunction",
    "MetricFunction",
    "Task",
    "call",
    "check_model",
    "checked_right",
    "gradients_explained",
    "judge",
    "judged_by_role",
    "per_image",
    "same_output",
]

LossFunction = Callable[[Any, Any], Tensor]
MetricFunction = Callable[[Any, Any], Tensor]
ForwardFunction = Callable[[nn.Module, Any], Any]


_CHECKED_IMAGES = 16
_ROUNDING = 1e-5  # by which a share of sums in fp32 may miss 1
# Shares of the largest output: kernels may sum in another order, at another batch size more so.
_REPEATED = 1e-5
_COMPANIONS = 1e-4
_JUDGED_ALONE = 1e-3  # of the largest loss: one that attacks or differentiates makes more of rounding

_LOSS_FIXES = {
    "scalar": ': take the unreduced form, such as cross_entropy(output, labels, reduction="none")',
    "several": ": it is unreduced, but has a number for each pixel, token or output of an image. Reduce these, such as "
    "by loss(output, labels).flatten(1).mean(dim=1); where some are ignored, by their sum over the number of the "
    "others (the mean over images is then not torch's mean over all pixels)",
    "flat": ": it has several numbers for each image in a row. Reduce these, such as by "
    "loss(output, labels).view(len(labels), -1).mean(dim=1)",
    "broadcast": ": outputs and labels of different shapes seem to have been broadcast. Give them one shape, such as "
    "by output[:, 0], or reduce the numbers of each image by .mean(dim=1)",
}
_METRIC_FIXES = {
    "scalar": "",
    **dict.fromkeys(
        ("several", "flat", "broadcast"),
        ": reduce the answers of each image, such as by .flatten(1).all(dim=1), or give metric=None",
    ),
}


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
        mean_weight: What losses are divided by: with class weights their mean over the images.
    """

    loss: LossFunction = cross_entropy
    metric: MetricFunction | None = top1
    forward: ForwardFunction = call
    mean_weight: float = 1.0

    def names(self) -> dict[str, str | None]:
        """Names of loss and metric, for people."""

        def name(function: Callable[..., Any] | None) -> str | None:
            return None if function is None else getattr(function, "__qualname__", type(function).__qualname__)

        return {"loss": name(self.loss), "metric": name(self.metric)}

    def identities(self) -> dict[str, str]:
        """Names of the functions with digests of what they are: another lambda has another one."""
        functions = {"loss": self.loss, "metric": self.metric, "forward": self.forward}
        identities = {role: function_identity(function) for role, function in functions.items()}
        if self.mean_weight != 1:
            identities["loss"] += f" / {self.mean_weight!r}"
        return identities


def judge(output: Any, labels: Any, count: int, task: Task) -> tuple[Tensor, Tensor | None]:
    """Loss and right or wrong of each image, both (count,) float64; None without a metric."""
    losses = per_image(task.loss(output, labels), count, "loss").detach().double()
    if task.mean_weight != 1:
        losses = losses / task.mean_weight
    right = None if task.metric is None else per_image(task.metric(output, labels), count, "metric").detach().double()
    return losses, right


def check_model(model: nn.Module, block: Block, task: Task) -> None:
    """Refuse a model or a task whose result for an image is random or depends on the other images.

    Three passes over the first images: twice the same, and once with fewer companions.

    Args:
        model: In `eval()`, in exact arithmetic.
        block: The first images, on the model's device.
        task: What is measured.

    Raises:
        ValueError: The output of an image changed, or its loss or metric did; a block says that it weighs images
            against each other; or one of the user's functions differentiates although gradients are off. The message
            says when.
    """
    check_images_apart(model)
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
    if not same_output(*_image_by_image(together, first.count, alone, half.count), _COMPANIONS):
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
        if not same_output(values[: half.count], judged_alone[role], _JUDGED_ALONE):
            raise ValueError(
                f"`{role}` must judge each image by itself, but what it gives for an image depends on the others in "
                "its batch: does it divide by a sum over the batch, or compare its images?"
            )


def judged_by_role(output: Any, labels: Any, count: int, task: Task) -> dict[str, Tensor]:
    """What loss and metric give for each image, (count,) float64, by the names of these options.

    They get a copy of the output, which they may write into.

    Raises:
        ValueError: One of them differentiates although gradients are off, or the metric is out of its range.
    """
    found = {}
    for role, function in (("loss", task.loss), ("metric", task.metric)):
        if function is not None:
            copied = map_tensors(lambda tensor: tensor.detach().clone(), output)
            with gradients_explained(role):
                found[role] = per_image(function(copied, labels), count, role).detach().double()
    if "metric" in found:
        found["metric"] = checked_right(found["metric"])
    return found


def checked_right(right: Tensor) -> Tensor:
    """Refuse what is neither right nor wrong nor a share: sums of it count no answers.

    Args:
        right: What a metric gave, (N,).

    Returns:
        The same, without what rounding puts beyond 0 or 1.

    Raises:
        ValueError: A number is not from 0 to 1.
    """
    outside = right[~((right >= -_ROUNDING) & (right <= 1 + _ROUNDING))]
    if len(outside):
        raise ValueError(
            f"`metric` must give 1 (right), 0 (wrong) or a share between them for each image, got {outside[0]:g}: "
            "compare with a threshold, or give metric=None and the number as `loss`"
        )
    return right.clamp(0, 1)


def _passed(model: nn.Module, images: Block, task: Task) -> tuple[Any, dict[str, Tensor]]:
    """Output and judgment: one after the other, since a loss may read what the forward pass left in the model."""
    with gradients_explained("forward"):
        output = task.forward(model, images.inputs)
    return output, judged_by_role(output, images.labels, images.count, task)


@contextmanager
def gradients_explained(role: str) -> Iterator[None]:
    """Say, of what an option gives, what to do instead of torch's own "element 0 of tensors does not require grad"."""
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
    """Whether outputs are of one kind and agree up to a share of the largest value."""
    if not isinstance(first, Tensor) and type(first) is not type(second):
        return False
    for one, other in zip(tensors_in(first), tensors_in(second), strict=True):
        scale = one.double().abs().nan_to_num(0.0, 0.0, 0.0).max().item() if one.numel() else 0.0
        if one.shape != other.shape or not torch.allclose(
            one.double(), other.double(), rtol=0.0, atol=tolerance * scale, equal_nan=True
        ):
            return False
    return True


def _image_by_image(together: Any, count: int, alone: Any, fewer: int) -> tuple[list[Tensor], list[Tensor]]:
    """The first images of two outputs, as far as these have an entry for each image: numbers may stand beside them."""
    if isinstance(together, (list, tuple)) and (len(together), len(alone)) == (count, fewer) and fewer < count:
        # As detectors give them: an element for each image, whose tensors have the length of what was found in it.
        return list(tensors_in(together[:fewer])), list(tensors_in(alone))
    others = dict(leaves_in(alone))
    pairs = [
        (one[:fewer], other)
        for path, one in leaves_in(together)
        if isinstance(one, Tensor) and isinstance(other := others.get(path), Tensor)
        if one.dim() and other.dim() and (len(one), len(other)) == (count, fewer)
    ]
    return [one for one, _ in pairs], [other for _, other in pairs]


def per_image(values: Tensor, count: int, role: str) -> Tensor:
    """What loss or metric gave as one number per image, (count,); its gradient stays.

    Raises:
        TypeError: It is no tensor.
        ValueError: It has another number of numbers.
    """
    if not isinstance(values, Tensor):
        raise TypeError(f"`{role}` must give a tensor with one number per image, got {type(values).__name__}")
    if values.shape == (count,):
        return values
    if values.dim() and len(values) == count == values.numel():
        return values.reshape(count)
    raise ValueError(
        f"`{role}` must give one number per image, ({count},), got the shape {tuple(values.shape)}"
        + (_LOSS_FIXES if role == "loss" else _METRIC_FIXES)[_reduced_too_little(values, count)]
    )


def _reduced_too_little(values: Tensor, count: int) -> str:
    if values.shape == (count, count):
        return "broadcast"
    if values.dim() > 1 and len(values) == count:
        return "several"
    return "flat" if values.dim() and values.numel() > count and values.numel() % count == 0 else "scalar"
