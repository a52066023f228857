"""What came of an input: refused in a line, accepted with the numbers that it holds, or a finding."""

import importlib
import logging
import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, final
from unittest.mock import patch

from tests.fuzz.plain_readers import Numbers, differing

__all__ = ["Input", "Streams", "Verdict", "Word", "judge"]

Word = Literal["refused", "equal", "other", "finding"]

REFUSED = 2
LONGEST_LINE = 1000
_START = "gradscape: "
# What a library says by itself, and what a user cannot do anything with.
_NOISE = re.compile(r"Traceback|Warning|HDF5-DIAG|\.py:\d|Error\b.*\n")
# What Python and libraries say where they ran into something that nobody had looked at.
_UNFORESEEN = re.compile(
    r"object has no attribute|object is not (iterable|subscriptable|callable)|not supported between|unsupported operand"
    r"|unexpected keyword|missing \d+ required|cannot reshape|index out of range|<class '|object at 0x"
    r"|indices must be|positional argument"
)
# What a report tells of files that it does not show, a line each.
_LEFT_OUT = re.compile(r"^.+ is left out: .+\n", re.MULTILINE)
_MEMORY = re.compile(
    r"[Uu]nable to allocate|not enough memory|bad_alloc|MemoryError|can't allocate|memory does not suffice"
)


@final
@dataclass(frozen=True)
class Input:
    """Something damaged, how it is read, and what it may come to.

    Attributes:
        how: How it was made, for people.
        read: Returns its numbers; whatever a command would tell as a mistake is a refusal here too.
        expected: The numbers of what was damaged; None where it had none.
        plain: Reads it by the libraries alone, where another valid file may have come out; None where a checksum says
            that the file is not what it was, so that it must be refused or have the old numbers.
        command: A command to be run on it first, without `gradscape`.
        named: Words of which a refusal must have one: the file's name, or the option's.
        canary: A file that nobody but the input's own code would make.
    """

    how: str
    read: Callable[[], Numbers]
    expected: Numbers | None = None
    plain: Callable[[], Numbers] | None = None
    command: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    canary: Path | None = None


@dataclass(frozen=True)
class Verdict:
    """One word, and what is to be said beside it."""

    word: Word
    said: str = ""


class _Outcome(NamedTuple):
    code: int
    told: str  # on both streams


@final
class Streams:
    """What the process writes, caught where also libraries in C write: at the descriptors."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(self._file, stream)
        # Whoever started this process may have put something else there.
        sys.stdout = open(1, "w", closefd=False, encoding="utf-8")  # noqa: SIM115
        sys.stderr = open(2, "w", closefd=False, encoding="utf-8", errors="backslashreplace")  # noqa: SIM115

    def taken(self) -> str:
        """What was written since the last call."""
        sys.stdout.flush()
        sys.stderr.flush()
        size = os.lseek(self._file, 0, os.SEEK_CUR)
        told = _LEFT_OUT.sub("", os.pread(self._file, size, 0).decode(errors="replace"))
        os.ftruncate(self._file, 0)
        os.lseek(self._file, 0, os.SEEK_SET)
        return told


def judge(one: Input, streams: Streams) -> Verdict:
    """Run an input as a user would, and look whether it came out well.

    Args:
        one: The input.
        streams: Catches what is written.
    """
    verdict = _judge(one, streams)
    if one.canary is not None and one.canary.exists():
        return Verdict("finding", f"code was run ({verdict.word}: {verdict.said})")
    return verdict


def _judge(one: Input, streams: Streams) -> Verdict:
    found: list[Numbers] = []
    told = ""
    for run in ([_command(one.command)] if one.command else []) + [_reading(lambda: found.append(one.read()))]:
        outcome = _run(run, streams)
        if outcome.code:
            return _refusal(outcome, one.named)
        told += outcome.told
    if _NOISE.search(told):
        return Verdict("finding", f"noise: {told[-500:]}")
    differences = ["all"] if one.expected is None else differing(found[0], one.expected)
    if not differences:
        return Verdict("equal")
    if one.plain is None:
        return Verdict(
            "finding", f"accepted with other numbers, against a checksum: {', '.join(sorted(differences)[:4])}"
        )
    return _compared(found[0], one.plain)


def _compared(found: Numbers, plain: Callable[[], Numbers]) -> Verdict:
    """Whether another, plain reader finds the same in the damaged file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            differences = differing(found, plain())
    except Exception as problem:  # of whatever library, on whatever bytes
        return Verdict("finding", f"accepted, but plain reading fails: {type(problem).__name__}: {str(problem)[:200]}")
    if differences:
        return Verdict("finding", f"accepted with other numbers than it holds: {', '.join(sorted(differences)[:4])}")
    return Verdict("other")


def _refusal(outcome: _Outcome, named: tuple[str, ...]) -> Verdict:
    said = outcome.told.strip()
    if outcome.code != REFUSED:
        last = said.splitlines()[-1] if said else ""
        word = (
            "memory" if "MemoryError" in last else "traceback" if "Traceback" in said else f"exit code {outcome.code}"
        )
        return Verdict("finding", f"{word}: {_raised_at(said)}{last[:400]}")
    faults = {
        "more than its one line": len(said.splitlines()) != 1 or not said.startswith(_START),
        "too long": len(said) > LONGEST_LINE,
        "memory": _MEMORY.search(said),
        "does not name what is wrong": named and not any(name in said for name in named),
        "unforeseen": _UNFORESEEN.search(said),
    }
    fault = next((name for name, found in faults.items() if found), None)
    return Verdict("finding", f"{fault}: {said[:600]}") if fault else Verdict("refused", said)


def _raised_at(said: str) -> str:
    """The last line of gradscape's in a traceback."""
    places = re.findall(r'gradscape/([\w/]+\.py)", line (\d+)', said)
    return "{}:{} ".format(*places[-1]) if places else ""


def _run(run: Callable[[], object], streams: Streams) -> _Outcome:
    code = 0
    with warnings.catch_warnings():  # each input has its own, of those that users see
        warnings.resetwarnings()
        for unseen in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter("ignore", unseen)
        streams.taken()
        logging.getLogger().handlers.clear()  # which the program fills once, and hold the streams of its first run
        try:
            run()
        except SystemExit as ended:
            code = int(ended.code or 0)
        except BaseException:
            traceback.print_exc()
            code = 1
    return _Outcome(code, streams.taken())


def _command(words: tuple[str, ...]) -> Callable[[], object]:
    def run() -> None:
        with patch.object(sys, "argv", ["gradscape", *words]):
            _program().main()

    return run


def _reading(read: Callable[[], object]) -> Callable[[], object]:
    """A reader as the body of a command, whose mistakes are told by the same code."""
    from gradscape.cli.mistakes import Command

    def run() -> None:
        with _app_is(lambda standalone_mode: Command("read", callback=read, params=[]).main([], standalone_mode=False)):
            _program().main()

    return run


@contextmanager
def _app_is(app: Callable[..., Any]) -> Iterator[None]:
    with patch.object(_program(), "app", app):
        yield


def _program() -> Any:
    return importlib.import_module("gradscape.cli.app")
