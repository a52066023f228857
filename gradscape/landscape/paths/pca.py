"""The plane in which networks differ most: principal components of trajectories, beside those of random walks."""

from collections.abc import Mapping, Sequence
from typing import Literal, overload

import numpy as np
from jaxtyping import Float
from torch import nn

from gradscape.landscape.directions import Direction
from gradscape.landscape.movable import Space
from gradscape.landscape.paths.projection import Projection
from gradscape.landscape.paths.sources import Checkpoint, run_name
from gradscape.landscape.paths.trajectory import Trajectory
from gradscape.landscape.paths.weights import NetworkWeights

__all__ = ["Centering", "pca_directions"]

Centering = Literal["mean", "final"]

_LEAST = 1e-12  # of the second component's squares, as a share of the first's: less is rounding
_SIDE = 1e-3  # of the largest coordinate: a network nearer to the center tells no sign
_SAME = 1e-12  # of squared distances: two networks so near are one


@overload
def pca_directions(
    model: nn.Module, checkpoints: Sequence[Checkpoint], *, centering: Centering = "mean", space: Space = "weights"
) -> tuple[tuple[Direction, Direction], Trajectory]: ...


@overload
def pca_directions(
    model: nn.Module,
    checkpoints: Mapping[str, Sequence[Checkpoint]],
    *,
    centering: Centering = "mean",
    space: Space = "weights",
) -> tuple[tuple[Direction, Direction], dict[str, Trajectory]]: ...


def pca_directions(
    model: nn.Module,
    checkpoints: Sequence[Checkpoint] | Mapping[str, Sequence[Checkpoint]],
    *,
    centering: Centering = "mean",
    space: Space = "weights",
) -> tuple[tuple[Direction, Direction], Trajectory | dict[str, Trajectory]]:
    """The two principal components of a training's weights, or of several trainings', and where the networks lie.

    The rows of X are the networks' parameters minus their center; the directions are the right singular vectors of X of
    the two largest singular values. They have length 1 and a right angle, so that coordinates are distances in
    parameter space, alike on both axes. The first network lies at the left and at the bottom. The plane goes through
    `model`, mostly the last of the networks, and `distance` is measured from there.

    Shares say what the axes explain: of a run, its squared distances from its own center. They are to be read beside
    those of random walks with as many steps, of equal length within a run, in infinitely many dimensions: their first
    two components explain 6/π² + 6/(2π)² = 76 % of a long walk (centered by the mean), whatever the network.

    Args:
        model: The network at alpha = beta = 0; it is only read.
        checkpoints: Networks in order: paths of checkpoints, or of other programs' state dicts, modules, or dicts of
            tensors. Of several runs a mapping, name of the run -> its networks: the plane is that of all networks. What
            is in files is read when it is needed, a few tensors at a time.
        centering: "mean" (as PCA) or "final": differences from the last network, as Li et al. take them.
        space: "weights": directions move parameters. "states": running statistics go along by the same combination of
            networks; they count for neither components nor distances. At the start of a training they say nothing yet,
            and beyond its end they may become negative: mostly they are better computed anew at every point.

    Returns:
        (d_alpha, d_beta) and the trajectory; of a mapping, each run's by its name. `random_walk_shares` are NaN for
        several runs that do not begin at the same network.

    Raises:
        FileNotFoundError: There is no such file.
        TypeError: Something is no network.
        ValueError: A network does not fit the model or is not finite, `centering` is unknown or "final" for several
            runs, or the networks lie on a line, so that there is no second direction.

    Source: Li et al., Visualizing the Loss Landscape of Neural Nets (2018), section 7.2; Antognini and Sohl-Dickstein,
        PCA of high dimensional random walks with comparison to neural network training (2018), section 2.

    Example:
        >>> import torch
        >>> net = torch.nn.Linear(4, 3)
        >>> states = [{name: torch.randn_like(one) for name, one in net.state_dict().items()} for _ in range(5)]
        >>> (d_alpha, d_beta), path = pca_directions(net, states)
        >>> path.alphas.shape, bool(path.shares[0] >= path.shares[1])
        ((5,), True)
    """
    if centering not in ("mean", "final"):
        raise ValueError(f"`centering` must be mean or final, got {centering!r}")
    runs = checkpoints if isinstance(checkpoints, Mapping) else {run_name(checkpoints): checkpoints}
    if len(runs) > 1 and centering == "final":
        raise ValueError("`centering` must be mean for several runs, which have several ends, got final")
    weights = NetworkWeights.of(model, runs, space=space)
    if (count := len(weights.labels)) < 3:
        raise ValueError(f"`checkpoints` must span a plane, which takes at least 3 networks, got {count}; give more")
    gram = _gram(weights)
    scores = _scores(gram, centering)
    squares = (scores**2).sum(axis=0)
    if not squares[1] > _LEAST * squares[0]:
        raise ValueError(
            f"`checkpoints` must span a plane, but the {count} networks lie on a line, or are one; give more"
        )
    # Of centered rows X the direction is Xᵀu/√λ, and the scores are √λ·u.
    directions, projection = _combine(weights, _adjoint(scores / squares, centering))
    walks = _walks(gram, weights.runs)
    explained, expected = (_explained(one, weights.runs, centering) for one in (gram, walks))
    trajectories = {
        name: projection.trajectory(name, weights.labels, run, shares=shares, random_walk_shares=walk)
        for (name, run), shares, walk in zip(weights.runs.items(), explained, expected, strict=True)
    }
    return directions, trajectories if isinstance(checkpoints, Mapping) else next(iter(trajectories.values()))


