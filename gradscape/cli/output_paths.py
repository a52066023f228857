"""Places to write to, tried before anything is computed."""

import tempfile
from pathlib import Path

import typer

__all__ = ["check_writable"]


def check_writable(path: Path) -> Path:
    """Refuse a path that nothing can be written to; nothing is left there.

    Args:
        path: A file or folder, which need not be there.

    Raises:
        BadParameter: It cannot be written to.
    """
    place = next(folder for folder in path.absolute().parents if folder.exists())
    if path.is_dir():
        place = path
    try:
        with tempfile.TemporaryFile(dir=place):
            return path
    except OSError as problem:
        raise typer.BadParameter(f"{path} cannot be written: {problem.strerror}") from problem
