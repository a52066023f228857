"""Sums over blocks of images in HDF5 files."""

import numpy as np

from gradscape._hdf5 import Hdf5Group
from gradscape._names import error_line
from gradscape.landscape.statistics import BlockStatistics

__all__ = ["read_blocks"]

_LARGEST_BLOCK = 2**40  # images, so that sums of them have 64 bits


def read_blocks(group: Hdf5Group, grid: tuple[int, ...], population: int) -> BlockStatistics:
    """Sums over blocks, (blocks, *grid), with values that sums of images can have.

    Args:
        group: Where they lie.
        grid: Shape of the grid.
        population: Number of images that those measured were drawn from.

    Raises:
        ValueError: They cannot be.
    """
    counts = group.array("count", axes=1 + len(grid), kinds="iu")
    shape = (len(counts), *grid)
    if counts.shape != shape:
        raise group.refusal("count", f"must have the shape {shape}, as the axes say, but has {counts.shape}")
    lost = group.array("nonfinite", shape=shape, kinds="iu")
    floats = {name: group.array(name, shape=shape) for name in ("mean", "m2", "right")}
    some_lost = bool(lost.any())
    for name, wrong, said in (
        ("count", counts.min(initial=0) < 0, "must not be negative"),
        ("count", int(counts.max(initial=0)) > min(population, _LARGEST_BLOCK), f"must be of {population} images"),
        ("nonfinite", some_lost and (lost.min() < 0 or (lost > counts).any()), "must be from 0 to `count`"),
        ("mean", some_lost and np.isfinite(floats["mean"][lost > 0]).any(), "must not be finite where losses are not"),
        ("m2", (floats["m2"] < 0).any(), "must not be negative"),
    ):
        if wrong:
            raise group.refusal(name, said)
    try:
        return BlockStatistics(count=counts, nonfinite=lost, **floats, population=population)
    except ValueError as problem:
        raise group.refusal("count", f"cannot be: {error_line(problem)}") from problem
