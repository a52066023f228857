"""The account of a running evaluation: which block was evaluated at which point, and with what result."""

from collections.abc import Sequence

import numpy as np
import torch

from gradscape.landscape.blocks import BlockStatistics
from gradscape.landscape.images import Block


class Ledger:
    """Results by (block, point), growing with the blocks; point 0 is the origin.

    Args:
        points: Number of points, the origin included.
        population: Images that the evaluated ones are drawn from; None if that is all there will be.
    """

    def __init__(self, points: int, population: int | None) -> None:
        self.digests: list[str] = []
        self.changed = False
        self._counts: list[int] = []
        self._population = population
        self._empty = BlockStatistics.empty(0, (points,), population or 0)
        self._arrays = {name: getattr(self._empty, name) for name in BlockStatistics.arrays()}

    def restore(self, statistics: BlockStatistics, digests: Sequence[str]) -> None:
        """Take over what an earlier run had evaluated."""
        self._arrays = {name: getattr(statistics, name).copy() for name in BlockStatistics.arrays()}
        self.digests = list(digests)
        self._counts = statistics.count.max(axis=1).tolist()

    def open(self, start: int, blocks: Sequence[Block]) -> None:
        """Make room for blocks numbered from `start`, or check that they are the ones evaluated before.

        A last block that was not full may have grown; it is then evaluated anew.

        Raises:
            ValueError: The images are not those of the earlier run.
        """
        known = len(self.digests)
        for number, block in enumerate(blocks[: max(0, known - start)], start):
            if self.digests[number] == block.digest:
                continue
            counted = self._counts[number]
            if number < known - 1 or block.count <= counted or block.part(0, counted).digest != self.digests[number]:
                raise ValueError(
                    f"`batches` must give the images of the run to be resumed, but block {number} holds others: "
                    "use the same data, limit and seed, or another output"
                )
            self._arrays = {name: array[:number] for name, array in self._arrays.items()}
            del self.digests[number:]
        added = blocks[len(self.digests) - start :]
        rows = BlockStatistics.empty(len(added), self._empty.count.shape[1:], 0)
        self._arrays = {name: np.concatenate([array, getattr(rows, name)]) for name, array in self._arrays.items()}
        self.digests += [block.digest for block in added]

    def missing(self, start: int, stop: int, point: int) -> list[int]:
        """Numbers of the blocks in a range that were not evaluated at a point."""
        return (start + np.flatnonzero(self._arrays["count"][start:stop, point] == 0)).tolist()

    def enter(self, number: int, point: int, count: int, measured: torch.Tensor) -> None:
        """Enter what `measure_block` found."""
        mean, squares, right, nonfinite = measured.tolist()
        values = {"count": count, "mean": mean, "m2": squares, "right": right, "nonfinite": nonfinite}
        for name, value in values.items():
            self._arrays[name][number, point] = value
        self.changed = True

    def statistics(self) -> BlockStatistics:
        """All that was evaluated so far, (blocks, points); the arrays are copies."""
        arrays = {name: array.copy() for name, array in self._arrays.items()}
        evaluated = int(arrays["count"].sum(axis=0).max(initial=0))
        return BlockStatistics(**arrays, population=max(self._population or 0, evaluated))
