"""Numbers that say what a picture of a landscape shows, each with its uncertainty over images."""

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float

from gradscape.landscape.metrics.basins import (
    estimate_error_area,
    estimate_flatness_ratio,
    estimate_plane_curvature,
    estimate_sharpness,
    estimate_width,
)
from gradscape.landscape.metrics.estimates import interval
from gradscape.landscape.metrics.resampling import Resamples, block_sample
from gradscape.landscape.metrics.roughness import estimate_convex_share, estimate_roughness, estimate_scaled_roughness
from gradscape.landscape.surface import Surface

__all__ = ["ERROR_RISE", "LOSS_RISE", "METRICS", "Measure", "Metric", "measure_landscape", "measure_resamples"]

LOSS_RISE = float(np.log(2))
"""Loss rise that bounds the basin, nats: there the geometric mean of the right class's probability is halved."""

ERROR_RISE = 0.05
"""Error rise that bounds the error basin: 5 percentage points."""

_LEAST_RESAMPLES = 50


@final
@dataclass(frozen=True)
class Measure:
    """A metric's value on one surface.

    Attributes:
        name: The metric's name.
        value: Its estimate; NaN where it is not defined.
        low: Lower end of the interval over images; NaN where there is none.
        high: Upper end.
        unit: Unit of all three.
        note: Why the value is undefined or unreliable; else "".
        vague: Whether the interval was opened, because the images do not bound the value.
    """

    name: str
    value: float
    low: float
    high: float
    unit: str
    note: str = ""
    vague: bool = False

    @property
    def notes(self) -> list[str]:
        """The reasons in `note`, one by one."""
        return self.note.split("; ") if self.note else []


@final
@dataclass(frozen=True)
class Metric:
    """What a metric means.

    Attributes:
        definition: How it is computed from the surface.
        unit: Its unit; d is the length of a direction, so a coordinate of 1 on the plane.
        source: Where the definition comes from.
        bounds: What values it can have.
    """

    definition: str
    unit: str
    source: str
    bounds: tuple[float, float] = (0.0, np.inf)


METRICS: dict[str, Metric] = {
    "sharpness": Metric(
        "largest rise of the loss over the origin's within radius ε; ε is half the way from the origin to the nearest "
        "edge of the grid",
        "nats",
        "Keskar et al. 2017, On Large-Batch Training for Deep Learning, metric 2.1 (here unscaled, on the plane)",
    ),
    "basin_width": Metric(
        "diameter of the circle around the origin on which the mean loss has risen by ln 2 = 0.69 nats",
        "d",
        "Li et al. 2018, Visualizing the Loss Landscape of Neural Nets, section 5 (width of contours)",
    ),
    "curvature": Metric(
        "mean of the two eigenvalues of the loss's Hessian on the plane at the origin, by a quadratic fit to 5×5 "
        "points",
        "nats/d²",
        "Li et al. 2018, section 6 (curvature on the plane)",
        bounds=(-np.inf, np.inf),
    ),
    "anisotropy": Metric(
        "ratio of the larger to the smaller eigenvalue of that Hessian, where both are positive",
        "",
        "Li et al. 2018, section 6",
        bounds=(1.0, np.inf),
    ),
    "roughness": Metric(
        "mean absolute discrete Laplacian of the log-loss over inner grid points, without what sampling noise adds; "
        "for losses above 0",
        "1/d²",
        "Li et al. 2018, section 6 (smooth and chaotic landscapes), as a number",
    ),
    "scaled_roughness": Metric(
        "the same of the loss scaled by its quantiles, (loss − q05)/(q95 − q05), clipped to [−1, 2]; q05 and q95 are "
        "means of the values from 2.5 to 7.5 % and from 92.5 to 97.5 %",
        "1/d²",
        "UPANets, appendix C (scaled landscapes), with quantiles in place of minimum and maximum",
    ),
    "convex_share": Metric(
        "share of the inner grid's area where the discrete Hessian of the loss has no negative eigenvalue",
        "",
        "Li et al. 2018, section 6 (maps of the ratio of Hessian eigenvalues)",
        bounds=(0.0, 1.0),
    ),
    "error_basin_area": Metric(
        "area of the grid in which the error is at most the origin's plus 5 percentage points",
        "d²",
        "Li et al. 2018, section 5 (error contours)",
    ),
}


