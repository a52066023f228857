"""The ends of a Hessian's spectrum: largest and smallest eigenvalues, with their vectors and what they are worth."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from jaxtyping import Bool, Float
from torch import nn

from gradscape._left_as_before import left_as_before
from gradscape.landscape.directions import Direction, Ignore
from gradscape.landscape.engine import ForwardFunction, LossFunction, call, cross_entropy
from gradscape.landscape.hessian.course import Course, Report
from gradscape.landscape.hessian.extremes import LEAST_COLD
from gradscape.landscape.hessian.held_out import HeldOutCurvature, draw_halves
from gradscape.landscape.hessian.lanczos import Lanczos, Ritz
from gradscape.landscape.hessian.products import BATCH_IMAGES, HessianProducts

__all__ = ["Search", "Spectrum", "find_spectrum", "hessian_spectrum"]

_MOST_STEPS = 100
_STEPS_A_VALUE = 12
_ROUGH = 1e-2  # error of eigenvalues of halves, whose vectors are only read: any vector can be
_HALVES: Final = ("first half", "second half")
_LEAST_IMAGES = 2  # of which halves are made
_SMALL = 1e-2  # of the largest: what is smaller need not be as exact in proportion


@final
@dataclass(frozen=True, eq=False)
class Spectrum:
    """Eigenvalues at both ends of the Hessian of the mean loss over images.

    Attributes:
        values: The largest, falling, then the smallest, rising, (top + bottom,), in units of the loss.
        residuals: ‖Hv − λv‖ of each, (top + bottom,): an eigenvalue lies as near as this.
        errors: Estimated |λ − exact| of each, (top + bottom,), of the iteration alone, not over images.
        converged: Whether that is below the tolerance, and none beyond was left out, as far
            as can be told: from one random vector an eigenvalue that is there twice is found once before the space
            that it spans is done.
        top: How many of `values` are the largest.
        steps: Products that the iteration took.
        held_out: What eigenvectors of one half of the images are worth on the other; None where it was not asked for.
        images: How many images the loss is a mean over.
        names: The parameters that the Hessian is of.
        directions: Eigenvectors of unit length, one for each of `values`; empty where they were not kept.
    """

    values: Float[np.ndarray, " values"]
    residuals: Float[np.ndarray, " values"]
    errors: Float[np.ndarray, " values"]
    converged: Bool[np.ndarray, " values"]
    top: int
    steps: int
    held_out: HeldOutCurvature | None
    images: int
    names: tuple[str, ...]
    directions: tuple[Direction, ...] = ()


@final
@dataclass(frozen=True, kw_only=True)
class Search:
    """What is wanted of a spectrum; arguments as those of `hessian_spectrum`."""

    top: int = 5
    bottom: int = 1
    held_out: bool = True
    steps: int | None = None
    tolerance: float = 1e-5
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, least in (
            ("top", self.top, 0),
            ("bottom", self.bottom, 0),
            ("steps", self.steps, self.wanted),
        ):
            if value is not None and value < least:
                raise ValueError(f"`{name}` must be at least {least}, got {value}")
        if not self.tolerance > 0:
            raise ValueError(f"`tolerance` must be positive, got {self.tolerance}")

    @property
    def wanted(self) -> int:
        """How many eigenvalues."""
        return self.top + self.bottom

    def chosen(self, ritz: Ritz) -> list[int]:
        """Which of the approximations these are: the largest, falling, then the smallest, rising."""
        last = len(ritz.values) - 1
        return [*range(last, last - self.top, -1), *range(self.bottom)]

    def converged(self, lanczos: Lanczos) -> Bool[np.ndarray, " values"]:
        """Which of the wanted values are known to the tolerance, none beyond them left out."""
        ritz = lanczos.ritz()
        chosen = self.chosen(ritz)
        values = ritz.values[chosen]
        known = ritz.errors[chosen] <= self.tolerance * _scale(values, ritz)
        rest = None if lanczos.is_complete else lanczos.last_space()
        if rest is None:
            known &= lanczos.is_complete or lanczos.steps >= LEAST_COLD
        else:
            allowed = self.tolerance * _scale(rest.values, ritz)
            settled = rest.errors <= allowed
            if self.top:
                known[: self.top] &= settled[-1] and rest.values[-1] <= values[self.top - 1] + allowed[-1]
            if self.bottom:
                known[self.top :] &= settled[0] and rest.values[0] >= values[-1] - allowed[0]
        return known


@left_as_before
def hessian_spectrum(
    model: nn.Module,
    batches: Iterable[Any],
    *,
    top: int = 5,
    bottom: int = 1,
    parameters: str = "*",
    ignore: Ignore = "none",
    loss: LossFunction = cross_entropy,
    forward: ForwardFunction = call,
    held_out: bool = True,
    steps: int | None = None,
    tolerance: float = 1e-5,
    seed: int = 0,
    batch_size: int = BATCH_IMAGES,
    path: str | os.PathLike[str] | None = None,
    report: Report | None = None,
) -> Spectrum:
    """Find the largest and the smallest eigenvalues of the Hessian of the mean loss.

    Both ends are algebraic: the smallest eigenvalue is the most negative one, whatever its size. The iteration is
    Lanczos' with full reorthogonalization; one run serves both ends, without shifts.

    Args:
        model: Any module, in `eval()` meanwhile, and the same to the bit afterwards.
        batches: Pairs (inputs, labels), as in `evaluate_surface`; they are loaded once.
        top: How many of the largest eigenvalues.
        bottom: How many of the smallest. They lie close together and take several times as many products.
        parameters: A pattern of names, as in `random_directions`: the Hessian with respect to these alone.
        ignore: "none" takes all of them, "biasbn" only tensors with more than one dimension (Li et al.'s convention).
        loss: One number an image.
        forward: (model, inputs) -> output.
        held_out: Whether eigenvectors of halves of the images are found too, which about doubles the time.
        steps: Products to take; None as many as it takes for `tolerance`, at most 100 or 12 for each eigenvalue.
        tolerance: Relative error of the eigenvalues at which the iteration ends.
        seed: Of the first vector and of the halves.
        batch_size: Images that go through the network together.
        path: Folder that keeps every step; the same call goes on there, to the same bits.
        report: Called after every step with what is done, the number of steps, and how many there are at most.

    Returns:
        Eigenvalues, their vectors as directions, what the iteration knows of their errors, and what they are worth on
        images that took no part.

    Raises:
        TypeError: `batches` are of another kind, or a parameter is complex.
        ValueError: More eigenvalues are asked for than there are parameters or steps, or loss, labels or model are such
            as `HessianProducts` refuses.

    Source: Lanczos 1950; Pearlmutter 1994.

    Example:
        >>> import torch
        >>> from gradscape.landscape import hessian_spectrum
        >>> net = torch.nn.Linear(4, 3)
        >>> spectrum = hessian_spectrum(net, [(torch.randn(64, 4), torch.arange(64) % 3)], top=2)
        >>> spectrum.values.shape, bool(spectrum.converged.all())
        ((3,), True)
    """
    products = HessianProducts(
        model, batches, loss=loss, forward=forward, parameters=parameters, ignore=ignore, batch_size=batch_size
    )
    search = Search(top=top, bottom=bottom, held_out=held_out, steps=steps, tolerance=tolerance, seed=seed)
    return find_spectrum(products, search, Course(Path(path) if path else None, report=report))


def find_spectrum(products: HessianProducts, search: Search, course: Course) -> Spectrum:
    """As `hessian_spectrum`, of products that are there already.

    Args:
        products: Of the images.
        search: What is wanted.
        course: Until when, whom it tells, and where it keeps its steps.
    """
    if not 0 < search.wanted <= products.dimension:
        raise ValueError(
            f"`top` + `bottom` must be from 1 to {products.dimension:,}, the number of scalars in the parameters, got "
            f"{search.wanted}"
        )
    if search.held_out and products.images < _LEAST_IMAGES:
        raise ValueError(
            f"`batches` must hold at least {_LEAST_IMAGES} images to read vectors of one half on the other, got "
            f"{products.images}: give more, or `held_out`=False"
        )
    ritz, lanczos = _iterated(
        products, search, replace(course, identity=f"{products.identity} {search.seed}"), job="whole"
    )
    chosen = search.chosen(ritz)
    return Spectrum(
        values=ritz.values[chosen],
        residuals=ritz.residuals[chosen],
        errors=ritz.errors[chosen],
        converged=search.converged(lanczos),
        top=search.top,
        steps=lanczos.steps,
        held_out=_read_halves(products, search, course) if search.held_out else None,
        images=products.images,
        names=products.names,
        directions=tuple(products.to_direction(lanczos.vector(ritz.coefficients[:, k])) for k in chosen),
    )


def _iterated(products: HessianProducts, search: Search, course: Course, *, job: str) -> tuple[Ritz, Lanczos]:
    """Lanczos' iteration until the wanted values have converged, the steps are taken, or the time is over."""
    lanczos = Lanczos(
        products.product,
        products.dimension,
        seed=search.seed,
        dtype=products.vector_type,
        store=course.store(job),
    )
    most = min(search.steps or max(_MOST_STEPS, _STEPS_A_VALUE * search.wanted), products.dimension)
    while lanczos.steps < most:
        if lanczos.steps >= search.wanted and course.is_over:
            break
        lanczos.step()
        course.tell(job, lanczos.steps, most)
        if search.steps is None and lanczos.steps > search.wanted and search.converged(lanczos).all():
            break
    return lanczos.ritz(), lanczos


def _read_halves(products: HessianProducts, search: Search, course: Course) -> HeldOutCurvature | None:
    """Find the vectors on each half of the images and read them on the other; None if the time is over before."""
    second = draw_halves(products.images, search.seed)
    found, forms = np.empty((2, search.wanted)), np.full((2, search.wanted, products.images), np.nan)
    rough = replace(search, tolerance=max(_ROUGH, search.tolerance), held_out=False)
    for half, (own, other) in enumerate(((~second, second), (second, ~second))):
        part, rest = (products.part(np.flatnonzero(chosen)) for chosen in (own, other))
        ritz, lanczos = _iterated(
            part, rough, replace(course, identity=f"{part.identity} {search.seed}"), job=_HALVES[half]
        )
        chosen = search.chosen(ritz)
        found[half] = ritz.values[chosen]
        for row, k in enumerate(chosen):
            if course.is_over:
                return None
            forms[half, row, other] = rest.image_forms(lanczos.vector(ritz.coefficients[:, k]))
            course.tell(f"{_HALVES[half]} on the other", row + 1, len(chosen))
    return HeldOutCurvature(second, found, forms, products.population)


def _scale(values: Float[np.ndarray, " values"], ritz: Ritz) -> Float[np.ndarray, " values"]:
    return np.maximum(np.abs(values), _SMALL * np.abs(ritz.values).max())
