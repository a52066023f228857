"""Whether two outputs hold the same, to the bit."""

import csv
import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import torch

__all__ = ["differences", "leftovers"]

_CLOCK = "seconds"  # the column of metrics.csv that a clock measured


def differences(whole: Path, other: Path) -> list[str]:
    """Files that only one of two outputs has, or that differ in more than what a clock measured."""
    one, two = _contents(whole), _contents(other)
    return [
        f"{name}: {_said(one.get(name), two.get(name))}"
        for name in sorted({*one, *two})
        if one.get(name) != two.get(name)
    ]


def leftovers(output: Path) -> list[str]:
    """Files that no command is to leave behind."""
    return sorted(path.name for path in output.parent.rglob(".*") if path.name.startswith((".partial", ".gradscape")))


def _said(one: str | None, two: str | None) -> str:
    return "missing" if two is None else "not expected" if one is None else "other bits"


def _contents(place: Path) -> dict[str, str]:
    files = [place] if place.is_file() else [path for path in place.rglob("*") if path.is_file()]
    return {path.relative_to(place.parent).as_posix(): _digest(path) for path in files}


def _digest(path: Path) -> str:
    plain = _PLAIN.get(path.name, _PLAIN.get(path.suffix, Path.read_bytes))
    return hashlib.sha256(plain(path)).hexdigest()


def _without_clock(path: Path) -> bytes:
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    return json.dumps([{name: cell for name, cell in row.items() if name != _CLOCK} for row in rows]).encode()


def _state(path: Path) -> bytes:
    state = torch.load(path, weights_only=True)
    for row in state["gradscape"]["rows"]:
        row.pop(_CLOCK)
    return _told(state).encode()


def _told(tree: Any) -> str:
    if isinstance(tree, torch.Tensor):
        return hashlib.sha256(tree.contiguous().view(-1).numpy().tobytes()).hexdigest()
    if isinstance(tree, dict):
        return f"{{{','.join(f'{key}:{_told(value)}' for key, value in tree.items())}}}"
    return f"[{','.join(map(_told, tree))}]" if isinstance(tree, list | tuple) else repr(tree)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _datasets(path: Path) -> bytes:
    """All of an HDF5 file but the notes of how its plan was found."""
    digest = hashlib.sha256()
    with h5py.File(path) as file:

        def add(name: str, thing: h5py.Group | h5py.Dataset) -> None:
            attributes = {key: _text(value) for key, value in thing.attrs.items()}
            if "meta" in attributes:
                meta = json.loads(attributes["meta"])
                meta.pop("plan_notes", None)
                attributes["meta"] = json.dumps(meta)
            digest.update(f"{name} {sorted(attributes.items())}".encode())
            if isinstance(thing, h5py.Dataset):
                digest.update(f"{thing.dtype} {thing.shape}".encode() + thing[()].tobytes())

        file.visititems(add)
    return digest.digest()


# By name or ending, what of a file is to be the same.
_PLAIN: dict[str, Callable[[Path], bytes]] = {"metrics.csv": _without_clock, "state.ckpt": _state, ".h5": _datasets}
