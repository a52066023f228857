"""What surfaces and lines have in common: the measured values, and the HDF5 file that holds them."""

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from gradscape._hdf5 import open_hdf5, replacing_hdf5
from gradscape._provenance import Provenance
from gradscape.landscape.rounding import Rounding
from gradscape.landscape.statistics import UNKNOWN_POPULATION, BlockStatistics, Bools, Floats, Ints

__all__ = ["Measured", "read_measured", "write_measured"]

_GROUP = "gradscape"
_FORMAT = 1
_UNFILLED = -1.0
_MADE_BY_ORIGINAL = "dir_file"  # which no other tool has


@dataclass(frozen=True, eq=False)
class Measured(ABC):
    """Loss and error on a grid of points in parameter space.

    Attributes:
        blocks: The sums over blocks of images that all values follow from, (blocks, *grid).
        origin: The same at the trained network itself, always evaluated, also where the grid misses it.
        meta: Provenance; also plan, plan_notes, directions, functions, blocks and how the directions were made.
    """

    blocks: BlockStatistics
    origin: BlockStatistics
    meta: Mapping[str, Any]

    @property
    def loss(self) -> Floats:
        """Mean loss; NaN where not evaluated, non-finite where an image's loss is."""
        return self.blocks.loss

    @property
    def loss_stderr(self) -> Floats:
        """Standard error of `loss`, finite-population corrected."""
        return self.blocks.stderr

    @property
    def loss_rounding(self) -> Floats:
        """Bound of |bf16 − fp32| of `loss`: 0 in fp32, NaN where bf16 was not compared with fp32.

        A share of the deviation of a point's image losses, or of its median over the points where that is larger: see
        `Rounding`.
        """
        if self.meta.get("plan", {}).get("precision") != "bf16":
            return np.zeros(self.count.shape)[()]
        found = self.meta.get("plan_notes", {}).get("rounding")
        share = Rounding(**found).bound(max(1, int(self.count.max()))) if found else np.nan
        deviation = np.sqrt(self.blocks.variance)
        known = deviation[np.isfinite(deviation)]
        return share * np.fmax(deviation, np.median(known) if len(known) else np.nan)

    @property
    def error(self) -> Floats:
        """Top-1 error (or the metric's), in [0, 1]."""
        return self.blocks.error

    @property
    def count(self) -> Ints:
        """Images evaluated at each point."""
        return self.blocks.images

    @property
    def nonfinite(self) -> Ints:
        """Images with a NaN or infinite loss at each point."""
        return self.blocks.nonfinite.sum(axis=0)

    @property
    def reliable(self) -> Bools:
        """Where `interval` can be trusted: enough images carry the loss."""
        return self.blocks.reliable

    def interval(self, level: float = 0.95) -> tuple[Floats, Floats]:
        """Lower and upper end of the confidence interval of `loss` at each point."""
        return self.blocks.interval(level)

    @abstractmethod
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to an HDF5 file, atomically."""


def write_measured(path: str | os.PathLike[str], measured: Measured, axes: Mapping[str, np.ndarray]) -> None:
    """Write atomically: goldstein's datasets at the root, blocks and provenance in a group of our own.

    Args:
        path: The `.h5` file.
        measured: What to store.
        axes: Coordinates by goldstein's names (`xcoordinates`, `ycoordinates`).
    """
    split = "test" if measured.meta.get("split") in ("test", "val") else "train"
    filled = measured.count > 0
    with replacing_hdf5(path) as file:
        for name, values in axes.items():
            file[name] = values
        file[f"{split}_loss"] = np.where(filled, measured.loss, _UNFILLED)
        file[f"{split}_acc"] = np.where(filled, 100 * (1 - measured.error), _UNFILLED)
        group = file.create_group(_GROUP)
        group.attrs.update(
            format=_FORMAT, population=measured.blocks.population, meta=Provenance.of(measured.meta).to_json()
        )
        for place in ("blocks", "origin"):
            for name in BlockStatistics.arrays():
                group[f"{place}/{name}"] = getattr(getattr(measured, place), name)


def read_measured(path: str | os.PathLike[str], axes: tuple[str, ...]) -> tuple[list[np.ndarray], dict[str, Any]]:
    """Read what `write_measured` wrote, or a file of goldstein's own tool.

    Returns:
        The coordinates in the order of `axes`, and the fields of `Measured`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is no HDF5 file, or holds something else.
    """
    with open_hdf5(path, "landscape file") as file:
        present = [name for name in ("xcoordinates", "ycoordinates") if name in file]
        if present != list(axes):
            raise ValueError(f"{path} has the axes {present}, but {list(axes)} are needed: is it a line or a surface?")
        coordinates = [np.asarray(file[name], dtype=float) for name in axes]
        grid = tuple(len(axis) for axis in reversed(coordinates))
        return coordinates, _own_fields(file[_GROUP]) if _GROUP in file else _foreign_fields(file, grid)


def _own_fields(group: h5py.Group) -> dict[str, Any]:
    if group.attrs["format"] != _FORMAT:
        raise ValueError(f"{group.file.filename} has format {group.attrs['format']}, this version reads {_FORMAT}")
    population = int(group.attrs["population"])
    blocks, origin = (
        BlockStatistics(**{name: group[place][name][()] for name in BlockStatistics.arrays()}, population=population)
        for place in ("blocks", "origin")
    )
    return {"blocks": blocks, "origin": origin, "meta": Provenance.from_json(group.attrs["meta"])}


def _foreign_fields(file: h5py.File, grid: tuple[int, ...]) -> dict[str, Any]:
    """Values without blocks: one 'image' each, so that no standard error can be claimed."""
    split = "train" if "train_loss" in file else "test"
    if f"{split}_loss" not in file:
        raise ValueError(f"{file.filename} holds neither `train_loss` nor `test_loss`")
    loss = _foreign_values(file, f"{split}_loss", grid)
    accuracy = _foreign_values(file, f"{split}_acc", grid) if f"{split}_acc" in file else np.full_like(loss, np.nan)
    filled = loss != _UNFILLED
    blocks = BlockStatistics(
        count=filled.astype(np.int64)[None],
        mean=np.where(filled, loss, np.nan)[None],
        m2=np.where(filled, 0.0, np.nan)[None],
        right=np.where(filled, accuracy / 100, np.nan)[None],
        nonfinite=(filled & ~np.isfinite(loss)).astype(np.int64)[None],
        population=UNKNOWN_POPULATION,
    )
    origin = BlockStatistics.empty(1, (), UNKNOWN_POPULATION)
    return {"blocks": blocks, "origin": origin, "meta": {"source": "goldstein", "split": split}}


def _foreign_values(file: h5py.File, name: str, grid: tuple[int, ...]) -> np.ndarray:
    """Values indexed as the grid, (y, x).

    The original tool makes an array (x, y) and fills it from its beginning in the order of np.meshgrid(x, y), which is
    that of an array (y, x): where the axes have different lengths its two indices mean nothing.
    """
    values = np.asarray(file[name], dtype=float)
    if values.shape == grid:
        return values
    if values.shape == grid[::-1] and _MADE_BY_ORIGINAL in file:
        return values.reshape(grid)
    raise ValueError(
        f"{file.filename} has {name} in the shape {values.shape}, but must have (ycoordinates, xcoordinates) = {grid}"
        + (f", as it lacks the original tool's `{_MADE_BY_ORIGINAL}`" if values.shape == grid[::-1] else "")
    )
