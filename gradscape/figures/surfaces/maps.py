"""A surface seen from above: contour lines, filled contours, cells."""

import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PolyCollection
from matplotlib.colorbar import Colorbar
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from gradscape.figures.style import (
    GAP_COLOR,
    GAP_HATCH_COLOR,
    SMALL,
    colormap,
    line_colormap,
    new_axes,
    short_number,
    styled,
)
from gradscape.figures.surfaces.shading import Limits, Scale, Shading, Value, level_texts, shade
from gradscape.landscape import Surface

__all__ = [
    "MOST_VECTOR_CELLS",
    "add_colorbar",
    "draw_contour",
    "draw_filled",
    "draw_heat",
    "plot_contour",
    "plot_filled",
    "plot_heat",
    "proportion",
]

# Above this number, cells become one picture inside the PDF: as polygons they would make viewers crawl.
MOST_VECTOR_CELLS = 12_000


@styled()
def plot_contour(
    surface: Surface,
    *,
    ax: Axes | None = None,
    value: Value = "loss",
    scale: Scale = "raw",
    limits: Limits | None = None,
) -> Axes:
    """Draw labelled contour lines.

    Args:
        surface: (B, A) values; betas run upwards.
        ax: Axes to draw into; by default on a page of their own.
        value: "loss" or "error" (in percent).
        scale: "raw", "minmax", "minmax-column" or "log".
        limits: Lowest and highest level, in the units of the color bar; by default the values' own.

    Returns:
        The axes.

    Raises:
        ValueError: Fewer than two alphas or betas, or one of the options is unknown or does not fit the values.
    """
    return _plot(draw_contour, surface, ax, shade([surface], value, scale, limits))


@styled()
def plot_filled(
    surface: Surface,
    *,
    ax: Axes | None = None,
    value: Value = "loss",
    scale: Scale = "raw",
    limits: Limits | None = None,
) -> Axes:
    """Draw filled contours; arguments, result and errors are those of `plot_contour`."""
    return _plot(draw_filled, surface, ax, shade([surface], value, scale, limits))


@styled()
def plot_heat(
    surface: Surface,
    *,
    ax: Axes | None = None,
    value: Value = "loss",
    scale: Scale = "raw",
    limits: Limits | None = None,
) -> Axes:
    """Draw each point of the grid as a cell around its true coordinates, with nothing interpolated.

    Arguments and result are those of `plot_contour`; one alpha or one beta is enough.
    """
    return _plot(draw_heat, surface, ax, shade([surface], value, scale, limits))


def draw_contour(ax: Axes, surface: Surface, shading: Shading) -> ScalarMappable:
    """Contour lines without a color bar; returns what a color bar can be made of."""
    values = _gridded(surface, shading)
    colors = line_colormap(shading.value)
    shown = [level for level in shading.levels if values.min() < level < values.max()] if values.count() else []
    if shown:
        texts = dict(zip(shown, level_texts(shown), strict=True))
        lines = ax.contour(
            surface.alphas, surface.betas, values, levels=shown, norm=shading.bands, cmap=colors, linewidths=0.9
        )
        for text in ax.clabel(lines, fmt=texts, fontsize=SMALL, inline_spacing=2):
            text.set_path_effects([patheffects.withStroke(linewidth=1.2, foreground="white")])
    elif values.count():
        # A picture without a line would look broken: it says instead what it is.
        height = short_number(float(values.min()), 4)
        ax.text(
            0.5, 0.93, f"no contour: flat at {height}", transform=ax.transAxes, ha="center", va="top", fontsize=SMALL
        )
    _frame(ax, surface, values, cells=False)
    return ScalarMappable(shading.bands, colors)


def draw_filled(
    ax: Axes,
    surface: Surface,
    shading: Shading,
    *,
    values: Float[np.ma.MaskedArray, "betas alphas"] | None = None,
) -> ScalarMappable:
    """Filled contours of the surface's values, or of others on its grid, without a color bar.

    Returns what a color bar can be made of.
    """
    gridded = _gridded(surface, shading)
    values = gridded if values is None else values
    norm, colors = shading.bands, colormap(shading.value)
    if values.count():
        ax.contourf(
            surface.alphas,
            surface.betas,
            values,
            levels=shading.levels,
            norm=norm,
            cmap=colors,
            extend=shading.arrows(shading.levels[0], shading.levels[-1]),
        )
    _frame(ax, surface, values, cells=False)
    return ScalarMappable(norm, colors)


def draw_heat(ax: Axes, surface: Surface, shading: Shading) -> ScalarMappable:
    """Cells without a color bar; returns what a color bar can be made of."""
    values = shading.drawn(surface)
    mesh = ax.pcolormesh(
        _edges(surface.alphas),
        _edges(surface.betas),
        values,
        norm=shading.norm,
        cmap=colormap(shading.value),
        rasterized=values.size > MOST_VECTOR_CELLS,
        # Without an edge of its own color, viewers show the paper between the cells of a PDF.
        edgecolors="face",
        linewidth=0.1,
    )
    _frame(ax, surface, values, cells=True)
    return mesh


