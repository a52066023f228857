"""A curve between two networks: fixed ends and one bend. The loss along it can be low where a line meets a barrier."""

import copy
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from gradscape._schema import fitting
from gradscape.landscape.axis import checked_axis
from gradscape.landscape.directions import Direction
from gradscape.landscape.engine.moving import named_tensors
from gradscape.landscape.evaluate import evaluate_grid
from gradscape.landscape.line import Line
from gradscape.landscape.options import Options, options_as_keywords
from gradscape.landscape.paths.curve_files import read_curve, write_curve
from gradscape.landscape.paths.curve_kinds import CURVE, CURVE_NAMES, CurveKind
from gradscape.landscape.paths.plane import plane_directions
from gradscape.landscape.paths.trajectory import Trajectory

__all__ = ["Curve", "shares_of_points"]

_NODES = 64  # of Gauss and Legendre, for the length


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Curve:
    """A way φ(t), t in [0, 1], from one network to another, by one bend θ.

    "bezier" is the quadratic Bézier curve (1 − t)²·A + 2t(1 − t)·θ + t²·B, "chain" two straight pieces that meet in θ
    at t = ½. Both lie in the plane of A, B and θ. Whatever is not trained (running statistics, the normalization of
    images) goes straight from A to B.

    Attributes:
        kind: "bezier" or "chain".
        start: What moves, by name, in the network at t = 0.
        end: The same in the network at t = 1.
        bend: The trained tensors among them at the bend.
        meta: How it was fitted: epochs, learning rate, weight decay, seed, loss; `losses`, the mean loss of each epoch.

    Source: Garipov et al. 2018, "Loss Surfaces, Mode Connectivity, and Fast Ensembling of DNNs" (arXiv 1802.10026),
        equations 3 and 4.

    Example:
        >>> import torch
        >>> a, middle, b = (torch.tensor(place) for place in ([1.0, 0.0], [0.0, 2.0], [-1.0, 0.0]))
        >>> curve = Curve(kind="chain", start={"w": a}, bend={"w": middle}, end={"w": b}, meta={})
        >>> curve.point(0.25)["w"].tolist(), round(curve.length, 3), curve.distance
        ([0.5, 1.0], 4.472, 2.0)
    """

    kind: CurveKind
    start: Direction
    bend: Direction
    end: Direction
    meta: Mapping[str, Any]

    def __post_init__(self) -> None:
        if self.kind not in ("bezier", "chain"):
            raise ValueError(f"`kind` must be bezier or chain, got {self.kind!r}")
        if not self.bend:
            raise ValueError("`bend` must hold at least one tensor, got none")
        shapes = [{name: one.shape for name, one in tensors.items()} for tensors in (self.start, self.end, self.bend)]
        if shapes[0] != shapes[1] or not shapes[2].items() <= shapes[0].items():
            raise ValueError("`start`, `end` and `bend` must hold the same tensors, of the same shapes")

    def __repr__(self) -> str:
        return f"Curve({self.kind!r}, {len(self.bend)} tensors, length {self.length:.4g}, distance {self.distance:.4g})"

    @property
    def directions(self) -> tuple[Direction, Direction]:
        """From the start to the end, and from the start to the bend: they span the plane of the curve."""
        # In the order of the names, which a file keeps: evaluations are told apart by digests of their directions.
        to_end = {name: self.end[name] - self.start[name] for name in sorted(self.start)}
        to_bend = {
            name: self.bend[name] - self.start[name] if name in self.bend else change / 2
            for name, change in to_end.items()
        }
        return to_end, to_bend

    def coordinates(self, ts: Sequence[float] | np.ndarray) -> Float[np.ndarray, "points 2"]:
        """Where points of the curve lie in the plane of `directions`.

        Args:
            ts: How far along the curve, each in [0, 1].

        Raises:
            ValueError: One of them is not in [0, 1].
        """
        along = np.asarray(ts, dtype=float)
        if along.ndim != 1 or not ((along >= 0) & (along <= 1)).all():
            raise ValueError(f"`ts` must be a list of numbers from 0 (the first network) to 1 (the second), got {ts!r}")
        shares = np.array([shares_of_points(self.kind, t) for t in along.tolist()]).reshape(-1, 3)
        return shares[:, [2, 1]]

    def point(self, t: float) -> Direction:
        """The tensors at t, on the device of the curve's own."""
        ((to_end, to_bend),) = self.coordinates([t]).tolist()
        first, second = self.directions
        return {name: one + to_end * first[name] + to_bend * second[name] for name, one in self.start.items()}

    @property
    def length(self) -> float:
        """Length of the curve in the trained tensors' Euclidean norm."""
        gram = self._gram
        if self.kind == "chain":
            pieces = np.array([[0.0, 1.0], [1.0, -1.0]])
            return float(np.sqrt(np.einsum("pi,ij,pj->p", pieces, gram, pieces).clip(0)).sum())
        nodes, weights = np.polynomial.legendre.leggauss(_NODES)
        ts = (1 + nodes) / 2
        speeds = np.stack([2 * ts, 2 - 4 * ts], axis=1)  # φ'(t) = (2 − 4t)·(θ − A) + 2t·(B − A)
        return float(weights @ np.sqrt(np.einsum("ti,ij,tj->t", speeds, gram, speeds).clip(0)) / 2)

    @property
    def distance(self) -> float:
        """Straight distance of the two ends, in the same norm."""
        return float(np.sqrt(self._gram[0, 0]))

    @property
    def height(self) -> float:
        """How far the bend lies off the straight line through the ends, as a share of their distance."""
        (along, both), (_, aside) = self._gram
        return float(np.sqrt(max(0.0, aside / along - (both / along) ** 2))) if along else 0.0

    @property
    def _gram(self) -> Float[np.ndarray, "2 2"]:
        """Inner products of B − A and θ − A over the trained tensors."""
        pair = self.directions
        products = [[sum(_inner(one[name], other[name]) for name in self.bend) for other in pair] for one in pair]
        return np.array(products)

    @options_as_keywords
    def evaluate(
        self, model: nn.Module, batches: Iterable[Any], ts: Sequence[float] | np.ndarray, options: Options
    ) -> Line:
        """Evaluate L(φ(t)) at every t, and at the start.

        Args:
            model: The network at t = 0, or any that computes the same with its tensors; where it is the other end or
                something else, it is refused.
            batches: As in `evaluate_line`.
            ts: How far along the curve, rising or falling, each in [0, 1].
            options: The fields of `Options`, as keyword arguments.

        Returns:
            A line whose alphas are the ts; its provenance says `curve`.

        Raises:
            ValueError: The curve does not begin at the model, or a t is not in [0, 1].
        """
        placed = self.coordinates(checked_axis(ts, "ts"))
        self.check_start(model)
        directions = [_like(direction, named_tensors(model)) for direction in self.directions]
        told = {**(options.meta or {}), CURVE: self.about()}
        return evaluate_grid(
            Line,
            model,
            batches,
            directions,
            axes={"alphas": np.asarray(ts, dtype=float)},
            options=replace(options, meta=told),
            positions=placed,
        )

    def plane(
        self, model: nn.Module, *, points: int = 21, ends: tuple[str, str] = ("first", "second")
    ) -> tuple[tuple[Direction, Direction], list[Trajectory]]:
        """The plane of the curve, in which all of it lies, with axes at right angles.

        The unit of alpha is the distance of the two networks; that of beta is how far the bend lies off the line
        through them (`height`), so that the bend is at beta = 1 however flat the curve is.

        Args:
            model: The network at t = 0, which is at (0, 0); the other one is at (1, 0).
            points: How many points of the curve are given.
            ends: What the two networks are called.

        Returns:
            (d_alpha, d_beta), and for a picture of the plane the curve with its ends by name, and the bend as a point.

        Raises:
            ValueError: The curve does not begin at the model, or its bend lies on the line between the ends.
        """
        self.check_start(model)
        bend = {name: self.start[name] + change for name, change in self.directions[1].items()}
        (along, upright), networks = plane_directions(model, _moved(model, self.end), _moved(model, bend))
        height = float(networks.betas[2])
        ts = np.linspace(0, 1, points)
        to_end, to_bend = self.coordinates(ts).T
        way = replace(
            networks,
            alphas=to_end + to_bend * networks.alphas[2],
            betas=to_bend,
            distance=np.zeros(points),
            labels=(ends[0], *(f"t {t:.3g}" for t in ts[1:-1]), ends[1]),
            name=CURVE_NAMES[self.kind],
            joined=True,
        )
        directions = along, {name: height * change for name, change in upright.items()}
        bend_alone = replace(
            networks,
            alphas=networks.alphas[2:],
            betas=np.ones(1),
            distance=np.zeros(1),
            labels=("bend",),
            name="bend",
        )
        return directions, [way, bend_alone]

    def about(self) -> dict[str, Any]:
        """What a line or a surface says of the curve, as JSON holds it."""
        fit = fitting(self.meta, "fit", dict[str, Any]) or {}
        made = {name: fit[name] for name in ("epochs", "learning_rate", "seed") if name in fit}
        return {"kind": self.kind, "length": self.length, "distance": self.distance, "height": self.height, **made}

    def check_start(self, model: nn.Module) -> None:
        """Refuse another network than the one at t = 0.

        Raises:
            ValueError: A tensor is missing or another one.
        """
        own = named_tensors(model)
        others = [
            name
            for name, tensor in self.start.items()
            if name not in own or not torch.equal(own[name].detach().cpu(), tensor.cpu())
        ]
        if others:
            raise ValueError(
                f"`model` must be the network at which the curve begins, but differs in {', '.join(others[:5])}: "
                "give the first of the two networks that it was fitted between"
            )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to a `.safetensors` file, atomically: both ends, the bend, and how it was fitted."""
        points = {"start": self.start, "bend": self.bend, "end": self.end}
        write_curve(path, points, kind=self.kind, meta=self.meta)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Curve":
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It is none, or damaged.
        """
        return read_curve(path, cls)


def shares_of_points(kind: CurveKind, t: float) -> tuple[float, float, float]:
    """How much of the start, the bend and the end a point of the curve is made of; together 1.

    Args:
        kind: Of the curve.
        t: How far along it.
    """
    if kind == "bezier":
        return (1 - t) ** 2, 2 * t * (1 - t), t**2
    return (1 - 2 * t, 2 * t, 0.0) if t <= 0.5 else (0.0, 2 - 2 * t, 2 * t - 1)


def _moved(model: nn.Module, values: Direction) -> nn.Module:
    """A copy of a network with other values."""
    moved = copy.deepcopy(model)
    tensors = named_tensors(moved)
    with torch.no_grad():
        for name, value in values.items():
            tensors[name].copy_(value)
    return moved


def _inner(one: Tensor, other: Tensor) -> float:
    kind = torch.complex128 if one.is_complex() else torch.float64
    return float(torch.linalg.vecdot(one.flatten().to(kind), other.flatten().to(kind)).real)


def _like(direction: Direction, tensors: Mapping[str, Tensor]) -> Direction:
    return {name: change.to(tensors[name]) for name, change in direction.items()}
