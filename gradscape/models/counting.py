"""Sizes of networks: parameters, and multiply-adds of one image."""

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["count_macs", "count_parameters"]

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def count_parameters(model: nn.Module) -> int:
    """Return the number of parameters, frozen or not; running statistics are none, tied parameters count once.

    Args:
        model: Any module.
    """
    return sum(parameter.numel() for parameter in model.parameters())


def count_macs(model: nn.Module, image_size: int) -> int:
    """Return the multiply-adds of one image in convolution and linear layers.

    The projections of `nn.MultiheadAttention` are linear layers and count; biases, normalizations, activations, pooling
    and the products of attention do not, nor do convolutions called as functions. The model is as before on return.

    Args:
        model: A model of images (1, 3, image_size, image_size).
        image_size: Side of the image in pixels.
    """
    macs: list[int] = []
    modes = [(module, module.training) for module in model.modules()]
    counted = (*_CONVOLUTIONS, *_TRANSPOSED, nn.Linear, nn.MultiheadAttention)
    hooks = [
        module.register_forward_hook(partial(_count, macs)) for module in model.modules() if isinstance(module, counted)
    ]
    example = next(model.parameters(), torch.empty(0))
    try:
        model.eval()
        with torch.no_grad():
            model(torch.zeros(1, 3, image_size, image_size, device=example.device, dtype=example.dtype))
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes:
            module.training = training
    return sum(macs)


def _count(macs: list[int], module: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
    if isinstance(module, nn.MultiheadAttention):
        tokens = inputs[0].numel() // module.embed_dim
        macs.append(tokens * sum(weight.numel() for weight in module.parameters() if weight.ndim == 2))
    elif isinstance(module, nn.Linear):
        macs.append(output.numel() * module.in_features)
    elif isinstance(module, _TRANSPOSED):
        macs.append(inputs[0].numel() * module.out_channels // module.groups * math.prod(module.kernel_size))
    elif isinstance(module, _CONVOLUTIONS):
        macs.append(output.numel() * module.in_channels // module.groups * math.prod(module.kernel_size))
