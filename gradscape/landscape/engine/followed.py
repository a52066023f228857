"""Whether outputs follow the tensors that move: what a network has merged or cached stays where it was."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any, final

import torch
from torch import Tensor, nn

from gradscape._journal import undone
from gradscape._model_state import changes_with_mode, kept_values, plain_tensors
from gradscape.landscape.directions import Direction
from gradscape.landscape.engine.blocks import Block, map_tensors, tensors_in
from gradscape.landscape.engine.moving import moving, moving_names, named_tensors
from gradscape.landscape.engine.task import ForwardFunction
from gradscape.landscape.movable import bare_name, is_movable

__all__ = ["check_followed", "needs_refreshing"]

_IMAGES = 2
# In units, of a weight's own size at least; tried until an output follows: one of them may saturate.
_AWAY = (1.0, 0.1, -1.0)
_UNEVEN = 0.7  # of a unit along each further direction: with as much, filters of one element could come back
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
    displaced = _Displaced(model, directions)
    if not displaced.tensors:
        return
    inputs = block.part(0, min(block.count, _IMAGES)).inputs
    with kept_values(model):
        _check_whole(model, displaced, inputs, forward)
        replay = _Replay(model, displaced)
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
                move_to([coordinate * _UNEVEN**axis for axis in range(len(directions))])
                output = forward(model, _copied(inputs))
            outputs.append(output)
    return not _identical(*outputs)


def _check_whole(model: nn.Module, displaced: "_Displaced", inputs: Any, forward: ForwardFunction) -> None:
    origin = forward(model, _copied(inputs))
    if not any(is_movable(tensor) and tensor.numel() for tensor in _tensors(origin)):
        return  # classes are chosen or nothing is detected, which may stay the same
    for coordinate in _AWAY:
        with displaced.at(coordinate, displaced.tensors):
            if not _identical(origin, forward(model, _copied(inputs))):
                return
    if _same_rows(origin):
        return  # a layer of zeros lets nothing through: neither images nor weights
    raise ValueError(
        "`model` must follow its weights, but its output stays the same to the bit while "
        f"{_listed(list(displaced.tensors))} moved: were they merged or cached for eval(), are they not used, "
        "or does `forward` call another network? `parameters` chooses what moves"
    )


@final
class _Displaced:
    """Tensors away from the origin for a moment.

    Args:
        model: In `eval()`.
        directions: One for each axis.

    Attributes:
        tensors: Those that move, by name, in order.
    """

    def __init__(self, model: nn.Module, directions: Sequence[Direction]) -> None:
        self._model, self._directions = model, directions
        self._by_mode = changes_with_mode(model)
        tensors = named_tensors(model)
        self.tensors = {name: tensors[name] for name in sorted(moving_names(directions))}

    @contextmanager
    def at(self, coordinate: float, names: Iterable[str]) -> Iterator[None]:
        """Inside, some tensors are elsewhere, and what the model's own `train()` derives from them is made anew."""
        storages = {name: self.tensors[name].data for name in names}
        with undone(partial(self._put, storages)):
            self._put({name: self._value(name, coordinate) for name in storages})
            yield

    def _put(self, values: Mapping[str, Tensor]) -> None:
        if self._by_mode:
            self._model.train()
        for name, value in values.items():
            self.tensors[name].data = value
        if self._by_mode:
            self._model.eval()

    def _value(self, name: str, coordinate: float) -> Tensor:
        value = self.tensors[name].detach()
        change = torch.zeros_like(value)
        for axis, direction in enumerate(self._directions):
            if name in direction:
                change.add_(direction[name].to(value), alpha=_UNEVEN**axis)
        # A direction may be so short that rounding takes it away, which says nothing about what follows.
        size, reach = _largest(change), _largest(value) or 1.0
        if 0 < size < reach:
            change.div_(size).mul_(reach)
        return value + coordinate * change


