"""What was measured: sums over fixed blocks of images, from which every printed value and its error follow."""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int

if TYPE_CHECKING:
    Floats = np.ndarray
    Ints = np.ndarray
    Bools = np.ndarray
else:  # at a single point, the origin, values are numpy scalars, which know all that arrays do
    Floats = Float[np.ndarray, "*grid"] | np.float64
    Ints = Int[np.ndarray, "*grid"] | np.int64
    Bools = Bool[np.ndarray, "*grid"] | np.bool_

__all__ = [
    "LEAST_BLOCKS",
    "RELIABLE_EFFECTIVE_IMAGES",
    "UNKNOWN_POPULATION",
    "BlockStatistics",
    "paired_difference",
    "student_half_width",
]

# Stands for images of unknown number: so large that no finite-population correction remains.
UNKNOWN_POPULATION = 2**53

LEAST_BLOCKS = 8
"""Blocks of images below which no interval is given: a bootstrap of fewer covers too rarely."""

# Below this many images' worth of loss the normal approximation fails: see `BlockStatistics.reliable`.
RELIABLE_EFFECTIVE_IMAGES = 40


@dataclass(frozen=True, eq=False)
class BlockStatistics:
    """Loss and right answers of every (block of images, grid point).

    A block is a fixed run of images in the data's own order, the same for every point, so differences
    between points are paired. A (block, point) that was not evaluated has `count` 0 and `mean` NaN.

    Attributes:
        count: Images evaluated, (blocks, *grid).
        mean: Mean loss of the block's images, (blocks, *grid), in the loss's own unit.
        m2: Sum of squared deviations from `mean`, (blocks, *grid).
        right: Number of right answers, (blocks, *grid); NaN where there is no metric.
        nonfinite: Images whose loss is NaN or infinite, (blocks, *grid).
        population: Number of images that the evaluated ones were drawn from.
    """

    count: Int[np.ndarray, "blocks *grid"]
    mean: Float[np.ndarray, "blocks *grid"]
    m2: Float[np.ndarray, "blocks *grid"]
    right: Float[np.ndarray, "blocks *grid"]
    nonfinite: Int[np.ndarray, "blocks *grid"]
    population: int

    @classmethod
    def empty(cls, blocks: int, grid: tuple[int, ...], population: int) -> "BlockStatistics":
        """No image evaluated yet anywhere."""
        shape = (blocks, *grid)
        return cls(
            count=np.zeros(shape, np.int64),
            mean=np.full(shape, np.nan),
            m2=np.full(shape, np.nan),
            right=np.full(shape, np.nan),
            nonfinite=np.zeros(shape, np.int64),
            population=population,
        )

    @classmethod
    def arrays(cls) -> tuple[str, ...]:
        """Names of the array fields, in the order in which they are stored."""
        return tuple(field.name for field in fields(cls) if field.name != "population")

    def __post_init__(self) -> None:
        shapes = {getattr(self, name).shape for name in self.arrays()}
        if len(shapes) != 1:
            raise ValueError(f"`BlockStatistics` needs arrays of one shape, got {sorted(shapes)}")
        most = int(self.images.max(initial=0))
        if self.population < most:
            raise ValueError(f"`population` must be at least the {most} images evaluated, got {self.population}")

    @property
    def images(self) -> Ints:
        """Number of images evaluated at each point."""
        return self.count.sum(axis=0)

    @property
    def loss(self) -> Floats:
        """Mean loss over the evaluated images; NaN where there are none, non-finite where one image's loss is."""
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            return _total(np.where(self.count > 0, self.mean * self.count, 0.0)) / self.images

    @property
    def variance(self) -> Floats:
        """Sample variance of the loss over images (n − 1 in the denominator)."""
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            between = self.count * (self.mean - self.loss) ** 2
            squares = _total(np.where(self.count > 0, self.m2 + between, 0.0))
            return squares / (self.images - 1)

    @property
    def stderr(self) -> Floats:
        """Standard error of `loss` as an estimate of the population's mean loss.

        s/√n · √(1 − n/N): with all N images evaluated there is nothing left to estimate and it is 0.

        Source: Cochran, Sampling Techniques (1977), eq. 2.20.
        """
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            finite_population = 1 - self.images / self.population
            sampled = np.sqrt(self.variance / self.images * finite_population)
            complete = (self.images == self.population) & np.isfinite(self.loss)
            return np.where(complete, 0.0, sampled)[()]

    @property
    def error(self) -> Floats:
        """Share of wrong answers, in [0, 1]; NaN without a metric or without images."""
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            return 1 - _total(np.where(self.count > 0, self.right, 0.0)) / self.images

    @property
    def effective_images(self) -> Floats:
        """How many images carry the loss: (Σl)²/Σl², n for equal losses and 1 when one image has it all."""
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            mean_square = self.loss**2 + self.variance * (self.images - 1) / self.images
            return np.where(mean_square > 0, self.images * self.loss**2 / mean_square, self.images)

    @property
    def reliable(self) -> Bools:
        """Where `interval` can be trusted: finite, and the loss is carried by enough images (or all were seen)."""
        enough = self.effective_images >= RELIABLE_EFFECTIVE_IMAGES
        return np.isfinite(self.stderr) & (enough | (self.stderr == 0))

    def interval(self, level: float = 0.95) -> tuple[Floats, Floats]:
        """Two-sided Student interval of the population's mean loss.

        Args:
            level: Wanted coverage in (0, 1).

        Returns:
            Lower and upper ends, in the loss's unit; see `reliable` for where not to trust them.
        """
        half = student_half_width(self.stderr, self.images - 1, level)
        return self.loss - half, self.loss + half

    def reshape(self, grid: tuple[int, ...]) -> "BlockStatistics":
        """The same numbers on another grid shape."""
        return self._map(lambda values: values.reshape(len(values), *grid))

    def points(self, index: int | slice | Int[np.ndarray, " chosen"]) -> "BlockStatistics":
        """A part of a one-dimensional grid."""
        return self._map(lambda values: values[:, index])

    def join(self, other: "BlockStatistics") -> "BlockStatistics":
        """The points of two one-dimensional grids, one after the other."""
        arrays = {name: np.concatenate([getattr(self, name), getattr(other, name)], axis=1) for name in self.arrays()}
        return type(self)(**arrays, population=self.population)

    def only(self, kept: Bools) -> "BlockStatistics":
        """The first blocks, as if nothing else had been evaluated.

        Args:
            kept: Where to keep what there is, (first blocks, *grid).
        """
        nothing = type(self).empty(len(kept), kept.shape[1:], self.population)
        arrays = {
            name: np.where(kept, getattr(self, name)[: len(kept)], getattr(nothing, name)) for name in self.arrays()
        }
        return type(self)(**arrays, population=self.population)

    def _map(self, function) -> "BlockStatistics":  # type: ignore[no-untyped-def]
        return type(self)(**{name: function(getattr(self, name)) for name in self.arrays()}, population=self.population)


