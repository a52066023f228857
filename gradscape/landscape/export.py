"""Surfaces for other programs: tables, arrays, meshes, and the original tool's files."""

import csv
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gradscape._arrays import save_arrays
from gradscape._files import replacing_text
from gradscape._hdf5 import save_hdf5
from gradscape.landscape.field import Field
from gradscape.landscape.line import Line
from gradscape.landscape.surface import Surface

__all__ = ["FORMATS", "Path", "save_csv", "save_goldstein", "save_npz", "save_vtp"]

Path = str | os.PathLike[str]

_VALUES = ("loss", "loss_stderr", "reliable", "error", "count", "nonfinite")


def save_csv(result: Surface | Line | Field, path: Path) -> None:
    """One row a point: coordinates, loss, its standard error and whether to rely on it, …; beta varies slowest.

    Of a field: coordinates, its values by its name, and their standard error where there is one.
    """
    values = _field_values(result) if isinstance(result, Field) else {name: getattr(result, name) for name in _VALUES}
    columns = {**_coordinates(result), **{name: array.ravel() for name, array in values.items()}}
    with replacing_text(path) as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*(column.tolist() for column in columns.values()), strict=True))


def save_npz(result: Surface | Line, path: Path) -> None:
    """Coordinates and values as arrays, the provenance as JSON in `meta`."""
    axes = {name: getattr(result, name) for name in ("alphas", "betas") if hasattr(result, name)}
    values = {name: getattr(result, name) for name in _VALUES}
    save_arrays(path, axes | values, result.meta)


def save_vtp(result: Surface, path: Path) -> None:
    """A mesh for ParaView: points (alpha, beta, loss), one quad a cell, the loss as point data `zvalue`.

    Cells with a corner that is not finite are left out. ASCII PolyData.
    """
    finite = np.isfinite(result.loss)
    heights = np.where(finite, result.loss, 0.0)
    alphas, betas = np.meshgrid(result.alphas, result.betas)
    corners = _quads(*heights.shape)
    quads = corners[finite.ravel()[corners].all(axis=1)]
    arrays = {
        "points": "\n".join(f"{a!r} {b!r} {z!r}" for a, b, z in _rows(alphas, betas, heights)),
        "values": "\n".join(map(repr, heights.ravel().tolist())),
        "quads": "\n".join(" ".join(map(str, quad)) for quad in quads.tolist()),
        "offsets": " ".join(map(str, range(4, 4 * len(quads) + 1, 4))),
    }
    with replacing_text(path) as file:
        file.write(_VTP.format(point_count=heights.size, quad_count=len(quads), **arrays))


def save_goldstein(result: Surface, path: Path) -> None:
    """Only what the original tool writes itself: coordinates, loss, accuracy in percent; −1 where not evaluated."""
    split = "test" if result.meta.get("split") in ("test", "val") else "train"
    filled = result.count > 0
    values: dict[str, np.ndarray | str] = {
        "dir_file": "",
        "xcoordinates": result.alphas,
        "ycoordinates": result.betas,
        f"{split}_loss": np.where(filled, result.loss, -1.0),
        f"{split}_acc": np.where(filled, 100 * (1 - result.error), -1.0),
    }
    save_hdf5(path, values, checksums=False)


FORMATS: Mapping[str, tuple[str, Callable[[Any, Path], None]]] = {
    "csv": (".csv", save_csv),
    "npz": (".npz", save_npz),
    "vtp": (".vtp", save_vtp),
    "goldstein": (".goldstein.h5", save_goldstein),
}

_VTP = """<?xml version="1.0"?>
<VTKFile type="PolyData" version="0.1" byte_order="LittleEndian">
<PolyData>
<Piece NumberOfPoints="{point_count}" NumberOfPolys="{quad_count}">
<PointData Scalars="zvalue">
<DataArray type="Float64" Name="zvalue" NumberOfComponents="1" format="ascii">
{values}
</DataArray>
</PointData>
<Points>
<DataArray type="Float64" Name="Points" NumberOfComponents="3" format="ascii">
{points}
</DataArray>
</Points>
<Polys>
<DataArray type="Int64" Name="connectivity" format="ascii">
{quads}
</DataArray>
<DataArray type="Int64" Name="offsets" format="ascii">
{offsets}
</DataArray>
</Polys>
</Piece>
</PolyData>
</VTKFile>
"""


def _field_values(field: Field) -> dict[str, np.ndarray]:
    stderr = {} if field.stderr is None else {f"{field.name}_stderr": field.stderr}
    return {field.name: field.values, **stderr}


def _coordinates(result: Surface | Line | Field) -> dict[str, np.ndarray]:
    if isinstance(result, Line):
        return {"alpha": result.alphas}
    alphas, betas = np.meshgrid(result.alphas, result.betas)
    return {"alpha": alphas.ravel(), "beta": betas.ravel()}


def _rows(*columns: np.ndarray) -> list[tuple[float, ...]]:
    return list(zip(*(column.ravel().tolist() for column in columns), strict=True))


def _quads(rows: int, columns: int) -> np.ndarray:
    """Numbers of the four corners of every cell, counter-clockwise."""
    first = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    return np.stack([first, first + 1, first + 1 + columns, first + columns], axis=1)
