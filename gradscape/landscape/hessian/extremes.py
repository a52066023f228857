"""Both ends of a symmetric operator's spectrum at once, from a guess where there is one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["Extremes", "find_extremes"]

_FLOOR = 0.05  # of the larger end: an end near 0 is known well enough when its residual is small beside the other
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
        converged: Whether both residuals are within the tolerance.
    """

    values: tuple[float, float]
    vectors: Float[Tensor, "2 dimension"]
    residuals: tuple[float, float]
    products: int
    converged: bool


def find_extremes(
    product: Callable[[Tensor], Tensor], guesses: Float[Tensor, "guesses dimension"], *, tolerance: float, most: int
) -> Extremes:
    """Find both ends by Rayleigh and Ritz in a space that grows by the residual of whichever end is still off.

    From a single guess these are Lanczos' spaces, with full reorthogonalization; from two good ones, such as the
    vectors of a nearby operator, only what has changed is left to find. Values are within the spectrum: the largest is
    never too large, the smallest never too small.

    Args:
        product: H·v.
        guesses: One or more vectors; those that depend on others are left out.
        tolerance: Residual at which an end is done, as a share of its value, or of 5 % of the other where it is less.
        most: Products after which the search ends, whatever is reached.

    Source: Davidson 1975, without a preconditioner; Saad 2011, Numerical Methods for Large Eigenvalue Problems, 8.4.
    """
    space = _Space(product, guesses)
    while True:
        values, vectors, residuals = space.ends()
        lengths = [float(torch.linalg.vector_norm(one)) for one in residuals]
        largest = max(abs(value) for value in values)
        off = [
            length > tolerance * max(abs(value), _FLOOR * largest)
            for length, value in zip(lengths, values, strict=True)
        ]
        room = min(most, guesses.shape[1]) - space.products
        grown = (
            [space.grow(one) for one, is_off in zip(residuals, off, strict=True) if is_off][:room] if room > 0 else []
        )
        if not any(grown):
            return Extremes(
                (values[0], values[1]), torch.stack(vectors), (lengths[0], lengths[1]), space.products, not any(off)
            )


@final
class _Space:
    """Orthonormal vectors and what the operator makes of them."""

    def __init__(self, product: Callable[[Tensor], Tensor], guesses: Tensor) -> None:
        self._product = product
        self._basis = guesses.new_zeros(0, guesses.shape[1])
        self._images = self._basis
        for guess in guesses:
            self.grow(guess)

    @property
    def products(self) -> int:
        """How many times the operator was applied."""
        return len(self._basis)

    def grow(self, vector: Tensor) -> bool:
        """Take in what a vector adds; False where it adds nothing."""
        rest, length = vector, torch.linalg.vector_norm(vector)
        for _ in range(2):  # once would leave a part of rounding
            rest = rest - self._basis.T @ (self._basis @ rest)
        if not torch.linalg.vector_norm(rest) > _NOTHING * length:
            return False
        rest = rest / torch.linalg.vector_norm(rest)
        self._basis = torch.cat([self._basis, rest[None]])
        self._images = torch.cat([self._images, self._product(rest)[None]])
        return True

    def ends(self) -> tuple[list[float], list[Tensor], list[Tensor]]:
        """Largest and smallest Ritz value, their vectors and residuals."""
        matrix = (self._basis @ self._images.T).double()
        values, weights = torch.linalg.eigh((matrix + matrix.T) / 2)
        chosen = [len(values) - 1, 0]
        vectors = [weights[:, one].to(self._basis) @ self._basis for one in chosen]
        images = [weights[:, one].to(self._basis) @ self._images for one in chosen]
        found = [float(values[one]) for one in chosen]
        return found, vectors, [w - value * v for w, value, v in zip(images, found, vectors, strict=True)]
