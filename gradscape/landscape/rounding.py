"""What bfloat16 changes in a surface, against what sampling leaves open anyway."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Float

__all__ = ["MOST_ROUNDING", "Rounding", "describe_precision", "measure_rounding", "probe_points", "recorded_rounding"]

_PROBES = 5  # on each axis
_DEVIATIONS = 5.0  # of a normal error: a surface has thousands of points, and the deviation is itself estimated
MOST_ROUNDING = 0.25  # of the standard error


@dataclass(frozen=True)
class Rounding:
    """How far bf16 losses lie from fp32 ones, measured at probe points on a few images.

    At a point, rounding changes the image losses by e_i, mean ē and deviation s_e, where sampling leaves
    s/√n open. ē stays when images are added, so that the share √(n·ē² + s_e²)/s grows with n. Where
    few images carry the loss, the surface's median deviation takes the place of the point's own smaller one.

    Attributes:
        bias: Root mean square of ē/s over the probe points, without what s_e explains.
        spread: Root mean square of s_e/s over the probe points.
        same_mask: Whether the same losses were finite.
        points: Number of probe points.
        images: Images at each.
    """

    bias: float
    spread: float
    same_mask: bool
    points: int
    images: int

    def share(self, images: int, population: int) -> float:
        """Bound of the error of a point as a share of its standard error with so many images.

        Five times the root mean square over the probe points; infinite when nothing is left to sampling.
        """
        left = 1 - images / population  # with all of them seen no error of sampling is left to hide behind
        return self.bound(images) * float(np.sqrt(images / left)) if left > 0 else np.inf

    def bound(self, images: int) -> float:
        """Bound of the error of a point with so many images as a share of the deviation of its image losses."""
        return _DEVIATIONS * float(np.hypot(self.bias, self.spread / np.sqrt(images)))


def probe_points(shape: Sequence[int]) -> list[int]:
    """Flat indices of an even grid of probe points that has the corners and the middle, (C order)."""
    points = _PROBES if len(shape) > 1 else 2 * _PROBES - 1
    axes = [np.unique(np.linspace(0, length - 1, min(points, length)).round().astype(int)) for length in shape]
    return np.ravel_multi_index(np.meshgrid(*axes, indexing="ij"), tuple(shape)).ravel().tolist()


def measure_rounding(exact: Float[np.ndarray, "points images"], coarse: Float[np.ndarray, "points images"]) -> Rounding:
    """Compare losses of the same images at the same points in fp32 and in bf16."""
    # Where a loss is not finite there is no difference to be measured, only whether both precisions break down alike.
    finite = np.isfinite(exact)
    same_mask = bool(np.array_equal(finite, np.isfinite(coarse)))
    whole = finite.all(axis=1) & np.isfinite(coarse).all(axis=1)
    count, points = exact.shape[1], int(whole.sum())
    # A point where few images carry the loss may show none of them among so few probes: its deviation comes out too
    # small, and would make rounding look large. The median over the points stands in.
    deviations = exact[whole].std(axis=1, ddof=1) if points else np.zeros(0)
    scale = np.maximum(deviations, np.median(deviations)) if points else deviations
    if not points or not scale.min() > 0:
        return Rounding(np.inf, np.inf, same_mask, points, count)
    errors = coarse[whole] - exact[whole]
    spread = errors.var(axis=1, ddof=1)
    # The mean of so few errors is off by s_e²/n even where nothing is biased. Left in, it would pass for a bias, which
    # unlike a spread does not shrink as images are added.
    bias = np.maximum(errors.mean(axis=1) ** 2 - spread / count, 0.0)
    in_mean, in_spread = (float(np.sqrt(np.mean(squares / scale**2))) for squares in (bias, spread))
    return Rounding(in_mean, in_spread, same_mask, points, count)


def recorded_rounding(meta: Mapping[str, Any]) -> Rounding | None:
    """What was measured of bf16 before a surface or a line was evaluated; None where nothing was."""
    found = meta.get("plan_notes", {}).get("rounding")
    return Rounding(**{one.name: found[one.name] for one in fields(Rounding)}) if found else None


def describe_precision(meta: Mapping[str, Any]) -> str:
    """In which precision a surface or a line was computed, and how far bf16 is off; "" where that is unknown."""
    precision = str(meta.get("plan", {}).get("precision") or "")
    rounding = recorded_rounding(meta)
    if precision != "bf16":
        return precision
    if rounding is None:
        return "bf16 (how far it is off was not measured)"
    images = max(1, int(meta.get("images") or 1))
    share = rounding.share(images, max(images, int(meta.get("population") or images)))
    if np.isfinite(share):
        return f"bf16 (off by at most {share:.2g} standard errors)"
    return f"bf16 (off by at most {rounding.bound(images):.2g} standard deviations of the image losses)"
