"""Both ends of a symmetric operator's spectrum at once, from a guess where there is one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["LEAST_COLD", "LEAST_WARM", "Extremes", "find_extremes"]

LEAST_COLD = 10
"""Products without which nothing is believed that began by chance: a random vector of a large network has hardly any
curvature, and so a small residual, long before the lower end comes into sight."""

LEAST_WARM = 5
"""The same of what began by the vectors of a neighbor."""

_FLOOR = 0.01  # of the larger end: below that share an end is known well enough by an error as small beside the other
_NOTHING = 1e-5  # of a vector that is left of it beside the others


@final
@dataclass(frozen=True, eq=False)
class Extremes:
    """The largest and the smallest eigenvalue, with signs.

    Attributes:
        values: (largest, smallest).
        vectors: Of length 1, (2, dimension).
        residuals: |H·v − value·v| of each: some eigenvalue is at most as far away.
        products: How many times the operator was applied.
        converged: Whether both are within the tolerance, as far as can be told.
    """

    values: tuple[float, float]
    vectors: Float[Tensor, "2 dimension"]
    residuals: tuple[float, float]
    products: int
    converged: bool


def find_extremes(
    product: Callable[[Tensor], Tensor],
    start: Float[Tensor, " dimension"],
    *,
    tolerance: float,
    least: int = LEAST_COLD,
    most: int = 100,
) -> Extremes:
    """Find both ends by Lanczos, with full reorthogonalization.

    The better the start, the fewer products: from the sum of the two vectors of a nearby operator both ends are there
    at once, and what has changed is left to find. Values lie within the spectrum: the largest is never too large, and
    the smallest never too small.

    Args:
        product: H·v.
        start: Any vector that is not 0.
        tolerance: Error at which an end is done, as a share of its value, or of 1 % of the other where it is less. The
            error is the residual r, or r²/gap to the next Ritz value where that is less.
        least: Products that are made whatever residuals say.
        most: Products after which the search ends, whatever is reached.

    Source: Lanczos 1950; Parlett 1998, The Symmetric Eigenvalue Problem, theorem 11.7.1 (errors).
    """
    space = _Space(product, start)
    while True:
        values, vectors, residuals, errors = space.ends()
        largest = max(map(abs, values))
        close = [
            error <= tolerance * max(abs(value), _FLOOR * largest) for error, value in zip(errors, values, strict=True)
        ]
        done = all(close) and space.products >= least
        if done or space.products >= most or not space.grow():
            lengths = [float(torch.linalg.vector_norm(one)) for one in residuals]
            return Extremes(
                values=(values[0], values[1]),
                vectors=torch.stack(vectors),
                residuals=(lengths[0], lengths[1]),
                products=space.products,
                converged=all(close),
            )


@final
class _Space:
    """Orthonormal vectors and what the operator makes of them."""

    def __init__(self, product: Callable[[Tensor], Tensor], start: Tensor) -> None:
        self._product = product
        self._basis = start.new_zeros(0, len(start))
        self._images = self._basis
        self._take(start / torch.linalg.vector_norm(start))

    @property
    def products(self) -> int:
        """How many times the operator was applied."""
        return len(self._basis)

    def grow(self) -> bool:
        """Take in what the operator made of the last vector; False where that is nothing new."""
        rest = self._images[-1]
        length = torch.linalg.vector_norm(rest)
        for _ in range(2):  # once would leave a part of rounding
            rest = rest - self._basis.T @ (self._basis @ rest)
        left = torch.linalg.vector_norm(rest)
        if self.products == self._basis.shape[1] or not left > _NOTHING * length:
            return False
        self._take(rest / left)
        return True

    def ends(self) -> tuple[list[float], list[Tensor], list[Tensor], list[float]]:
        """Largest and smallest Ritz value, their vectors, residuals and errors."""
        matrix = (self._basis @ self._images.T).double()
        values, weights = torch.linalg.eigh((matrix + matrix.T) / 2)
        last = len(values) - 1
        found, vectors, residuals, errors = [], [], [], []
        for one, neighbor in ((last, max(last - 1, 0)), (0, min(1, last))):
            mixture = weights[:, one].to(self._basis)
            found.append(float(values[one]))
            vectors.append(mixture @ self._basis)
            residuals.append(mixture @ self._images - found[-1] * vectors[-1])
            length, gap = float(torch.linalg.vector_norm(residuals[-1])), abs(float(values[one] - values[neighbor]))
            errors.append(min(length, length**2 / gap) if gap else length)
        return found, vectors, residuals, errors

    def _take(self, vector: Tensor) -> None:
        self._basis = torch.cat([self._basis, vector[None]])
        self._images = torch.cat([self._images, self._product(vector)[None]])
