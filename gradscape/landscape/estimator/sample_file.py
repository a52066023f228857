"""Samples in HDF5 files."""

from collections.abc import Sequence

import numpy as np

from gradscape._hdf5 import Hdf5Group
from gradscape.landscape.block_file import read_blocks
from gradscape.landscape.estimator.levels import grid_levels
from gradscape.landscape.estimator.moments import JointMoments
from gradscape.landscape.estimator.sample import Round, Sample, blocks_seen
from gradscape.landscape.statistics import BlockStatistics

__all__ = ["read_sample", "sample_arrays"]

_KINDS = ("loss", "error")


def sample_arrays(sample: Sample, axes: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """What a file keeps of a sample, by name within its group: of each level as many blocks as it saw.

    Args:
        sample: What was measured.
        axes: Coordinates in the order of the grid's axes.
    """
    levels = grid_levels(axes).with_origin()
    arrays = {"rounds": np.array(sample.rounds, dtype=np.int64).reshape(-1, 3)}
    for level, extent in enumerate(blocks_seen(sample.rounds, levels.depth)):
        points = levels.points(level)
        for name in BlockStatistics.arrays():
            arrays[f"{level}/{name}"] = getattr(sample.blocks, name)[:extent, points]
        for kind in _KINDS if level else ():
            joint = getattr(sample, kind)[level - 1]
            arrays |= {f"{level}/{kind}_own": joint.own, f"{level}/{kind}_among": joint.among}
    return arrays


def read_sample(group: Hdf5Group, axes: Sequence[np.ndarray], population: int) -> Sample:
    """What `sample_arrays` gave.

    Args:
        group: Where it lies.
        axes: Coordinates in the order of the grid's axes.
        population: Number of images that those measured were drawn from.

    Raises:
        ValueError: It cannot be: shapes do not fit the grid or each other, or values are none that sums of images have.
    """
    levels = grid_levels(axes).with_origin()
    rounds = _read_rounds(group, levels.depth)
    extents = blocks_seen(rounds, levels.depth)
    whole = BlockStatistics.empty(extents[0], (len(levels.level),), population)
    loss, error = [], []
    for level, extent in enumerate(extents):
        points, own = levels.points(level), group.group(str(level))
        part = read_blocks(own, (len(points),), population)
        if len(part.count) != extent:
            raise own.refusal("count", f"must have {extent} blocks, as `rounds` say, but has {len(part.count)}")
        for name in BlockStatistics.arrays():
            getattr(whole, name)[:extent, points] = getattr(part, name)
        if level:
            shape = (extent, len(points), levels.parents.shape[1])
            loss.append(_read_joints(own, "loss", shape))
            error.append(_read_joints(own, "error", shape))
    return Sample(whole, tuple(loss), tuple(error), rounds)


def _read_rounds(group: Hdf5Group, depth: int) -> tuple[Round, ...]:
    """Rounds that continue what their finest level saw before."""
    stored = group.array("rounds", axes=2, kinds="iu")
    found: list[Round] = []
    for start, stop, levels in stored.tolist() if stored.shape[1] == 3 else [(0, 0, 0)]:
        if not (0 < levels <= depth and start < stop and start == blocks_seen(found, depth)[levels - 1]):
            raise group.refusal("rounds", "must be of levels of the grid, each where the one before has ended")
        found.append((start, stop, levels))
    return tuple(found)


def _read_joints(group: Hdf5Group, kind: str, shape: tuple[int, int, int]) -> JointMoments:
    own = group.array(f"{kind}_own", shape=shape, kinds="f")
    return JointMoments(own, group.array(f"{kind}_among", shape=(*shape, shape[2]), kinds="f"))
