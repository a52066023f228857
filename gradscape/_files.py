"""Files that are either the old version or the new one, never half of either; and whether one can be read."""

import csv
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

__all__ = ["check_readable", "check_replaceable", "replacing", "save_rows"]

_KINDS = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
_LONGEST_NAME = 255  # bytes, of all usual file systems


def check_readable(path: str | os.PathLike[str], what: str = "file") -> None:
    """Open a file once, so that what hinders it has its own name: libraries call everything a damaged file.

    Args:
        path: The file.
        what: What it should be ("direction file"), for the message.

    Raises:
        FileNotFoundError: There is no such file.
        OSError: It cannot be opened: it is a folder, it may not be read, …
    """
    try:
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
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError(f"{os.fspath(path)} is {_KINDS.get(stat.S_IFMT(mode), 'a device')}: name a file")


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Write to a neighbor of `path` that takes its place, all at once, when the block ends.

    The neighbor is flushed to disk before the rename and the folder after it, so that a crash or a
    `kill -9` at any moment leaves the old file or the new one. An exception leaves the old one and
    removes the neighbor; what a killed process left behind is overwritten by the next.

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
    partial = _partial(path)
    try:
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


def save_rows(path: str | os.PathLike[str], headings: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a csv table, all at once.

    Args:
        path: The file to create or replace.
        headings: The columns, in their order.
        rows: Column -> what stands there.

    Raises:
        OSError: As `replacing`.
    """
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, headings)
        writer.writeheader()
        writer.writerows(rows)


def _partial(path: Path) -> Path:
    """The neighbor, by a short name where its own would be too long."""
    name = f".partial-{path.name}"
    if len(os.fsencode(name)) > _LONGEST_NAME:
        digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
        name = f".partial-{digest}{path.suffix}"
    return path.with_name(name)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