@final
class _Replay:
    """Calls modules once more in passing, with their own tensors moved.

    Args:
        model: In `eval()`.
        displaced: Moves them.

    Attributes:
        silent: Modules that do not follow, with the tensors that they do not follow.
    """

    def __init__(self, model: nn.Module, displaced: _Displaced) -> None:
        self._displaced = displaced
        self._names = {module: name for name, module in model.named_modules()}
        self._own: dict[str, list[str]] = {}
        for name in displaced.tensors:
            self._own.setdefault(name.rpartition(".")[0], []).append(name)
        self._given: dict[nn.Module, tuple[Any, Any]] = {}
        self._ran: set[str] = set()
        self._asleep = set(self._own)  # owners that did not run so far, and for which no module above them answers
        self._replaying = False
        self.silent: dict[str, list[str]] = {}

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Replay what is called inside."""
        with ExitStack() as stack:
            for module in self._names:
                if not isinstance(module, torch.jit.ScriptModule):  # which take no hooks
                    stack.callback(module.register_forward_pre_hook(self._before, with_kwargs=True).remove)
                    stack.callback(module.register_forward_hook(self._after, with_kwargs=True).remove)
            yield

    def _before(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        name = self._names[module]
        if not self._replaying and name not in self._ran and (name in self._own or _kept_sizes(module)):
            self._given[module] = _copied((args, kwargs))  # layers may write into their inputs

    def _after(self, module: nn.Module, _args: Any, _kwargs: Any, output: Any) -> None:
        name = self._names[module]
        if self._replaying or name in self._ran:
            return
        self._ran.add(name)
        self._asleep.discard(name)
        below = {owner for owner in self._asleep if owner.startswith(f"{name}." if name else "")}
        self._asleep -= below
        given = self._given.pop(module, None)
        if given is None or _is_empty(given, output):
            return
        output = _copied(output)  # later layers may write into it
        unused = [one for owner in sorted(below) for one in self._own[owner]]
        groups = self._groups(module, self._own.get(name, []), unused)
        if silent := [group for group in groups if self._ignores(module, given, group, output)]:
            self.silent[name] = [one for group in silent for one in group]

    def _groups(self, module: nn.Module, own: list[str], unused: list[str]) -> list[list[str]]:
        """Tensors that the module's output is to follow, together or each by itself."""
        kept = max(_kept_sizes(module), default=0)
        tensors = self._displaced.tensors
        if not _kept_sizes(module) and not any(_is_matrix(tensors[one]) for one in own):
            own = []  # a lone vector may be meant for training (a mask token), and nothing is made from it beside
        sizes = {name: tensors[name].numel() for name in (*own, *unused) if _is_matrix(tensors[name])}
        own_caches, unused_caches = (
            [one for one in some if sizes.get(one, kept + 1) <= kept] for some in (own, unused)
        )
        singles = [[moved] for moved in own_caches] if len(own) > 1 else []
        return [group for group in (own, unused_caches, *singles) if group]

    def _ignores(self, module: nn.Module, given: tuple[Any, Any], names: Iterable[str], output: Any) -> bool:
        self._replaying = True
        try:
            for coordinate in _AWAY:
                args, kwargs = _copied(given)
                with self._displaced.at(coordinate, names):
                    if not _identical(output, module(*args, **kwargs)):
                        return False
        except Exception:  # it cannot be called by itself, which tells nothing
            return False
        finally:
            self._replaying = False
        return True


def _kept_sizes(module: nn.Module) -> list[int]:
    """Sizes of matrices that a module keeps and that may be caches: plain attributes, buffers that are not saved."""
    buffers = [tensor for name, tensor in module._buffers.items() if name in module._non_persistent_buffers_set]
    kept = (one for one in (*plain_tensors(module).values(), *buffers) if one is not None and is_movable(one))
    return [one.numel() for one in kept if _is_matrix(one)]


def _largest(tensor: Tensor) -> float:
    return tensor.abs().max().item() if tensor.numel() else 0.0


def _is_matrix(tensor: Tensor) -> bool:
    return sum(length > 1 for length in tensor.shape) > 1


def _plain_code() -> AbstractContextManager[None]:
    """Compiled code calls no hooks, or is compiled anew for them; importing its compiler takes seconds."""
    return torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()


def _tensors(value: Any) -> list[Tensor]:
    return list(tensors_in(value))


def _copied(value: Any) -> Any:
    return map_tensors(torch.clone, value)


def _identical(one: Any, other: Any) -> bool:
    firsts, seconds = _tensors(one), _tensors(other)
    return len(firsts) == len(seconds) and all(
        first.shape == second.shape and torch.equal(first, second)
        for first, second in zip(firsts, seconds, strict=True)
    )


def _is_empty(given: Any, output: Any) -> bool:
    """Whether an output tells nothing: there is none, or zeros alone go in or come out."""
    inputs, outputs = ([tensor for tensor in _tensors(value) if is_movable(tensor)] for value in (given, output))
    zeros_in = bool(inputs) and not any(bool(tensor.any()) for tensor in inputs)
    return zeros_in or not any(bool(tensor.any()) for tensor in outputs)


def _same_rows(output: Any) -> bool:
    """Whether an output does not depend on the images: all of several have the same."""
    rows = [tensor for tensor in _tensors(output) if tensor.dim() and len(tensor) > 1]
    return bool(rows) and all(torch.equal(tensor[:-1], tensor[1:]) for tensor in rows)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"
