"""Results whose place can no longer be written: they are kept in another one, and the error says where."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import TypeVar

from gradscape._os_errors import describe_os_error

__all__ = ["save_or_keep"]

_Saved = TypeVar("_Saved")


def save_or_keep(save: Callable[[Path], _Saved], path: str | os.PathLike[str], *, go_on: str = "") -> _Saved:
    """Save what was computed; where that fails, save it in the current folder, else in the one for temporary files.

    A disk that ran full in the night, or a share that is gone, is no reason to compute everything again.

    Args:
        save: Writes to the path that it is given, a file or a folder, all of it or nothing that is needed.
        path: Where it belongs.
        go_on: What to do with what was kept.

    Returns:
        What `save` returns.

    Raises:
        OSError: It could not be saved where it belongs; the message says why, and where it is instead.

    Example:
        >>> save_or_keep(lambda path: path.write_text("numbers"), "a.txt")
        7
    """
    path = Path(path)
    try:
        return save(path)
    except OSError as problem:
        why = describe_os_error(problem)
        kept = next((place for place in _places(path.name) if _saved(save, place)), None)
        if kept is None:
            raise OSError(f"{why}; nothing could be kept in the current and the temporary folder either") from problem
        raise OSError(f"{why}. What was computed is kept in {kept}{f': {go_on}' if go_on else ''}") from problem


def _places(name: str) -> Iterator[Path]:
    """Names that are still free, in folders that are there."""
    name = "results" if name in ("", "..") else name  # of `.` and `..`
    for find in (Path.cwd, lambda: Path(tempfile.gettempdir())):
        with contextlib.suppress(OSError):  # a folder that is gone
            folder = find()
            names = (f"kept-{number}-{name}" if number else f"kept-{name}" for number in count())
            yield next(folder / free for free in names if not os.path.lexists(folder / free))


def _saved(save: Callable[[Path], object], place: Path) -> bool:
    try:
        save(place)
    except OSError:
        if place.is_dir():  # which nobody else made
            shutil.rmtree(place, ignore_errors=True)
        return False
    return True
