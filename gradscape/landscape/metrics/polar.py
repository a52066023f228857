"""A grid's values on circles around the origin."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import sparse

__all__ = ["ANGLES", "RADII", "Polar", "polar"]

ANGLES = 72
RADII = 48
"""Circles up to the nearest edge of the grid; the middle one has half its radius."""

_NODES = 4


@dataclass(frozen=True, eq=False)
class Polar:
    """Interpolation of grid values at circles around (0, 0), exact for polynomials of degree 3 in each coordinate.

    Attributes:
        radii: (radii,) in units of the directions, ascending; the last circle touches the nearest edge.
    """

    radii: Float[np.ndarray, "radii"]
    _weights: sparse.csr_array

    def __call__(self, values: Float[np.ndarray, "samples betas alphas"]) -> Float[np.ndarray, "samples radii angles"]:
        """Values on the circles; NaN where a grid point that is needed has none."""
        flat = values.reshape(len(values), -1).T
        return (self._weights @ flat).T.reshape(len(values), len(self.radii), ANGLES)


def polar(alphas: Float[np.ndarray, "alphas"], betas: Float[np.ndarray, "betas"]) -> Polar | None:
    """Circles that fit into a grid around its origin; None where the origin is not inside it."""
    reach = min(-alphas.min(), alphas.max(), -betas.min(), betas.max())
    if not reach > 0:
        return None
    radii = reach * np.arange(1, RADII + 1) / RADII
    angles = 2 * np.pi * np.arange(ANGLES) / ANGLES
    columns, alpha_weights = _lagrange(alphas, np.outer(radii, np.cos(angles)).ravel())
    rows, beta_weights = _lagrange(betas, np.outer(radii, np.sin(angles)).ravel())
    weights = beta_weights[:, :, None] * alpha_weights[:, None, :]
    indices = rows[:, :, None] * len(alphas) + columns[:, None, :]
    points = np.broadcast_to(np.arange(len(weights))[:, None, None], weights.shape)
    # A grid point with weight 0 must not make a circle NaN.
    used = np.abs(weights) > 1e-12
    entries = (weights[used], (points[used], indices[used]))
    return Polar(radii, sparse.csr_array(entries, shape=(len(weights), len(alphas) * len(betas))))


def _lagrange(
    axis: Float[np.ndarray, "nodes"], places: Float[np.ndarray, "points"]
) -> tuple[np.ndarray, Float[np.ndarray, "points used"]]:
    """The nodes around each place and their weights in the polynomial through them."""
    order = np.argsort(axis)
    nodes = axis[order]
    used = min(_NODES, len(nodes))
    # A place on a node, but for rounding, is that node.
    first = np.clip(np.searchsorted(nodes, places + 1e-12) - used // 2, 0, len(nodes) - used)
    chosen = first[:, None] + np.arange(used)
    around = nodes[chosen]
    weights = np.ones(chosen.shape)
    for node in range(used):
        for other in range(used):
            if other != node:
                weights[:, node] *= (places - around[:, other]) / (around[:, node] - around[:, other])
    return order[chosen], weights
