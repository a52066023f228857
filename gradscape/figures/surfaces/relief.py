"""A surface as mountains: Matplotlib's 3-D axes, filled with polygons of our own."""

from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.ticker import MaxNLocator
from mpl_toolkits.mplot3d.art3d import Poly3DCollection  # type: ignore[import-untyped]
from mpl_toolkits.mplot3d.axes3d import Axes3D  # type: ignore[import-untyped]

from gradscape.figures.look import current_look
from gradscape.figures.style import new_figure, page_width, styled
from gradscape.figures.surfaces.color_bars import MOST_TICKS, add_colorbar
from gradscape.figures.surfaces.fields import to_field
from gradscape.figures.surfaces.levels import ROUND_STEPS, level_texts
from gradscape.figures.surfaces.maps import MOST_VECTOR_CELLS
from gradscape.figures.surfaces.raised_trajectories import draw_raised_trajectories
from gradscape.figures.surfaces.scales import Scale
from gradscape.figures.surfaces.seen_marks import SeenMarks
from gradscape.figures.surfaces.shading import DrawnRange, Shading, shade
from gradscape.figures.surfaces.trajectory_wording import axis_labels
from gradscape.landscape import Field, Surface

__all__ = ["draw_points", "draw_relief", "plot_surface"]

_VIEW = {"elev": 32, "azim": -55}

# Below, since the right side of 3-D axes belongs to the vertical label.
_BAR: dict[str, Any] = {"orientation": "horizontal", "shrink": 0.6, "aspect": 30, "pad": 0.1}


@styled()
def plot_surface(
    surface: Surface | Field,
    *,
    ax: Axes | None = None,
    value: str | None = None,
    scale: Scale = "auto",
    limits: DrawnRange | None = None,
) -> Axes:
    """Draw a 3-D surface; cells with a corner that is not finite are left open.

    Args:
        surface: A surface, or a field itself.
        ax: 3-D axes (`projection="3d"`) to draw into; by default on a page of their own.
        value: Name of the surface's field: "loss" (the default), "error" (in percent), "stderr", …; none for a field.
        scale: "raw", "minmax", "minmax-column" or "log"; on the last, heights are logarithms and the
            labels values. "auto" is "log" where values exceed two decades, else "raw".
        limits: Lowest and highest height; values beyond are drawn at the limit.

    Returns:
        The axes.

    Raises:
        TypeError: `ax` is no 3-D axes.
        ValueError: Fewer than two alphas or betas, or one of the options is unknown or does not fit the values.
    """
    field = to_field(surface, value)
    shading = shade([field], scale, limits)
    if ax is None:
        ax = new_figure(page_width(double=False), 3.1, solid=True).add_subplot(projection="3d")
    add_colorbar(ax.figure, draw_relief(ax, field, shading), shading, ax=ax, **_BAR)
    return ax


def draw_relief(ax: Axes, field: Field, shading: Shading, *, grid: bool = True) -> ScalarMappable:
    """A 3-D surface without a color bar, with or without the lines of its grid; returns what the bar can be made of."""
    if not isinstance(ax, Axes3D):
        raise TypeError(f'`ax` must be 3-D axes, got {type(ax).__name__}: make them with projection="3d"')
    if min(len(field.alphas), len(field.betas)) < 2:
        raise ValueError(
            "`surface` must have at least 2 alphas and 2 betas for a 3-D surface, got "
            f'{len(field.alphas)} and {len(field.betas)}: draw kind "heat"'
        )
    values, heights = _values_and_heights(field, shading)
    corners = _quads(field, heights)
    # Of its mean height: the mean of values would color a pit on a log scale like its brink.
    means = _corners(heights).mean(axis=-1).ravel()
    hues = 10**means if shading.scale == "log" else means
    whole = np.isfinite(corners).all(axis=(1, 2))
    mesh = Poly3DCollection(
        corners[whole],
        norm=shading.norm,
        cmap=shading.colors,
        # Thin edges close the seams, and dark ones show the grid; on a fine grid they must not hide the colors.
        linewidth=0.15 * min(1.0, 50 / max(values.shape)),
        edgecolor=(0, 0, 0, 0.25) if grid else shading.colors(shading.norm(hues[whole])),
        rasterized=len(corners) > MOST_VECTOR_CELLS,
    )
    mesh.set_array(hues[whole])
    ax.add_collection3d(mesh, autolim=False)
    _frame(ax, field, heights, shading)
    return ScalarMappable(shading.norm, shading.colors)


