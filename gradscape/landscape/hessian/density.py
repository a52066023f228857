"""The density of a Hessian's eigenvalues, by stochastic Lanczos quadrature."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np
from jaxtyping import Float
from torch import nn

from gradscape._left_as_before import left_as_before
from gradscape.landscape.directions import Ignore
from gradscape.landscape.engine import ForwardFunction, LossFunction, call, cross_entropy
from gradscape.landscape.hessian.course import Course, Report
from gradscape.landscape.hessian.lanczos import Lanczos
from gradscape.landscape.hessian.products import BATCH_IMAGES, HessianProducts

__all__ = ["Density", "find_density", "hessian_density"]

_SHARE = 0.01  # of the range of eigenvalues: the kernel's standard deviation


@final
@dataclass(frozen=True, eq=False)
class Density:
    """How the eigenvalues of a Hessian are distributed: sums to 1 over all of them.

    Attributes:
        nodes: Where the quadrature puts weight, (probes, steps), in units of the loss.
        weights: How much, (probes, steps); those of a probe sum to 1.
        dimension: Number of eigenvalues.
        images: How many images the loss is a mean over.
    """

    nodes: Float[np.ndarray, "probes steps"]
    weights: Float[np.ndarray, "probes steps"]
    dimension: int
    images: int

    @property
    def sigma(self) -> float:
        """Standard deviation of the Gaussian kernel of `smoothed`: 1 % of the range of eigenvalues."""
        return float(_SHARE * (self.nodes.max() - self.nodes.min())) or 1.0

    def smoothed(self, places: Float[np.ndarray, " places"]) -> tuple[np.ndarray, np.ndarray]:
        """Density at some eigenvalues, smoothed by a Gaussian of standard deviation `sigma`.

        Args:
            places: Eigenvalues, (places,).

        Returns:
            Density, per unit of eigenvalue, and its standard error over probes, both (places,).
        """
        scaled = (places[:, None, None] - self.nodes) / self.sigma
        kernel = np.exp(-0.5 * scaled**2) / (self.sigma * np.sqrt(2 * np.pi))
        return _over_probes((kernel * self.weights).sum(axis=2))

    def moment(self, power: int) -> tuple[float, float]:
        """Mean of a power of the eigenvalues, tr(Hᵏ)/n, and its standard error over probes."""
        mean, error = _over_probes((self.weights * self.nodes**power).sum(axis=1)[None])
        return float(mean[0]), float(error[0])


@left_as_before
def hessian_density(
    model: nn.Module,
    batches: Iterable[Any],
    *,
    probes: int = 4,
    steps: int = 30,
    parameters: str = "*",
    ignore: Ignore = "none",
    loss: LossFunction = cross_entropy,
    forward: ForwardFunction = call,
    seed: int = 0,
    batch_size: int = BATCH_IMAGES,
    path: str | os.PathLike[str] | None = None,
    report: Report | None = None,
) -> Density:
    """Estimate the density of the eigenvalues of the Hessian of the mean loss.

    Every probe is a random vector z of unit length, whose Krylov space of `steps` vectors gives a Gauss quadrature of
    zᵀf(H)z. It takes probes · steps products.

    Args:
        model: Any module, in `eval()` meanwhile, and the same to the bit afterwards.
        batches: Pairs (inputs, labels), as in `evaluate_surface`; they are loaded once.
        probes: Random vectors; with 2 or more there is a standard error.
        steps: Of each; fewer where there are fewer parameters.
        parameters: A pattern of names, as in `random_directions`.
        ignore: "none" takes all of them, "biasbn" only tensors with more than one dimension.
        loss: One number an image.
        forward: (model, inputs) -> output.
        seed: Of the probes.
        batch_size: Images that go through the network together.
        path: Folder that keeps every step; the same call goes on there.
        report: Called after every step.

    Returns:
        Nodes and weights of every probe, which any kernel smooths.

    Raises:
        ValueError: `probes` or `steps` are below 1, or model, loss or labels are such as `HessianProducts` refuses.

    Source: Golub and Welsch 1969; Ubaru, Chen and Saad 2017; Ghorbani, Krishnan and Xiao 2019.

    Example:
        >>> import torch
        >>> from gradscape.landscape import hessian_density
        >>> net = torch.nn.Linear(4, 3)
        >>> density = hessian_density(net, [(torch.randn(64, 4), torch.arange(64) % 3)], probes=2)
        >>> density.weights.sum(axis=1).round(6).tolist()
        [1.0, 1.0]
    """
    products = HessianProducts(
        model, batches, loss=loss, forward=forward, parameters=parameters, ignore=ignore, batch_size=batch_size
    )
    course = Course(Path(path) if path else None, report=report)
    return find_density(products, course, probes=probes, steps=steps, seed=seed)


def find_density(
    products: HessianProducts, course: Course, *, probes: int = 4, steps: int = 30, seed: int = 0
) -> Density:
    """As `hessian_density`, of products that are there already.

    Raises:
        OutOfTimeError: The time is over before; steps that were taken are kept.
    """
    for name, value in (("probes", probes), ("steps", steps)):
        if value < 1:
            raise ValueError(f"`{name}` must be at least 1, got {value}")
    steps = min(steps, products.dimension)
    nodes, weights = np.empty((2, probes, steps))
    for probe in range(probes):
        own = replace(course, identity=f"{products.identity} {seed} {probe}")
        lanczos = Lanczos(
            products.product,
            products.dimension,
            seed=seed + 7919 * (probe + 1),  # another vector than that of the spectrum
            dtype=products.vector_type,
            store=own.store(f"density{probe}"),
        )
        for step in range(steps):
            own.check_time()
            lanczos.step()
            own.tell("density", probe * steps + step + 1, probes * steps)
        ritz = lanczos.ritz()
        nodes[probe], weights[probe] = ritz.values, ritz.coefficients[0] ** 2
    return Density(nodes, weights, products.dimension, products.images)


def _over_probes(found: Float[np.ndarray, "places probes"]) -> tuple[np.ndarray, np.ndarray]:
    probes = found.shape[1]
    spread = found.std(axis=1, ddof=1) / np.sqrt(probes) if probes > 1 else np.full(len(found), np.nan)
    return found.mean(axis=1), spread
