"""Names that users type: near matches, options behind `@`, `package.module:function`; and errors in one line."""

import difflib
import importlib
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = [
    "Option",
    "Scalar",
    "is_function_name",
    "load_function",
    "one_line",
    "parse_options",
    "unknown_name",
    "working_directory_importable",
]

Scalar = bool | int | float | str
Option = Scalar | list[Scalar]

_FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


def unknown_name(argument: str, name: str, known: Iterable[str]) -> ValueError:
    """Return the error for a name that is not among the `known`, with those near it.

    Args:
        argument: What the name was given for, as the user knows it.
        name: What came.
        known: Everything that may be given.
    """
    near = difflib.get_close_matches(name, list(known), n=4, cutoff=0.6)
    return ValueError(f"unknown `{argument}` {name!r}" + (f"; did you mean {' or '.join(near)}?" if near else ""))


def parse_options(text: str) -> dict[str, Option]:
    """Read `key=value,key=a:b`: true and false, integers, floats, lists separated by colons, else text.

    Args:
        text: What stands behind the `@` of a name.

    Raises:
        ValueError: If an item is not `key=value` or a key comes twice.
    """
    options: dict[str, Option] = {}
    for item in text.split(","):
        key, equals, value = item.partition("=")
        if not (equals and key.isidentifier() and value):
            raise ValueError(f"options must be written as key=value,key=value; got {item!r}")
        if key in options:
            raise ValueError(f"option `{key}` is given twice; give it once")
        options[key] = [_read_value(part) for part in value.split(":")] if ":" in value else _read_value(value)
    return options


def one_line(error: BaseException) -> str:
    """Return another program's message on one line, cut where it becomes an essay."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:200]}…"


def is_function_name(name: str) -> bool:
    """Whether a name reads `package.module:function`."""
    return _FUNCTION.fullmatch(name) is not None


@contextmanager
def working_directory_importable() -> Iterator[None]:
    """Let imports find modules in the current directory, as `python -m` does."""
    folder = os.getcwd()
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def load_function(argument: str, name: str) -> Callable[..., Any]:
    """Import what `package.module:function` names, from the current directory too.

    Importing runs the module's code.

    Args:
        argument: What the name was given for, as the user knows it.
        name: The function's name.

    Raises:
        ValueError: If the module cannot be found or has no such attribute.
        TypeError: If the attribute cannot be called.
    """
    module_name, _, path = name.partition(":")
    try:
        with working_directory_importable():
            found: Any = importlib.import_module(module_name)
        for attribute in path.split("."):
            found = getattr(found, attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"cannot import `{argument}` {name!r}: {one_line(error)}") from error
    if not callable(found):
        raise TypeError(f"`{argument}` {name!r} must name a function, got {type(found).__name__}")
    return found


def _read_value(text: str) -> Scalar:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
