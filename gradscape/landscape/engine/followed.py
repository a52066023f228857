"""Whether outputs follow the tensors that move: what a network has merged or cached stays where it was."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map_only

from gradscape._model_state import changes_with_mode, kept_values, plain_tensors
from gradscape.landscape.directions import Direction
from gradscape.landscape.engine.blocks import Block
from gradscape.landscape.engine.moving import moving, moving_names, named_tensors
from gradscape.landscape.engine.task import ForwardFunction
from gradscape.landscape.movable import bare_name, is_movable

__all__ = ["check_followed", "needs_refreshing"]

_IMAGES = 2
_AWAY = (1.0, 0.1, -1.0)  # units along all directions, tried until an output follows: one of them may saturate
_SHOWN = 3  # names in a message


def check_followed(model: nn.Module, directions: Sequence[Direction], block: Block, forward: ForwardFunction) -> None:
    """Refuse a model whose outputs stay the same, to the bit, although weights that they depend on move.

    The first images are evaluated at the origin and away from it. Then every module that runs is called once more
    with what it was given, its own tensors moved. A module that does not run (an auxiliary head in `eval()`) is not
    used, and neither is one tensor of several that a module ignores (a mask token): a plain loop would find the same.
    But a module that follows none of its tensors, or that ignores one while it keeps as large a tensor beside, holds
    what was computed from it.

    Args:
        model: In `eval()`, in exact arithmetic.
        directions: One for each axis.
        block: The first images, on the model's device.
        forward: (model, inputs) -> output.

    Raises:
        ValueError: An output does not follow; the message names the module.
    """
    names = moving_names(directions)
    if not names:
        return
    inputs = block.part(0, min(block.count, _IMAGES)).inputs
    with kept_values(model):
        _check_whole(model, directions, inputs, forward)
        replay = _Replay(model, _displaced(model, directions, _AWAY[0]))
        with replay.listening(), _plain_code():
            forward(model, _copied(inputs))
    if replay.silent:
        module, ignored = next(iter(replay.silent.items()))
        raise ValueError(
            f"`model` must follow its weights, but {module or 'it'} gives the same output while {_listed(ignored)} "
            "moved: merged or cached for eval()? Undo that before, or leave this out by `parameters`="
            f'"{" ".join(f"!{bare_name(name)}" for name in ignored)}"'
        )


def needs_refreshing(model: nn.Module, directions: Sequence[Direction], inputs: Any, forward: ForwardFunction) -> bool:
    """Whether outputs only follow if a `train()` or `eval()` of the model's own is called at every position.

    Args:
        model: In `eval()`, in exact arithmetic.
        directions: One for each axis.
        inputs: Some images.
        forward: (model, inputs) -> output.
    """
    if not changes_with_mode(model):
        return False
    outputs = []
    for refreshed in (True, False):
        with kept_values(model), moving(model, directions, refreshed=refreshed) as move_to:
            for coordinate in (0.0, _AWAY[0]):  # the first pass fills caches
                move_to([coordinate] * len(directions))
                output = forward(model, _copied(inputs))
            outputs.append(output)
    return not _identical(*outputs)


def _check_whole(model: nn.Module, directions: Sequence[Direction], inputs: Any, forward: ForwardFunction) -> None:
    origin = forward(model, _copied(inputs))
    if not any(is_movable(tensor) for tensor in _tensors(origin)):
        return  # classes are chosen, which may stay the same
    for coordinate in _AWAY:
        with _moved(model, _displaced(model, directions, coordinate)):
            if not _identical(origin, forward(model, _copied(inputs))):
                return
    raise ValueError(
        "`model` must follow its weights, but its output stays the same to the bit while "
        f"{_listed(sorted(moving_names(directions)))} moved: were they merged or cached for eval(), are they not used, "
        "or does `forward` call another network? `parameters` chooses what moves"
    )


@final
class _Replay:
    """Calls modules once more in passing, with their own tensors moved.

    Args:
        model: In `eval()`.
        moved: Values of the moving tensors, away from the origin.

    Attributes:
        silent: Modules that do not follow, with the tensors that they do not follow.
    """

    def __init__(self, model: nn.Module, moved: Mapping[str, Tensor]) -> None:
        self._model, self._moved = model, moved
        self._names = {module: name for name, module in model.named_modules()}
        self._own: dict[str, list[str]] = {}
        for name in sorted(moved):
            self._own.setdefault(name.rpartition(".")[0], []).append(name)
        self._given: dict[nn.Module, tuple[Any, Any]] = {}
        self._ran: set[str] = set()
        self._replaying = False
        self.silent: dict[str, list[str]] = {}

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Replay what is called inside."""
        with ExitStack() as stack:
            for module, name in self._names.items():
                # Scripted modules take no hooks.
                if (name in self._own or _kept_sizes(module)) and not isinstance(module, torch.jit.ScriptModule):
                    stack.callback(module.register_forward_pre_hook(self._before, with_kwargs=True).remove)
                    stack.callback(module.register_forward_hook(self._after, with_kwargs=True).remove)
            yield

    def _before(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        if not self._replaying and self._names[module] not in self._ran:
            self._given[module] = _copied((args, kwargs))  # layers may write into their inputs

    def _after(self, module: nn.Module, _args: Any, _kwargs: Any, output: Any) -> None:
        if self._replaying or module not in self._given:
            return
        given, name, output = self._given.pop(module), self._names[module], _copied(output)
        self._ran.add(name)
        if _is_empty(given, output):
            return
        groups = [group for group in self._groups(module, name) if self._ignores(module, given, group, output)]
        if groups:
            self.silent[name] = [one for group in groups for one in group]

    def _groups(self, module: nn.Module, name: str) -> list[list[str]]:
        """Tensors that the module's output is to follow, together or each by itself."""
        own = self._own.get(name, [])
        kept = max(_kept_sizes(module), default=0)
        within = f"{name}." if name else ""
        unused = [
            moved
            for owner, names in self._own.items()
            if owner not in self._ran and owner.startswith(within)
            for moved in names
            if self._moved[moved].numel() <= kept
        ]
        singles = [[moved] for moved in own if self._moved[moved].numel() <= kept]
        return [*([own] if own else []), *([unused] if unused else []), *(singles if len(own) > 1 else [])]

    def _ignores(self, module: nn.Module, given: tuple[Any, Any], names: Iterable[str], output: Any) -> bool:
        args, kwargs = _copied(given)
        self._replaying = True
        try:
            with _moved(self._model, {name: self._moved[name].clone() for name in names}):
                return _identical(output, module(*args, **kwargs))
        except Exception:  # it cannot be called by itself, which tells nothing
            return False
        finally:
            self._replaying = False


@contextmanager
def _moved(model: nn.Module, values: Mapping[str, Tensor]) -> Iterator[None]:
    """Inside, tensors have other values, and what a `train()` of the model's own derives from them is made anew."""
    tensors = named_tensors(model)
    by_mode = changes_with_mode(model)
    storages = {name: tensors[name].data for name in values}
    for new in (values, storages):
        if by_mode:
            model.train()
        for name, value in new.items():
            tensors[name].data = value
        if by_mode:
            model.eval()
        if new is values:
            yield


def _displaced(model: nn.Module, directions: Sequence[Direction], coordinate: float) -> dict[str, Tensor]:
    tensors = named_tensors(model)
    changes = {name: [one[name] for one in directions if name in one] for name in moving_names(directions)}
    return {name: tensors[name].detach() + coordinate * sum(some) for name, some in changes.items()}


def _kept_sizes(module: nn.Module) -> list[int]:
    """Sizes of matrices that a module keeps and that may be caches: plain attributes, buffers that are not saved."""
    buffers = [tensor for name, tensor in module._buffers.items() if name in module._non_persistent_buffers_set]
    kept = (one for one in (*plain_tensors(module).values(), *buffers) if one is not None and is_movable(one))
    return [one.numel() for one in kept if sum(length > 1 for length in one.shape) > 1]


def _plain_code() -> AbstractContextManager[None]:
    """Compiled code calls no hooks, or is compiled anew for them; importing its compiler takes seconds."""
    return torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()


def _tensors(value: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]


def _copied(value: Any) -> Any:
    return tree_map_only(Tensor, torch.clone, value)


def _identical(one: Any, other: Any) -> bool:
    pairs = list(zip(_tensors(one), _tensors(other), strict=False))
    return all(first.shape == second.shape and torch.equal(first, second) for first, second in pairs)


def _is_empty(given: Any, output: Any) -> bool:
    """Whether an output tells nothing: there is none, or it comes from zeros alone."""
    floats = [tensor for tensor in _tensors(given) if is_movable(tensor)]
    silent = not any(is_movable(tensor) and tensor.numel() for tensor in _tensors(output))
    return silent or (bool(floats) and not any(bool(tensor.any()) for tensor in floats))


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"