def _gram(weights: NetworkWeights) -> Float[np.ndarray, "networks networks"]:
    gram = np.zeros((len(weights.labels), len(weights.labels)))
    for part in weights.parts():
        if part.counted:
            gram += part.rows @ part.rows.T
    return gram


def _combine(
    weights: NetworkWeights, shares: Float[np.ndarray, "networks 2"]
) -> tuple[tuple[Direction, Direction], Projection]:
    """Directions as sums of networks, and the networks seen in their plane, as it is after rounding."""
    directions, projection = weights.directions(), Projection.of(len(weights.labels))
    for part in weights.parts():
        for axis, direction in enumerate(directions):
            part.write(shares[:, axis] @ part.rows, direction)
        if part.counted:
            projection.add(part.rows, [part.of(direction) for direction in directions])
    return directions, projection


def _centered_rows(values: Float[np.ndarray, "networks _"], centering: Centering) -> Float[np.ndarray, "networks _"]:
    """Values minus their mean, or minus the last."""
    return values - (values.mean(axis=0) if centering == "mean" else values[-1])


def _adjoint(values: Float[np.ndarray, "networks 2"], centering: Centering) -> Float[np.ndarray, "networks 2"]:
    """Shares of networks in sums of centered ones."""
    if centering == "mean":
        return values - values.mean(axis=0)
    shares = values.copy()
    shares[-1] -= values.sum(axis=0)
    return shares


def _centered(
    gram: Float[np.ndarray, "networks networks"], centering: Centering
) -> Float[np.ndarray, "networks networks"]:
    return _centered_rows(_centered_rows(gram, centering).T, centering)


def _scores(gram: Float[np.ndarray, "networks networks"], centering: Centering) -> Float[np.ndarray, "networks 2"]:
    """Centered coordinates along the first two components, the first network on the negative side of both."""
    values, vectors = np.linalg.eigh(_centered(gram, centering))
    scores = vectors[:, :-3:-1] * np.sqrt(np.maximum(values[:-3:-1], 0.0))
    telling = np.abs(scores) > _SIDE * np.abs(scores).max(axis=0)
    first = np.take_along_axis(scores, telling.argmax(axis=0)[None], axis=0)
    return np.where(first > 0, -scores, scores)


def _explained(
    gram: Float[np.ndarray, "networks networks"], runs: Mapping[str, slice], centering: Centering
) -> list[Float[np.ndarray, "2"]]:
    """What the first two components of all explain of each run."""
    if not np.isfinite(gram).all():
        return [np.full(2, np.nan) for _ in runs]
    scores = _scores(gram, centering)
    shares = []
    for run in runs.values():
        total = np.trace(_centered(gram[run, run], centering))
        part = (_centered_rows(scores[run], centering) ** 2).sum(axis=0)
        shares.append(np.clip(part / total, 0.0, 1.0) if total > 0 else np.full(2, np.nan))
    return shares


def _walks(
    gram: Float[np.ndarray, "networks networks"], runs: Mapping[str, slice]
) -> Float[np.ndarray, "networks networks"]:
    """Expected products of random walks from one start, each with its run's mean squared step; NaN from several."""
    squares = np.diag(gram)
    starts = [run.start for run in runs.values()]
    apart = squares[starts] + squares[starts[0]] - 2 * gram[starts[0], starts]
    if (apart > _SAME * squares.max()).any():
        return np.full_like(gram, np.nan)
    walks = np.zeros_like(gram)
    for run in runs.values():
        places = np.arange(run.start, run.stop)
        steps = squares[places[1:]] + squares[places[:-1]] - 2 * gram[places[1:], places[:-1]]
        walks[run, run] = np.minimum.outer(places, places) - run.start
        walks[run, run] *= steps.mean() if len(steps) else 0.0
    return walks
