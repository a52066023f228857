"""The trace of the Hessian: exactly where outputs are straight lines along every layer, else estimated by probes."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from gradscape._left_as_before import left_as_before
from gradscape.landscape.directions import Direction, Ignore
from gradscape.landscape.engine import ForwardFunction, LossFunction, call, cross_entropy
from gradscape.landscape.hessian.course import Course, Report
from gradscape.landscape.hessian.exact_diagonal import exact_diagonal, why_not_exact
from gradscape.landscape.hessian.image_mean import ImageMean
from gradscape.landscape.hessian.products import BATCH_IMAGES, HessianProducts
from gradscape.landscape.statistics import student_half_width

__all__ = ["Trace", "find_trace", "hessian_trace"]


@final
@dataclass(frozen=True, eq=False)
class Trace:
    """Trace of the Hessian of the mean loss over images.

    Attributes:
        images: Of each image's own Hessian, (images,), in units of the loss.
        population: How many images these were drawn from.
        layers: Of each image by parameter, (images, parameters), which add up to it; None of an estimate.
        names: The parameters.
        diagonal: Diagonal entries of the Hessian by parameter; None of an estimate.
        probe_stderr: Standard error by the probes of an estimate; 0 of an exact trace.
        probes: How many that error rests on; 0 of an exact trace.
        inexact: Why it is an estimate, in words; "" if it is exact.
    """

    images: Float[np.ndarray, " images"]
    population: int
    names: tuple[str, ...]
    layers: Float[np.ndarray, "images parameters"] | None = None
    diagonal: Direction | None = None
    probe_stderr: float = 0.0
    probes: int = 0
    inexact: str = ""

    @property
    def value(self) -> float:
        """The trace."""
        return self.mean.value

    @property
    def mean(self) -> ImageMean:
        """Its images as an estimate for all images: `reliable`, `effective_images`."""
        return ImageMean(self.images, self.population)

    @property
    def stderr(self) -> float:
        """Standard error over images, finite-population corrected, and over probes."""
        return float(np.hypot(self.mean.stderr, self.probe_stderr))

    @property
    def reliable(self) -> bool:
        """Whether `interval` can be trusted: enough images carry the trace."""
        return self.mean.reliable

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Two-sided Student interval of the trace over all images, with Welch's degrees of freedom over both errors.

        Args:
            level: Wanted coverage in (0, 1).
        """
        variances = np.array([self.mean.stderr, self.probe_stderr]) ** 2
        freedoms = np.maximum([len(self.images) - 1, self.probes - 1], 1)
        shares = float((variances**2 / freedoms).sum())
        freedom = float(variances.sum()) ** 2 / shares if shares else float(freedoms[0])
        half = float(student_half_width(self.stderr, freedom, level))
        return self.value - half, self.value + half

    def by_parameter(self) -> dict[str, ImageMean]:
        """The part of each parameter, with its error; empty of an estimate."""
        if self.layers is None:
            return {}
        return {name: ImageMean(one, self.population) for name, one in zip(self.names, self.layers.T, strict=True)}


