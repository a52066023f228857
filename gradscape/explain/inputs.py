"""What a model takes: images, signals and volumes, or tokens, rows of a table, and structures of tensors."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

from gradscape._model_state import model_device
from gradscape.explain.explainable import images_for

__all__ = ["Inputs", "check_finite", "input_count", "inputs_for", "is_pictured", "tensors_of"]

Inputs = Tensor | Mapping[str, Any] | Sequence[Any]
"""A batch: images (N, C, H, W), volumes (N, C, D, H, W) or signals (N, C, L) as floats; tokens (N, T) as integers; rows
of a table (N, features) as floats; or a dict, list or tuple of tensors that all have an entry for each of N examples.
"""


def is_pictured(inputs: Inputs) -> TypeGuard[Tensor]:
    """Whether a batch has places by itself: images, volumes or signals. What is wrong with these, `images_for` says."""
    return isinstance(inputs, Tensor) and inputs.ndim > 2


def inputs_for(model: nn.Module, inputs: Inputs, *, device: torch.device | None = None) -> Any:
    """Return a copy of a batch on the model's device, floats in its precision; images as `images_for` returns them.

    Args:
        model: What takes it.
        inputs: The batch.
        device: Another device than the model's.

    Raises:
        TypeError: Something is no tensor, or images are no float tensor.
        ValueError: There is no example, or tensors are of different numbers of examples.
    """
    if is_pictured(inputs):
        images = images_for(model, inputs)
        return images if device is None else images.to(device)
    input_count(inputs)
    device = device or model_device(model)
    dtype = next((one.dtype for one in model.parameters() if one.is_floating_point()), None)
    return _mapped(
        inputs, lambda one: one.detach().to(device, dtype if one.is_floating_point() else one.dtype, copy=True)
    )


def input_count(inputs: Inputs) -> int:
    """Return how many examples a batch has.

    Raises:
        TypeError: Something in it is no tensor.
        ValueError: There is none, or its tensors are of different numbers of examples.
    """
    lengths = {len(one) if one.ndim else 0 for one in tensors_of(inputs)}
    if len(lengths) != 1 or not min(lengths) or (isinstance(inputs, Tensor) and inputs.ndim < 2):
        got = ", ".join(str(tuple(one.shape)) for one in tensors_of(inputs)) or "none"
        raise ValueError(
            "`images` must have an entry for each example along the first dimension of every tensor: images "
            "(images, channels, height, width), volumes, signals (images, channels, length), tokens (sequences, "
            f"tokens), or rows (rows, features), got the shape {got}"
        )
    return lengths.pop()


def check_finite(inputs: Inputs) -> None:
    """Refuse a batch with a value that is not finite, and tell in which example it is.

    Raises:
        ValueError: There is one.
    """
    for tensor in tensors_of(inputs):
        # A sum is finite only where all its values are, and takes a tenth of the time.
        if tensor.is_floating_point() and not tensor.sum().isfinite():
            bad = (~tensor.isfinite().flatten(1).all(1)).nonzero()[:, 0].tolist()
            if bad:
                raise ValueError(f"`images` must be finite, but NaN or infinity is in image {', '.join(map(str, bad))}")


def tensors_of(inputs: Inputs) -> Iterator[Tensor]:
    """All tensors of a batch, in their order.

    Raises:
        TypeError: Something in it is no tensor.
    """
    if isinstance(inputs, Tensor):
        yield inputs
    elif isinstance(inputs, Mapping):
        for one in inputs.values():
            yield from tensors_of(one)
    elif isinstance(inputs, list | tuple):
        for one in inputs:
            yield from tensors_of(one)
    else:
        raise TypeError(
            "`images` must be a tensor, or a dict, list or tuple of tensors with an entry for each example, "
            f"got {type(inputs).__name__}"
        )


def _mapped(inputs: Inputs, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(inputs, Tensor):
        return change(inputs)
    if isinstance(inputs, Mapping):
        return {name: _mapped(one, change) for name, one in inputs.items()}
    changed = [_mapped(one, change) for one in inputs]
    return changed if isinstance(inputs, list) else tuple(changed)
