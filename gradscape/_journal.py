"""What a call still has to undo: noted before it is done, so that the call can be taken back wherever it is cut off.

`finally` alone does not do that: Ctrl-C may come between what is changed and `try`, or as `__exit__` begins. Then the
code that puts things back never runs, or only when the traceback is forgotten, which may be hours later.
"""

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, final

__all__ = ["Journal", "journaling", "undone"]

_SIGNALS: Final = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_CONTEXTS: Final = frozenset({"__enter__", "__exit__", "enter_context", "_exit_wrapper"})

_present = threading.local()


@final
class _Entry:
    """Something to be undone once, by whoever comes first.

    Args:
        undo: Does it; may be called again where it was cut off.
    """

    def __init__(self, undo: Callable[[], None]) -> None:
        self._undo: Callable[[], None] | None = undo

    def settle(self) -> None:
        """Undo it, unless that is done."""
        if self._undo is not None:
            with _undisturbed():
                self._undo()
                self._undo = None

    def drop(self) -> None:
        """Never undo it."""
        self._undo = None


@final
class Journal:
    """What one call has to undo, oldest first."""

    def __init__(self) -> None:
        self.entries: list[_Entry] = []

    def roll_back(self, problem: BaseException, *, last: Iterable[Callable[[], None]]) -> None:
        """Undo what is left, newest first, and then what the call as a whole has to.

        Args:
            problem: What cut the call off; it is told what cannot be undone.
            last: Undo the rest, in this order; may be called again.
        """
        _end_contexts(problem)
        for undo in (*(entry.settle for entry in reversed(self.entries)), *last):
            try:
                with _undisturbed():
                    undo()
            except Exception as failure:  # of a module's own `train()`, for one: the others are undone nevertheless
                problem.add_note(f"not everything could be put back: {type(failure).__name__}: {failure}")
        for entry in self.entries:
            entry.drop()
        self.entries = []


@contextmanager
def undone(undo: Callable[[], None]) -> Iterator[None]:
    """Afterwards `undo` was called: at the end of the block, or by the call that this block is a part of.

    Args:
        undo: Puts back what the block changes. It is called once more where it was cut off, so that it leaves alone
            what is as it should be.
    """
    journal: Journal | None = getattr(_present, "journal", None)
    entry = _Entry(undo)
    entries = [] if journal is None else journal.entries
    entries.append(entry)
    try:
        yield
    finally:
        if entry in entries:  # what is left of blocks within, which were cut off as they ended, goes first
            for later in reversed(entries[entries.index(entry) + 1 :]):
                later.settle()
        entry.settle()
        if entry in entries:
            del entries[entries.index(entry) :]


@contextmanager
def journaling(journal: Journal) -> Iterator[None]:
    """Inside, what is `undone` is noted in this journal."""
    outer = getattr(_present, "journal", None)
    try:
        _present.journal = journal
        yield
    finally:
        _present.journal = outer


@final
class _Waiting:
    """Notes the signals that come, instead of what Python called before.

    Args:
        earlier: What Python called.
    """

    def __init__(self, earlier: Any) -> None:
        # Another one of this kind was cut off itself.
        self.earlier: Any = earlier.earlier if isinstance(earlier, _Waiting) else earlier
        self.came = False

    def __call__(self, _number: int, _frame: Any) -> None:
        self.came = True


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Signals that Python handles wait for the end: whoever presses Ctrl-C twice does not cut off the putting back."""
    mine = threading.current_thread() is threading.main_thread()  # which alone may say what is called
    handlers: dict[int, Any] = {number: signal.getsignal(number) for number in _SIGNALS if mine}
    waiting = {number: _Waiting(handler) for number, handler in handlers.items() if callable(handler)}
    try:
        for number, one in waiting.items():
            signal.signal(number, one)
        yield
    finally:
        for number, one in waiting.items():
            now: Any = signal.getsignal(number)
            if now is one:  # else the block has put another one back
                signal.signal(number, one.earlier)
    for number, one in waiting.items():
        if one.came:
            signal.raise_signal(number)


def _end_contexts(problem: BaseException) -> None:
    """End context managers that were cut off as they were entered or left, and would end with the traceback only."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [problem]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        waiting += [one.__cause__, one.__context__]
        trace: TracebackType | None = one.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_name in _CONTEXTS:
                _clear(trace)
            trace = trace.tb_next


def _clear(trace: TracebackType) -> None:
    try:
        trace.tb_frame.clear()
    except RuntimeError:  # it runs: it is the caller's
        return