@left_as_before
def hessian_trace(
    model: nn.Module,
    batches: Iterable[Any],
    *,
    parameters: str = "*",
    ignore: Ignore = "none",
    loss: LossFunction = cross_entropy,
    forward: ForwardFunction = call,
    probes: int = 30,
    seed: int = 0,
    batch_size: int = BATCH_IMAGES,
    path: str | os.PathLike[str] | None = None,
    report: Report | None = None,
) -> Trace:
    """Compute the trace of the Hessian of the mean loss, with its error over images.

    Where outputs are straight lines along the weights of every layer by itself, as in networks of convolutions,
    linear layers, batch norm in `eval()` and ReLU, the diagonal of the Hessian is that of the Gauss-Newton matrix, and
    the trace is exact, for each image and parameter. Whether they are is measured; otherwise Hutch++ estimates it.

    Args:
        model: Any module, in `eval()` meanwhile, and the same to the bit afterwards.
        batches: Pairs (inputs, labels), as in `evaluate_surface`; they are loaded once.
        parameters: A pattern of names, as in `random_directions`: the Hessian with respect to these alone.
        ignore: "none" takes all of them, "biasbn" only tensors with more than one dimension.
        loss: One number an image.
        forward: (model, inputs) -> output.
        probes: Of an estimate, passes over the images, at least 6: a third finds where the Hessian is large, a third
            measures the trace there, a third estimates the rest.
        seed: Of the probes.
        batch_size: Images that go through the network together.
        path: Folder that keeps what is done; the same call goes on there.
        report: Called as the work goes on.

    Returns:
        The trace of every image, by parameter where it is exact.

    Raises:
        TypeError: `batches` are of another kind, or a parameter is complex.
        ValueError: Loss, labels or model are such as `HessianProducts` refuses, or there are too few probes.

    Source: Singla et al. 2019 (exact); Meyer, Musco, Musco and Woodruff 2021, algorithm 1 (Hutch++).

    Example:
        >>> import torch
        >>> from gradscape.landscape import hessian_trace
        >>> net = torch.nn.Linear(4, 3)
        >>> trace = hessian_trace(net, [(torch.randn(64, 4), torch.arange(64) % 3)])
        >>> trace.inexact, list(trace.by_parameter())
        ('', ['weight', 'bias'])
    """
    products = HessianProducts(
        model, batches, loss=loss, forward=forward, parameters=parameters, ignore=ignore, batch_size=batch_size
    )
    return find_trace(products, Course(Path(path) if path else None, report=report), probes=probes, seed=seed)


def find_trace(products: HessianProducts, course: Course, *, probes: int = 30, seed: int = 0) -> Trace:
    """As `hessian_trace`, of products that are there already.

    Raises:
        OutOfTimeError: The time is over before; what was computed is kept.
    """
    if probes < 6:
        raise ValueError(f"`probes` must be at least 6, got {probes}")
    why = why_not_exact(products)
    own = replace(course, identity=f"{products.identity} {seed} {probes}")
    if why:
        images, error = _estimated(products, own, probes=probes, seed=seed)
        made = (images, products.population, products.names)
        return Trace(*made, probe_stderr=error, probes=probes // 3, inexact=why)
    found = exact_diagonal(products, own)
    return Trace(
        images=found.traces.sum(axis=1),
        population=products.population,
        names=products.names,
        layers=found.traces,
        diagonal=products.to_direction(torch.cat([one.reshape(-1) for one in found.diagonal.values()])),
    )


def _estimated(products: HessianProducts, course: Course, *, probes: int, seed: int) -> tuple[np.ndarray, float]:
    """Hutch++ of every image: qᵀH_iq over a basis of where H is large, and the mean of gᵀH_ig of what is left."""
    size = probes // 3
    generator = torch.Generator().manual_seed(seed)

    def signs(count: int) -> Tensor:
        drawn = torch.randint(0, 2, (count, products.dimension), generator=generator)
        return 2.0 * drawn.double() - 1

    def passed(function: Callable[[Tensor], Tensor], vector: Tensor, number: int) -> Tensor:
        found = _passed(function, vector, f"pass{number:04d}", course)
        course.tell("trace", number + 1, 3 * size)
        return found

    def forms_of(vector: Tensor) -> Tensor:
        return torch.from_numpy(products.image_forms(vector))

    sketch = torch.stack([passed(products.product, one, number) for number, one in enumerate(signs(size))])
    basis, _ = torch.linalg.qr(sketch.T)
    rest = signs(size)
    rest -= (rest @ basis) @ basis.T
    forms = [passed(forms_of, one, size + number).numpy() for number, one in enumerate((*basis.T, *rest))]
    inside, outside = np.array(forms[:size]), np.array(forms[size:])
    error = outside.mean(axis=1).std(ddof=1) / np.sqrt(size)
    return inside.sum(axis=0) + outside.mean(axis=0), float(error)


def _passed(function: Callable[[Tensor], Tensor], vector: Tensor, name: str, course: Course) -> Tensor:
    """A pass over the images, unless it was kept."""
    kept = course.load(f"trace/{name}")
    if kept is not None:
        return torch.from_numpy(kept["values"])
    course.check_time()
    found = function(vector)
    course.save(f"trace/{name}", {"values": found.numpy()})
    return found
