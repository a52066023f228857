"""A surface's blocks of images as they enter its metrics, and their bootstrap."""

from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
from jaxtyping import Float

from gradscape.landscape.metrics.plane_hessian import center_hessian
from gradscape.landscape.metrics.polar import Polar, polar
from gradscape.landscape.statistics import LEAST_BLOCKS
from gradscape.landscape.surface import Surface

__all__ = ["BlockSample", "Resamples", "block_sample"]


@final
@dataclass(frozen=True, eq=False)
class BlockSample:
    """Losses and errors of the blocks that were evaluated at every point: common images for all points.

    A block's deviation from the mean over blocks is scaled by √((1 − n/N)·K/(K − 1)), so that means over resampled
    blocks vary as the mean of n out of N images does. With all N seen, blocks are alike and nothing is left to vary.

    Attributes:
        alphas: (A,) coordinates.
        betas: (B,) coordinates.
        loss: Loss of each block at each point, (blocks, B, A); NaN at points not evaluated or not finite.
        error: Error of each block at each point in [0, 1], likewise.
        origin_loss: Loss of each block at the trained network, (blocks,).
        origin_error: Error of each block there, (blocks,).
        weights: Share of the images that each block has, (blocks,).
        exact: Whether the values hold for all images that there are.
    """

    alphas: Float[np.ndarray, "alphas"]
    betas: Float[np.ndarray, "betas"]
    loss: Float[np.ndarray, "blocks betas alphas"]
    error: Float[np.ndarray, "blocks betas alphas"]
    origin_loss: Float[np.ndarray, "blocks"]
    origin_error: Float[np.ndarray, "blocks"]
    weights: Float[np.ndarray, "blocks"]
    exact: bool

    @property
    def enough(self) -> bool:
        """Whether the blocks vary and are enough to say by how much."""
        return not self.exact and len(self.weights) >= LEAST_BLOCKS

    @cached_property
    def polar(self) -> Polar | None:
        """Circles around the origin; None where it lies outside the grid."""
        return polar(self.alphas, self.betas)

    def resampled(self, resamples: int, seed: int) -> Float[np.ndarray, "samples blocks"]:
        """Weights of the blocks: in the sample itself first, then in resamples of as many blocks; rows sum to 1.

        Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 6, on blocks of images.
        """
        if not self.enough:
            return self.weights[None]
        # Whole blocks are drawn, since files keep sums over blocks and no single images.
        blocks = len(self.weights)
        drawn = np.random.default_rng(seed).multinomial(blocks, np.full(blocks, 1 / blocks), size=resamples)
        weights = drawn * self.weights  # the last block may hold fewer images, and counts less
        return np.concatenate([self.weights[None], weights / weights.sum(axis=1, keepdims=True)])


@final
class Resamples:
    """Means over the blocks of a sample, and over those of its bootstrap resamples.

    Args:
        sample: The blocks.
        resamples: Number of resamples; none are drawn where the blocks cannot say how much they vary.
        seed: Of the drawing.

    Attributes:
        sample: The blocks.
        weights: (samples, blocks); the first row is the sample itself.
        loss: (samples, B, A).
        origin_loss: (samples,).
    """

    def __init__(self, sample: BlockSample, resamples: int, seed: int) -> None:
        self.sample = sample
        self.weights = sample.resampled(resamples, seed)
        self.loss = self.mean(sample.loss)
        self.origin_loss = self.mean(sample.origin_loss)

    @cached_property
    def hessians(self) -> Float[np.ndarray, "samples three"]:
        """Of the loss at the origin."""
        return center_hessian(self.loss, self.origin_loss, self.sample.alphas, self.sample.betas)

    def mean(self, values: Float[np.ndarray, "blocks *grid"]) -> Float[np.ndarray, "samples *grid"]:
        """Mean over blocks in each sample."""
        return np.tensordot(self.weights, values, axes=1)

    def noise(self, values: Float[np.ndarray, "blocks *grid"]) -> Float[np.ndarray, "samples *grid"]:
        """Standard error of that mean by the blocks' own spread, which holds whatever the points have in common.

        0 where nothing is left to sampling, or too few blocks would have to tell.
        """
        if not self.sample.enough:
            return np.zeros((len(self.weights), *values.shape[1:]))
        # Centered first: losses far from 0 would lose their variance in the difference of two large squares.
        centered = values - values.mean(axis=0)
        variance = self.mean(centered**2) - self.mean(centered) ** 2
        # No K/(K − 1) here: deviations came scaled by its root.
        return np.sqrt(np.maximum(variance, 0.0) / len(values))


def block_sample(surface: Surface) -> BlockSample:
    """Take from a surface the blocks that were evaluated at all of its evaluated points.

    Where the file knows no origin (one of the original tool), the grid's own point at (0, 0) stands for it.

    Raises:
        ValueError: No point was evaluated, or the points share no block of images.
    """
    blocks, origin = surface.blocks, surface.origin
    evaluated = surface.count > 0
    # On common images the points' noise is common too, and cancels where a metric compares them. A block that some
    # points lack would bring its difficulty into some of them only, as a roughness that is not there.
    shared = (blocks.count[:, evaluated] > 0).all(axis=1)
    if not evaluated.any() or not shared.any():
        raise ValueError("`surface` must have points evaluated on common images, got none: let its evaluation go on")
    counts = blocks.count[shared][:, evaluated].max(axis=1).astype(float)
    weights = counts / counts.sum()
    loss, error = blocks.mean[shared], _errors(blocks.right[shared], blocks.count[shared])
    if origin.count.any():
        origins = origin.mean[shared], _errors(origin.right[shared], origin.count[shared])
    else:
        origins = _at_origin(surface, loss), _at_origin(surface, error)
    left = max(0.0, 1 - float(counts.sum()) / blocks.population)
    scale = float(np.sqrt(left * len(weights) / max(1, len(weights) - 1)))
    return BlockSample(
        alphas=surface.alphas,
        betas=surface.betas,
        loss=_scaled(loss, weights, scale),
        error=_scaled(error, weights, scale),
        origin_loss=_scaled(origins[0], weights, scale),
        origin_error=_scaled(origins[1], weights, scale),
        weights=weights,
        exact=left == 0,
    )


def _errors(right: np.ndarray, count: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(count > 0, 1 - right / count, np.nan)


def _at_origin(surface: Surface, values: np.ndarray) -> np.ndarray:
    rows, columns = np.flatnonzero(surface.betas == 0), np.flatnonzero(surface.alphas == 0)
    return values[:, rows[0], columns[0]] if len(rows) and len(columns) else np.full(len(values), np.nan)


def _scaled(values: np.ndarray, weights: np.ndarray, scale: float) -> np.ndarray:
    """Blocks with scaled deviations from their mean; NaN at points where one of them is not finite."""
    # A point that is not finite on some images is left out altogether: on the others it would look like any point.
    finite = np.isfinite(values).all(axis=0)
    clean = np.where(finite, values, 0.0)
    mean = np.tensordot(weights, clean, axes=1)
    return np.where(finite, mean + scale * (clean - mean), np.nan)