def paired_difference(first: BlockStatistics, second: BlockStatistics) -> tuple[Floats, Floats]:
    """Difference of two losses over the same images, and its standard error from the blocks' differences.

    With block weights w_b = n_b/n and differences d_b, the variance of D = Σ w_b d_b is estimated by
    K/(K − 1) Σ w_b² (d_b − D)², finite-population corrected: what both share cancels.

    Source: Cochran, Sampling Techniques (1977), section 9A (clusters of unequal size, ratio to size).
    """
    if not np.array_equal(first.count, second.count):
        raise ValueError("a paired difference needs both surfaces evaluated on the same blocks of images")
    blocks = (first.count > 0).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        weights = first.count / first.images
        deltas = np.where(first.count > 0, first.mean - second.mean, 0.0)
        difference = _total(weights * deltas)
        spread = _total(weights**2 * (deltas - difference) ** 2)
        finite_population = 1 - first.images / first.population
        return difference, np.sqrt(blocks / (blocks - 1) * spread * finite_population)


def _total(values: Float[np.ndarray, "blocks *grid"]) -> Floats:
    # In the order of the blocks on every grid shape, as a plain loop adds: `sum` would pair up along a contiguous axis.
    return np.add.accumulate(values, axis=0)[-1] if len(values) else values.sum(axis=0)


def student_half_width(stderr: Floats | float, freedom: Floats | Ints | float | int, level: float) -> Floats | float:
    """Half of a two-sided Student interval.

    Args:
        stderr: Standard error.
        freedom: Degrees of freedom; less than one counts as one.
        level: Wanted coverage in (0, 1).
    """
    from scipy.special import stdtrit  # a quarter of a second that reading and drawing a file would pay for nothing

    if not 0 < level < 1:
        raise ValueError(f"`level` must lie between 0 and 1, got {level}")
    return stdtrit(np.maximum(freedom, 1), (1 + level) / 2) * stderr
