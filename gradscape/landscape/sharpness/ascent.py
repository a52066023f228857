"""The worst disturbance of a given size: one step along the gradient, or several, always back into the ball."""

from collections.abc import Callable

import torch
from torch import Tensor

from gradscape.landscape.sharpness.kinds import Norm

__all__ = ["ascend", "one_step"]

Probe = Callable[[Tensor], tuple[Tensor, Tensor]]
"""A disturbance -> loss of each image there, and the gradient of their mean by the disturbance."""

_FIRST_STEP = 2.0  # radii: from any point of the ball to any other


def one_step(gradient: Tensor, rho: float, norm: Norm) -> Tensor:
    """The disturbance of size rho along which the loss rises most, as far as its gradient tells.

    rho·g/|g| in "l2", rho·sign(g) in "linf"; none where the gradient is 0.

    Source: Foret et al. 2021, equation 2.
    """
    if norm == "linf":
        return rho * gradient.sign()
    length = torch.linalg.vector_norm(gradient, dtype=torch.float64)
    return torch.zeros_like(gradient) if length == 0 else (gradient.double() * (rho / length)).to(gradient.dtype)


def ascend(probe: Probe, start: Tensor, rho: float, *, norm: Norm, steps: int) -> Tensor:
    """Losses at the worst disturbance that projected gradient ascent finds.

    Steps go along the normalized gradient, 2·rho long at first and half as long after each that leads down, from the
    best point so far. Where the loss is convex every step leads up, and at a minimum of a quadratic they are a power
    iteration.

    Args:
        probe: Asks for losses and gradient.
        start: The first point, of size rho.
        rho: Radius of the ball.
        norm: Its norm.
        steps: How many points are asked, the first among them.

    Source: Andriushchenko et al. 2023, section 3, who take APGD (Croce and Hein 2020); here without its momentum.
    """
    point = start
    best, gradient = probe(point)
    step = _FIRST_STEP * rho
    for _ in range(steps - 1):
        candidate = _within(point + one_step(gradient, step, norm), rho, norm)
        losses, slope = probe(candidate)
        if losses.mean() > best.mean():
            point, best, gradient = candidate, losses, slope
        else:
            step /= 2
    return best


def _within(point: Tensor, rho: float, norm: Norm) -> Tensor:
    """The nearest point of the ball."""
    if norm == "linf":
        return point.clamp(-rho, rho)
    length = torch.linalg.vector_norm(point, dtype=torch.float64)
    return point if length <= rho else (point.double() * (rho / length)).to(point.dtype)
