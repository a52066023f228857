"""The account of a running evaluation: which block was evaluated at which point, and with what result."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from gradscape.landscape.engine.blocks import Batch, Block
from gradscape.landscape.statistics import UNKNOWN_POPULATION, BlockStatistics

__all__ = ["Judgment", "Ledger"]


@dataclass(frozen=True, eq=False)
class Judgment:
    """What a forward pass at one point gave, image by image.

    Attributes:
        losses: (N,), in the loss's own unit.
        right: 1 for a right answer and 0 for a wrong one, (N,); None without a metric.
    """

    losses: Float[np.ndarray, "images"]
    right: Float[np.ndarray, "images"] | None

    def part(self, images: slice) -> "Judgment":
        """Some of the images."""
        return Judgment(self.losses[images], None if self.right is None else self.right[images])


class Ledger:
    """Results by (block, point), growing with the blocks; point 0 is the origin.

    Args:
        points: Number of points, the origin included.
        population: Images that the evaluated ones are drawn from; None if that is all there are.

    Attributes:
        digests: Of the blocks.
        changed: Whether something was entered.
        complete: Whether all images that there are have been seen.
        population: As given.
    """

    def __init__(self, points: int, population: int | None) -> None:
        self.digests: list[str] = []
        self.changed = False
        self.complete = False
        self._sizes: list[int] = []
        self.population = population
        self._empty = BlockStatistics.empty(0, (points,), population or 0)
        self._arrays = {name: getattr(self._empty, name) for name in BlockStatistics.arrays()}

    def restore(self, statistics: BlockStatistics, digests: Sequence[str]) -> None:
        """Take over what an earlier run had evaluated; blocks that it had only begun are begun anew."""
        self._sizes = statistics.count.max(axis=1).tolist()
        while self._sizes and self._sizes[-1] == 0:
            del self._sizes[-1]
        begun = len(self._sizes)
        self._arrays = {name: getattr(statistics, name)[:begun].copy() for name in BlockStatistics.arrays()}
        self.digests = list(digests[:begun])

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
            counted = self._sizes[number]
            if number < known - 1 or block.count <= counted or block.part(0, counted).digest != self.digests[number]:
                raise ValueError(
                    f"`batches` must give the images of the run to be resumed, but block {number} holds others: "
                    "use the same data, limit and seed, or another output"
                )
            self._arrays = {name: array[:number] for name, array in self._arrays.items()}
            del self.digests[number:], self._sizes[number:]
        added = blocks[len(self.digests) - start :]
        rows = BlockStatistics.empty(len(added), self._empty.count.shape[1:], 0)
        self._arrays = {name: np.concatenate([array, getattr(rows, name)]) for name, array in self._arrays.items()}
        self.digests += [block.digest for block in added]
        self._sizes += [block.count for block in added]

    def check_seen(self, blocks: int) -> None:
        """Refuse to end with fewer blocks of images than an earlier run has seen.

        Args:
            blocks: How many there were today.

        Raises:
            ValueError: There were fewer.
        """
        if blocks < len(self.digests):
            raise ValueError(
                f"`batches` give {blocks} blocks of images, but the run to be resumed has {len(self.digests)}: "
                "use at least its limit, or another output"
            )

    def misses(self, batch: Batch, points: Sequence[int], block_size: int) -> bool:
        """Whether some block of a batch was not evaluated at some of the points."""
        stop = batch.first - (-batch.count // block_size)
        return bool((self._arrays["count"][batch.first : stop][:, points] == 0).any())

    def needs(self, batch: Batch, points: Sequence[int], block_size: int) -> bool:
        """Whether a batch is to be evaluated at some of the points."""
        return self.misses(batch, points, block_size)

    def stored_points(self) -> tuple[list[int], list[int]]:
        """Points at which the first block was evaluated, and those of them at which all its losses are finite."""
        if not self._sizes:
            return [], []
        stored = self._arrays["count"][0] > 0
        return np.flatnonzero(stored).tolist(), np.flatnonzero(stored & (self._arrays["nonfinite"][0] == 0)).tolist()

    def mean(self, point: int, batch: Batch, block_size: int) -> float:
        """Mean loss of a batch's images at a point, as entered."""
        blocks = slice(batch.first, batch.first - (-batch.count // block_size))
        return float(np.average(self._arrays["mean"][blocks, point], weights=self._arrays["count"][blocks, point]))

    def deviation(self, point: int, first: int, block_size: int, judged: Judgment) -> float:
        """How far losses are from what was entered for consecutive blocks, `first` the first one, at a point.

        Returns:
            0 where all sums are the same to the bit; else the largest difference of a block's mean as a share of
            that mean or of the deviation of its losses; infinite where more than one image of a block is judged
            otherwise.
        """
        values = _summaries(judged, block_size)
        held = {name: self._arrays[name][first : first + len(value), point] for name, value in values.items()}
        if all(np.array_equal(value, held[name], equal_nan=True) for name, value in values.items()):
            return 0.0
        counted = np.array_equal(values["nonfinite"], held["nonfinite"])
        judged_alike = np.abs(values["right"] - held["right"]) <= 1
        unmeasured = np.isnan(values["right"]) & np.isnan(held["right"])
        if not counted or not (judged_alike | unmeasured).all():
            return np.inf
        with np.errstate(invalid="ignore", divide="ignore"):
            scale = np.hypot(held["mean"], np.sqrt(held["m2"] / held["count"]))
            gaps = np.abs(values["mean"] - held["mean"]) / scale
        finite = held["nonfinite"] == 0
        return float(max(np.max(gaps, where=finite & (scale > 0), initial=0.0), np.finfo(float).tiny))

    def images(self, blocks: int) -> int:
        """How many images the first blocks hold."""
        return sum(self._sizes[:blocks])

    def enter(self, point: int, first: int, block_size: int, judged: Judgment) -> None:
        """Enter the losses of consecutive blocks, `first` the first one, at a point."""
        values = _summaries(judged, block_size)
        for name, value in values.items():
            self._arrays[name][first : first + len(value), point] = value
        self.changed = True

    def estimates(self) -> BlockStatistics:
        """What is known of the means over all images, at the origin and at every point."""
        return self.statistics()

    def statistics(self, blocks: int | None = None) -> BlockStatistics:
        """What was evaluated so far, (blocks, points), of the first `blocks` or all; the arrays are copies."""
        arrays = {name: array[:blocks].copy() for name, array in self._arrays.items()}
        evaluated = int(arrays["count"].sum(axis=0).max(initial=0))
        population = self.population or (0 if self.complete else UNKNOWN_POPULATION)
        return BlockStatistics(**arrays, population=max(population, evaluated))


def _summaries(judged: Judgment, size: int) -> dict[str, np.ndarray]:
    """The sums of each block of `size` images, the last one smaller."""
    whole = len(judged.losses) // size * size
    parts = [part for part in (slice(0, whole), slice(whole, None)) if len(judged.losses[part])]
    pieces = [_equal_blocks(judged.part(part), min(size, len(judged.losses[part]))) for part in parts]
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}


def _equal_blocks(judged: Judgment, size: int) -> dict[str, np.ndarray]:
    losses = judged.losses.reshape(-1, size)
    with np.errstate(invalid="ignore", over="ignore"):
        mean = losses.mean(axis=1)
        squares = np.square(losses - mean[:, None]).sum(axis=1)
    unknown = np.full(len(losses), np.nan)
    return {
        "count": np.full(len(losses), size),
        "mean": mean,
        "m2": squares,
        "right": unknown if judged.right is None else judged.right.reshape(-1, size).sum(axis=1),
        "nonfinite": (~np.isfinite(losses)).sum(axis=1),
    }
