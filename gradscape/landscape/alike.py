"""Whether a straight line can lead from one network to another, and what it has to take along besides parameters."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

__all__ = ["check_alike", "differing_constants"]

_SINGLE = torch.finfo(torch.float32).eps
_SHOWN = 5


def check_alike(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> None:
    """Refuse tensors between which there is no line, or one that would end at the other network rounded.

    Args:
        first: What moves, by name.
        second: Where it moves to.

    Raises:
        ValueError: Names or shapes differ, or `first` is in half precision and `second` is not.
    """
    shapes = [{name: tuple(tensor.shape) for name, tensor in tensors.items()} for tensors in (first, second)]
    if shapes[0] != shapes[1]:
        unlike = sorted({name for name, _ in shapes[0].items() ^ shapes[1].items()})
        raise ValueError(f"`other` must have the tensors of `model`; these differ: {', '.join(unlike[:_SHOWN])}")
    for name, tensor in first.items():
        if _rounding(tensor) > max(_rounding(second[name]), _SINGLE):
            raise ValueError(
                f"`model` must be as precise as `other`, but has {name} as {tensor.dtype}, the other as "
                f"{second[name].dtype}: convert both alike, for example by `model.float()`"
            )


def differing_constants(model: nn.Module, other: nn.Module) -> dict[str, Tensor]:
    """Change of every buffer outside the state dict in which the networks differ, such as a normalization of images.

    Args:
        model: Where the line begins.
        other: Where it ends.

    Raises:
        ValueError: A buffer is missing or of another shape, or one of integers or truth values differs.
    """
    stored, theirs = model.state_dict(keep_vars=True), dict(other.named_buffers())
    changes = {}
    for name, buffer in model.named_buffers():
        if name not in theirs or buffer.shape != theirs[name].shape:
            raise ValueError(f"`other` must have the buffers of `model`, but {name} is missing or of another shape")
        if name.endswith("num_batches_tracked") or torch.equal(buffer, theirs[name].to(buffer)):
            continue
        if not (buffer.is_floating_point() or buffer.is_complex()):
            raise ValueError(f"`other` must have the integers of `model`, between which no line leads: {name} differs")
        if name not in stored:
            changes[name] = (theirs[name].to(buffer) - buffer).detach()
    return changes


def _rounding(tensor: Tensor) -> float:
    return torch.finfo(tensor.dtype).eps if tensor.is_floating_point() or tensor.is_complex() else 0.0
