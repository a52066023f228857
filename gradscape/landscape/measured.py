"""What surfaces and lines have in common: the measured values, and the HDF5 file that holds them."""

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradscape._hdf5 import Hdf5Group, open_hdf5, save_hdf5
from gradscape._names import error_line
from gradscape._provenance import Provenance
from gradscape.landscape.axis import checked_axis
from gradscape.landscape.block_file import read_blocks
from gradscape.landscape.estimator.sample import Sample
from gradscape.landscape.estimator.sample_file import read_sample, sample_arrays
from gradscape.landscape.record import check_landscape_record
from gradscape.landscape.rounding import recorded_rounding
from gradscape.landscape.statistics import (
    RELIABLE_EFFECTIVE_IMAGES,
    UNKNOWN_POPULATION,
    BlockStatistics,
    Bools,
    Floats,
    Ints,
    student_half_width,
)

__all__ = ["Measured", "read_measured", "write_measured"]

_GROUP = "gradscape"
_FORMAT = 1
_PLACES = ("blocks", "origin")
_SAMPLE = "sample"
_UNFILLED = -1.0
_IMAGES_A_FREEDOM = (
    16  # for one degree of freedom: residuals of a kurtosis of about 30 tell so little of their variance
)
_ROUNDED = 1e-9  # of a loss, or of the largest: sums in another order
_MADE_BY_ORIGINAL = "dir_file"  # which no other tool has


@dataclass(frozen=True, eq=False)
class Measured(ABC):
    """Loss and error on a grid of points in parameter space.

    Attributes:
        blocks: The sums over blocks of images that all values follow from, (blocks, *grid).
        origin: The same at the trained network itself, always evaluated, also where the grid misses it.
        meta: Provenance; also plan, plan_notes, directions, functions, blocks and how the directions were made.
        sample: What was measured where the regression estimator was taken, from which an evaluation goes on: `blocks`
            and `origin` are then its estimates, as sums over the blocks that every point saw.
    """

    blocks: BlockStatistics
    origin: BlockStatistics
    meta: Mapping[str, Any]
    sample: Sample | None = None

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
        found = recorded_rounding(self.meta)
        share = found.bound(max(1, int(self.count.max()))) if found else np.nan
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
        if self.sample is None:
            return self.blocks.reliable
        # Residuals hide that few images carry the loss, which they depend on as well.
        seen = self.sample.blocks.points(slice(1, None)).reshape(self.blocks.count.shape[1:])
        enough = seen.effective_images >= RELIABLE_EFFECTIVE_IMAGES
        return np.isfinite(self.loss_stderr) & (enough | (self.loss_stderr == 0))

    def interval(self, level: float = 0.95) -> tuple[Floats, Floats]:
        """Lower and upper end of the confidence interval of `loss` at each point."""
        if self.sample is None:
            return self.blocks.interval(level)
        half = student_half_width(self.loss_stderr, self.count / _IMAGES_A_FREEDOM, level)
        return self.loss - half, self.loss + half

    @abstractmethod
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to an HDF5 file, atomically."""


def write_measured(path: str | os.PathLike[str], measured: Measured, axes: Mapping[str, np.ndarray]) -> None:
    """Write atomically: goldstein's datasets at the root, blocks and provenance in a group of our own.

    Args:
        path: The `.h5` file.
        measured: What to store.
        axes: Coordinates by goldstein's names (`xcoordinates`, `ycoordinates`).

    Raises:
        OSError: The file cannot be written.
        ValueError: An entry of the provenance is of another type than what the engine writes by that name.
    """
    check_landscape_record(measured.meta)  # what could not be read again is not written
    split, filled = _split(measured.meta), measured.count > 0
    values = {
        **axes,
        f"{split}_loss": np.where(filled, measured.loss, _UNFILLED),
        f"{split}_acc": np.where(filled, 100 * (1 - measured.error), _UNFILLED),
        **{
            f"{_GROUP}/{place}/{name}": getattr(getattr(measured, place), name)
            for place in _PLACES
            for name in BlockStatistics.arrays()
        },
    }
    if measured.sample is not None:
        values |= {
            f"{_GROUP}/{_SAMPLE}/{name}": array
            for name, array in sample_arrays(measured.sample, [*axes.values()][::-1]).items()
        }
    attributes: dict[str, str | int] = {
        "format": _FORMAT,
        "population": int(measured.blocks.population),
        "meta": Provenance.of(measured.meta).to_json(),
    }
    save_hdf5(
        path,
        {name: np.asarray(array) for name, array in values.items()},
        {f"{_GROUP}/{name}": value for name, value in attributes.items()},
    )


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
        coordinates = [_read_axis(file, name) for name in axes]
        grid = tuple(len(axis) for axis in reversed(coordinates))
        own = _GROUP in file or _has_lost_its_name(file)
        return coordinates, _own_fields(file, coordinates) if own else _foreign_fields(file, grid)


def _read_axis(file: Hdf5Group, name: str) -> np.ndarray:
    axis = file.array(name, axes=1).astype(float)
    try:
        return checked_axis(axis, name)
    except ValueError as problem:
        raise file.refusal(name, f"is no axis: {error_line(problem)}") from problem


def _has_lost_its_name(file: Hdf5Group) -> bool:
    """Whether there is a group of ours under another name: without it the file would pass for the original tool's."""
    known = ("xcoordinates", "ycoordinates", "train_loss", "train_acc", "test_loss", "test_acc", _MADE_BY_ORIGINAL)
    others = (name for name in file.names() if name not in known)
    return any(file.is_group(name) and all(place in file.group(name) for place in _PLACES) for name in others)


