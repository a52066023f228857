"""Standard output and error, which may be closed, cut off, on a full disk, or know no Greek letters."""

import codecs
import functools
import io
import os
import signal
import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, final

__all__ = ["with_safe_streams"]

_UNHEARD = 128 + signal.SIGPIPE  # as shells report what a closed pipe has ended
_READABLE = "gradscape-readable"
_LIKE = {
    "·": ".", "×": "x", "±": "+/-", "–": "-", "—": "-", "−": "-", "…": "...", "→": "->", "≤": "<=", "≥": ">=",
    "‘": "'", "’": "'", "“": '"', "”": '"', "α": "alpha", "β": "beta", "θ": "theta", "σ": "sigma",
}  # fmt: skip


def with_safe_streams(program: Callable[[], None]) -> Callable[[], None]:
    """Give a program streams that it can write to wherever it runs.

    A stream that is closed takes everything and shows nothing. Where a pipe's reader ends (`| head`), the program goes
    on unheard and ends with the exit code of what a closed pipe has ended. Letters that the encoding lacks are spelled.

    Args:
        program: Ends by SystemExit.
    """

    @functools.wraps(program)
    def run() -> None:
        with _safe_streams() as outlets:
            try:
                program()
            except SystemExit as end:
                if not end.code and any(outlet.unheard for outlet in outlets):
                    raise SystemExit(_UNHEARD) from None
                raise

    return run


@final
class _Outlet(io.FileIO):
    """A descriptor that falls silent when nobody reads it any more, or its disk is full."""

    def __init__(self, descriptor: int, *, told: bool) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.unheard = self._silent = False
        self._told = told

    def write(self, content: Any, /) -> int:
        """Write what can be written.

        Raises:
            OSError: Output is lost for another reason than that nobody reads it; once.
        """
        if not self._silent:
            try:
                return super().write(content)
            except BrokenPipeError:
                self.unheard = self._silent = True
            except OSError as problem:
                self._silent = True
                if self._told:
                    raise OSError(problem.errno, problem.strerror, "standard output") from None
        return len(content)


@contextmanager
def _safe_streams() -> Iterator[list[_Outlet]]:
    _open_missing()
    outlets: list[_Outlet] = []
    with _safe(sys.stdout, outlets, told=True) as output, _safe(sys.stderr, outlets, told=False) as errors:
        before, (sys.stdout, sys.stderr) = (sys.stdout, sys.stderr), (output, errors)
        try:
            yield outlets
        finally:
            sys.stdout, sys.stderr = before


def _open_missing() -> None:
    """Let no file that is opened later take the number of a closed stream, and with it what is printed."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


@contextmanager
def _safe(stream: Any, outlets: list[_Outlet], *, told: bool) -> Iterator[TextIO]:
    if stream is None:
        with open(os.devnull, "w", encoding="utf-8") as nowhere:
            yield nowhere
        return
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):  # a notebook's, or a test's, has none
        yield stream
        return
    stream.flush()
    with _Outlet(descriptor, told=told) as outlet:
        outlets.append(outlet)
        buffer = io.BufferedWriter(outlet)
        text = io.TextIOWrapper(buffer, encoding=stream.encoding, errors=_READABLE, line_buffering=True)
        try:
            yield text
        finally:
            with suppress(OSError):  # which has been told
                text.close()


def _spell(problem: UnicodeError) -> tuple[str, int]:
    """In plain letters what an encoding lacks: a sign's likeness, a byte of a file's name as its number."""
    if not isinstance(problem, UnicodeEncodeError):
        raise problem
    return "".join(map(_plain, problem.object[problem.start : problem.end])), problem.end


def _plain(letter: str) -> str:
    if 0xDC80 <= ord(letter) <= 0xDCFF:
        return f"\\x{ord(letter) - 0xDC00:02x}"
    bare = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
    return _LIKE.get(letter) or bare or "?"


codecs.register_error(_READABLE, _spell)
