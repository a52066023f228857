"""Why the inside of a model cannot be seen or led gradients through: the one true sentence to refuse it with."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gradscape.explain.explainable import call_model, explainable, uncompiled
from gradscape.explain.inputs import Inputs, inputs_for, tensors_of
from gradscape.explain.logits import tensors_in

__all__ = ["raise_why_blind"]

_WITHOUT = "or choose a method that needs none, such as eigencam, with a `target_layer`"


@dataclass(frozen=True)
class _Ran:
    """A module that ran: whether torch recorded gradients then, and whether its floating outputs have some."""

    name: str
    recorded: bool
    differentiable: bool
    quantized: torch.dtype | None


def raise_why_blind(
    model: nn.Module, images: Inputs, layers: Mapping[str, nn.Module], error: Exception | None = None
) -> None:
    """Run a model once more, and tell why no gradients lead through it, or why its modules are not seen to run.

    Args:
        model: A model that something could not be found in.
        images: What it takes.
        layers: Its modules by name.
        error: What happened, if anything was raised.

    Raises:
        ValueError: A known cause was found. It names that, and what to do.
    """
    cause = _cause(model, images, layers)
    if cause is not None:
        raise ValueError(cause) from error


def _cause(model: nn.Module, images: Inputs, layers: Mapping[str, nn.Module]) -> str | None:
    ran: list[_Ran] = []
    with explainable(model), ExitStack() as hooks:
        for name, module in layers.items():
            hooks.callback(module.register_forward_hook(_listener(name, ran)).remove)
        own = inputs_for(model, images)
        for tensor in tensors_of(own):
            tensor.requires_grad_(tensor.is_floating_point())
        outputs = list(tensors_in(call_model(model, own)))
        operations = _operations(outputs)
    given = type(uncompiled(model)).__name__
    if layers and not ran:
        return (
            f"`model` must run the modules that it is made of, but this {given} runs none of its {len(layers)}, as a "
            "graph that was exported or traced does, so that nothing inside can be seen; give the module it was made of"
        )
    if "CheckpointFunctionBackward" in operations:
        return (
            "`model` must not run blocks under torch.utils.checkpoint with use_reentrant=True, inside of which torch "
            "records no gradients; let it pass use_reentrant=False, with which all numbers are the same"
        )
    quantized = next((one for one in ran if one.quantized is not None), None)
    if quantized is not None:
        return (
            f"`model` must compute in floating point for gradients, but from {quantized.name} on it is quantized "
            f"({quantized.quantized}), which none lead through; explain the network that it was made of, {_WITHOUT}"
        )
    unrecorded = [one for one in ran if not one.recorded]
    if unrecorded:
        outermost = min(unrecorded, key=lambda one: one.name.count("."))
        return (
            f"`model` must let torch record gradients, but runs {outermost.name} under torch.no_grad() or "
            f"inference_mode(); take that out of its forward, {_WITHOUT}"
        )
    if operations & {"NotImplemented", "WarnNotImplemented"}:
        return (
            "`model` must be made of operations that have a derivative, but one of them, such as a dynamically "
            f"quantized layer, has none; explain the network without it, {_WITHOUT}"
        )
    lost = next((one for one in ran if not one.differentiable), None)
    if lost is not None and not any(one.requires_grad for one in outputs):
        return (
            f"`model` must lead gradients from the images to its output, but what {lost.name} gives has none: it is "
            f"detached or computed outside of torch; change that, {_WITHOUT}"
        )
    return None


def _listener(name: str, ran: list[_Ran]) -> Callable[..., None]:
    def listen(_module: nn.Module, _inputs: Any, output: Any) -> None:
        tensors = list(tensors_in(output))
        floating = [one for one in tensors if one.is_floating_point()]
        quantized = next((one.dtype for one in tensors if one.is_quantized), None)
        differentiable = any(one.requires_grad for one in floating) or not floating
        ran.append(_Ran(name, torch.is_grad_enabled(), differentiable, quantized))

    return listen


def _operations(outputs: list[Tensor]) -> set[str]:
    """The names of all operations that the outputs came from."""
    waiting: list[Any] = [one.grad_fn for one in outputs if one.grad_fn is not None]
    seen = set(waiting)
    while waiting:
        for child, _ in waiting.pop().next_functions:
            if child is not None and child not in seen:
                seen.add(child)
                waiting.append(child)
    return {node.name().rpartition("::")[2] for node in seen}
