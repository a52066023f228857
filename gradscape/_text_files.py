"""Text, JSON and csv files: bounded, in UTF-8, and of the form that is asked for."""

import csv
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gradscape._files import check_readable

__all__ = ["CsvTable", "begins_with", "parse_json", "read_json", "read_table", "read_text"]

_MOST = 32 * 2**20  # bytes; thirty times what any of ours has, and as objects still within a GiB
_DEEPEST = 100  # Python's own limit is the stack, on which the caller stands too
_NUMBERS = frozenset({float, int})
_LOW_SURROGATE, _SURROGATE = "\\ud", range(0xD800, 0xE000)


class CsvTable(NamedTuple):
    """A csv file.

    Attributes:
        names: Of the columns, each another one.
        rows: The cells of each, as many as there are columns; empty lines are left out.
    """

    names: tuple[str, ...]
    rows: list[list[str]]


def read_text(path: str | os.PathLike[str], what: str = "text file", *, largest: int | None = None) -> str:
    """Read a text; a byte order mark is no part of it.

    Args:
        path: The file.
        what: What it should be ("file of labels"), for the message.
        largest: Bytes that it may have; 32 MiB where nothing else is said.

    Raises:
        FileNotFoundError: There is no such file.
        OSError: It cannot be opened.
        ValueError: It is no text in UTF-8, or too large.
    """
    check_readable(path, what)
    largest = largest or _MOST
    with Path(path).open("rb") as file:
        read = file.read(largest + 1)
    name = os.fspath(path)
    if len(read) > largest:
        raise ValueError(f"{name} must be a {what}, but has more than {largest // 2**20} MiB: give another file")
    try:
        text = read.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{name} must be a {what} in UTF-8, but its byte {error.start} is 0x{read[error.start]:02x}, which is no "
            "text: give another file, or save it as UTF-8"
        ) from None
    if "\0" in text:
        raise ValueError(f"{name} must be a {what}, but holds bytes of value 0: give another file")
    return text


def begins_with(path: str | os.PathLike[str], start: str) -> bool:
    """Whether a file's first bytes are these, whatever else it holds; errors as `read_text`."""
    check_readable(path)
    with Path(path).open("rb") as file:
        return file.read(len(start.encode())) == start.encode()


def parse_json(text: str, *, largest: int | None = None) -> Any:
    """Read JSON that comes from a file.

    Half a character, which JSON can spell but no file or terminal takes, becomes the sign for an unreadable one.

    Args:
        text: JSON.
        largest: Signs that it may have; 32 Mi where nothing else is said.

    Raises:
        ValueError: It is no JSON, nested more than 100 deep, too large, or has an entry twice.
    """
    largest = largest or _MOST
    if len(text) > largest:
        raise ValueError(f"it has more than {largest // 2**20} million signs")
    try:
        found = json.loads(text, object_pairs_hook=_without_repeats)
    except RecursionError:
        raise ValueError(f"it is nested more than {_DEEPEST} deep") from None
    return _checked(found, _DEEPEST, halves=_LOW_SURROGATE in text.lower())


def read_json(path: str | os.PathLike[str], what: str = "JSON file", *, largest: int | None = None) -> dict[str, Any]:
    """Read a JSON object.

    Args:
        path: The file.
        what: What it should be, for the message.
        largest: Bytes that it may have; 32 MiB where nothing else is said.

    Raises:
        FileNotFoundError: There is no such file.
        OSError: It cannot be opened.
        ValueError: It is no JSON object.
    """
    text = read_text(path, what, largest=largest)
    try:
        found = parse_json(text, largest=largest)
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)} must be a {what}, but is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{os.fspath(path)} must be a {what}, a JSON object, but is a {type(found).__name__}")
    return found


def read_table(path: str | os.PathLike[str], what: str = "table", *, needed: Sequence[str] = ()) -> CsvTable:
    """Read a csv file with names of columns in its first line.

    Args:
        path: The file.
        what: What it should be, for the message.
        needed: Columns that must be there.

    Raises:
        FileNotFoundError: There is no such file.
        OSError: It cannot be opened.
        ValueError: It is no csv, a name comes twice or is missing, or a row has more or fewer cells than columns.
    """
    text = read_text(path, what)
    name = os.fspath(path)
    try:
        names, *rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row] or [[]]
    except csv.Error as error:
        raise ValueError(f"{name} must be a {what}, but is no csv: {error}") from None
    lacking = [one for one in needed if one not in names]
    if not names or lacking:
        lacks = f"the column {lacking[0]}" if lacking else "a line of names"
        raise ValueError(f"{name} must be a {what}, but lacks {lacks}")
    if len(set(names)) < len(names):
        raise ValueError(f"{name} must be a {what}, but has two columns of one name")
    for number, row in enumerate(rows, 1):
        if len(row) != len(names):
            raise ValueError(
                f"{name} must be a {what}, but row {number} has {len(row)} cells in place of {len(names)}: is it cut "
                "off?"
            )
    return CsvTable(tuple(names), rows)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an entry comes twice")
    return found


def _checked(value: Any, depth: int, *, halves: bool) -> Any:
    """The same without halves of characters."""
    if depth < 0:
        raise ValueError(f"it is nested more than {_DEEPEST} deep")
    if isinstance(value, list):
        # Most of a large file is numbers, which are as they should be.
        return [one if type(one) in _NUMBERS else _checked(one, depth - 1, halves=halves) for one in value]
    if isinstance(value, dict):
        return {_whole(key) if halves else key: _checked(one, depth - 1, halves=halves) for key, one in value.items()}
    return _whole(value) if halves and isinstance(value, str) else value


def _whole(text: str) -> str:
    return "".join("\ufffd" if ord(one) in _SURROGATE else one for one in text)
