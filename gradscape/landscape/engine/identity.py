"""Names for the user's functions that tell them apart: by code, and by the values that they hold on to."""

import hashlib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn

from gradscape._digest import digest_tensors

__all__ = ["function_identity", "same_identity"]

_VALUES = (bool, int, float, complex, str, bytes, torch.dtype, torch.device, type(None), type(Ellipsis))


def function_identity(function: Callable[..., Any] | None) -> str:
    """The name of a function of ours, whose modules move; of others also the module, and a digest of what they are.

    The digest is of code and of the values that it names: defaults, closures, globals, attributes, weights. Two
    digests of one function are equal in any process of one version of Python, wherever in its file it stands. What
    cannot be read counts by its type alone: a run that goes on also measures what it holds again (`Remeasurement`).
    """
    if function is None:
        return "none"
    name = _qualified(function)
    if name.startswith("gradscape.") and isinstance(function, FunctionType) and "<locals>" not in name:
        return f"gradscape.{function.__qualname__}"
    content = _Content(getattr(function, "__module__", None))
    content.add(function)
    return f"{name}@{content.digest()}"


def same_identity(stored: str | None, now: str) -> bool:
    """Whether two names can be of one function; of what 0.1.0 stored, which had other digests, by the name alone."""
    if stored is None or stored == now:
        return stored == now
    return "@" in now and "@" not in stored and _bare(stored) == _bare(now)


def _bare(identity: str) -> str:
    return re.split(r"[#(@]", identity)[0].removeprefix("functools.")


def _qualified(value: Any) -> str:
    """Module and name of a function or a class, or of an object's class."""
    owner = value if hasattr(value, "__qualname__") or hasattr(value, "__name__") else type(value)
    return f"{getattr(owner, '__module__', '')}.{getattr(owner, '__qualname__', getattr(owner, '__name__', ''))}"


@final
class _Content:
    """A digest of values of any kind.

    Args:
        module: Functions of this module are looked into; those of others count by their names.
    """

    def __init__(self, module: str | None) -> None:
        self._module = module
        self._sha = hashlib.sha256()
        self._seen: dict[int, Any] = {}  # holds the values too, so that no address is used twice
        self._names: dict[str, None] = {}  # that the code so far has used, in order

    def digest(self) -> str:
        """8 hexadecimal digits."""
        return self._sha.hexdigest()[:8]

    def add(self, value: Any) -> None:
        """Add a value with all that it holds; what was added before counts by the order in which it came."""
        if isinstance(value, _VALUES):
            self._write(type(value).__name__, repr(value))
        elif id(value) in self._seen:
            self._write("again", str(list(self._seen).index(id(value))))
        else:
            self._seen[id(value)] = value
            name, parts = self._parts(value)
            self._write(name)
            for part in parts:
                self.add(part)
            self._write("end")

    def _write(self, *words: str) -> None:
        self._sha.update(" ".join(words).encode() + b"\n")

    def _parts(self, value: Any) -> tuple[str, Iterator[Any]]:
        """What a value is called, and what it holds."""
        for kind, parts in _KINDS.items():
            if isinstance(value, kind):
                return f"{kind.__name__} {type(value).__qualname__}", parts(value)
        if isinstance(value, FunctionType):
            own = value.__module__ == self._module
            return f"function {_qualified(value)}", self._of_function(value) if own else iter(())
        if isinstance(value, (type, ModuleType)) or not hasattr(value, "__dict__"):
            return f"named {_qualified(value)}", iter(())
        own_parts = self._of_network(value) if isinstance(value, nn.Module) else self._of_object(value, "__call__")
        return f"object {_qualified(type(value))}", own_parts

    def _of_function(self, function: FunctionType) -> Iterator[Any]:
        names = list(_names(function.__code__))
        self._names |= dict.fromkeys(names)
        yield from (function.__code__, function.__defaults__, function.__kwdefaults__)
        for cell in function.__closure__ or ():
            try:
                yield cell.cell_contents
            except ValueError:  # it is still to be filled
                yield None
        yield {name: function.__globals__[name] for name in names if name in function.__globals__}

    def _of_object(self, value: Any, entry: str, kinds: type | tuple[type, ...] = object) -> Iterator[Any]:
        """The method that is called, and of the rest what is named there: others change without changing anything."""
        asked: set[str] = set()
        waiting = [entry]
        while waiting:
            for name in waiting:
                member = inspect.getattr_static(type(value), name, None)
                if name in vars(value) and isinstance(vars(value)[name], kinds):
                    yield from (name, vars(value)[name])
                elif isinstance(member, FunctionType):
                    yield member  # which names more
            asked.update(waiting)
            waiting = [name for name in self._names if name not in asked]

    def _of_network(self, network: nn.Module) -> Iterator[Any]:
        """Weights and layers, code and settings; but no tensor that a forward pass may have left there."""
        yield from (*network.named_parameters(recurse=False), *network.named_buffers(recurse=False))
        yield from network.named_children()
        if type(network).__module__.startswith("torch."):
            yield {name: value for name, value in vars(network).items() if name[0] != "_" and name != "training"}
        else:
            yield from self._of_object(network, "forward", _VALUES)


def _of_tensor(tensor: Tensor) -> Iterator[Any]:
    readable = tensor.layout == torch.strided and not tensor.is_quantized and tensor.device.type != "meta"
    yield digest_tensors([("", tensor)]) if readable else str(tuple(tensor.shape))


def _of_array(array: np.ndarray | np.generic) -> Iterator[Any]:
    yield f"{array.dtype} {array.shape}"
    yield b"" if array.dtype.hasobject else array.tobytes()


def _of_mapping(mapping: Mapping[Any, Any]) -> Iterator[Any]:
    for key, value in mapping.items():
        yield key
        yield value


def _of_code(code: CodeType) -> Iterator[Any]:
    yield code.co_code
    yield code.co_consts
    yield code.co_names


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


# The first that fits; a bound method is its function and its object.
_KINDS: dict[type, Callable[[Any], Iterator[Any]]] = {
    Tensor: _of_tensor,
    np.ndarray: _of_array,
    np.generic: _of_array,
    partial: lambda value: iter((value.func, value.args, value.keywords)),
    MethodType: lambda value: iter((value.__func__, value.__self__)),
    CodeType: _of_code,
    Mapping: _of_mapping,
    tuple: iter,
    list: iter,
    set: lambda value: iter(sorted(value, key=repr)),
    frozenset: lambda value: iter(sorted(value, key=repr)),
}
