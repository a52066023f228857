"""Looking into a model under the user's conditions, without leaving a trace."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from gradscape._model_state import model_device, preserved

__all__ = ["images_for", "undisturbed"]


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Inside, a model can be explained wherever the user stands; afterwards it is as before.

    Inside, the model is in `eval()` with its parameters frozen, gradients are recorded even where the caller has
    switched them off or is in inference mode, and what was compiled runs as the plain modules that it was made of,
    since compiled code calls no hooks.
    """
    with ExitStack() as stack:
        stack.enter_context(preserved(model))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        if "torch._dynamo" in sys.modules:  # importing it takes seconds, and without it nothing is compiled
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        model.eval()
        for parameter in model.parameters():
            if not parameter.is_inference():
                parameter.requires_grad_(False)
        yield


def images_for(
    model: nn.Module, images: Shaped[Tensor, "batch channels height width"]
) -> Shaped[Tensor, "batch channels height width"]:
    """Return a copy of the images with the model's device and precision, a leaf that gradients can flow into.

    Raises:
        TypeError: If the images are no float tensor.
        ValueError: If they are not a batch with at least one image.
    """
    given: Any = images
    if not isinstance(given, Tensor) or not given.is_floating_point():
        kind = given.dtype if isinstance(given, Tensor) else type(given).__name__
        raise TypeError(f"`images` must be a float tensor (images, channels, height, width), got {kind}")
    if images.ndim != 4 or not len(images):
        raise ValueError(f"`images` must be (images, channels, height, width), got the shape {tuple(images.shape)}")
    dtype = next((one.dtype for one in model.parameters() if one.is_floating_point()), images.dtype)
    return images.detach().to(model_device(model), dtype, copy=True)
