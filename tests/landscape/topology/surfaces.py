"""Surfaces of functions in the plane, as if measured on all images."""

from collections.abc import Callable

import numpy as np

from gradscape.landscape import Surface
from gradscape.landscape.statistics import BlockStatistics

Function = Callable[[np.ndarray, np.ndarray], np.ndarray]


def surface_of_values(values: np.ndarray, alphas: np.ndarray | None = None, betas: np.ndarray | None = None) -> Surface:
    """One block of all images, so that nothing is left to sampling."""
    count = np.full((1, *values.shape), 10)
    lost = (~np.isfinite(values[None])).astype(int)
    blocks = BlockStatistics(count, values[None], np.zeros((1, *values.shape)), count / 2, lost, 10)
    return Surface(
        alphas=np.arange(float(values.shape[1])) if alphas is None else alphas,
        betas=np.arange(float(values.shape[0])) if betas is None else betas,
        blocks=blocks,
        origin=BlockStatistics.empty(1, (), 10),
        meta={"model": "function"},
    )


def surface_of_function(function: Function, low: float, high: float, points: int) -> Surface:
    """The same of a function on a square."""
    axis = np.linspace(low, high, points)
    return surface_of_values(function(*np.meshgrid(axis, axis)), axis, axis)


def himmelblau(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Four minima of 0, four saddles and a maximum."""
    return np.asarray((x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2)


def waves(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Ties everywhere: all minima are −1, all maxima 1, all saddles 0."""
    return np.asarray(np.sin(x) * np.sin(y))
