"""Marks on a relief that its own walls can hide, which Matplotlib's 3-D axes would draw through them."""

from typing import Any, final

import numpy as np
from jaxtyping import Bool, Float
from mpl_toolkits.mplot3d.art3d import Line3D  # type: ignore[import-untyped]
from mpl_toolkits.mplot3d.proj3d import proj_transform  # type: ignore[import-untyped]

__all__ = ["SeenMarks"]

# The four corners of a cell, in the order of walking around it, make two triangles.
_TRIANGLES = np.array([[0, 1, 2], [0, 2, 3]])
_LIFT = 0.004  # of the height of the axes: so far above the relief a mark is looked for
_TINY = 1e-9


@final
class SeenMarks(Line3D):
    """Marks, without a line by default, of which those are drawn that are seen from where the axes are looked at.

    Args:
        points: (points, 3) places on the relief; a line is broken at one that is NaN.
        cells: (cells, 4, 3) corners of the relief's cells, in the order of walking around each.
        **look: Goes to Matplotlib.
    """

    def __init__(
        self, points: Float[np.ndarray, "points 3"], cells: Float[np.ndarray, "cells 4 3"], **look: Any
    ) -> None:
        super().__init__(*points.T, **{"linestyle": "none", **look})
        self._points, self._cells = points, cells

    def draw(self, renderer: Any) -> None:
        """Draw the marks that are seen from the axes' present place."""
        self.set_data_3d(*np.where(self.seen()[:, None], self._points, np.nan).T)
        super().draw(renderer)
        self.set_data_3d(*self._points.T)
        self.stale = False

    def seen(self) -> Bool[np.ndarray, "points"]:
        """Which marks no cell is before; a mark in a pit is on the pit's inner side."""
        projection, (floor, top) = self.axes.get_proj(), self.axes.get_zlim()
        corners = self._cells[:, _TRIANGLES].reshape(-1, 3)
        triangles = np.stack(proj_transform(*corners.T, projection), axis=1).reshape(-1, 3, 3)
        lifted = self._points + np.array([0.0, 0.0, _LIFT * (top - floor)])
        points = np.stack(proj_transform(*lifted.T, projection), axis=1)
        return np.array([not _hides(triangles, point) for point in points], dtype=bool)


def _hides(triangles: Float[np.ndarray, "triangles 3 3"], point: Float[np.ndarray, "3"]) -> bool:
    """Whether any projected triangle is before a projected point: holds it on the page, and is less deep there."""
    corners = triangles[..., :2]
    areas = np.stack([_doubled_area(_moved(corners, number, point[:2])) for number in range(3)], axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = areas / _doubled_area(corners)[:, None]
    holding = (shares >= -_TINY).all(axis=-1)  # a cell with a gap has no number, and holds nothing
    depths = (shares[holding] * triangles[holding][..., 2]).sum(axis=-1)
    return bool((depths < point[2] - _TINY).any())


def _moved(
    corners: Float[np.ndarray, "triangles 3 2"], number: int, point: Float[np.ndarray, "2"]
) -> Float[np.ndarray, "triangles 3 2"]:
    moved = corners.copy()
    moved[:, number] = point
    return moved


def _doubled_area(corners: Float[np.ndarray, "triangles 3 2"]) -> Float[np.ndarray, "triangles"]:
    (first_x, first_y), (second_x, second_y) = ((corners[:, side] - corners[:, 0]).T for side in (1, 2))
    return np.asarray(first_x * second_y - first_y * second_x)
