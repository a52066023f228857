"""Curvature along vectors that were found on one half of the images and read on the other."""

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Bool, Float

from gradscape.landscape.hessian.image_mean import count_effective
from gradscape.landscape.statistics import RELIABLE_EFFECTIVE_IMAGES, student_half_width

__all__ = ["HeldOutCurvature", "draw_halves"]


@final
@dataclass(frozen=True, eq=False)
class HeldOutCurvature:
    """Curvature vᵀHv along eigenvectors of the Hessian of one half of the images, read on the other; and the reverse.

    An eigenvector found on some images fits these: curvature along it is less on others, and λ itself overstates what
    holds for all images. On the images that took no part in finding it, vᵀHv has no such bias.

    Attributes:
        second: Whether each image is in the second half, (images,).
        found: Eigenvalues on the half that they were found on, (2, values).
        forms: vᵀH_iv of the images of the other half, (2, values, images); NaN of those that v was found on.
        population: How many images all these were drawn from.
    """

    second: Bool[np.ndarray, " images"]
    found: Float[np.ndarray, "2 values"]
    forms: Float[np.ndarray, "2 values images"]
    population: int

    @property
    def read(self) -> Float[np.ndarray, "2 values"]:
        """Mean of vᵀH_iv over the images that took no part in finding v."""
        return np.nanmean(self.forms, axis=2)

    @property
    def values(self) -> Float[np.ndarray, " values"]:
        """vᵀHv over all images of the population, (values,): the mean over v of both halves.

        Images that v was found on are known, and count as the part of all images that they are; the others stand for
        the rest: w·found + (1 − w)·read with w = n/N.
        """
        weights = self._weights[:, None]
        return (weights * self.found + (1 - weights) * self.read).mean(axis=0)

    @property
    def stderr(self) -> Float[np.ndarray, " values"]:
        """Standard error of `values` over draws of images, finite-population corrected.

        The readings of both halves share no image, but v of one half was found on the images that the other is read
        on: what connects them is left out here, and measured to be small (docs/science.md).

        Source: Cochran, Sampling Techniques (1977), section 5.3 (strata, one of them seen whole).
        """
        counts = np.array([(~self.second).sum(), self.second.sum()])
        others = counts[::-1]
        rest = self.population - counts
        with np.errstate(divide="ignore", invalid="ignore"):
            squares = np.nansum((self.forms - self.read[..., None]) ** 2, axis=2)
            deviations = np.sqrt(squares / (others - 1)[:, None])
            left = np.sqrt(np.maximum(1 - others / rest, 0))
            factors = (1 - self._weights) * left / np.sqrt(others)
            each = np.where(factors[:, None] == 0, 0, factors[:, None] * deviations)
        return np.sqrt((each**2).sum(axis=0)) / 2

    @property
    def effective_images(self) -> Float[np.ndarray, " values"]:
        """How many images carry the readings of both halves: the sum of their effective images, (values,)."""
        parts = ((0, self.second), (1, ~self.second))
        columns = range(self.found.shape[1])
        return np.array([sum(count_effective(self.forms[half, k, read]) for half, read in parts) for k in columns])

    @property
    def reliable(self) -> Bool[np.ndarray, " values"]:
        """Where `interval` can be trusted: enough images carry the reading, or nothing is left to estimate."""
        enough = self.effective_images >= RELIABLE_EFFECTIVE_IMAGES
        return np.isfinite(self.stderr) & (enough | (self.stderr == 0))

    def interval(self, level: float = 0.95) -> tuple[Float[np.ndarray, " values"], Float[np.ndarray, " values"]]:
        """Two-sided Student interval of `values`; none of λ itself, which the choice of v makes too large.

        Args:
            level: Wanted coverage in (0, 1).
        """
        half = student_half_width(self.stderr, len(self.second) - 2, level)
        return self.values - half, self.values + half

    @property
    def _weights(self) -> Float[np.ndarray, "2"]:
        return np.array([(~self.second).sum(), self.second.sum()]) / self.population


def draw_halves(images: int, seed: int) -> Bool[np.ndarray, " images"]:
    """Which images are in the second half: drawn, since data may be in the order of their classes."""
    second = np.zeros(images, bool)
    second[np.random.default_rng([seed, images]).permutation(images)[: images // 2]] = True
    return second
