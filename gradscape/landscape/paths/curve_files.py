"""Curves in `.safetensors` files: the tensors of both ends and of the bend, and how it was fitted."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypedDict, TypeVar

import torch
from safetensors.torch import save
from torch import Tensor

from gradscape._digest import digest_tensors
from gradscape._files import check_readable, replacing
from gradscape._names import error_line
from gradscape._provenance import Provenance
from gradscape._safetensors import opened_safetensors, read_safetensors
from gradscape._schema import check_record
from gradscape._text_files import parse_json

__all__ = ["POINTS", "is_curve", "read_curve", "write_curve"]

POINTS = ("start", "bend", "end")

_ENTRY = "gradscape_curve"
_FORMAT = 1

Read = TypeVar("Read")


class _CurveEntry(TypedDict):
    format: int
    kind: str
    digest: str
    meta: str


def write_curve(
    path: str | os.PathLike[str], points: Mapping[str, Mapping[str, Tensor]], *, kind: str, meta: Mapping[str, Any]
) -> None:
    """Write a curve, atomically.

    Args:
        path: The file.
        points: "start", "bend" and "end" -> the tensors there.
        kind: What it is.
        meta: Provenance.

    Raises:
        ValueError: The suffix is wrong.
        OSError: The file cannot be written.
    """
    if Path(path).suffix != ".safetensors":
        raise ValueError(f"`path` must end in .safetensors, got {Path(path).name}")
    tensors = {
        f"{place}/{name}": one.detach().cpu().contiguous().clone()  # of tied tensors a copy each, as the format asks
        for place in POINTS
        for name, one in points[place].items()
    }
    text = Provenance.of(meta).to_json()
    entry = {"format": _FORMAT, "kind": kind, "digest": _digest(tensors, kind, text), "meta": text}
    content = save(tensors, {_ENTRY: json.dumps(entry)})
    with replacing(path) as partial:
        partial.write_bytes(content)


def read_curve(path: str | os.PathLike[str], create: Callable[..., Read]) -> Read:
    """Read what `write_curve` wrote.

    Args:
        path: The file.
        create: Makes a curve of `kind`, `start`, `bend`, `end` and `meta`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is none, or damaged.
    """
    check_readable(path, "curve")
    tensors, texts = read_safetensors(Path(path))
    if _ENTRY not in texts:
        raise ValueError(f"{os.fspath(path)} holds no curve between two networks: `gradscape line --curve` makes one")
    try:
        entry = parse_json(texts[_ENTRY])
        check_record(entry, _CurveEntry)
        if entry["format"] != _FORMAT:
            raise ValueError(f"it has format {entry['format']}, this version reads {_FORMAT}")
        if entry["digest"] != _digest(tensors, entry["kind"], entry["meta"]):
            raise ValueError("its digest says that it was changed; make it or copy it again")
        points = {place: _part(tensors, f"{place}/") for place in POINTS}
        return create(kind=entry["kind"], **points, meta=Provenance.from_json(entry["meta"]))
    except (TypeError, ValueError) as problem:
        raise ValueError(f"{os.fspath(path)} is a damaged curve: {error_line(problem)}") from problem


def is_curve(path: Path) -> bool:
    """Whether a `.safetensors` file holds a curve."""
    with opened_safetensors(path) as file:
        return _ENTRY in (file.metadata() or {})


def _part(tensors: Mapping[str, Tensor], start: str) -> dict[str, Tensor]:
    return {name.removeprefix(start): one for name, one in tensors.items() if name.startswith(start)}


def _digest(tensors: Mapping[str, Tensor], kind: str, meta: str) -> str:
    return digest_tensors([*sorted(tensors.items()), (f"{kind} {meta}", torch.zeros(0))])
