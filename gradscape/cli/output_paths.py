"""Places to write to, tried before anything is computed."""

import contextlib
import os
import tempfile
from pathlib import Path

import typer

from gradscape._files import check_replaceable, remove_left_over, unfinished_prefix
from gradscape._os_errors import describe_os_error

__all__ = ["check_file", "check_output", "check_picture"]

_PICTURES = (".html", ".jpg", ".pdf", ".png", ".svg")
_TRIED = 4096  # bytes: as much as a small file takes on a disk
_INSIDE = f"{'x' * 100}.png"  # as long as folder and file within the output may well be


def check_output(path: Path) -> Path:
    """Refuse a folder that nothing can be written to, and the name of a picture for one; nothing is left there.

    Args:
        path: A folder, which need not be there.

    Raises:
        TyperException: It is called like a picture.
        BadParameter: It cannot be written to.
    """
    if path.suffix.lower() in _PICTURES and not os.path.isdir(path):
        raise typer.TyperException(
            f"`--output` is a folder, in which pictures have names of their own, got {path}; formats are chosen by "
            "`--format`, and `gradscape plot` draws one picture by name"
        )
    if os.path.lexists(path) and not os.path.isdir(path):
        raise typer.BadParameter(f"{path} is {_called(path)}: name a folder, which need not be there")
    _try_writing(path)
    return path


def check_file(path: Path | None) -> Path | None:
    """Refuse the path of a file that cannot be written, or that is something else; nothing is left there.

    Args:
        path: A file, which need not be there; None where nothing was asked for.

    Raises:
        BadParameter: It cannot be written to.
    """
    if path is not None and os.path.isdir(path):
        raise typer.BadParameter(f"{path} is a folder: name a file")
    return check_picture(path)


def check_picture(path: Path | None) -> Path | None:
    """The same for a name that gets an ending, beside which a folder may be called so."""
    if path is not None:
        _try_writing(path.parent, beside=path)
    return path


def _try_writing(folder: Path, *, beside: Path | None = None) -> None:
    """Write a little and remove it, in what is there of a folder, and ask the system whether it takes the names."""
    path = beside or folder
    try:
        if beside is not None:
            check_replaceable(beside)
        place, missing = _divide(folder)
        for name in [*missing, *([] if beside is None else [beside.name])]:
            _look(place / name)
        _look(place.joinpath(*missing, _INSIDE))
        remove_left_over(place)
        with tempfile.TemporaryDirectory(dir=place, prefix=unfinished_prefix()) as tried:
            file = Path(tried, _INSIDE)
            file.write_bytes(bytes(_TRIED))
            file.read_bytes()  # which a umask may forbid
    except OSError as problem:
        if not problem.errno:
            raise typer.BadParameter(str(problem)) from problem
        reason = describe_os_error(OSError(problem.errno, problem.strerror))
        raise typer.BadParameter(f"{path} cannot be written: {reason}") from problem


def _divide(folder: Path) -> tuple[Path, list[str]]:
    """What is there of a folder's path, and the names that are missing."""
    absolute = Path(os.path.abspath(folder))
    place = next(part for part in (absolute, *absolute.parents) if os.path.exists(part))
    missing = list(absolute.relative_to(place).parts)
    if missing and os.path.islink(link := place / missing[0]):
        raise OSError(f"{link} leads to {os.readlink(link)}, which is not there")
    return place, missing


def _look(path: Path) -> None:
    """Let the system refuse a path that it cannot have; whether something is there is all the same."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        os.lstat(path)


def _called(path: Path) -> str:
    if path.is_symlink() and not path.exists():
        return f"a link to {os.readlink(path)}, which is not there"
    return "a file" if path.is_file() else "neither a folder nor a file"
