"""Files that are either the old version or the new one, never half of either; and whether one can be read."""

import csv
import functools
import os
import platform
import re
import shutil
import stat
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from gradscape._profile import spent_on

__all__ = [
    "check_readable",
    "check_replaceable",
    "remove_left_over",
    "remove_unfinished",
    "replacing",
    "replacing_text",
    "save_rows",
    "unfinished_prefix",
]

_NO_FILES = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}

_UNFINISHED = re.compile(r"\.partial-(\d+)-([0-9a-f]{8})-")
_STRANGE = 86_400.0  # s after which what a process of another machine, or an older version, began is left over
_KEPT = 40  # letters of a name, of at most four bytes each: the neighbor's must not be too long where its own is not

_written: set[Path] = set()  # folders that this process has written to


def check_readable(path: str | os.PathLike[str], what: str = "file") -> None:
    """Open a file once, so that what hinders it has its own name: libraries call everything a damaged file.

    Args:
        path: The file.
        what: What it should be ("direction file"), for the message.

    Raises:
        FileNotFoundError: There is no such file.
        OSError: It cannot be opened: it is a folder, it may not be read, …
        ValueError: It is no file with contents of its own: opening a pipe waits for ever, a device never ends.
    """
    try:
        kind = stat.S_IFMT(Path(path).stat().st_mode)
        if kind in _NO_FILES:
            raise ValueError(f"{os.fspath(path)} is {_NO_FILES[kind]} and no {what}: give a file")
        Path(path).open("rb").close()
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no {what} {os.fspath(path)}") from None


def check_replaceable(path: str | os.PathLike[str]) -> None:
    """Refuse what is there and is neither a file nor a folder.

    Args:
        path: A path, at which nothing need be.

    Raises:
        OSError: It is a device, a pipe or a socket.
    """
    try:
        kind = stat.S_IFMT(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return
    if kind in _NO_FILES:
        raise OSError(f"{os.fspath(path)} is {_NO_FILES[kind]}: name a file")


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Write to a neighbor of `path` that takes its place, all at once, when the block ends.

    The neighbor is flushed to disk before the rename and the folder after it, so that a crash or a
    `kill -9` at any moment leaves the old file or the new one. An exception leaves the old one and
    removes the neighbor; those that killed processes left in the folder are removed by the next that writes to it.
    The neighbor's name tells its process, so that no two of them ever write into one.

    Args:
        path: The file to create or replace; missing folders are made.

    Yields:
        The neighbor's path, in the same folder and with the same suffix.

    Raises:
        OSError: The file cannot be written (no space left, say), or is a device or a pipe, which would no longer be one
            afterwards; the error names `path`.
    """
    path = Path(path)
    check_replaceable(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if (folder := path.parent.absolute()) not in _written:
        _written.add(folder)
        remove_left_over(folder)
    partial = path.with_name(f"{unfinished_prefix()}{path.name[-_KEPT:]}")
    try:
        with spent_on("writing"):
            yield partial
            _flush(partial)
            partial.replace(path)
            _flush(path.parent)
    except BaseException as problem:
        with suppress(OSError):  # of a disk that is gone, or became read-only, it would be told instead
            partial.unlink(missing_ok=True)
        if isinstance(problem, OSError) and problem.errno:
            raise OSError(problem.errno, os.strerror(problem.errno), str(path)) from problem
        raise


@contextmanager
def replacing_text(path: str | os.PathLike[str]) -> Iterator[TextIO]:
    r"""Write a text that takes the place of `path`, all at once, as `replacing`: in UTF-8, line breaks as they are.

    A name of bytes that are no text (Python's `\udcff` for the byte 255) is spelled out; everything else stays as it
    is, so that programs that read the file find the names that were given.

    Args:
        path: The file to create or replace; missing folders are made.

    Raises:
        OSError: As `replacing`.
    """
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        yield file


def unfinished_prefix() -> str:
    """How the names of all begin that this process has not finished."""
    return f".partial-{os.getpid()}-{_machine()}-"


def remove_left_over(folder: Path) -> None:
    """Remove what processes that have ended did not finish in a folder; what hinders it is nobody's concern."""
    _remove(folder, _is_left_over)


def remove_unfinished() -> None:
    """Remove what this process has begun to write: for one that a signal ends, wherever it was."""
    for folder in _written:
        _remove(folder, lambda _, number, machine: (number, machine) == (os.getpid(), _machine()))


def save_rows(path: str | os.PathLike[str], headings: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a csv table, all at once.

    Args:
        path: The file to create or replace.
        headings: The columns, in their order.
        rows: Column -> what stands there.

    Raises:
        OSError: As `replacing`.
    """
    with replacing_text(path) as file:
        writer = csv.DictWriter(file, headings)
        writer.writeheader()
        writer.writerows(rows)


def _remove(folder: Path, chosen: Callable[[Path, int, str], bool]) -> None:
    with suppress(OSError):  # a folder that may not be listed
        for name in [name for name in os.listdir(folder) if name.startswith(".partial-")]:
            path, found = folder / name, _UNFINISHED.match(name)
            number, machine = found.groups() if found else (0, "")
            with suppress(OSError):  # a file that another process has just removed, or of another user
                if not chosen(path, int(number), machine):
                    continue
                if path.is_file():
                    path.unlink()
                elif found:  # other programs' folders may be called alike
                    shutil.rmtree(path)


def _is_left_over(path: Path, number: int, machine: str) -> bool:
    """Whether nobody writes to it any more."""
    if machine != _machine() or os.name != "posix":  # elsewhere looking at a process could end it
        return time.time() - path.stat().st_mtime > _STRANGE
    return not _is_running(number)


def _is_running(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True


@functools.cache
def _machine() -> str:
    """Where the numbers of processes mean the same: machine, since its start, and container."""
    told = [platform.node()]
    with suppress(OSError):  # elsewhere than on Linux
        told += [Path("/proc/sys/kernel/random/boot_id").read_text(), os.readlink("/proc/self/ns/pid")]
    return f"{zlib.crc32(' '.join(told).encode()):08x}"


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
