"""Surfaces and lines from closed forms, on grids that are not square."""

from typing import Any

import numpy as np

from gradscape.landscape import Line, Surface
from gradscape.landscape.statistics import BlockStatistics

ALPHAS = np.linspace(-1.0, 1.0, 7)
BETAS = np.linspace(-0.5, 0.5, 5)
META = {"model": "net", "data": "digits", "split": "train", "seed": 3, "normalize": "filter"}


def bowl(steepness: float = 1.0) -> np.ndarray:
    """An anisotropic loss, (5, 7), lowest (0.25) at the origin; beta counts 9 times as much as alpha."""
    alphas, betas = np.meshgrid(ALPHAS, BETAS)
    return np.asarray(0.25 + steepness * (alphas**2 + 9 * betas**2))


def bowl_error() -> np.ndarray:
    """An error in [0.1, 0.45], (5, 7), that grows with alpha only."""
    return np.asarray(0.1 + 0.35 * np.broadcast_to(np.abs(ALPHAS), (5, 7)))


def make_surface(
    losses: np.ndarray | None = None,
    error: np.ndarray | None = None,
    *,
    alphas: np.ndarray = ALPHAS,
    betas: np.ndarray = BETAS,
    **meta: Any,
) -> Surface:
    """A surface with a standard error of 2 % of the loss, from 400 of 4,000 images; NaN losses are non-finite."""
    loss = bowl() if losses is None else losses
    error = np.broadcast_to(0.2, loss.shape) if error is None else error
    return Surface(
        alphas=alphas,
        betas=betas,
        blocks=make_blocks(loss, error),
        origin=make_blocks(np.array(0.25), np.array(0.1)),
        meta={**META, **meta},
    )


def make_line(loss: np.ndarray, error: np.ndarray, alphas: np.ndarray, **meta: Any) -> Line:
    """A line with the same uncertainty."""
    origin = make_blocks(np.array(0.25), np.array(0.1))
    return Line(alphas=alphas, blocks=make_blocks(loss, error), origin=origin, meta={**META, **meta})


def make_blocks(loss: np.ndarray, error: np.ndarray) -> BlockStatistics:
    """One block whose statistics give these values."""
    images, population = 400, 4000
    stderr = 0.02 * np.abs(np.nan_to_num(loss, nan=1.0, posinf=1.0, neginf=1.0))
    squares = stderr**2 * images * (images - 1) / (1 - images / population)
    return BlockStatistics(
        count=np.full((1, *loss.shape), images),
        mean=np.asarray(loss, dtype=float)[None],
        m2=squares[None],
        right=((1 - error) * images)[None],
        nonfinite=np.where(np.isfinite(loss), 0, 3)[None],
        population=population,
    )


def with_gaps(loss: np.ndarray) -> np.ndarray:
    """The same with a NaN at (beta, alpha) = [0, 1] and an infinity at [3, 6]."""
    loss = loss.copy()
    loss[0, 1], loss[3, 6] = np.nan, np.inf
    return loss


def unevaluated(surface: Surface, row: int) -> Surface:
    """The surface with one beta left out, as a picture on the way shows it."""
    blocks = surface.blocks
    arrays = {name: getattr(blocks, name).copy() for name in BlockStatistics.arrays()}
    for name, empty in (("count", 0), ("mean", np.nan), ("m2", np.nan), ("right", np.nan), ("nonfinite", 0)):
        arrays[name][:, row] = empty
    rest = BlockStatistics(**arrays, population=blocks.population)
    return Surface(alphas=surface.alphas, betas=surface.betas, blocks=rest, origin=surface.origin, meta=surface.meta)
