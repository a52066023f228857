"""Samples in HDF5 files."""

from collections.abc import Sequence

import numpy as np

from gradscape._hdf5 import Hdf5Group
from gradscape._names import error_line
from gradscape.landscape.estimator.levels import grid_levels
from gradscape.landscape.estimator.moments import JointMoments
from gradscape.landscape.estimator.sample import Sample
from gradscape.landscape.statistics import BlockStatistics

__all__ = ["read_sample", "sample_arrays"]

_KINDS = ("loss", "error")


def sample_arrays(sample: Sample) -> dict[str, np.ndarray]:
    """What a file keeps of a sample, by name within its group."""
    arrays = {name: getattr(sample.blocks, name) for name in BlockStatistics.arrays()}
    for kind in _KINDS:
        for number, joint in enumerate(getattr(sample, kind)):
            arrays |= {f"{kind}_{number}_own": joint.own, f"{kind}_{number}_among": joint.among}
    return {**arrays, "rounds": np.array(sample.rounds, dtype=np.int64).reshape(-1, 3)}


def read_sample(group: Hdf5Group, axes: Sequence[np.ndarray], population: int) -> Sample:
    """What `sample_arrays` gave.

    Args:
        group: Where it lies.
        axes: Coordinates in the order of the grid's axes.
        population: Number of images that those measured were drawn from.

    Raises:
        ValueError: It cannot be: shapes do not fit the grid or each other, or counts are none.
    """
    levels = grid_levels(axes)
    points, corners = levels.parents.shape
    count = group.array("count", axes=2, kinds="iu")
    shape = (len(count), 1 + points)
    if count.shape != shape or count.min(initial=0) < 0 or count.max(initial=0) > population:
        raise group.refusal("count", f"must have the shape {shape}, and be from 0 to {population}")
    stored = group.array("rounds", axes=2, kinds="iu")
    rounds = stored.tolist() if stored.shape[1] == 3 else [(0, 0, 0)]
    begins = [0, *(stop for _, stop, _ in rounds)]
    if any(
        not (start == begin < stop and 0 < depth <= levels.depth)
        for begin, (start, stop, depth) in zip(begins, rounds, strict=False)
    ):
        raise group.refusal("rounds", "must follow each other, and be of levels of the grid")
    extents = [max((stop for _, stop, depth in rounds if depth > level), default=0) for level in range(levels.depth)]
    loss, error = (
        tuple(
            JointMoments(
                group.array(f"{kind}_{level}_own", shape=(extent, len(levels.points(level)), corners), kinds="f"),
                group.array(
                    f"{kind}_{level}_among", shape=(extent, len(levels.points(level)), corners, corners), kinds="f"
                ),
            )
            for level, extent in enumerate(extents)
        )
        for kind in _KINDS
    )
    arrays = {name: group.array(name, shape=shape, kinds="f") for name in ("mean", "m2", "right")}
    try:
        lost = group.array("nonfinite", shape=shape, kinds="iu")
        blocks = BlockStatistics(count=count, nonfinite=lost, **arrays, population=population)
    except ValueError as problem:
        raise group.refusal("count", f"cannot be: {error_line(problem)}") from problem
    return Sample(blocks, loss, error, tuple((start, stop, depth) for start, stop, depth in rounds))
