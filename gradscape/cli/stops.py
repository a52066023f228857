"""How Ctrl-C, SIGTERM and SIGHUP end the program: what was computed is saved, and one line says so."""

import os
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn, final

__all__ = ["STOPS", "Stops", "describe_stop", "tell_stop"]

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
_GO_ON = {"demo", "train", "landscape", "line", "curvature"}  # the commands that resume
_SAME_STOP = 0.5  # s within which several signals are one wish: closing a terminal sends two
_AGAIN = 0.1  # s after which a stop that got lost is tried again


@final
class Stops:
    """The signals that end the program, from `watch` to `leave`.

    The first raises KeyboardInterrupt, whichever it is, so that all that is open closes and saves as with Ctrl-C. A
    later one ends the process at once; files are whole then too. A signal that was to be ignored (`nohup`) still is.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._since = 0.0
        self._raises = False
        self._process = 0
        self._watched: list[int] = []

    def watch(self) -> None:
        """Take over the signals; outside of the main thread, which cannot, nothing changes."""
        self.received, self._raises, self._process, self._watched = None, True, os.getpid(), []
        try:
            for number in _SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    signal.signal(number, self._stop)
                    self._watched.append(number)
        except ValueError:
            return
        sys.unraisablehook = self._lost

    def rest(self) -> None:
        """From now on no signal raises anything: the end has begun."""
        self._raises = False

    def leave(self) -> None:
        """From now on a signal ends the process silently: nothing is left to be saved or said."""
        for number in self._watched:
            signal.signal(number, signal.SIG_DFL)
        sys.unraisablehook = sys.__unraisablehook__

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a fork of this process, which has nothing to save
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        elif self.received is None:
            self.received, self._since = number, time.monotonic()
            if self._raises:
                raise KeyboardInterrupt
        elif time.monotonic() - self._since > _SAME_STOP:
            self._end()

    def _end(self) -> NoReturn:
        tell_stop(self.received, sys.argv[1:])
        os._exit(128 + (self.received or signal.SIGINT))

    def _lost(self, unraisable: Any) -> None:
        """Python cannot raise in destructors and some callbacks; there the exception would be printed and forgotten."""
        if self.received is None or not isinstance(unraisable.exc_value, KeyboardInterrupt):
            sys.__unraisablehook__(unraisable)
        elif self._raises and hasattr(signal, "setitimer"):
            signal.signal(signal.SIGALRM, self._again)
            signal.setitimer(signal.ITIMER_REAL, _AGAIN)

    def _again(self, number: int, frame: FrameType | None) -> None:
        if self._raises:
            raise KeyboardInterrupt


STOPS = Stops()
"""Those of this program."""


def tell_stop(received: int | None, words: Iterable[str]) -> None:
    """Remove files that are not whole, and print the line that a stopped program ends with."""
    from gradscape._files import remove_unfinished

    remove_unfinished()
    with suppress(OSError):  # nobody listens any more
        os.write(2, f"{describe_stop(received, words)}\n".encode())


def describe_stop(received: int | None, words: Iterable[str]) -> str:
    """The line that a stopped program ends with.

    Args:
        received: The signal; None for one that is not known, as Ctrl-C.
        words: The command line without the program.
    """
    by = "" if received in (None, signal.SIGINT) else f" by {signal.Signals(received or 0).name}"
    command = next((word for word in words if not word.startswith("-")), "")
    rest = "what was computed is saved, the same command goes on from there"
    if command not in _GO_ON:
        rest = "what was written is whole, the same command writes the rest"
    return f"gradscape: stopped{by}; {rest}"
