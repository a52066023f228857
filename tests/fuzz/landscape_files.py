"""Surfaces, lines and directions."""

import shutil
from functools import cache
from pathlib import Path
from random import Random

import h5py
import numpy as np
from torch import nn

from gradscape._provenance import Provenance
from gradscape.landscape import CurvatureMap, Line, Surface, load_directions, load_landscape
from gradscape.landscape.export import save_goldstein
from gradscape.landscape.statistics import BlockStatistics
from gradscape.models import load_checkpoint
from tests.fuzz.hdf5_damage import damage_hdf5
from tests.fuzz.originals import KEPT, Original
from tests.fuzz.plain_readers import Numbers, plain_hdf5

__all__ = ["direction_files", "line_files", "surface_files"]

_OWN = "gradscape"
_CONVERTED = tuple(("convert", "{path}", "--to", to, "-o", "{out}", "-q") for to in ("csv", "npz", "goldstein", "vtp"))
_DRAWN = (
    *(
        ("plot", "{path}", "--kind", kind, "-o", "{out}", "-q")
        for kind in ("heat", "contour", "surface", "interactive")
    ),
    ("compare", "{path}", "-o", "{out}", "-q"),
)


def surface_files(folder: Path) -> list[Original]:
    """A finished and a begun one of 0.1.0, the same as they are written today, and one of the original tool's kind."""
    for name in ("surface", "begun"):
        shutil.copy(KEPT / f"{name}.h5", folder / f"{name}_0.1.0.h5")
        Surface.load(KEPT / f"{name}.h5").save(folder / f"{name}.h5")
    save_goldstein(Surface.load(KEPT / "surface.h5"), folder / "goldstein.h5")
    names = ("surface_0.1.0", "begun_0.1.0", "surface", "begun", "goldstein")
    return [_original(folder / f"{name}.h5", (*_CONVERTED * 3, *_DRAWN)) for name in names]


def line_files(folder: Path) -> list[Original]:
    """One of 0.1.0, and the same as it is written today."""
    shutil.copy(KEPT / "line.h5", folder / "line_0.1.0.h5")
    Line.load(KEPT / "line.h5").save(folder / "line.h5")
    commands = (*_CONVERTED[:2] * 3, ("plot", "{path}", "-o", "{out}", "-q"))
    return [_original(folder / f"{name}.h5", commands) for name in ("line_0.1.0", "line")]


def direction_files(folder: Path) -> list[Original]:
    """Two directions of the small network."""
    path = Path(shutil.copy(KEPT / "directions.h5", folder))
    return [Original(path, _read_directions, _plain_directions, _damage, sealed=_sealed(path))]


def _original(path: Path, commands: tuple[tuple[str, ...], ...]) -> Original:
    return Original(path, _read, _plain, _damage, sealed=_sealed(path), commands=commands)


def _sealed(path: Path) -> bool:
    """Whether a file says what all its bytes come to."""
    with h5py.File(path, "r") as file:
        return any(
            "digest" in name or "sha256" in name for name in (*file.attrs, *(file[_OWN].attrs if _OWN in file else ()))
        )


def _damage(path: Path, random: Random, canary: Path) -> str:
    return damage_hdf5(path, random)


def _read(path: Path) -> Numbers:
    result = load_landscape(path)
    if isinstance(result, CurvatureMap):
        return {"max_eig": result.max_eig, "min_eig": result.min_eig, "meta": dict(result.meta)}
    found: Numbers = {"xcoordinates": result.alphas}
    if isinstance(result, Surface):
        found["ycoordinates"] = result.betas
    if result.meta.get("source") == "goldstein":
        return found | {"loss": result.loss, "error": result.error}
    for place, blocks in (("blocks", result.blocks), ("origin", result.origin)):
        found |= {f"{place}/{name}": getattr(blocks, name) for name in BlockStatistics.arrays()}
    return found | {"population": result.blocks.population, "meta": dict(result.meta)}


def _plain(path: Path) -> Numbers:
    file = plain_hdf5(path)
    found: Numbers = {name: file[name] for name in ("xcoordinates", "ycoordinates") if name in file}
    if any(name.startswith(_OWN) for name in file):
        for place in ("blocks", "origin"):
            found |= {f"{place}/{name}": file[f"{_OWN}/{place}/{name}"] for name in BlockStatistics.arrays()}
        text = file[f"{_OWN}.meta"]
        meta = dict(Provenance.from_json(text.decode() if isinstance(text, bytes) else text))
        return found | {"population": file[f"{_OWN}.population"], "meta": meta}
    split = "train" if "train_loss" in file else "test"
    loss = np.asarray(file[f"{split}_loss"], float)
    right = np.asarray(file.get(f"{split}_acc", np.full_like(loss, np.nan)), float)
    filled = loss != -1
    return found | {"loss": np.where(filled, loss, np.nan), "error": np.where(filled, 1 - right / 100, np.nan)}


@cache
def _network() -> nn.Module:
    return load_checkpoint(KEPT / "model.safetensors")


def _read_directions(path: Path) -> Numbers:
    directions = load_directions(path, _network())
    return {
        f"{axis}/{number}": values.numpy()
        for axis, direction in zip(("xdirection", "ydirection"), directions, strict=False)
        for number, values in enumerate(direction.values())
    }


def _plain_directions(path: Path) -> Numbers:
    return {
        name: np.asarray(values).astype(np.float32) for name, values in plain_hdf5(path).items() if "direction/" in name
    }
