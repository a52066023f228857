"""Which tensors of a network move, which of them a pattern names, and which weights cannot move at all."""

import fnmatch
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from gradscape._model_state import check_made, has_memory, plain_items

__all__ = [
    "Space",
    "bare_name",
    "chosen_names",
    "differing_unmovable",
    "is_movable",
    "moving_tensors",
    "unmovable_weights",
]

Space = Literal["weights", "states"]

_WRAPPERS = ("module.", "_orig_mod.", "network.")
_TRAINABLE = "trainable"
_NO_PARAMETER, _NO_CHILD = "a tensor that is no parameter", "a module that is not registered"
_SHOWN = 5  # names in a message


def moving_tensors(model: nn.Module, space: Space) -> Iterator[tuple[str, Tensor]]:
    """The tensors that move: parameters, and in "states" also real and complex buffers of the state dict.

    Raises:
        ValueError: A parameter of a lazy module has no shape yet.
    """
    check_made(model)
    for name, parameter in model.named_parameters():
        yield name, parameter.detach()
    if space == "states":
        stored = model.state_dict(keep_vars=True)
        for name, buffer in model.named_buffers():
            if name in stored and is_movable(buffer):
                yield name, buffer.detach()


def is_movable(tensor: Tensor) -> bool:
    """Whether a tensor holds real or complex numbers."""
    return tensor.is_floating_point() or tensor.is_complex()


def bare_name(name: str) -> str:
    """A tensor's name without what compiling, parallelizing and our own normalization put before it."""
    while (wrapper := next((wrapper for wrapper in _WRAPPERS if name.startswith(wrapper)), None)) is not None:
        name = name.removeprefix(wrapper)
    return name


def chosen_names(model: nn.Module, moving: Iterable[str], parameters: str) -> set[str]:
    """Names among those of moving tensors that `parameters` means.

    Args:
        model: Knows what is trainable, and which of its weights cannot move.
        moving: Names of the tensors that can be meant.
        parameters: As in `random_directions`.

    Raises:
        ValueError: A pattern names nothing, nothing is left, or a weight that is meant cannot move.
    """
    unmovable = unmovable_weights(model)
    trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    names = dict.fromkeys((*moving, *unmovable))
    if not names:
        raise ValueError(
            "`model` has no tensors that could move: a frozen or exported module may hold its weights as constants; "
            "take the network that it was made from"
        )
    patterns = parameters.replace(",", " ").split()

    def named(pattern: str) -> set[str]:
        if pattern == _TRAINABLE:
            found = trainable & names.keys()
        else:
            # Names of what is in a list have brackets, which a pattern takes for a choice of characters.
            bare = {name: bare_name(name) for name in names}
            found = {name for name in names if bare[name] == pattern or fnmatch.fnmatchcase(bare[name], pattern)}
        if not found:
            known = ", ".join(map(bare_name, list(names)[:3]))
            raise ValueError(
                f"`parameters` must match a tensor of the model ({known}, …), but {pattern!r} matches none"
            )
        return found

    wanted = [named(pattern) for pattern in patterns if not pattern.startswith("!")]
    left = [named(pattern[1:]) for pattern in patterns if pattern.startswith("!")]
    chosen = (set().union(*wanted) if wanted else set(names)).difference(*left)
    if not chosen:
        raise ValueError(f"`parameters` must leave a tensor that moves, but {parameters!r} leaves none")
    if stuck := [name for name in unmovable if name in chosen]:
        raise ValueError(_cannot_move(stuck, unmovable))
    return chosen


def unmovable_weights(model: nn.Module) -> dict[str, str]:
    """Weights that would stay in place in silence: their names, and what they are.

    These are packed and quantized weights, integers, floating-point numbers of one byte, tensor subclasses, and
    matrices and modules that were never registered. Indices, masks and what is computed from parameters are none.
    """
    registered = {id(parameter) for parameter in model.parameters()}
    found: dict[str, str] = {}
    for prefix, module in model.named_modules():
        own = (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))
        held = {name: kind for name, tensor in own if (kind := _kind_that_stays(tensor)) is not None}
        has_matrices = any(parameter.dim() > 1 for parameter in module.parameters(recurse=False))
        for name, value in plain_items(module):
            if isinstance(value, torch.ScriptObject):
                held[name] = "packed by quantization"
            elif isinstance(value, nn.Module):
                if any(id(parameter) not in registered for parameter in value.parameters()):
                    held[name] = _NO_CHILD
            elif isinstance(value, Tensor) and id(value) not in registered:
                derived = has_matrices or "[" in name or bool(module._forward_pre_hooks)
                if (kind := _kind_that_stays(value) or _kind_of_plain_weight(value, derived=derived)) is not None:
                    held[name] = kind
        found |= {f"{prefix}.{name}".removeprefix("."): kind for name, kind in held.items()}
    if isinstance(model, torch.jit.ScriptModule) and "quantized::" in str(model.inlined_graph):
        found["forward"] = "packed by quantization"
    return found


