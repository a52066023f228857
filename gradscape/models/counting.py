"""Sizes of networks: parameters, and multiply-adds of one image."""

import math
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from gradscape._left_as_before import left_as_before
from gradscape._model_state import unchanged
from gradscape._taps import collected_taps

__all__ = ["count_macs", "count_parameters"]

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_COUNTED = (*_CONVOLUTIONS, *_TRANSPOSED, nn.Linear, nn.MultiheadAttention)


def count_parameters(model: nn.Module) -> int:
    """Return the number of parameters, frozen or not; running statistics are none, tied parameters count once.

    Args:
        model: Any module.

    Example:
        >>> from gradscape.models import create_model
        >>> count_parameters(create_model("upanet16"))
        1512431
    """
    return sum(parameter.numel() for parameter in model.parameters())


@left_as_before
def count_macs(model: nn.Module, image_size: int | tuple[int, int]) -> int:
    """Return the multiply-adds of one image in convolution and linear layers.

    The projections of `nn.MultiheadAttention` are linear layers and count, and so do layers that only training runs
    (those of BA²M); biases, normalizations, activations, pooling and the products of attention do not, nor do
    convolutions called as functions. A two-stage detector's heads see 1000 proposals (see `Detector.run_layers` in
    `gradscape.models.detection`). The model is as before on return.

    Args:
        model: A model of one image (1, 3, height, width).
        image_size: Side of the image in pixels, or its height and width.

    Example:
        >>> from gradscape.models import create_model
        >>> count_macs(create_model("resnet20"), image_size=32)
        40551040
    """
    counts: list[int] = []

    def add(module: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
        counts.append(_multiply_adds(module, inputs[0], output))

    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    example = next(model.parameters(), torch.empty(0))
    with unchanged(model), ExitStack() as hooks, torch.no_grad(), collected_taps(model, {"batch weights"}):
        for module in model.modules():
            if isinstance(module, _COUNTED):
                hooks.callback(module.register_forward_hook(add).remove)
        model.eval()
        run = getattr(model, "run_layers", model)  # a detector's layers see as many objects as it finds
        run(torch.zeros(1, 3, height, width, device=example.device, dtype=example.dtype))
    return sum(counts)


def _multiply_adds(module: nn.Module, given: Tensor, output: Any) -> int:
    if isinstance(module, nn.MultiheadAttention):
        tokens = given.numel() // module.embed_dim
        return tokens * sum(weight.numel() for weight in module.parameters() if weight.ndim == 2)
    if isinstance(module, nn.Linear):
        return output.numel() * module.in_features
    if isinstance(module, _TRANSPOSED):
        return given.numel() * module.out_channels // module.groups * math.prod(module.kernel_size)
    if isinstance(module, _CONVOLUTIONS):
        return output.numel() * module.in_channels // module.groups * math.prod(module.kernel_size)
    return 0
