"""The options behind the `@` of a name, held against what a function takes."""

import inspect
import types
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, Union, get_args, get_origin

__all__ = ["fit_options", "list_options"]


def fit_options(owner: str, function: Callable[..., Any], options: dict[str, Any]) -> dict[str, Any]:
    """Return options as a function takes them: a single value becomes a tuple where it wants one.

    Args:
        owner: The name that stands before the `@`.
        function: Its keyword-only parameters are its options, but for those that are bound and for `num_classes` and
            `image_size`.
        options: By name.

    Raises:
        ValueError: If an option is unknown or its value of the wrong kind.
    """
    known = _options(function)
    fitted = {}
    for key, value in options.items():
        if key not in known:
            takes = ", ".join(f"{other}={_spelled(parameter.default)}" for other, parameter in known.items()) or "none"
            raise ValueError(f"{owner} has no option `{key}`; it takes {takes}")
        fitted[key] = _fit(owner, key, value, known[key])
    return fitted


def list_options(function: Callable[..., Any]) -> list[str]:
    """Return a function's options with their defaults, as they stand behind the `@`, and what else they can be.

    Args:
        function: As in `fit_options`.
    """
    listed = []
    for key, parameter in _options(function).items():
        wanted = parameter.annotation
        choices = get_args(wanted) if get_origin(wanted) is Literal else (False, True) if wanted is bool else ()
        others = [_spelled(choice) for choice in choices if choice != parameter.default]
        listed.append(f"{key}={_spelled(parameter.default)}" + (f" (or {', '.join(others)})" if others else ""))
    return listed


def _options(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    bound = function.keywords if isinstance(function, partial) else {}
    return {
        key: parameter
        for key, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and key not in {"num_classes", "image_size", *bound}
    }


def _fit(owner: str, key: str, value: Any, parameter: inspect.Parameter) -> Any:
    wanted = parameter.annotation
    if get_origin(wanted) in (Union, types.UnionType):
        (wanted,) = [kind for kind in get_args(wanted) if kind is not types.NoneType]
    if get_origin(wanted) is tuple:
        values = tuple(value) if isinstance(value, list | tuple) else (value,)
        for each in values:
            _check(owner, key, each, get_args(wanted)[0])
        return values
    _check(owner, key, value, wanted)
    return value


def _check(owner: str, key: str, value: Any, wanted: Any) -> None:
    if get_origin(wanted) is Literal:
        if value not in get_args(wanted):
            choices = ", ".join(_spelled(choice) for choice in get_args(wanted))
            raise ValueError(f"option `{key}` of {owner} must be one of {choices}; got {_spelled(value)}")
    elif type(value) is not wanted and not (wanted is float and type(value) is int):
        kind = {bool: "true or false", int: "a whole number", float: "a number"}[wanted]
        raise ValueError(f"option `{key}` of {owner} must be {kind}, got {_spelled(value)}")


def _spelled(value: object) -> str:
    """As it stands behind the `@`."""
    if isinstance(value, list | tuple):
        return ":".join(_spelled(each) for each in value) or "none"
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)