def differing_unmovable(model: nn.Module, other: nn.Module) -> list[str]:
    """Names, sorted, of weights that would stay in place in silence although two networks do not share their values."""
    first, second = _tensors_anywhere(model), _tensors_anywhere(other)
    names = {*unmovable_weights(model), *unmovable_weights(other)}
    return sorted(name for name in names if not _is_shared(first.get(name), second.get(name)))


def _tensors_anywhere(model: nn.Module) -> dict[str, Tensor]:
    found = {
        **dict(model.named_parameters(remove_duplicate=False)),
        **dict(model.named_buffers(remove_duplicate=False)),
    }
    for prefix, module in model.named_modules():
        plain = {name: one for name, one in plain_items(module) if isinstance(one, Tensor)}
        found |= {f"{prefix}.{name}".removeprefix("."): one for name, one in plain.items()}
    return found


def _is_shared(one: Tensor | None, other: Tensor | None) -> bool:
    if one is None or other is None or not (has_memory(one) and has_memory(other)):
        return False
    return (one.dtype, one.shape) == (other.dtype, other.shape) and torch.equal(one, other.to(one.device))


def _kind_that_stays(tensor: Tensor) -> str | None:
    """What keeps a matrix from moving; None if nothing does, or if it holds no weights."""
    if is_traceable_wrapper_subclass(tensor):
        return f"a {type(tensor).__name__}"
    if isinstance(tensor, (UninitializedParameter, UninitializedBuffer)) or tensor.dim() < 2:
        return None
    if tensor.is_quantized or (tensor.is_floating_point() and tensor.element_size() < 2):
        return str(tensor.dtype).removeprefix("torch.")
    is_index = tensor.dtype == torch.int64 and not isinstance(tensor, nn.Parameter)
    if is_movable(tensor) or tensor.dtype == torch.bool or is_index or not tensor.numel():
        return None
    is_mask = int(tensor.min()) >= 0 and int(tensor.max()) <= 1
    return None if is_mask else "integers"


def _kind_of_plain_weight(tensor: Tensor, *, derived: bool) -> str | None:
    if not is_movable(tensor) or tensor.dim() < 2 or tensor.grad_fn is not None:
        return None
    # What stands beside parameters or is set by a hook is taken for computed from them: that follows by itself, or
    # `check_followed` finds it. Tables of positions mostly have a first dimension of one, for the images.
    is_constant = derived or len(tensor) == 1 or _is_mask(tensor)
    return _NO_PARAMETER if tensor.requires_grad or not is_constant else None


def _is_mask(tensor: Tensor) -> bool:
    """Whether a tensor only says yes or no, as what is added to attention or multiplied with it does."""
    return tensor.layout == torch.strided and bool(((tensor == 0) | (tensor == 1) | (tensor == -torch.inf)).all())


def _cannot_move(stuck: list[str], unmovable: Mapping[str, str]) -> str:
    more = f" and {len(stuck) - _SHOWN} more" if len(stuck) > _SHOWN else ""
    shown = ", ".join(f"{bare_name(name)} ({unmovable[name]})" for name in stuck[:_SHOWN])
    plain = all(unmovable[name] in (_NO_PARAMETER, _NO_CHILD) for name in stuck)
    mend = "Register them" if plain else "Take the network before it was quantized"
    return (
        f"`model` must hold its weights in parameters that can move, but these would stay in place: {shown}{more}. "
        f"{mend}, or leave them out: `parameters`="
        f'"{" ".join(f"!{bare_name(name)}" for name in stuck[:_SHOWN])}"{" …" if more else ""}'
    )
