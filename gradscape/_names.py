"""Names that users type (near matches, options behind `@`, `package.module:function`), and names in what they read."""

import difflib
import importlib
import os
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = [
    "Option",
    "Scalar",
    "class_label",
    "data_name",
    "error_line",
    "is_function_name",
    "load_function",
    "numbered",
    "one_line",
    "parse_options",
    "path_tails",
    "tell_apart",
    "telling_parts",
    "unknown_name",
    "visible",
    "working_directory_importable",
]

Scalar = bool | int | float | str
Option = Scalar | list[Scalar]

_LONGEST_ERROR = 200
_MOST_NEAR = 4
_MOST_LISTED = 25
_LONGEST_PARTS = 32
_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")  # torch writes some of its messages in bold
_UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters
    r"\u2028-\u202e\u2066-\u2069"  # line breaks of other kinds, turns of direction
    r"\ud800-\udfff\ufdd0-\ufdef\ufff9-\ufffb\ufffe\uffff]"  # halves of pairs, no letters
)
_LYING = ("folder", "npz", "coco", "voc")  # kinds of data sets that are named by a path
_FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


def unknown_name(argument: str, name: str, known: Iterable[str], *, listed: bool = True) -> ValueError:
    """Return the error for a name that is not among the `known`; those near it are named, or all if few.

    Near are those that hold the name in whatever case, then those that are spelled alike.

    Args:
        argument: What the name was given for, as the user knows it.
        name: What came.
        known: Everything that may be given.
        listed: Whether to list a few choices where none is near; whoever says more about them leaves it out.
    """
    names = list(known)
    holding = [one for one in names if name and name.casefold() in one.casefold()]
    alike = difflib.get_close_matches(name, names, n=_MOST_NEAR, cutoff=0.6)
    near = list(dict.fromkeys([*alike, *holding]))[:_MOST_NEAR]
    advice = f"; did you mean {' or '.join(near)}?" if near else ""
    if listed and not near and 0 < len(names) <= _MOST_LISTED:
        advice = f"; known: {', '.join(names)}"
    return ValueError(f"unknown `{argument}` {name!r}{advice}")


def class_label(labels: Sequence[str] | None, index: int) -> str | None:
    """Return what a class is called; with one label alone, class 1 has it, and class 0 is what is not of it.

    Args:
        labels: Names of the classes, or that of the one class that a single logit speaks for.
        index: The class's number.

    Returns:
        None where the class has no name.
    """
    if labels is None:
        return None
    names = [f"not {labels[0]}", labels[0]] if len(labels) == 1 else labels
    return names[index] if 0 <= index < len(names) else None


def parse_options(text: str) -> dict[str, Option]:
    """Read `key=value,key=a:b`: true and false, integers, floats, lists separated by colons, else text.

    Args:
        text: What stands behind the `@` of a name.

    Raises:
        ValueError: If an item is not `key=value` or a key comes twice.
    """
    options: dict[str, Option] = {}
    for item in text.split(","):
        key, equals, value = item.partition("=")
        if not (equals and key.isidentifier() and value):
            raise ValueError(f"options must be written as key=value,key=value; got {item!r}")
        if key in options:
            raise ValueError(f"option `{key}` is given twice; give it once")
        options[key] = [_read_value(part) for part in value.split(":")] if ":" in value else _read_value(value)
    return options


def visible(text: str) -> str:
    r"""Return text in which everything can be seen: what a terminal obeys or a page hides is spelled as Python would.

    Spelled out are control characters but for line breaks and tabs, marks that turn the direction of what follows,
    halves of surrogate pairs, which stand for bytes of file names that are no text, and what is no letter at all.

    Example:
        >>> print(visible("red \x1b[31m or \u202etxt.exe"))
        red \x1b[31m or \u202etxt.exe
    """
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def one_line(text: object) -> str:
    """Return text without line breaks or other runs of white space, everything in it to be seen (`visible`)."""
    return visible(" ".join(str(text).split()))


def data_name(name: object) -> str:
    """Return what a data set is called without where it lies: of `folder:/home/me/birds` that is birds.

    Args:
        name: As `load_split` takes it.
    """
    kind, _, place = one_line(name).partition(":")
    if kind not in _LYING or not place:
        return one_line(name)
    last = re.split(r"[/\\]", place.rstrip("/\\"))[-1]
    return (last.removesuffix(".npz") if kind == "npz" else last) or kind