def _own_fields(file: Hdf5Group, coordinates: Sequence[np.ndarray]) -> dict[str, Any]:
    axes = coordinates[::-1]
    grid = tuple(map(len, axes))
    group = file.group(_GROUP)
    if (stored := group.whole("format")) != _FORMAT:
        raise ValueError(f"{file.path} has format {stored}, this version reads {_FORMAT}")
    population = group.whole("population")
    text = group.text("meta")
    try:
        meta = Provenance.from_json(text)
        check_landscape_record(meta)
    except (TypeError, ValueError) as problem:
        raise group.refusal("meta", f"is no provenance: {error_line(problem)}") from problem
    blocks, origin = (
        read_blocks(group.group(place), shape, population) for place, shape in zip(_PLACES, (grid, ()), strict=True)
    )
    if not file.checked:
        _compare_with_blocks(file, blocks, meta)
    sample = read_sample(group.group(_SAMPLE), axes, population) if _SAMPLE in group else None
    return {"blocks": blocks, "origin": origin, "meta": meta, "sample": sample}


def _compare_with_blocks(file: Hdf5Group, blocks: BlockStatistics, meta: Mapping[str, Any]) -> None:
    """Refuse blocks that have not the loss and accuracy at the root: files of 0.1.0 have no checksums."""
    filled, split = blocks.count > 0, _split(meta)
    scale = np.abs(blocks.mean).max(where=np.isfinite(blocks.mean), initial=0)
    with np.errstate(all="ignore"):
        for name, sums in ((f"{split}_loss", blocks.mean * blocks.count), (f"{split}_acc", 100 * blocks.right)):
            expected = np.where(filled, sums, 0).sum(axis=0) / blocks.images
            stored = file.array(name, shape=expected.shape, kinds="f")
            expected = np.where(blocks.images > 0, expected, _UNFILLED)
            if not np.allclose(stored, expected, rtol=_ROUNDED, atol=_ROUNDED * scale, equal_nan=True):
                raise file.refusal(name, f"is not what `{_GROUP}/blocks` says")


def _foreign_fields(file: Hdf5Group, grid: tuple[int, ...]) -> dict[str, Any]:
    """Values without blocks: one 'image' each, so that no standard error can be claimed."""
    split = "train" if "train_loss" in file else "test"
    if f"{split}_loss" not in file:
        raise ValueError(f"{file.path} holds neither `train_loss` nor `test_loss`")
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


def _foreign_values(file: Hdf5Group, name: str, grid: tuple[int, ...]) -> np.ndarray:
    """Values indexed as the grid, (y, x).

    The original tool makes an array (x, y) and fills it from its beginning in the order of np.meshgrid(x, y), which is
    that of an array (y, x): where the axes have different lengths its two indices mean nothing.
    """
    values = file.array(name).astype(float)
    if values.shape == grid:
        return values
    if values.shape == grid[::-1] and _MADE_BY_ORIGINAL in file:
        return values.reshape(grid)
    raise ValueError(
        f"{file.path} has {name} in the shape {values.shape}, but must have (ycoordinates, xcoordinates) = {grid}"
        + (f", as it lacks the original tool's `{_MADE_BY_ORIGINAL}`" if values.shape == grid[::-1] else "")
    )


def _split(meta: Mapping[str, Any]) -> str:
    """The original tool's word for the images that were evaluated."""
    return "test" if meta.get("split") in ("test", "val") else "train"
