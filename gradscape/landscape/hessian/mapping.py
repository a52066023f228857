"""From a model, data and directions to a map of its curvature, each point starting where its neighbor ended."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn

from gradscape._digest import digest_model, digest_tensors
from gradscape._left_as_before import left_as_before
from gradscape._provenance import current_versions
from gradscape.landscape.axis import checked_axis
from gradscape.landscape.directions import Direction, Ignore
from gradscape.landscape.engine import (
    ForwardFunction,
    LossFunction,
    call,
    check_directions,
    cross_entropy,
    evaluable,
    named_tensors,
    plain_plan,
)
from gradscape.landscape.engine.moving import moving
from gradscape.landscape.hessian.curvature_map import CurvatureMap
from gradscape.landscape.hessian.curvature_walk import CurvatureWalk
from gradscape.landscape.hessian.extremes import LEAST_COLD, LEAST_WARM, Extremes, find_extremes
from gradscape.landscape.hessian.products import BATCH_IMAGES, HessianProducts

__all__ = ["Finder", "evaluate_curvature"]


@left_as_before
def evaluate_curvature(
    model: nn.Module,
    batches: Iterable[Any],
    directions: Sequence[Direction],
    alphas: Sequence[float] | np.ndarray,
    betas: Sequence[float] | np.ndarray,
    *,
    loss: LossFunction = cross_entropy,
    forward: ForwardFunction = call,
    parameters: str = "*",
    ignore: Ignore = "none",
    tolerance: float = 0.01,
    most: int = 100,
    checks: int = 3,
    seed: int = 0,
    batch_size: int = BATCH_IMAGES,
    path: str | os.PathLike[str] | None = None,
    seconds: float | None = None,
    meta: Mapping[str, Any] | None = None,
    report: Callable[[int, int], object] | None = None,
) -> CurvatureMap:
    """Find the largest and the smallest eigenvalue of the Hessian at every point of a grid, and at the origin.

    The grid is gone through row by row, there and back, so that every point has a neighbor that was just done: its two
    eigenvectors are where the search starts. Some points are then measured again from a random vector.

    Args:
        model: Any module, in `eval()` meanwhile; the same to the bit afterwards.
        batches: Pairs (inputs, labels), as in `evaluate_surface`.
        directions: (d_alpha, d_beta), as `random_directions` gives them.
        alphas: Coordinates along the first direction, (A,).
        betas: Coordinates along the second direction, (B,).
        loss: One number an image, twice differentiable.
        forward: (model, inputs) -> output.
        parameters: A pattern of names: the Hessian with respect to these alone.
        ignore: "none" takes all of them, "biasbn" only tensors with more than one dimension, as the original tool does.
        tolerance: Relative error of the eigenvalues at which a point is done.
        most: Hessian products after which a point is left as it is, not converged.
        checks: Number of points that are measured again from a cold start; the more extreme values are kept.
        seed: Of random starts.
        batch_size: Images that go through the network together. As many or fewer images are differentiated once a
            point and not once a product, which is faster by a third.
        path: An `.h5` file that is kept up to date; what it already holds is not measured again, and what follows has
            the same bits as without the interruption.
        seconds: Stop so many seconds after the call, at the earliest after one point.
        meta: More provenance to store.
        report: Called after every point with the points done, and all.

    Returns:
        The map; with `path` also in the file.

    Raises:
        TypeError: `batches` are of another kind.
        ValueError: As for `evaluate_surface` and `HessianProducts`, or `path` holds another map.

    Source: Li et al. 2018, section 6 (maps of |min/max|).

    Example:
        >>> import torch
        >>> from gradscape.landscape import random_directions
        >>> net = torch.nn.Linear(4, 3)
        >>> batches, axis = [(torch.randn(64, 4), torch.arange(64) % 3)], [-1.0, 0.0, 1.0]
        >>> curvature = evaluate_curvature(net, batches, random_directions(net, seed=0), axis, axis)
        >>> curvature.field("max_eig").values.shape, bool((curvature.min_eig > -1e-6).all())  # it is convex
        ((3, 3), True)
    """
    if len(directions) != 2:
        raise ValueError(f"`directions` must be a pair, got {len(directions)}")
    _check_numbers(tolerance=tolerance, most=most, checks=checks, seconds=seconds)
    until = float("inf") if seconds is None else time.monotonic() + seconds
    check_directions(directions, named_tensors(model))
    products = HessianProducts(
        model, batches, loss=loss, forward=forward, parameters=parameters, ignore=ignore, batch_size=batch_size
    )
    chosen = {"parameters": parameters, "ignore": ignore, "tolerance": tolerance, "most": most, "seed": seed}
    told = {**(meta or {}), **_made(products, directions, batch_size), **chosen}
    walk = CurvatureWalk(checked_axis(alphas, "alphas"), checked_axis(betas, "betas"), told, path)
    finder = Finder(products, directions, tolerance=tolerance, most=most, seed=seed, held=products.images <= batch_size)
    with evaluable(model):
        if not walk.begun:
            walk.begin(finder.cold((0.0, 0.0)))
        for number, place in enumerate(walk.left()):
            if number and time.monotonic() > until:
                break
            walk.add(place, finder.warm(walk.point(place), walk.warm))
            if report is not None:
                report(walk.done, walk.total)
        if walk.done == walk.total:
            walk.check(finder.cold, checks)
    return walk.result(save=True)


def _made(products: HessianProducts, directions: Sequence[Direction], batch_size: int) -> dict[str, Any]:
    """How the numbers come about."""
    return {
        "weights": digest_model(products.model),
        "directions": [digest_tensors(direction.items()) for direction in directions],
        "images": products.images,
        "population": products.population,
        "image_digest": products.digest,
        **products.task.names(),
        "functions": products.task.identities(),
        "plan": asdict(plain_plan(products.model, precision="fp32", batch_size=batch_size)),
        "versions": current_versions(),
    }


def _check_numbers(*, tolerance: float, most: int, checks: int, seconds: float | None) -> None:
    if not 0 < tolerance < 1:
        raise ValueError(f"`tolerance` must lie between 0 and 1, got {tolerance:g}")
    if most < LEAST_COLD:
        raise ValueError(f"`most` must be at least {LEAST_COLD}, got {most}")
    if checks < 0:
        raise ValueError(f"`checks` must be 0 or more, got {checks}")
    if seconds is not None and not seconds > 0:
        raise ValueError(f"`seconds` must be positive, got {seconds:g}")


@final
class Finder:
    """Finds both ends at a point; None where the Hessian is not finite."""

    def __init__(
        self,
        products: HessianProducts,
        directions: Sequence[Direction],
        *,
        tolerance: float,
        most: int,
        seed: int,
        held: bool,
    ) -> None:
        self._products, self._directions, self._held = products, directions, held
        self._tolerance, self._most = tolerance, most
        self._random = torch.randn(products.dimension, generator=torch.Generator().manual_seed(seed))

    def cold(self, point: tuple[float, float]) -> Extremes | None:
        """Start from a random vector, always the same."""
        return self._found(point, self._random, LEAST_COLD)

    def warm(self, point: tuple[float, float], vectors: Tensor | None) -> Extremes | None:
        """Start from the ends of a neighbor, where there is one."""
        return self.cold(point) if vectors is None else self._found(point, vectors.sum(dim=0), LEAST_WARM)

    def _found(self, point: tuple[float, float], start: Tensor, least: int) -> Extremes | None:
        with moving(self._products.model, self._directions) as move_to:
            move_to(point)
            with _held(self._products) if self._held else _plain(self._products) as product:
                try:
                    return find_extremes(product, start, tolerance=self._tolerance, least=least, most=self._most)
                except FloatingPointError:
                    return None


@contextmanager
def _plain(products: HessianProducts) -> Iterator[Callable[[Tensor], Tensor]]:
    def product(vector: Tensor) -> Tensor:
        try:
            return products.product(vector)
        except ValueError as problem:
            raise FloatingPointError(str(problem)) from problem

    yield product


@contextmanager
def _held(products: HessianProducts) -> Iterator[Callable[[Tensor], Tensor]]:
    """The same for images of one batch: their gradient is made once for a point, and differentiated once a product."""
    with products.ready() as differentiated, torch.enable_grad():
        (batch,) = products.batches()
        leaves = differentiated.leaves()
        total = differentiated.losses(leaves, batch).sum()
        at = list(leaves.values())
        found = torch.autograd.grad(total, at, create_graph=True, materialize_grads=True)
        # Without a graph is what the loss depends on in a straight line.
        gradients = {name: one for name, one in zip(leaves, found, strict=True) if one.requires_grad}

        def product(vector: Tensor) -> Tensor:
            direction = products.to_direction(vector)
            if not gradients:
                return torch.zeros_like(vector)
            along = [direction[name] for name in gradients]
            found = torch.autograd.grad(list(gradients.values()), at, along, retain_graph=True, materialize_grads=True)
            return _finite(torch.cat([one.reshape(-1).cpu() for one in found]).to(vector) / products.images)

        yield product


def _finite(vector: Tensor) -> Tensor:
    if not bool(vector.isfinite().all()):
        raise FloatingPointError("the Hessian is not finite here")
    return vector
