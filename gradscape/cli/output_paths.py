"""Places to write to, tried before anything is computed."""

import tempfile
from pathlib import Path

import typer

__all__ = ["check_output"]

_PICTURES = (".html", ".jpg", ".pdf", ".png", ".svg")


def check_output(path: Path) -> Path:
    """Refuse a path that nothing can be written to, and the name of a picture for a folder; nothing is left there.

    Args:
        path: A file or folder, which need not be there.

    Raises:
        TyperException: It is called like a picture.
        BadParameter: It cannot be written to.
    """
    if path.suffix.lower() in _PICTURES and not path.is_dir():
        raise typer.TyperException(
            f"`--output` is a folder, in which pictures have names of their own, got {path}; formats are chosen by "
            "`--format`, and `gradscape plot` draws one picture by name"
        )
    place = next(folder for folder in path.absolute().parents if folder.exists())
    if path.is_dir():
        place = path
    try:
        with tempfile.TemporaryFile(dir=place):
            return path
    except OSError as problem:
        raise typer.BadParameter(f"{path} cannot be written: {problem.strerror}") from problem
