"""What came of calling gradscape: right, refused with a sentence, or wrong."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import nn

import gradscape
from tests.wild.plain_landscape import digest

__all__ = ["Verdict", "Word", "WrongError", "attempt"]

Word = Literal["right", "refused", "wrong", "not compared"]

_ROOM = Path(gradscape.__file__).parent


@dataclass(frozen=True)
class Verdict:
    """One word, and what is to be said beside it: the refusal, or what was found instead of what."""

    word: Word
    said: str = ""


class WrongError(Exception):
    """What gradscape gave is not what it should be."""


def attempt(model: nn.Module, function: Callable[[], Any]) -> tuple[Verdict, Any]:
    """Call gradscape; what it says and whether the model is as it was decide the verdict."""
    before = digest(model)
    verdict, result = Verdict("right"), None
    try:
        result = function()
    except WrongError as fault:
        verdict = Verdict("wrong", str(fault))
    except Exception as problem:
        verdict = _refusal(problem)
    after = digest(model)
    changed = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    if changed:
        verdict = Verdict("wrong", f"the network was changed: {', '.join(changed[:3])}")
    return verdict, result


def _refusal(problem: Exception) -> Verdict:
    """Refused is what gradscape itself says in a sentence that names an argument; all else is a traceback."""
    raised_in = Path(traceback.extract_tb(problem.__traceback__)[-1].filename)
    told = isinstance(problem, ValueError | TypeError) and raised_in.is_relative_to(_ROOM) and "`" in str(problem)
    if told:
        return Verdict("refused", str(problem))
    return Verdict("wrong", f"{type(problem).__name__} in {raised_in.name}: {problem}")
