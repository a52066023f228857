"""Lanczos' iteration with full reorthogonalization, in steps that can be stored and gone on with."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["Lanczos", "Ritz", "Step", "StepStore"]

_BREAKDOWN = 0.75  # power of rounding, times the matrix's size: that of products is left of the next vector, no more


@final
@dataclass(frozen=True, eq=False)
class Step:
    """What a step found.

    Attributes:
        diagonal: α_j, of the tridiagonal matrix.
        next_norm: β_j, length of what is left; 0 where the space is invariant.
        following: The next vector of the basis, (dimension,).
    """

    diagonal: float
    next_norm: float
    following: Float[Tensor, " dimension"]


class StepStore(ABC):
    """Where steps are kept."""

    @abstractmethod
    def load(self, index: int) -> Step | None:
        """The step of this number, from 0, if it was kept."""

    @abstractmethod
    def save(self, index: int, step: Step) -> None:
        """Keep a step."""


@final
@dataclass(frozen=True, eq=False)
class Ritz:
    """Approximations of eigenvalues by a Krylov space.

    Attributes:
        values: Rising, (steps,).
        residuals: ‖Hx − θx‖ of each, (steps,): an eigenvalue lies as near as this.
        coefficients: Of each vector in the basis, (steps, steps), a column for each.
    """

    values: Float[np.ndarray, " steps"]
    residuals: Float[np.ndarray, " steps"]
    coefficients: Float[np.ndarray, "steps steps"]

    @property
    def errors(self) -> Float[np.ndarray, " steps"]:
        """Bounds of |λ − θ|: the residual r, or r²/gap to the nearest other value where that is less.

        The second takes the gaps of the approximations for those of the matrix: an estimate, which is what residuals
        of unconverged neighbors make of it.

        Source: Parlett, The Symmetric Eigenvalue Problem (1998), theorem 11.7.1.
        """
        if len(self.values) < 2:
            return self.residuals
        distances = np.diff(self.values)
        gaps = np.minimum(np.append(distances, np.inf), np.insert(distances, 0, np.inf))
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.fmin(self.residuals, self.residuals**2 / gaps)


@final
class Lanczos:
    """An orthonormal basis of the Krylov space of a symmetric matrix, and the matrix in it.

    Every new vector is orthogonalized twice against all before it, so that no eigenvalue comes out more often than the
    matrix has it. Where the space is invariant, a random vector goes on: multiple eigenvalues are found as often.
    SciPy's `eigsh` restarts, which costs products, shows no step, and cannot be gone on with later.

    Args:
        multiply: v -> Hv, both (dimension,).
        dimension: Of the matrix.
        seed: Of the first vector.
        dtype: Of the vectors.
        store: Keeps the steps; those that it has are not done again.

    Source: Lanczos 1950; Parlett and Scott 1979; "twice is enough": Parlett 1998, section 6.9.
    """

    def __init__(
        self,
        multiply: Callable[[Tensor], Tensor],
        dimension: int,
        *,
        seed: int,
        dtype: torch.dtype = torch.float64,
        store: StepStore | None = None,
    ) -> None:
        self._multiply, self._dimension, self._seed, self._store = multiply, dimension, seed, store
        self._basis = [self._random(0, dtype)]
        self._diagonal: list[float] = []
        self._norms: list[float] = []

    @property
    def steps(self) -> int:
        """How many products were taken."""
        return len(self._diagonal)

    @property
    def is_complete(self) -> bool:
        """Whether the basis spans everything."""
        return self.steps >= self._dimension

    def step(self) -> None:
        """Take one more product."""
        index = self.steps
        found = self._store.load(index) if self._store else None
        if found is None:
            found = self._computed(index)
            if self._store:
                self._store.save(index, found)
        self._diagonal.append(found.diagonal)
        self._norms.append(found.next_norm)
        self._basis.append(found.following)

    def ritz(self) -> Ritz:
        """Eigenvalues of the matrix in the basis, with their residuals."""
        return self._ritz(0)

    def last_space(self) -> Ritz | None:
        """The same in the invariant space that was begun last; None where there is only one, which is not done.

        Each space begins by a random vector, beside those that were done. So its ends are those of all that was not
        in these, and an eigenvalue that is there twice is found twice only when it is in two of them.
        """
        ends = [index for index, norm in enumerate(self._norms) if norm == 0]
        if not ends:
            return None
        before = [index + 1 for index in ends if index + 1 < self.steps]
        return self._ritz(before[-1] if before else 0)

    def _ritz(self, start: int) -> Ritz:
        from scipy.linalg import eigh_tridiagonal

        values, coefficients = eigh_tridiagonal(np.array(self._diagonal[start:]), np.array(self._norms[start:-1]))
        residuals = np.abs(self._norms[-1] * coefficients[-1]) * (not self.is_complete)
        return Ritz(values, residuals, coefficients)

    def vector(self, coefficients: Float[np.ndarray, " steps"]) -> Float[Tensor, " dimension"]:
        """A vector from its coefficients: of unit length, its largest entry positive."""
        total = torch.zeros(self._dimension, dtype=torch.float64)
        for coefficient, one in zip(coefficients, self._basis, strict=False):
            total += float(coefficient) * one.double()
        return total * (total[total.abs().argmax()].sign() / total.norm())

    def _computed(self, index: int) -> Step:
        vector = self._basis[-1]
        product = self._multiply(vector).double()
        diagonal = float(vector.double() @ product)
        size = max(abs(diagonal), float(product.norm()), *map(abs, self._norms), 0.0)
        rest = self._orthogonal(product)
        norm = float(rest.norm())
        if index + 1 >= self._dimension:
            return Step(diagonal, 0.0, torch.zeros_like(vector))
        if norm <= torch.finfo(vector.dtype).eps ** _BREAKDOWN * size:
            rest, norm = self._orthogonal(self._random(index + 1, torch.float64)), 0.0
        return Step(diagonal, norm, (rest / rest.norm()).to(vector))

    def _orthogonal(self, vector: Tensor) -> Tensor:
        rest = vector.clone()
        for _ in range(2):
            for one in self._basis:
                wide = one.double()
                rest -= (wide @ rest) * wide
        return rest

    def _random(self, index: int, dtype: torch.dtype) -> Tensor:
        generator = torch.Generator().manual_seed(self._seed + 1_000_003 * index)
        drawn = torch.randn(self._dimension, generator=generator, dtype=torch.float64)
        return (drawn / drawn.norm()).to(dtype)
