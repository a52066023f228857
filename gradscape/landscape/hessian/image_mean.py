"""The mean over images of a number that each image has, with what it says of all images these were drawn from."""

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float

from gradscape.landscape.statistics import RELIABLE_EFFECTIVE_IMAGES, student_half_width

__all__ = ["ImageMean", "count_effective"]


@final
@dataclass(frozen=True, eq=False)
class ImageMean:
    """A mean over images, as an estimate of that over the images that these were drawn from.

    Attributes:
        images: What each image has, (images,), such as the trace of the Hessian of its loss.
        population: How many images these were drawn from.
    """

    images: Float[np.ndarray, " images"]
    population: int

    def __post_init__(self) -> None:
        if self.population < len(self.images):
            raise ValueError(f"`population` must be at least the {len(self.images)} images, got {self.population}")

    @property
    def value(self) -> float:
        """The mean."""
        return float(self.images.mean())

    @property
    def stderr(self) -> float:
        """Its standard error, s/√n · √(1 − n/N): 0 where all images were seen, NaN of one of several.

        Source: Cochran, Sampling Techniques (1977), eq. 2.20.
        """
        count = len(self.images)
        if count == self.population:
            return 0.0
        if count == 1:
            return float("nan")
        return float(self.images.std(ddof=1) / np.sqrt(count) * np.sqrt(1 - count / self.population))

    @property
    def effective_images(self) -> float:
        """How many images carry it: (Σ|x|)²/Σx², n where all have as much, 1 where one has it all."""
        return count_effective(self.images)

    @property
    def reliable(self) -> bool:
        """Whether `interval` can be trusted: enough images carry the mean, or all were seen."""
        return bool(
            np.isfinite(self.stderr) and (self.stderr == 0 or self.effective_images >= RELIABLE_EFFECTIVE_IMAGES)
        )

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Two-sided Student interval of the mean over all images; see `reliable` for where not to trust it."""
        half = float(student_half_width(self.stderr, len(self.images) - 1, level))
        return self.value - half, self.value + half


def count_effective(images: Float[np.ndarray, "*batch images"]) -> float:
    """How many images carry a sum of numbers of either sign: (Σ|x|)²/Σx².

    Args:
        images: What each has; of several rows the least is told.
    """
    sizes = np.abs(images)
    squares = (sizes**2).sum(axis=-1)
    effective = np.where(squares > 0, sizes.sum(axis=-1) ** 2 / np.where(squares > 0, squares, 1), images.shape[-1])
    return float(effective.min())
