"""Surfaces of known truth, seen through images whose losses have heavy tails."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gradscape.landscape import Surface
from gradscape.landscape.estimator import grid_levels
from gradscape.landscape.statistics import BlockStatistics
from tests.landscape.estimator.simulated import estimated_surface, measured

BLOCK_IMAGES = 32
ALPHAS = np.linspace(-1.0, 1.0, 19)
BETAS = np.linspace(-0.8, 0.8, 15)

_WAVES = ((9, 2, 0.3), (3, 11, 1.0), (7, -7, 2.0), (12, 5, 0.5), (-5, 9, 1.7))


@dataclass(frozen=True)
class Noise:
    """How losses differ from image to image; every image has one draw of each for all points.

    Attributes:
        factor: σ of a lognormal factor with mean 1.
        offset: Scale of an offset, Student with 3 degrees of freedom.
        tilt: Scale of a slope along either axis, Student with 4.
        bend: Scale of each second derivative, Student with 4.
        wave: Scale of each of five waves over the plane, Student with 4.
        jitter: Scale of what differs from point to point too, Student with 3.
    """

    factor: float = 0.0
    offset: float = 0.0
    tilt: float = 0.0
    bend: float = 0.0
    wave: float = 0.0
    jitter: float = 0.0


NOISES = {
    "lognormal": Noise(factor=1.0, tilt=0.3, bend=1.0),
    "student": Noise(factor=0.5, offset=0.5, tilt=0.5, bend=0.5, wave=0.05),
    "jitter": Noise(factor=0.5, offset=0.3, tilt=0.3, bend=0.3, wave=0.03, jitter=0.02),
    "loud": Noise(factor=0.5, offset=0.3, tilt=0.3, bend=0.3, wave=0.03, jitter=0.3),
}


def bowl(alphas: np.ndarray, betas: np.ndarray) -> np.ndarray:
    """A quadratic with the curvatures 6 and 2, lowest (0.5) at the origin."""
    return np.asarray(0.5 + 3 * alphas**2 + betas**2)


def egg_box(alphas: np.ndarray, betas: np.ndarray) -> np.ndarray:
    """A quadratic with waves on it, without symmetry, that is not convex everywhere."""
    waves = np.cos(6 * alphas + 0.3) * np.cos(5 * betas - 0.4)
    return np.asarray(1.5 + 2 * alphas**2 + 1.5 * betas**2 - 0.25 * waves)


def fine_egg_box(alphas: np.ndarray, betas: np.ndarray) -> np.ndarray:
    """The same with waves of about three steps of the grid: points that many images see lie farther apart."""
    waves = np.cos(20 * alphas + 0.3) * np.cos(17 * betas - 0.4)
    return np.asarray(1.5 + 2 * alphas**2 + 1.5 * betas**2 - 0.25 * waves)


TRUTHS = {"bowl": bowl, "egg box": egg_box, "fine egg box": fine_egg_box}


def true_surface(name: str) -> Surface:
    """The surface that all images together have."""
    loss, origin = _truth(name)
    return _surface(loss[None], _error(loss)[None], origin[None], _error(origin)[None], population=BLOCK_IMAGES)


def drawn_surface(name: str, noise: Noise, *, blocks: int, seed: int) -> Surface:
    """What so many blocks of 32 images, drawn from endlessly many, show of it."""
    return _surface(*_drawn(name, noise, (blocks, BLOCK_IMAGES), seed), population=2**53)


@dataclass(frozen=True)
class Population:
    """All images that there are.

    Attributes:
        losses: (images, betas, alphas).
        errors: 1 where an answer is wrong, likewise.
        origin_losses: (images,).
        origin_errors: (images,).
    """

    losses: np.ndarray
    errors: np.ndarray
    origin_losses: np.ndarray
    origin_errors: np.ndarray

    @classmethod
    def draw(cls, name: str, noise: Noise, *, images: int, seed: int) -> "Population":
        """So many images of endlessly many."""
        return cls(*_drawn(name, noise, (images, 1), seed))

    def surface(self) -> Surface:
        """The surface that all images together have."""
        arrays = (self.losses, self.errors, self.origin_losses, self.origin_errors)
        return _surface(*(array.mean(axis=0, keepdims=True) for array in arrays), population=BLOCK_IMAGES)

    def estimated(self, images: Sequence[int], *, block: int, seed: int) -> Surface:
        """What the regression estimator sees of it.

        Args:
            images: That each level sees, coarse to fine.
            block: Images in a block.
            seed: Of their order.
        """
        order = np.random.default_rng(seed).permutation(len(self.losses))[: max(images)]
        losses, errors = (array[order].reshape(len(order), -1).T for array in (self.losses, self.errors))
        center = self.origin_losses[order], self.origin_errors[order]
        levels, number = grid_levels([BETAS, ALPHAS]), len(self.losses)
        sample = measured(losses, levels, images, number, block=block, wrong=errors, origin=center)
        return estimated_surface(sample, ALPHAS, BETAS)


def _drawn(name: str, noise: Noise, images: tuple[int, int], seed: int) -> tuple[np.ndarray, ...]:
    """Mean loss and error of each block, with so many images in each: over the grid, (blocks, B, A), and at the origin.

    Args:
        name: Of the truth.
        noise: How images differ.
        images: Number of blocks, and of images in each.
        seed: Of all.
    """
    generator = np.random.default_rng(seed)
    loss, origin = _truth(name)
    alphas, betas = np.meshgrid(ALPHAS, BETAS)
    blocks = images[0]

    def student(freedom: float, scale: float, *shape: int) -> np.ndarray:
        drawn = generator.standard_t(freedom, (*images, *shape)).mean(axis=1) if scale else np.zeros((blocks, *shape))
        return scale * drawn

    factor = generator.lognormal(-(noise.factor**2) / 2, noise.factor, images).mean(axis=1)
    offset, tilt, bend = student(3, noise.offset), student(4, noise.tilt, 2), student(4, noise.bend, 3)
    wave = student(4, noise.wave, len(_WAVES))
    waves = [np.sin(across * alphas + down * betas + phase) for across, down, phase in _WAVES]
    losses = np.multiply.outer(factor, loss) + offset[:, None, None]
    losses += np.einsum("kt,trc->krc", tilt, np.stack([alphas, betas]))
    losses += np.einsum("kt,trc->krc", bend, np.stack([alphas**2 / 2, alphas * betas, betas**2 / 2]))
    losses += np.einsum("kt,trc->krc", wave, np.stack(waves)) + student(3, noise.jitter, *loss.shape)
    origins = factor * origin + offset + wave @ np.sin([phase for *_, phase in _WAVES]) + student(3, noise.jitter)
    # An image is wrong where the error exceeds its own threshold: common to all points.
    thresholds = generator.random(images)
    errors = (thresholds[..., None, None] < _error(loss)).mean(axis=1)
    return losses, errors, origins, (thresholds < _error(origin)).mean(axis=1)


def _truth(name: str) -> tuple[np.ndarray, np.ndarray]:
    function = TRUTHS[name]
    return function(*np.meshgrid(ALPHAS, BETAS)), function(np.zeros(()), np.zeros(()))


def _error(loss: np.ndarray) -> np.ndarray:
    return np.asarray(1 - np.exp(-0.3 * loss))


def _surface(
    loss: np.ndarray, error: np.ndarray, origin: np.ndarray, origin_error: np.ndarray, *, population: int
) -> Surface:
    blocks, center = (
        BlockStatistics(
            count=np.full(mean.shape, BLOCK_IMAGES),
            mean=mean,
            m2=np.full(mean.shape, float(BLOCK_IMAGES)),
            right=(1 - wrong) * BLOCK_IMAGES,
            nonfinite=np.zeros(mean.shape, dtype=int),
            population=population,
        )
        for mean, wrong in ((loss, error), (origin, origin_error))
    )
    return Surface(alphas=ALPHAS, betas=BETAS, blocks=blocks, origin=center, meta={})
