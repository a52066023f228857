"""Where numbers come from, in words: everything that a file tells of its making."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import final

from gradscape._names import one_line
from gradscape.studies.report.found import Found

__all__ = ["Fact", "state"]

_LONG = 160
_SKIPPED = {
    "model",
    "title",
    "weights",
    "image_names",
    "span_search",
    "functions",
    "image_files",
    "class_names",
}  # told elsewhere, or too much to read


@final
@dataclass(frozen=True)
class Fact:
    """A result's provenance.

    Attributes:
        kind: What it is.
        file: Where it lies.
        entries: (name, value) pairs.
    """

    kind: str
    file: str
    entries: tuple[tuple[str, str], ...]


def state(kind: str, found: Found[object], **settings: object) -> Fact:
    """Put a result's provenance into words, long texts cut and what is empty left out.

    Args:
        kind: What the result is, for a heading.
        found: The result.
        **settings: What it was made with beside what `found.meta` tells; they come first.
    """
    return Fact(kind, str(found.path), tuple(_entries({**settings, **found.meta})))


def _entries(meta: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for name, value in meta.items():
        if name not in _SKIPPED and value not in (None, {}, []):
            text = _spelled(value)
            yield name.replace("_", " "), text if len(text) <= _LONG else f"{text[:_LONG]}…"


def _spelled(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key.replace('_', ' ')} {_spelled(part)}" for key, part in value.items() if part is not None)
    if isinstance(value, list | tuple):
        return ", ".join(map(_spelled, value))
    return f"{value:.6g}" if isinstance(value, float) else one_line(value)