def add_colorbar(figure: Figure | SubFigure, mappable: ScalarMappable, shading: Shading, **layout: Any) -> Colorbar:
    """A color bar labelled with value, unit and scale; `layout` goes to Matplotlib and says where."""
    bands = isinstance(mappable.norm, BoundaryNorm)
    if not bands:
        layout["extend"] = shading.arrows(shading.low, shading.high)
    bar = figure.colorbar(mappable, **layout)
    bar.set_label(textwrap.fill(shading.label, 34 if bar.orientation == "vertical" else 60), parse_math=False)
    # Side by side, labels take more room than one above the other.
    ticks = list(shading.levels) if bands else shading.ticks(6 if bar.orientation == "vertical" else 4)
    bar.set_ticks(ticks, labels=level_texts(ticks))
    bar.minorticks_off()
    bar.outline.set_linewidth(0.4)
    return bar


def proportion(surface: Surface) -> float:
    """Height of a panel over its width: that of the spans, but no strip."""
    width, height = (float(np.ptp(_edges(axis))) for axis in (surface.alphas, surface.betas))
    return float(np.clip(height / width, 0.5, 2))


def _plot(
    draw: Callable[[Axes, Surface, Shading], ScalarMappable], surface: Surface, ax: Axes | None, shading: Shading
) -> Axes:
    ax = ax or new_axes()
    add_colorbar(ax.figure, draw(ax, surface, shading), shading, ax=ax)
    return ax


def _gridded(surface: Surface, shading: Shading) -> Float[np.ma.MaskedArray, "betas alphas"]:
    if min(len(surface.alphas), len(surface.betas)) < 2:
        raise ValueError(
            "`surface` must have at least 2 alphas and 2 betas for contours, got "
            f'{len(surface.alphas)} and {len(surface.betas)}: draw kind "heat"'
        )
    return shading.drawn(surface)


def _edges(centers: Float[np.ndarray, "points"]) -> Float[np.ndarray, "points_and_one"]:
    """Borders of the cells: half-way between neighbors, and as far outside at the ends."""
    if len(centers) == 1:
        return centers[0] + np.array([-0.5, 0.5])
    halves = np.diff(centers) / 2
    return np.concatenate([[centers[0] - halves[0]], centers[:-1] + halves, [centers[-1] + halves[-1]]])


def _frame(ax: Axes, surface: Surface, values: Float[np.ma.MaskedArray, "betas alphas"], *, cells: bool) -> None:
    """Labels, extent, the origin, and what could not be drawn."""
    missing = np.ma.getmaskarray(values)
    gaps = {"not evaluated": missing & (surface.count == 0), "non-finite": missing & (surface.count > 0)}
    hatches = {"not evaluated": None, "non-finite": "////"}
    handles = []
    for name, where in gaps.items():
        if where.any():
            look: dict[str, Any] = {
                "facecolor": GAP_COLOR,
                "edgecolor": GAP_HATCH_COLOR,
                "hatch": hatches[name],
                "linewidth": 0,
            }
            rectangles = list(_rectangles(surface, where, cells=cells))
            ax.add_collection(PolyCollection(rectangles, zorder=0.5, label=name, **look), autolim=False)
            handles.append(Patch(label=name, **look))
    if handles:
        ax.legend(handles=handles, loc="lower left", borderpad=0.3)
    borders = [_edges(axis) if cells else axis for axis in (surface.alphas, surface.betas)]
    (left, right), (bottom, top) = ((float(border.min()), float(border.max())) for border in borders)
    ax.plot(0, 0, marker="+", markersize=6, markeredgewidth=2.2, color="white", zorder=3)
    ax.plot(0, 0, marker="+", markersize=5.5, markeredgewidth=0.9, color="black", zorder=3, label="origin")
    ax.set(xlim=(left, right), ylim=(bottom, top), xlabel="alpha (direction 1)", ylabel="beta (direction 2)")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    ax.set_box_aspect(proportion(surface))


def _rectangles(
    surface: Surface, where: Bool[np.ndarray, "betas alphas"], *, cells: bool
) -> Float[np.ndarray, "gaps 4 2"]:
    """Around each point its cell, or all that contours leave out: as far as its neighbors."""
    spans = []
    for axis in (surface.alphas, surface.betas):
        edges = _edges(axis) if cells else np.concatenate([axis[:1], axis, axis[-1:]])
        step = 1 if cells else 2
        spans.append((edges[:-step], edges[step:]))
    (left, right), (bottom, top) = spans
    rows, columns = np.nonzero(where)
    x0, x1, y0, y1 = left[columns], right[columns], bottom[rows], top[rows]
    return np.stack([np.stack([x0, x1, x1, x0], axis=-1), np.stack([y0, y0, y1, y1], axis=-1)], axis=-1)
