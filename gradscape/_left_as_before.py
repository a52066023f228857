"""The outermost guard of what users call: whatever cuts a call off, models and process are as before it."""

from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar, final

from torch import nn

from gradscape._journal import Journal, journaling
from gradscape._model_state import Wiring, model_device
from gradscape._process_state import ProcessState

__all__ = ["left_as_before", "process_left_as_before"]

Given = ParamSpec("Given")
Returned = TypeVar("Returned")

_DEEPEST: Final = 3  # a model in a pair in a list in a mapping


def left_as_before(function: Callable[Given, Returned]) -> Callable[Given, Returned]:
    """Leave what a function is given, and the process, as before, also where the function is cut off.

    A function restores by its own context managers what it changes. This adds what these cannot promise: an exception
    that comes between any two steps of the interpreter, as Ctrl-C does, also while they are entered or left. Every
    `nn.Module` among the arguments is looked after, also in lists, tuples and mappings.

    One such exception is survived anywhere. While things are put back, Ctrl-C waits, however often it is pressed.

    Args:
        function: Takes models.
    """
    return _guarded(function, models=True)


def process_left_as_before(function: Callable[Given, Returned]) -> Callable[Given, Returned]:
    """The same for a function that changes its models on purpose, such as training.

    Args:
        function: Any.
    """
    return _guarded(function, models=False)


def _guarded(function: Callable[Given, Returned], *, models: bool) -> Callable[Given, Returned]:
    @wraps(function)
    def guarded(*args: Given.args, **kwargs: Given.kwargs) -> Returned:
        journal, before = Journal(), _Before([args, kwargs], models=models)
        try:
            with journaling(journal):
                return function(*args, **kwargs)
        except BaseException as problem:
            try:
                journal.roll_back(problem, last=before.undoings)
            except BaseException:  # once more, where the first was cut off itself
                journal.roll_back(problem, last=before.undoings)
                raise
            raise

    return guarded


@final
class _Before:
    """Models and process as they are now."""

    def __init__(self, given: Any, *, models: bool) -> None:
        found = {id(one): one for one in _modules_in(given)}
        process = ProcessState(map(model_device, found.values()))
        wirings = [Wiring(one) for one in found.values()] if models else []
        self.undoings = [process.restore, *(one.restore for one in wirings)]


def _modules_in(given: Any, depth: int = _DEEPEST) -> Iterator[nn.Module]:
    if isinstance(given, nn.Module):
        yield given
    elif depth >= 0 and isinstance(given, (list, tuple, Mapping)):
        for one in given.values() if isinstance(given, Mapping) else given:
            yield from _modules_in(one, depth - 1)
