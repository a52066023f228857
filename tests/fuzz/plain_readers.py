"""Slow and simple readers that know nothing of gradscape's: what numbers a file holds, by the libraries alone."""

import csv
import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

__all__ = ["Numbers", "differing", "plain_hdf5", "plain_npz", "plain_safetensors", "plain_table"]

Numbers = dict[str, Any]
"""Arrays and JSON by name."""

_DEEPEST = 8  # a group may hold itself
_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "u1", "BOOL": "?"}


def plain_hdf5(path: Path) -> Numbers:
    """Every dataset of numbers by its place, and the attributes of groups; what lies elsewhere is left out."""
    found: Numbers = {}
    most = path.stat().st_size * 100

    # Name by name: the library's own walk refuses some files whose members can all be read.
    def collect(group: h5py.Group, prefix: str) -> None:
        for key in group:
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                continue
            name, one = prefix + key, group[key]
            found.update({f"{name}.{about}": value for about, value in one.attrs.items()})
            if isinstance(one, h5py.Group):
                if name.count("/") < _DEEPEST:
                    collect(one, f"{name}/")
            elif one.dtype.kind in "iufbc" and not (one.is_virtual or one.external or one.nbytes > most):
                found[name] = one[()]

    with h5py.File(path, "r") as file:
        collect(file, "")
    return found


def plain_npz(path: Path, *wanted: str) -> Numbers:
    """Every array of an archive by its name, or those that are wanted; text as it is, the provenance as JSON."""
    found: Numbers = {}
    with zipfile.ZipFile(path) as archive:
        if len(set(archive.namelist())) != len(archive.namelist()):
            raise ValueError("two members have one name")
        for name in archive.namelist():
            if wanted and name.removesuffix(".npy") not in wanted:
                continue
            found[name.removesuffix(".npy")] = np.lib.format.read_array(
                io.BytesIO(archive.read(name)), allow_pickle=False
            )
    if "meta" in found:
        found["meta"] = json.loads(str(found["meta"]))
    return found


def plain_safetensors(path: Path, *, described: bool = True) -> Numbers:
    """Every tensor by its name, and the checkpoint's own description as JSON where there has to be one."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    tensors = data[8 + length :]
    about = header.pop("__metadata__", None)
    found: Numbers = {"meta": json.loads(about["gradscape"])} if described else {}
    found.get("meta", {}).pop("checksum_of_file", None)  # which says nothing of the network
    for name, entry in header.items():
        start, stop = entry["data_offsets"]
        found[name] = np.frombuffer(tensors[start:stop], _DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return found


def plain_table(path: Path) -> Numbers:
    """The columns of a csv table of numbers."""
    with path.open(newline="", encoding="utf-8") as file:
        headings, *rows = [row for row in csv.reader(file) if row]  # empty lines are none
    if len(set(headings)) != len(headings) or any(len(row) != len(headings) for row in rows):
        raise ValueError("columns are not told apart")
    return {name: np.array([float(row[number]) for row in rows]) for number, name in enumerate(headings)}


def differing(found: Any, expected: Any, place: str = "") -> list[str]:
    """Places where two results differ, to the bit; NaN is NaN."""
    if isinstance(found, dict) and isinstance(expected, dict):
        lacking = [f"{place}/{key}" for key in found.keys() ^ expected.keys()]
        return lacking + [
            name
            for key in found.keys() & expected.keys()
            for name in differing(found[key], expected[key], f"{place}/{key}")
        ]
    if isinstance(found, np.ndarray | np.generic) or isinstance(expected, np.ndarray | np.generic):
        first, second = np.asarray(found), np.asarray(expected)
        numbers = first.dtype.kind in "fc" and second.dtype.kind in "fc"
        return [] if first.shape == second.shape and np.array_equal(first, second, equal_nan=numbers) else [place]
    if isinstance(found, list | tuple) and isinstance(expected, list | tuple) and len(found) == len(expected):
        return [
            name
            for number, pair in enumerate(zip(found, expected, strict=True))
            for name in differing(*pair, f"{place}/{number}")
        ]
    return [] if found == expected or (found != found and expected != expected) else [place]
