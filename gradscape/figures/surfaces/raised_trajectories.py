"""Networks on a relief: each on the surface above its nearest point of the plane, hidden where walls are before it."""

from typing import Any, final

import numpy as np
from jaxtyping import Float, Int
from matplotlib.text import Annotation
from mpl_toolkits.mplot3d.axes3d import Axes3D  # type: ignore[import-untyped]
from mpl_toolkits.mplot3d.proj3d import proj_transform  # type: ignore[import-untyped]

from gradscape._names import one_line
from gradscape.figures.surfaces.seen_marks import SeenMarks
from gradscape.figures.surfaces.trajectories import (
    CASING,
    LABEL,
    add_key,
    label_look,
    labelled,
    marks_of,
    network_name,
    path_look,
    sizes_of,
)
from gradscape.figures.surfaces.trajectory_wording import farthest, trajectories_of
from gradscape.landscape import Field, Trajectory

__all__ = ["draw_raised_trajectories", "finer_path", "heights_above"]

_STEPS = 150  # of a path on the relief, about: between networks it follows the surface
_ROUNDING = 1e-9  # of a cell
_SIZES = 4  # classes of circles


def draw_raised_trajectories(
    ax: Axes3D,
    field: Field,
    heights: Float[np.ndarray, "betas alphas"],
    cells: Float[np.ndarray, "cells 4 3"],
) -> None:
    """Draw the networks that a field's provenance places in its plane, without the places of their names yet.

    Args:
        ax: Where the relief is.
        field: What it shows.
        heights: Of its points; NaN in gaps.
        cells: Their corners, as `SeenMarks` takes them.
    """
    trajectories = trajectories_of(field)
    most = farthest(trajectories)
    for number, one in enumerate(trajectories):
        look = path_look(number)
        if one.joined:
            path = _raised(field, heights, *finer_path(one, _STEPS).T)
            ax.plot(*path.T, linestyle="-", linewidth=0.6, alpha=0.45, color=look["color"], zorder=4, label="_hidden")
            ax.add_line(SeenMarks(path, cells, **CASING, zorder=4.1, label="_casing"))
            ax.add_line(SeenMarks(path, cells, linewidth=1.1, zorder=4.2, label=one_line(one.name), **look))
        points = _raised(field, heights, one.alphas, one.betas)
        if most:
            _add_circles(ax, points, cells, sizes_of(one, most), look["color"])
        for name, mark, where in marks_of(one):
            edge: dict[str, Any] = {"markeredgecolor": "white", "markeredgewidth": 0.4, "zorder": 4.4, "label": name}
            ax.add_line(SeenMarks(points[where], cells, color=look["color"], **mark, **edge))
        for which in labelled(field, one):
            if np.isfinite(points[which]).all():
                text = network_name(one, which, alone=len(trajectories) == 1)
                ax.add_artist(_Name(text, points[which], **label_look(look["color"])))
    if most:
        add_key(ax, most, "lower left")


def finer_path(trajectory: Trajectory, steps: int) -> Float[np.ndarray, " places 2"]:
    """Alphas and betas along a path: its networks, and about `steps` places between them, evenly."""
    corners = np.stack([trajectory.alphas, trajectory.betas], axis=1)
    lengths = np.hypot(*np.diff(corners, axis=0).T)
    parts = np.maximum(1, np.ceil(steps * lengths / (lengths.sum() or 1.0))).astype(int)
    pieces = [
        start + (end - start) * np.arange(part)[:, None] / part
        for start, end, part in zip(corners[:-1], corners[1:], parts, strict=True)
    ]
    return np.concatenate([*pieces, corners[-1:]])


def heights_above(
    field: Field,
    heights: Float[np.ndarray, "betas alphas"],
    alphas: Float[np.ndarray, " places"],
    betas: Float[np.ndarray, " places"],
) -> Float[np.ndarray, " places"]:
    """How high a relief is at places: on the two triangles of each cell; NaN outside of it and in cells with a gap."""
    column, across = _cells(field.alphas, alphas)
    row, upward = _cells(field.betas, betas)
    corners = [heights[row + up, column + right] for up, right in ((0, 0), (0, 1), (1, 1), (1, 0))]
    lower = corners[0] + across * (corners[1] - corners[0]) + upward * (corners[2] - corners[1])
    upper = corners[0] + upward * (corners[3] - corners[0]) + across * (corners[2] - corners[3])
    found = np.where(across >= upward, lower, upper)
    inside = (across >= 0) & (across <= 1) & (upward >= 0) & (upward <= 1) & np.isfinite(corners).all(axis=0)
    return np.where(inside, found, np.nan)


def _cells(
    axis: Float[np.ndarray, " points"], places: Float[np.ndarray, " places"]
) -> tuple[Int[np.ndarray, " places"], Float[np.ndarray, " places"]]:
    """In which interval of an axis places lie, and by what share; of an axis that falls too."""
    sign = 1.0 if axis[-1] >= axis[0] else -1.0
    cell = np.clip(np.searchsorted(sign * axis, sign * places, side="right") - 1, 0, len(axis) - 2)
    share = (places - axis[cell]) / (axis[cell + 1] - axis[cell])
    return cell, np.where(np.abs(share - 1) < _ROUNDING, 1.0, np.where(np.abs(share) < _ROUNDING, 0.0, share))


def _raised(
    field: Field,
    heights: Float[np.ndarray, "betas alphas"],
    alphas: Float[np.ndarray, " places"],
    betas: Float[np.ndarray, " places"],
) -> Float[np.ndarray, " places 3"]:
    return np.stack([alphas, betas, heights_above(field, heights, alphas, betas)], axis=1)


def _add_circles(
    ax: Axes3D,
    points: Float[np.ndarray, " networks 3"],
    cells: Float[np.ndarray, "cells 4 3"],
    sizes: Float[np.ndarray, " networks"],
    color: str,
) -> None:
    """Circles in a few sizes: marks that can be hidden have one for all."""
    classes = np.round((_SIZES - 1) * (sizes - sizes.min()) / (np.ptp(sizes) or 1.0))
    look: dict[str, Any] = {"marker": "o", "markerfacecolor": (1, 1, 1, 0.35), "markeredgecolor": color}
    for size in np.unique(classes):
        alike = classes == size
        mean = float(sizes[alike].mean())
        ax.add_line(
            SeenMarks(
                points[alike], cells, markersize=mean, markeredgewidth=0.6, zorder=4.3, label="off the plane", **look
            )
        )


@final
class _Name(Annotation):
    """A text beside a point of 3-D axes, wherever these are looked at from."""

    def __init__(self, text: str, point: Float[np.ndarray, "3"], **look: Any) -> None:
        super().__init__(text, (0.0, 0.0), xycoords="data", **look)
        self.set_gid(LABEL)
        self._point = point

    def draw(self, renderer: Any) -> None:
        """Draw the text beside the point's present place."""
        assert isinstance(self.axes, Axes3D)
        across, upward, _ = proj_transform(*self._point, self.axes.get_proj())
        self.xy = (across, upward)
        super().draw(renderer)