def draw_points(ax: Axes, field: Field, shading: Shading) -> None:
    """Dots at a field's points, as far as its relief does not hide them: between them, a smoothed one is a guess."""
    _, heights = _values_and_heights(field, shading)
    alphas, betas = np.meshgrid(field.alphas, field.betas)
    points = np.stack([alphas, betas, heights], axis=-1).reshape(-1, 3)
    finite = points[np.isfinite(points).all(axis=1)]
    look: dict[str, Any] = {"marker": ".", "markersize": 1.8, "color": "black", "markeredgewidth": 0}
    ax.add_line(SeenMarks(finite, _quads(field, heights), zorder=4, label="evaluated", **look))


def _values_and_heights(
    field: Field, shading: Shading
) -> tuple[Float[np.ndarray, "betas alphas"], Float[np.ndarray, "betas alphas"]]:
    """What colors stand for, within the limits, and how high that is drawn; NaN in gaps."""
    values = np.ma.filled(shading.drawn(field).clip(shading.low, shading.high), np.nan)
    return values, np.log10(values) if shading.scale == "log" else values


def _corners(grid: Float[np.ndarray, "betas alphas"]) -> Float[np.ndarray, "rows columns 4"]:
    """The four corners of every cell, in the order of walking around it."""
    return np.stack([grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]], axis=-1)


def _quads(field: Field, heights: Float[np.ndarray, "betas alphas"]) -> Float[np.ndarray, "cells 4 3"]:
    alphas, betas = np.meshgrid(field.alphas, field.betas)
    return np.stack([_corners(grid) for grid in (alphas, betas, heights)], axis=-1).reshape(-1, 4, 3)


def _frame(ax: Axes3D, field: Field, heights: Float[np.ndarray, "betas alphas"], shading: Shading) -> None:
    floor, top = np.log10([shading.low, shading.high]) if shading.scale == "log" else (shading.low, shading.high)
    near = heights[np.abs(field.betas).argmin(), np.abs(field.alphas).argmin()]
    inside = all(axis.min() <= 0 <= axis.max() for axis in (field.alphas, field.betas))
    if inside and np.isfinite(near):
        cells = _quads(field, heights)
        dot: dict[str, Any] = {"marker": "o", "markersize": 3, "color": "black", "markeredgecolor": "white"}
        ax.add_line(
            SeenMarks(np.array([[0.0, 0.0, near]]), cells, markeredgewidth=0.4, zorder=5, label="origin", **dot)
        )
    ax.computed_zorder = False
    across, upward = axis_labels(field.meta, brief=True)
    ax.set_xlabel(across, parse_math=False)
    ax.set_ylabel(upward, parse_math=False)
    draw_raised_trajectories(ax, field, heights, _quads(field, heights))
    ax.set(
        xlim=(field.alphas.min(), field.alphas.max()),
        ylim=(field.betas.min(), field.betas.max()),
        zlim=(floor, top),
    )
    _ticks(ax, shading)
    for axis in (ax.xaxis, ax.yaxis, ax.zaxis):
        axis.set_pane_color((1, 1, 1, 0))
        axis.line.set_linewidth(0.5)
    for name in "xyz":
        ax.tick_params(name, pad=-2)
    ax.xaxis.labelpad = ax.yaxis.labelpad = -3
    # Long heights, such as 0.0175, would run over the axis and into its label.
    longest = max(map(len, level_texts(shading.ticks(MOST_TICKS))), default=0)
    aside = 2.2 * max(0, longest - 4)
    ax.tick_params("z", pad=-2 + aside)
    ax.zaxis.labelpad = -2 + 1.5 * aside
    ax.zaxis.set_rotate_label(False)
    ax.set_zlabel(shading.axis_label, rotation=90, parse_math=False)
    camera = current_look().camera
    ax.view_init(**(_VIEW if camera is None else {"azim": camera[0], "elev": camera[1]}))


def _ticks(ax: Axes3D, shading: Shading) -> None:
    # The two ends that meet at the front corner would be printed over each other.
    # Quarters are among the steps, since of -0.5, 0 and 0.5 too few would be left.
    ax.xaxis.set_major_locator(MaxNLocator(4, steps=ROUND_STEPS, prune="upper"))
    ax.yaxis.set_major_locator(MaxNLocator(4, steps=ROUND_STEPS, prune="both"))
    values = shading.ticks(MOST_TICKS)
    ax.set_zticks(np.log10(values) if shading.scale == "log" else values, labels=level_texts(values))
