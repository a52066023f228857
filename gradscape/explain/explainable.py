"""A model made ready to be explained, wherever the user stands, and called in that state."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain
from typing import Any, final

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from gradscape._checkpoint import Classifier
from gradscape._journal import undone
from gradscape._model_state import check_made, model_device, unchanged
from gradscape._substitution import called_with

__all__ = [
    "ForwardFunction",
    "call_model",
    "called_by",
    "explainable",
    "images_for",
    "inferring",
    "inner_model",
    "title_of",
    "uncompiled",
]

ForwardFunction = Callable[[nn.Module, Any], Any]
"""From a model and images, or what else a batch is, to an output, where the model takes more than images."""


@final
class _Called(nn.Module):
    """A model as a function of images alone."""

    def __init__(self, model: nn.Module, forward: ForwardFunction) -> None:
        super().__init__()
        self.model, self.function = model, forward

    def forward(self, images: Any) -> Any:
        return self.function(self.model, images)


def called_by(model: nn.Module, forward: ForwardFunction | None) -> nn.Module:
    """Return a model that takes images alone; its layers keep the names that they have in the user's.

    Args:
        model: The user's.
        forward: From the model and images to its output; None where it takes images.

    Raises:
        ValueError: If part of the model is TorchScript, which takes no hooks, or a lazy layer has no shape yet.
    """
    _check_open(model)
    return model if forward is None else _Called(model, forward)


@contextmanager
def explainable(model: nn.Module) -> Iterator[None]:
    """Inside, a model can be explained wherever the user stands; afterwards it is as before (`unchanged`).

    To that promise it adds what an explanation needs: the model is in `eval()` with its parameters frozen, gradients
    are recorded even where the caller has switched them off or is in inference mode, and what was compiled runs as
    the plain modules that it was made of, since compiled code calls no hooks.

    Raises:
        ValueError: If nothing inside of the model can be looked at: TorchScript, or an exported program.
    """
    _check_open(model)
    with ExitStack() as stack:
        # What was made under inference_mode can be put back under it alone.
        stack.enter_context(inferring(any(parameter.is_inference() for parameter in model.parameters())))
        stack.enter_context(unchanged(model))
        stack.enter_context(inferring(False))
        stack.enter_context(torch.enable_grad())
        if "torch._dynamo" in sys.modules:  # importing it takes seconds, and without it nothing is compiled
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        _evaluate(model)
        for parameter in model.parameters():
            if not parameter.is_inference():
                parameter.requires_grad_(False)
        yield


@contextmanager
def inferring(mode: bool) -> Iterator[None]:  # noqa: FBT001  as torch's own
    """Inside, torch's inference mode is on or off; afterwards it is as before, also where this is cut off.

    Args:
        mode: Whether it is on.
    """
    context = torch.inference_mode(mode)

    def leave() -> None:
        if hasattr(context, "_inference_mode_context"):  # it was entered; torch's own may be left twice
            context.__exit__(None, None, None)

    with undone(leave):
        context.__enter__()
        yield


def inner_model(model: nn.Module) -> tuple[nn.Module, ForwardFunction | None]:
    """Return the model and the function that `called_by` made a model of; the model itself and None of any other."""
    return (model.model, model.function) if isinstance(model, _Called) else (model, None)


def uncompiled(model: nn.Module) -> nn.Module:
    """Return what `torch.compile` or `called_by` wrapped, or the model itself."""
    own, _ = inner_model(model)
    plain: nn.Module = getattr(own, "_orig_mod", own)
    return plain


def title_of(model: nn.Module) -> str:
    """What to call a model: by the name in its checkpoint, or else by its class."""
    plain = uncompiled(model)
    return str(plain.meta["name"]) if isinstance(plain, Classifier) else type(plain).__name__


def _check_open(model: nn.Module) -> None:
    """Refuse what calls no hooks, and what is not all there yet."""
    check_made(model)
    for name, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            part = name or "all of it"
            raise ValueError(
                f"`model` must be made of Python's modules, but {part} is TorchScript (scripted or traced), inside of "
                "which nothing can be seen or changed; give the module that it was made of"
            )


def _evaluate(model: nn.Module) -> None:
    """Eval mode; an exported program has none."""
    try:
        model.eval()
    except NotImplementedError as error:
        raise ValueError(
            "`model` must be made of Python's modules, but this is a program from torch.export, inside of which "
            "nothing can be seen; give the module that it was made of"
        ) from error


def images_for(
    model: nn.Module, images: Shaped[Tensor, "batch channels *size"]
) -> Shaped[Tensor, "batch channels *size"]:
    """Return a copy of the images with the model's device and precision, a leaf that gradients can flow into.

    Raises:
        TypeError: If the images are no float tensor.
        ValueError: If they are not a batch with at least one image, volume or signal.
    """
    given: Any = images
    if not isinstance(given, Tensor) or not given.is_floating_point():
        kind = given.dtype if isinstance(given, Tensor) else type(given).__name__
        raise TypeError(f"`images` must be a float tensor (images, channels, height, width), got {kind}")
    if not images.numel() or not _may_be_a_batch(model, images.ndim):
        raise ValueError(
            "`images` must be (images, channels, height, width), volumes (images, channels, depth, height, width), or "
            f"signals (images, channels, length), got the shape {tuple(images.shape)}"
        )
    dtype = next((one.dtype for one in model.parameters() if one.is_floating_point()), images.dtype)
    return images.detach().to(model_device(model), dtype, copy=True)


def _may_be_a_batch(model: nn.Module, dimensions: int) -> bool:
    """Whether images have these dimensions; three may be one picture too, which torch takes without a batch."""
    if dimensions != 3:
        return dimensions in (4, 5)
    kinds = {type(module) for module in model.modules()}
    return nn.Conv2d not in kinds or nn.Conv1d in kinds


def call_model(model: nn.Module, images: Any) -> Any:
    """Run the model on images, or what else it takes, of its device and precision, inside of `explainable`."""
    # What was made under inference_mode can take no part in differentiation, but its copy can.
    copies = {
        name: tensor.detach().clone()
        for name, tensor in chain(model.named_parameters(), model.named_buffers())
        if tensor.is_inference()
    }
    return called_with(model, copies, images) if copies else model(images)
