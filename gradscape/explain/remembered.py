"""What was found out about a model, remembered for as long as the model stays the same."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import partial
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary, ref

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.weak import WeakIdRef

from gradscape.explain.explainable import inner_model

__all__ = ["identity_of", "remembered"]

Found = TypeVar("Found")

_PLAIN: Final = (
    *(int, float, complex, str, bytes, bool, np.generic, type(None), type(...), slice),
    *(torch.dtype, torch.device),
)
_MOST_NUMBERS: Final = 10_000  # that are compared one by one
_MOST_KNOWN: Final = 64  # things of a model, of which the oldest is forgotten first


@dataclass(frozen=True, eq=False)
class _Seen:
    """A module as it was: its parts by name, its number of attributes, and those that are options: plain values."""

    module: ref[nn.Module]
    parts: tuple[tuple[str, ref[nn.Module] | None], ...]
    attributes: int
    options: dict[str, Any]

    @classmethod
    def now(cls, module: nn.Module, before: "_Seen | None" = None) -> "_Seen":
        """A module as it is; what differs from before is no option, such as a count of its own."""
        held = vars(module)
        parts = tuple((name, None if one is None else ref(one)) for name, one in module._modules.items())
        options = {name: one for name, one in held.items() if isinstance(one, _PLAIN) and name != "training"}
        if before is not None:
            was = before.options
            options = {
                name: one for name, one in options.items() if name in was and (one is was[name] or one == was[name])
            }
        return cls(ref(module), parts, len(held), options)

    def is_as_it_was(self) -> bool:
        """Whether nothing of it has changed. Runs at every call: it takes microseconds."""
        module = self.module()
        if module is None:
            return False
        held, parts = vars(module), module._modules
        return (
            len(held) == self.attributes
            and self.options.items() <= held.items()
            and len(parts) == len(self.parts)
            and all(
                name == before and (part is None if was is None else part is was())
                for (before, was), (name, part) in zip(self.parts, parts.items(), strict=True)
            )
        )


@dataclass(eq=False)
class _Memory:
    """What is known of a model that has these modules."""

    seen: list[_Seen] = field(default_factory=list)
    known: dict[Hashable, Any] = field(default_factory=dict)

    def look(self, model: nn.Module) -> None:
        """Forget everything if the model has changed."""
        if not self.seen or not all(one.is_as_it_was() for one in self.seen):
            self.known.clear()
            self.seen = [_Seen.now(one) for one in model.modules()]

    def look_again(self, model: nn.Module) -> None:
        """Take what a forward pass has set in the model itself for no change."""
        before = {one.module(): one for one in self.seen}
        self.seen = [_Seen.now(one, before.get(one)) for one in model.modules()]


_MEMORIES: WeakKeyDictionary[nn.Module, _Memory] = WeakKeyDictionary()


def remembered(model: nn.Module, key: Hashable, find: Callable[[], Found]) -> Found:
    """Return what `find` gives for this model and key, which is looked for once.

    It is looked for again when a module of the model has been replaced, added or removed, or an option that one keeps
    as a plain value has changed. Weights may change, and so may what changes while something is looked for: a forward
    pass may count. What is found must not hold the model.

    Args:
        model: What it is about; `called_by` may have wrapped it.
        key: What else it depends on; None where this cannot be told, so that it is looked for each time.
        find: Finds it.
    """
    model, function = inner_model(model)
    called = identity_of(function)
    if key is None or called is None:
        return find()
    memory = _MEMORIES.setdefault(model, _Memory())
    memory.look(model)
    whole = called, key
    if whole in memory.known:
        known: Found = memory.known[whole]
        return known
    found = find()  # which may look in the same memory
    memory.look_again(model)
    memory.known[whole] = found
    while len(memory.known) > _MOST_KNOWN:
        del memory.known[next(iter(memory.known))]
    return found


def identity_of(function: Callable[..., Any] | None) -> Hashable:
    """Return what tells one function from another that may compute something else; None where nothing does for sure.

    A lambda written anew at each call is one function as long as all that it reads is the same: what it closes over,
    its defaults and the globals that it names. A large tensor is the same as long as it is the very one, unwritten.

    Args:
        function: Any function, or none.
    """
    if function is None:
        return "none"
    found = _identity(function, 3)
    return found if found is not _UNKNOWN else None


_UNKNOWN: Final = object()


def _identity(value: Any, depth: int) -> Any:
    """A hashable stand-in for what a value is now; `_UNKNOWN` where there is none."""
    if isinstance(value, _PLAIN):
        return type(value), repr(value)
    if isinstance(value, ModuleType | BuiltinFunctionType | type):
        return id(value)
    if isinstance(value, Tensor):
        return _tensor_identity(value)
    if isinstance(value, tuple | list) and depth:
        return _all_known("sequence", [_identity(one, depth - 1) for one in value])
    if isinstance(value, FunctionType) and depth:
        names = _names(value.__code__)
        read = [_content(cell) for cell in value.__closure__ or ()]
        read += [*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
        read += [value.__globals__[name] for name in names if name in value.__globals__]
        return _all_known(value.__code__, [_identity(one, depth - 1) for one in read])
    if isinstance(value, partial) and depth:
        parts = [value.func, *value.args, *value.keywords.values()]
        return _all_known(("partial", *value.keywords), [_identity(one, depth - 1) for one in parts])
    if isinstance(value, MethodType) and depth:
        return _all_known("method", [_identity(one, depth - 1) for one in (value.__func__, value.__self__)])
    return _UNKNOWN


def _tensor_identity(tensor: Tensor) -> Any:
    if tensor.layout is torch.strided and tensor.numel() <= _MOST_NUMBERS:
        return tensor.dtype, tuple(tensor.shape), str(tensor.tolist())
    if tensor.layout is not torch.strided or tensor.is_inference():  # whose versions are not counted
        return _UNKNOWN
    return WeakIdRef(tensor), tensor._version, tensor.data_ptr(), tuple(tensor.shape)


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # it is empty
        return _UNKNOWN


def _all_known(kind: Hashable, parts: list[Any]) -> Any:
    return _UNKNOWN if any(part is _UNKNOWN for part in parts) else (kind, *parts)


def _names(code: CodeType) -> list[str]:
    """The names that a function and those within it look up."""
    inner = [name for one in code.co_consts if isinstance(one, CodeType) for name in _names(one)]
    return [*code.co_names, *inner]
