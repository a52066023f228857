"""Networks seen in a plane: the nearest points by least squares, and how far off it they are."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np
from jaxtyping import Float
from torch import nn

from gradscape.landscape.directions import Direction
from gradscape.landscape.engine import check_directions, named_tensors
from gradscape.landscape.paths.sources import Checkpoint, run_name
from gradscape.landscape.paths.trajectory import Trajectory
from gradscape.landscape.paths.weights import NetworkWeights

__all__ = ["Projection", "project", "project_each"]

_LEAST_ANGLE = 1e-5  # in radians; in half precision two directions that ought to be one differ by more
_ROUNDED = 1e-14  # of squared distances: differences of so little are rounding


def project(checkpoints: Sequence[Checkpoint], model: nn.Module, directions: Sequence[Direction]) -> Trajectory:
    """The points of a plane θ + alpha·d₁ + beta·d₂ that are nearest to networks, by least squares.

    With the matrix D of both directions, (alpha, beta) = (DᵀD)⁻¹Dᵀ(θ_k − θ): directions need neither a right angle nor
    length 1. Parameters count, running statistics do not. `shares` are what the plane explains of the networks' squared
    distances from their own mean: the first direction, then what the second adds; `random_walk_shares` are NaN, as a
    random walk of its own does not show in a plane that was not made for it.

    Args:
        checkpoints: Networks in order, as `pca_directions` takes them.
        model: The network at alpha = beta = 0; it is only read.
        directions: The two of the plane.

    Raises:
        FileNotFoundError: There is no such file.
        TypeError: Something is no network.
        ValueError: A network does not fit the model or is not finite; there are not two directions, they move what the
            model has not, or are parallel.

    Source: Li et al., Visualizing the Loss Landscape of Neural Nets (2018), section 7.2.

    Example:
        >>> import torch
        >>> from gradscape.landscape import random_directions
        >>> net = torch.nn.Linear(4, 3)
        >>> d_alpha, d_beta = random_directions(net, seed=0)
        >>> moved = {name: one + 2 * d_alpha[name] - d_beta[name] for name, one in net.state_dict().items()}
        >>> path = project([moved], net, (d_alpha, d_beta))
        >>> path.alphas.round(5).tolist(), path.betas.round(5).tolist()
        ([2.0], [-1.0])
    """
    name = run_name(checkpoints)
    weights = NetworkWeights.of(model, {name: checkpoints})
    projection, _ = _seen(weights, model, directions)
    return projection.trajectory(name, weights.labels, slice(None))


def project_each(
    checkpoints: Sequence[Checkpoint], model: nn.Module, directions: Sequence[Direction]
) -> list[Trajectory]:
    """For each network the plane through it, and where that network and all before it lie there.

    What `project` gives of `checkpoints[: k + 1]` with the k-th network as the model, without shares; but each network
    is read once for all planes, as squared distances are ‖θ_j‖² + ‖θ_k‖² − 2⟨θ_j, θ_k⟩, seen from `model`.

    Args:
        checkpoints: Networks in order, as `pca_directions` takes them.
        model: Any network near them; it is only read.
        directions: The two that span every plane.

    Raises:
        FileNotFoundError, TypeError, ValueError: As `project`.
    """
    name = run_name(checkpoints)
    weights = NetworkWeights.of(model, {name: checkpoints})
    whole, gram = _seen(weights, model, directions)
    squares = np.diag(gram)  # by the same sums, so that a network is at no distance from itself
    apart = np.maximum(squares + squares[:, None] - 2 * gram, 0.0)
    return [
        replace(whole, products=whole.products - own, squares=own_squares).trajectory(
            name, weights.labels, slice(0, number + 1), shares=np.full(2, np.nan)
        )
        for number, (own, own_squares) in enumerate(zip(whole.products, apart, strict=True))
    ]


def _seen(
    weights: NetworkWeights, model: nn.Module, directions: Sequence[Direction]
) -> tuple["Projection", Float[np.ndarray, "networks networks"]]:
    """Networks seen in a plane, and their products with each other."""
    if len(directions) != 2:
        raise ValueError(f"`directions` must be the two of a plane, got {len(directions)}")
    tensors = named_tensors(model)
    check_directions(directions, tensors)
    axes = [{place: change.to(tensors[place].dtype) for place, change in one.items()} for one in directions]
    count = len(weights.labels)
    projection, gram = Projection.of(count), np.zeros((count, count))
    for part in weights.parts():
        projection.add(part.rows, [part.of(axis) for axis in axes])
        gram += part.rows @ part.rows.T
    return projection, gram


@final
@dataclass(frozen=True, eq=False)
class Projection:
    """Sums over parameters, from which follows where networks lie in a plane.

    Attributes:
        products: Of networks with directions, (networks, 2).
        gram: Products of the directions, (2, 2).
        squares: Squared distances of networks from the model, (networks,).
        spread: Their squared distances from their mean, all together, ().
    """

    products: Float[np.ndarray, "networks 2"]
    gram: Float[np.ndarray, "2 2"]
    squares: Float[np.ndarray, " networks"]
    spread: Float[np.ndarray, ""]

    @classmethod
    def of(cls, networks: int) -> "Projection":
        """Sums of nothing yet."""
        return cls(np.zeros((networks, 2)), np.zeros((2, 2)), np.zeros(networks), np.zeros(()))

    def add(self, rows: Float[np.ndarray, "networks columns"], axes: Sequence[Float[np.ndarray, " columns"]]) -> None:
        """Add some of the parameters: of the networks minus the model, and of the two directions."""
        plane = np.stack(axes)
        self.products[...] += rows @ plane.T
        self.gram[...] += plane @ plane.T
        self.squares[...] += np.einsum("kn,kn->k", rows, rows)
        self.spread[...] += ((rows - rows.mean(axis=0)) ** 2).sum()

    def trajectory(
        self,
        name: str,
        labels: Sequence[str],
        run: slice,
        *,
        shares: Float[np.ndarray, "2"] | None = None,
        random_walk_shares: Float[np.ndarray, "2"] | None = None,
    ) -> Trajectory:
        """Where the networks of a run lie.

        Args:
            name: Of the run.
            labels: Of all networks.
            run: Which of them.
            shares: What the axes explain; None where all networks are one run, of which they follow.
            random_walk_shares: The same of a random walk; None where it means nothing.

        Raises:
            ValueError: The directions are zero or parallel.
        """
        lengths = np.sqrt(np.diag(self.gram))
        if not (lengths > 0).all():
            raise ValueError("`directions` must move parameters, but one moves none")
        cosine = self.gram[0, 1] / lengths.prod()
        if 1 - cosine**2 < _LEAST_ANGLE**2:
            raise ValueError("`directions` must span a plane, but are parallel: no coordinates tell them apart")
        coordinates = np.linalg.solve(self.gram, self.products.T).T
        explained = np.einsum("ki,ki->k", coordinates, self.products)
        off = self.squares - explained
        distance = np.sqrt(np.where(off > _ROUNDED * self.squares, off, 0.0))
        return Trajectory(
            alphas=coordinates[run, 0],
            betas=coordinates[run, 1],
            distance=distance[run],
            labels=tuple(labels[run]),
            name=name,
            shares=self._shares() if shares is None else shares,
            random_walk_shares=np.full(2, np.nan) if random_walk_shares is None else random_walk_shares,
        )

    def _shares(self) -> Float[np.ndarray, "2"]:
        """What the first direction explains, and what the second adds."""
        if not self.spread > _ROUNDED * self.squares.sum():
            return np.full(2, np.nan)
        first, second = (self.products - self.products.mean(axis=0)).T
        slope = self.gram[0, 1] / self.gram[0, 0]
        parts = [(first**2).sum() / self.gram[0, 0]]
        parts.append(((second - slope * first) ** 2).sum() / (self.gram[1, 1] - slope * self.gram[0, 1]))
        return np.clip(np.array(parts) / self.spread, 0.0, 1.0)
