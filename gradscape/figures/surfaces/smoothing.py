"""A finer surface between the points of a coarse grid: for pictures, never to be stored."""

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float

from gradscape.figures.surfaces.fields import drawn_unit
from gradscape.figures.surfaces.shading import Shading
from gradscape.landscape import Field

__all__ = ["smooth", "smoothing_note"]

_CELLS = 64  # a side of a smoothed surface has about so many


def smooth(field: Field, shading: Shading) -> Field:
    """The field on a finer grid, of which its own points keep their values.

    Each row, then each column is interpolated by cubic polynomials that rise only where neighbors do, so that no
    value lies beyond those around it. What is next to a gap stays one: nothing is bridged or extrapolated.

    Args:
        field: At least two alphas and two betas.
        shading: How it will be drawn: on a log scale logarithms are interpolated.

    Source: Fritsch and Butland, "A method for constructing local monotone piecewise cubic interpolants", 1984.
    """
    values = np.where(np.isfinite(field.values), field.values, np.nan)
    logarithmic = shading.scale == "log"
    if logarithmic:
        values = np.log10(np.where(values <= 0, shading.low / drawn_unit(field.unit)[0], values))
    alphas, betas = _finer(field.alphas), _finer(field.betas)
    by_row = _interpolated(field.alphas, values, alphas)
    finer = _interpolated(field.betas, by_row.T, betas).T
    return replace(
        field,
        alphas=alphas,
        betas=betas,
        values=10**finer if logarithmic else finer,
        stderr=None,
        marks={name: np.isnan(finer) & _around(mark, finer.shape) for name, mark in field.marks.items()},
    )


def smoothing_note(field: Field) -> str:
    """What a caption says of a field that is drawn smoothed."""
    return f"smoothed between {len(field.alphas)} × {len(field.betas)} evaluated points (dots)"


def _finer(axis: Float[np.ndarray, "points"]) -> Float[np.ndarray, "finer"]:
    """Each interval divided evenly; its ends are there to the bit."""
    parts = max(2, round(_CELLS / (len(axis) - 1)))
    inner = axis[:-1, None] + np.diff(axis)[:, None] * np.arange(parts) / parts
    return np.append(inner.ravel(), axis[-1])


def _around(
    mark: Bool[np.ndarray, "betas alphas"], finer: tuple[int, ...]
) -> Bool[np.ndarray, "finer_betas finer_alphas"]:
    """Points of a finer grid next to a marked one."""
    sides = []
    for points, many in zip(mark.shape, finer, strict=True):
        parts = (many - 1) // (points - 1)
        sides.append((np.arange(many) // parts, -(-np.arange(many) // parts)))
    return np.any([mark[np.ix_(rows, columns)] for rows in sides[0] for columns in sides[1]], axis=0)


def _interpolated(
    axis: Float[np.ndarray, "points"], rows: Float[np.ndarray, "rows points"], finer: Float[np.ndarray, "finer"]
) -> Float[np.ndarray, "rows finer"]:
    """Each row along its own runs of finite values."""
    from scipy.interpolate import PchipInterpolator  # half a second that other pictures would pay for nothing

    turn = np.sign(axis[-1] - axis[0])  # interpolation asks for rising coordinates
    filled = np.full((len(rows), len(finer)), np.nan)
    parts = (len(finer) - 1) // (len(axis) - 1)
    for row, values in enumerate(rows):
        there = np.flatnonzero(np.isfinite(values))
        for run in np.split(there, np.flatnonzero(np.diff(there) > 1) + 1):
            if not len(run):
                continue
            among = slice(run[0] * parts, run[-1] * parts + 1)
            if len(run) == 1:
                filled[row, among] = values[run]
            else:
                filled[row, among] = PchipInterpolator(turn * axis[run], values[run])(turn * finer[among])
    return filled
