"""The plane through three networks."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from gradscape._checkpoint import Classifier
from gradscape._names import tell_apart, telling_parts
from gradscape.landscape.directions import Direction, difference_direction
from gradscape.landscape.movable import Space
from gradscape.landscape.paths.trajectory import Trajectory
from gradscape.landscape.paths.weights import numbers

__all__ = ["plane_directions"]

_LEAST_HEIGHT = 1e-4  # of the third network above the line through the others, as a share of the way between these


def plane_directions(
    model: nn.Module, second: nn.Module, third: nn.Module, *, space: Space = "states"
) -> tuple[tuple[Direction, Direction], Trajectory]:
    """The plane through three networks, on a true scale.

    The unit of both axes is the distance from `model` to `second`, and the axes have a right angle, so that a picture
    with equal axes shows angles and distances as they are: `model` is at (0, 0), `second` at (1, 0), and `third`
    at (⟨C − A, B − A⟩/‖B − A‖², its distance from the line through A and B/‖B − A‖), above that line.

    Args:
        model: A, where alpha = beta = 0.
        second: B; the same architecture.
        third: C; the same architecture.
        space: "states" (the default, so that all three are in the plane up to rounding) takes running statistics along,
            and constants in which the networks differ, as `difference_direction` does; "weights" leaves those of
            `model`. Distances and angles are those of parameters.

    Returns:
        (d_alpha, d_beta), and the three networks as points of the plane.

    Raises:
        ValueError: The networks do not have the same tensors, two of them are one, or all three lie on a line.

    Source: Garipov et al., Loss Surfaces, Mode Connectivity, and Fast Ensembling of DNNs (2018), footnote 1, where the
        same axes are measured in units of parameters.

    Example:
        >>> import torch
        >>> first, second, third = (torch.nn.Linear(4, 3) for _ in range(3))
        >>> (d_alpha, d_beta), points = plane_directions(first, second, third)
        >>> points.alphas[:2].tolist(), points.betas[:2].tolist()
        ([0.0, 1.0], [0.0, 0.0])
        >>> x, y = points.alphas[2], points.betas[2]
        >>> torch.allclose(first.weight + x * d_alpha["weight"] + y * d_beta["weight"], third.weight, atol=1e-6)
        True
    """
    along = _difference(model, second, "second", space)
    aside = _difference(model, third, "third", space)
    counted = [name for name, _ in model.named_parameters()]
    sums = _products(along, aside, counted)
    if not (np.isfinite([*sums]).all() and sums.along > 0):
        raise ValueError("`second` must differ from `model` in finite parameters, but lies at the same place")
    place = sums.both / sums.along
    height = float(np.sqrt(max(0.0, sums.aside / sums.along - place**2)))
    if height < _LEAST_HEIGHT:
        raise ValueError(
            "`third` must lie off the line through `model` and `second`, but does not: `evaluate_line` shows them all"
        )
    upright = {name: _upright(along.get(name), aside.get(name), place, height) for name in {**along, **aside}}
    points = Trajectory(
        alphas=np.array([0.0, 1.0, place]),
        betas=np.array([0.0, 0.0, height]),
        distance=np.zeros(3),
        labels=_labels((model, second, third)),
        name="networks",
        joined=False,
        shares=np.full(2, np.nan),
        random_walk_shares=np.full(2, np.nan),
    )
    return (along, upright), points


class _Products(NamedTuple):
    """⟨B − A, B − A⟩, ⟨C − A, C − A⟩ and ⟨B − A, C − A⟩."""

    along: float
    aside: float
    both: float


def _difference(model: nn.Module, network: nn.Module, argument: str, space: Space) -> Direction:
    try:
        return difference_direction(model, network, space=space)
    except ValueError as problem:
        raise ValueError(str(problem).replace("`other`", f"`{argument}`")) from None


def _products(along: Direction, aside: Direction, names: Iterable[str]) -> _Products:
    sums = np.zeros(3)
    for name in names:
        one, other = (numbers(direction[name]).double() for direction in (along, aside))
        sums += [float(one @ one), float(other @ other), float(one @ other)]
    return _Products(*sums.tolist())


def _upright(along: Tensor | None, aside: Tensor | None, place: float, height: float) -> Tensor:
    """(aside − place·along)/height; a missing one is zero."""
    known = along if aside is None else aside
    assert known is not None
    one, other = (
        torch.zeros_like(known, dtype=_double(known)) if change is None else change.to(_double(change))
        for change in (along, aside)
    )
    return ((other - place * one) / height).to(known.dtype)


def _double(tensor: Tensor) -> torch.dtype:
    return torch.promote_types(tensor.dtype, torch.float64)


def _labels(networks: Sequence[nn.Module]) -> tuple[str, ...]:
    """Names of files where all are from files."""
    paths = [Path(one.path) for one in networks if isinstance(one, Classifier) and one.path is not None]
    if len(paths) < len(networks):
        return ("model", "second", "third")
    files = [path.with_suffix("") for path in paths]
    return tuple(tell_apart([[file.name for file in files], telling_parts(files)]))
