"""What a record from a file must hold: types are checked before anyone believes them."""

import reprlib
from collections.abc import Mapping
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
from jaxtyping import jaxtyped

__all__ = ["check_arrays", "check_record", "fits", "fitting", "shown"]

_LARGEST_COUNT = 2**63  # NumPy and torch count with 64 bits
_SHOWN = reprlib.Repr()
_SHOWN.maxstring = _SHOWN.maxother = 60


def shown(value: object) -> str:
    """Spell what came instead, cut where it becomes long."""
    return _SHOWN.repr(value)


def fits(value: object, hint: Any) -> bool:
    """Whether a value that JSON gave is of a type.

    Args:
        value: Anything.
        hint: A type, a list or dict of types, a union of them, a Literal, or a TypedDict. An int has 64 bits, and is a
            float too; truth values are neither.
    """
    if hint is str or hint is bool:
        return isinstance(value, hint)
    if hint is Any:
        return True
    if hint is int or hint is float:
        whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) < _LARGEST_COUNT
        return whole or (hint is float and isinstance(value, float))
    if hint is None:
        return value is None
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(fits(value, one) for one in arguments)
    if origin is Literal:
        return value in arguments if isinstance(value, str) else False
    if origin is list:
        return isinstance(value, list) and all(fits(one, arguments[0]) for one in value)
    if origin is dict:
        return isinstance(value, Mapping) and all(fits(one, arguments[1]) for one in value.values())
    if hasattr(hint, "__required_keys__"):
        return isinstance(value, Mapping) and not _wrong(value, hint)
    return isinstance(value, hint)


def fitting(record: object, name: str, hint: Any) -> Any:
    """Return an entry if it is of a type, else None: a user's own may have the same name.

    Args:
        record: Where it stands; nothing is found in what is no record.
        name: Of the entry.
        hint: As `fits` takes it.
    """
    value = record.get(name) if isinstance(record, Mapping) else None
    return value if fits(value, hint) else None


def check_record(record: object, kind: type, *, closed: bool = True) -> None:
    """Refuse a record that lacks an entry or has one of another type.

    Args:
        record: As JSON gave it.
        kind: A TypedDict.
        closed: Whether more entries than those of `kind` are refused.

    Raises:
        ValueError: What is wrong with it.
    """
    if not isinstance(record, Mapping):
        raise ValueError(f"it must be a record of {', '.join(_hints(kind))}, got {shown(record)}")
    if wrong := _wrong(record, kind):
        raise ValueError(wrong)
    if more := [name for name in record if closed and name not in _hints(kind)]:
        raise ValueError(f"it holds {shown(more[0])}, which this version does not know")


def check_arrays(
    arrays: Mapping[str, np.ndarray], kinds: Mapping[str, Any], *, optional: Mapping[str, Any] | None = None
) -> None:
    """Refuse arrays that are missing, too many, empty, of another type, or whose sides do not agree.

    Args:
        arrays: By name.
        kinds: Name -> jaxtyping's annotation; a side has the same length wherever its name stands.
        optional: The same for those that may be missing.

    Raises:
        ValueError: What is wrong with them.
    """
    known = {**kinds, **(optional or {})}
    if missing := [name for name in kinds if name not in arrays]:
        raise ValueError(f"it lacks the array {', '.join(missing)}")
    if more := [name for name in arrays if name not in known]:
        raise ValueError(f"it holds an array {shown(more[0])}, which this version does not know")
    with jaxtyped("context"):  # in which a name of a side is bound once
        for name, array in arrays.items():
            if not isinstance(array, known[name]):
                wanted = known[name].__name__.replace("ndarray, ", "").replace("'", "")
                raise ValueError(f"`{name}` must be {wanted}, got {array.dtype} {array.shape}")
            if not array.size:
                raise ValueError(f"`{name}` is empty: {array.shape}")


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _wrong(record: Mapping[str, object], kind: Any) -> str:
    """What is wrong with the entries of a TypedDict; "" where nothing is."""
    hints = _hints(kind)
    if missing := sorted(name for name in kind.__required_keys__ if name not in record):
        return f"it lacks {', '.join(missing)}"
    for name, hint in hints.items():
        if name in record and not fits(record[name], hint):
            return f"`{name}` must be {_spelled(hint)}, got {shown(record[name])}"
    return ""


def _spelled(hint: Any) -> str:
    """A type in words."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return " or ".join(map(_spelled, arguments))
    if origin is list:
        return f"a list, each of them {_spelled(arguments[0])}"
    if origin is dict:
        return f"a record, each entry {_spelled(arguments[1])}"
    if origin is Literal:
        return f"one of {', '.join(map(str, arguments))}"
    words = {str: "text", int: "an integer", float: "a number", bool: "true or false", type(None): "null"}
    return words.get(hint, "a record")
