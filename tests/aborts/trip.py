"""What stops a call: an exception at a chosen event, or an interrupt at a chosen step of the interpreter."""

import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import gradscape

__all__ = ["Place", "StoppedError", "Trip", "interrupted", "watched"]

_OWN = str(Path(gradscape.__file__).parent)

Trace = Callable[[FrameType, str, Any], Any]
"""As `sys.settrace` takes it."""


class StoppedError(Exception):
    """Raised by what the user gave: a loss, a layer, the data."""


@dataclass
class Trip:
    """Counts what the user's own code does, and stops it at a chosen count.

    Attributes:
        kind: Which event stops.
        count: At which of them.
        seen: How often each event was met.
    """

    kind: str = ""
    count: int = 0
    seen: Counter[str] = field(default_factory=Counter)

    def met(self, kind: str) -> None:
        """Note an event; raise where it is the one that stops."""
        self.seen[kind] += 1
        if kind == self.kind and self.seen[kind] == self.count:
            raise StoppedError(kind)


@dataclass(frozen=True)
class Place:
    """A step of the interpreter.

    Attributes:
        code: The function that runs. A name for the entry into all functions that are called so, None for any: there is
            where Python looks for signals.
        offset: Of the instruction.
        time: At which of the times that it comes by, from 1.
    """

    code: CodeType | str | None
    offset: int
    time: int


@contextmanager
def _traced(enter: Trace) -> Iterator[None]:
    """Whatever is entered goes through a function."""
    before = sys.gettrace()
    sys.settrace(enter)
    try:
        yield
    finally:
        sys.settrace(before)


def _by_instruction(frame: FrameType, step: Trace) -> Trace:
    frame.f_trace_opcodes, frame.f_trace_lines = True, False
    return step


@contextmanager
def watched() -> Iterator[tuple[Counter[tuple[CodeType, int]], Counter[None]]]:
    """Count how often each instruction of gradscape's own functions runs, and how often any function is entered."""
    steps: Counter[tuple[CodeType, int]] = Counter()
    entries: Counter[None] = Counter()

    def step(frame: FrameType, event: str, _value: Any) -> Callable[..., Any]:
        if event == "opcode":
            steps[frame.f_code, frame.f_lasti] += 1
        return step

    def enter(frame: FrameType, _event: str, _value: Any) -> Callable[..., Any] | None:
        entries[None] += 1
        if not frame.f_code.co_filename.startswith(_OWN):
            return None
        return _by_instruction(frame, step)

    with _traced(enter):
        yield steps, entries


@contextmanager
def interrupted(place: Place, *, by_signal: bool) -> Iterator[list[str]]:
    """Interrupt what runs at a place; gives where that was.

    Args:
        place: Where.
        by_signal: Whether SIGINT comes, as by Ctrl-C; else KeyboardInterrupt is raised there outright, which no handler
            can put off.
    """
    passed, where = 0, []

    def come(frame: FrameType) -> None:
        nonlocal passed
        passed += 1
        if passed == place.time:
            code = frame.f_code
            where.append(f"{code.co_filename}:{frame.f_lineno} {code.co_qualname} +{frame.f_lasti}")
            if not by_signal:
                raise KeyboardInterrupt
            signal.raise_signal(signal.SIGINT)

    def step(frame: FrameType, event: str, _value: Any) -> Callable[..., Any]:
        if event == "opcode" and frame.f_lasti == place.offset:
            come(frame)
        return step

    def enter(frame: FrameType, _event: str, _value: Any) -> Callable[..., Any] | None:
        if place.code is None or place.code == frame.f_code.co_qualname:
            come(frame)
            return None
        if frame.f_code is not place.code:
            return None
        return _by_instruction(frame, step)

    with _traced(enter):
        yield where