def measure_landscape(
    surface: Surface,
    *,
    resamples: int = 400,
    confidence: float = 0.95,
    seed: int = 0,
    loss_rise: float = LOSS_RISE,
) -> dict[str, Measure]:
    """Every metric of `METRICS` on a surface, each with an interval by a bootstrap over blocks of images.

    The intervals are about the images: how far the value over all images of the data set may lie from that over the
    evaluated ones. Where all were evaluated, both ends are the value. Other random directions are another matter: see
    `gradscape.studies.compare`.

    Args:
        surface: The surface, of any axes with at least 3 points.
        resamples: Number of bootstrap resamples.
        confidence: Wanted coverage of the intervals, in (0, 1).
        seed: Of the bootstrap.
        loss_rise: Rise of the mean loss that bounds the basin, in the loss's unit.

    Returns:
        Name -> measure, in the order of `METRICS`; what is not defined is NaN and has a note.

    Raises:
        ValueError: An option is out of range, the grid is too small, or nothing was evaluated yet.

    Example:
        >>> import torch
        >>> from gradscape.landscape import evaluate_surface, random_directions
        >>> net, batches = torch.nn.Linear(4, 3), [(torch.randn(64, 4), torch.arange(64) % 3)]
        >>> axis = [-1.0, -0.5, 0.0, 0.5, 1.0]
        >>> surface = evaluate_surface(net, batches, random_directions(net, seed=0), axis, axis)
        >>> measures = measure_landscape(surface)
        >>> measures["roughness"].low <= measures["roughness"].value <= measures["roughness"].high
        True
    """
    found = measure_resamples(surface, resamples=resamples, confidence=confidence, seed=seed, loss_rise=loss_rise)
    return {name: measure for name, (measure, _) in found.items()}


def measure_resamples(
    surface: Surface,
    *,
    resamples: int = 400,
    confidence: float = 0.95,
    seed: int = 0,
    loss_rise: float = LOSS_RISE,
) -> dict[str, tuple[Measure, Float[np.ndarray, "resamples"]]]:
    """The same, with each metric's value in every resample; none where nothing is left to sampling.

    The same seed draws the same images for every surface that was evaluated on as many blocks, so that differences
    between values in resamples are paired by images.
    """
    _check(surface, resamples, confidence, loss_rise)
    samples = Resamples(block_sample(surface), resamples, seed)
    estimates = {
        "sharpness": estimate_sharpness(samples),
        "basin_width": estimate_width(samples, loss_rise),
        "curvature": estimate_plane_curvature(samples),
        "anisotropy": estimate_flatness_ratio(samples),
        "roughness": estimate_roughness(samples),
        "scaled_roughness": estimate_scaled_roughness(samples),
        "convex_share": estimate_convex_share(samples),
        "error_basin_area": estimate_error_area(samples, ERROR_RISE),
    }
    found = {}
    for name, values in estimates.items():
        one = interval(samples, values, confidence=confidence, bounds=METRICS[name].bounds)
        measure = Measure(name, one.value, one.low, one.high, METRICS[name].unit, one.note, one.vague)
        found[name] = measure, values.resampled
    return found


def _check(surface: Surface, resamples: int, confidence: float, loss_rise: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"`confidence` must lie between 0 and 1, got {confidence}")
    if resamples < _LEAST_RESAMPLES:
        raise ValueError(f"`resamples` must be at least {_LEAST_RESAMPLES}, got {resamples}")
    if not loss_rise > 0:
        raise ValueError(f"`loss_rise` must be positive, got {loss_rise}")
    if min(surface.loss.shape) < 3:
        raise ValueError(f"`surface` must have at least 3×3 points, got {surface.loss.shape}: take more steps")
