"""Text files that anything can be written to: no name, whatever it is made of, costs what was computed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from gradscape._files import replacing

__all__ = ["replacing_text"]


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
