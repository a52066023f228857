"""A landscape the slow way: for each position a state dict is added up and loaded into a network of its own."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tests.wild.subject import Subject

__all__ = ["State", "digest", "loaded", "plain_losses"]


State = dict[str, Any]


def plain_losses(
    model: nn.Module,
    state: State,
    subject: Subject,
    directions: Sequence[Mapping[str, Tensor]],
    positions: Sequence[Sequence[float]],
    *,
    rounded: bool = False,
) -> np.ndarray:
    """The mean loss at each position.

    Args:
        model: Another one of the same kind, which is left at the last position.
        state: The state dict of the origin.
        subject: Gives inputs, labels and loss.
        directions: For each coordinate, parameters' names and their change per unit.
        positions: Coordinates.
        rounded: Whether the last bit of each weight is changed, which shows how much of the losses is rounding.
    """
    generator = torch.Generator().manual_seed(3)
    aliases = _aliases(model)
    found = []
    for position in positions:
        moved_state = copy.copy(state)  # with its versions, which some layers ask for
        for name, value in state.items():
            if not isinstance(value, Tensor):
                continue
            moved = value
            for coordinate, direction in zip(position, directions, strict=True):
                change = direction.get(aliases.get(name, name))
                if change is not None:
                    moved = moved + coordinate * change
            if rounded and moved.is_floating_point():
                sides = torch.randint(0, 2, moved.shape, generator=generator) * 2 - 1
                moved = moved * (1 + torch.finfo(moved.dtype).eps * sides)
            moved_state[name] = moved
        loaded(model, moved_state)
        inputs, labels = subject.inputs(subject.images), subject.labels(subject.images)
        with torch.no_grad():
            losses = subject.loss(model)(subject.output(model, inputs), labels)
        found.append(losses.double().mean().item())
    return np.array(found)


def loaded(model: nn.Module, state: State) -> nn.Module:
    """The model with a state, in `eval()`; what it had merged or cached is parted or forgotten first by `train()`."""
    model.train()
    model.load_state_dict(state)
    return model.eval()


def digest(model: nn.Module) -> dict[str, Any]:
    """All that a user could find changed: tensors of every kind as bytes, modes, gradients, hooks."""
    found: dict[str, Any] = {}
    for name, module in model.named_modules():
        found[f"{name} mode"] = module.training
        if isinstance(module, torch.jit.ScriptModule):
            continue
        found[f"{name} hooks"] = len(module._forward_hooks) + len(module._forward_pre_hooks)
        for key, value in vars(module).items():
            for number, tensor in enumerate(_tensors(value)):
                found[f"{name}.{key}[{number}]"] = _bytes(tensor)
    for name, parameter in model.named_parameters():
        found[f"{name} requires"] = parameter.requires_grad, parameter.grad is None
    for name, value in model.state_dict().items():
        if isinstance(model, torch.jit.ScriptModule) or not isinstance(value, Tensor):
            found[f"{name} state"] = _bytes(value) if isinstance(value, Tensor) else repr(value)
    return found


def _aliases(model: nn.Module) -> dict[str, str]:
    """For each name of a parameter the first name of the same one: tied weights have several."""
    first: dict[int, str] = {}
    return {
        name: first.setdefault(parameter.data_ptr(), name)
        for name, parameter in model.named_parameters(remove_duplicate=False)
    }


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        return [tensor for one in value.values() for tensor in _tensors(one)]
    return [tensor for one in value for tensor in _tensors(one)] if isinstance(value, list | tuple) else []


def _bytes(tensor: Tensor) -> tuple[Any, ...]:
    plain = tensor.detach().dequantize() if tensor.is_quantized else tensor.detach()
    return tuple(plain.shape), plain.dtype, hash(plain.contiguous().flatten().view(torch.uint8).numpy().tobytes())