def error_line(error: BaseException) -> str:
    """Return another program's message on one line, cut where it becomes an essay."""
    text = one_line(_ESCAPES.sub("", str(error))) or type(error).__name__
    return text if len(text) <= _LONGEST_ERROR else f"{text[:_LONGEST_ERROR]}…"


def tell_apart(candidates: Sequence[Sequence[str]]) -> list[str]:
    """Return names for several things, all different.

    Args:
        candidates: Lists of names, each with one for every thing, best list first; at least one list.

    Returns:
        The first list in which no name comes twice; where there is none, the last one, numbered. Names that differ in
        capitals alone, or in how accents are encoded, count as one: on many disks their folders are.
    """
    for names in candidates:
        if len({unicodedata.normalize("NFC", name).casefold() for name in names}) == len(names):
            return list(names)
    return numbered(candidates[-1])


def numbered(names: Sequence[str]) -> list[str]:
    """Return `1-NAME`, `2-NAME` …, which differ whatever the names are."""
    return [f"{number}-{name}" for number, name in enumerate(names, 1)]


def path_tails(paths: Sequence[Path]) -> list[str]:
    """Return of each path as much of its end as no other path ends with: `x.png`, or `album/x.png` beside `x.png`.

    Of a path that is another one's end, or comes twice, all is returned.
    """
    parts = [path.parts[1:] if path.anchor else path.parts for path in paths]
    longest = max(map(len, parts), default=0)
    counts = {length: Counter(own[-length:] for own in parts) for length in range(1, longest)}
    lengths = [next((n for n in range(1, len(own)) if counts[n][own[-n:]] == 1), len(own)) for own in parts]
    return ["/".join(own[-length:]) for own, length in zip(parts, lengths, strict=True)]


def telling_parts(paths: Sequence[Path]) -> list[str]:
    """Return of each path what it does not share with all others: `sgd/ep0`, `sgd/ep3` and `adam/ep3`.

    Every folder in which paths differ is kept, also where the file's name would do: it says which run is which. Where
    this is longer than a legend has room for, the shortest different ends are taken. Of a path that has nothing of its
    own the last part is returned.
    """
    parts = [list(path.parts) for path in paths]
    for end in (0, -1):
        while all(parts) and len({own[end] for own in parts}) == 1:
            for own in parts:
                own.pop(end)
    if len({len(own) for own in parts}) == 1:
        columns = [column for column in zip(*parts, strict=True) if len(set(column)) > 1]
        parts = [[column[number] for column in columns] for number in range(len(parts))]
    depth = max(map(len, parts), default=0)
    ends = ([own[-length:] for own in parts] for length in range(1, depth))
    if any(len("/".join(own)) > _LONGEST_PARTS for own in parts):
        parts = next((own for own in ends if len({tuple(one) for one in own}) == len(own)), parts)
    return ["/".join(own) or path.name for own, path in zip(parts, paths, strict=True)]


def is_function_name(name: str) -> bool:
    """Whether a name reads `package.module:function`."""
    return _FUNCTION.fullmatch(name) is not None


@contextmanager
def working_directory_importable() -> Iterator[None]:
    """Let imports find modules in the current directory, as `python -m` does."""
    folder = os.getcwd()
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def load_function(argument: str, name: str) -> Callable[..., Any]:
    """Import what `package.module:function` names, from the current directory too.

    Importing runs the module's code.

    Args:
        argument: What the name was given for, as the user knows it.
        name: The function's name.

    Raises:
        ValueError: If the module cannot be found or has no such attribute.
        TypeError: If the attribute cannot be called.
    """
    module_name, _, path = name.partition(":")
    try:
        with working_directory_importable():
            found: Any = importlib.import_module(module_name)
        for attribute in path.split("."):
            found = getattr(found, attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"cannot import `{argument}` {name!r}: {error_line(error)}") from error
    if not callable(found):
        raise TypeError(f"`{argument}` {name!r} must name a function, got {type(found).__name__}")
    return found


def _read_value(text: str) -> Scalar:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
