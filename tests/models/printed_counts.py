"""Sizes of networks as some papers count them, which the package itself does not."""

from typing import Any

import torch
from torch import Tensor, nn

from gradscape._taps import collected_taps
from gradscape.models import count_macs

_NORMALIZATIONS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_RECTIFIERS = (nn.ReLU, nn.ReLU6)
_POOLINGS = (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.AvgPool2d, nn.MaxPool2d)
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def count_statistics(model: nn.Module) -> int:
    """How many running means and variances a model keeps; some papers add them to its parameters."""
    return sum(
        buffer.numel() for name, buffer in model.named_buffers() if name.endswith(("running_mean", "running_var"))
    )


def count_operations(model: nn.Module, image_size: int | tuple[int, int]) -> int:
    """Operations of one image as SPANet's authors count them, to compare with their tables.

    A multiply-add is one operation and so is a convolution's bias added to an element; an element that is normalized
    counts twice; one that is rectified, or that a pooling layer looks at, once. Interpolation, sigmoids and products
    count nothing, nor does what is called as a function.
    """
    others: list[int] = []

    def add(module: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
        others.append(_besides_multiply_adds(module, inputs[0], output))

    counted = (*_NORMALIZATIONS, *_RECTIFIERS, *_POOLINGS, *_CONVOLUTIONS)
    hooks = [module.register_forward_hook(add) for module in model.modules() if isinstance(module, counted)]
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    run = getattr(model, "run_layers", model)
    with torch.no_grad(), collected_taps(model.eval(), {"batch weights"}):
        run(torch.zeros(1, 3, height, width, device=next(model.parameters()).device))
    for hook in hooks:
        hook.remove()
    return count_macs(model, image_size) + sum(others)


def _besides_multiply_adds(module: nn.Module, given: Tensor, output: Tensor) -> int:
    if isinstance(module, _NORMALIZATIONS):
        return 2 * output.numel()
    if isinstance(module, _RECTIFIERS):
        return output.numel()
    if isinstance(module, _POOLINGS):
        return given.numel()
    return output.numel() if "bias" in dict(module.named_parameters(recurse=False)) else 0
