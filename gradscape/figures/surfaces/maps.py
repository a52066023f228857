"""A surface seen from above: contour lines, filled contours, cells."""

import textwrap
from collections.abc import Callable, Sequence
from typing import Any, final

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PolyCollection
from matplotlib.contour import ContourSet
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from gradscape.figures.letters import place_everything
from gradscape.figures.style import GAP_COLOR, GAP_HATCH_COLOR, SMALL, new_axes, short_number, styled
from gradscape.figures.surfaces.color_bars import LINE_WIDTH, add_colorbar
from gradscape.figures.surfaces.contour_labels import label_contours
from gradscape.figures.surfaces.fields import to_field
from gradscape.figures.surfaces.scales import Scale
from gradscape.figures.surfaces.shading import DrawnRange, Shading, shade
from gradscape.figures.surfaces.trajectories import draw_trajectories, label_networks, written_places
from gradscape.figures.surfaces.trajectory_wording import axis_labels
from gradscape.landscape import Field, Surface
from gradscape.landscape.field import NON_FINITE, NOT_EVALUATED

__all__ = [
    "MOST_VECTOR_CELLS",
    "draw_contour",
    "draw_dots",
    "draw_filled",
    "draw_heat",
    "label_lines",
    "line_levels",
    "plot_contour",
    "plot_filled",
    "plot_heat",
    "proportion",
]

# Above this number, cells become one picture inside the PDF: as polygons they would make viewers crawl.
MOST_VECTOR_CELLS = 12_000

_HATCHES = {NOT_EVALUATED: None, NON_FINITE: "////"}
_ANY_HATCH = "...."
_MOST_TICKS = 4
_LETTERS = 38  # that have room beside a panel as high as it is wide


@styled()
def plot_contour(
    surface: Surface | Field,
    *,
    ax: Axes | None = None,
    value: str | None = None,
    scale: Scale = "auto",
    limits: DrawnRange | None = None,
) -> Axes:
    """Draw labelled contour lines.

    Args:
        surface: A surface, or a field itself; betas run upwards.
        ax: Axes to draw into; by default on a page of their own.
        value: Name of the surface's field: "loss" (the default), "error" (in percent), "stderr", …; none for a field.
        scale: "raw", "minmax", "minmax-column" or "log"; "auto" is "log" where values exceed two decades, else "raw".
        limits: Lowest and highest level, in the units of the color bar; by default the values' own.

    Returns:
        The axes.

    Raises:
        ValueError: Fewer than two alphas or betas, or one of the options is unknown or does not fit the values.
    """
    return _plot(draw_contour, to_field(surface, value), ax, scale, limits)


@styled()
def plot_filled(
    surface: Surface | Field,
    *,
    ax: Axes | None = None,
    value: str | None = None,
    scale: Scale = "auto",
    limits: DrawnRange | None = None,
) -> Axes:
    """Draw filled contours; arguments, result and errors are those of `plot_contour`."""
    return _plot(draw_filled, to_field(surface, value), ax, scale, limits)


@styled()
def plot_heat(
    surface: Surface | Field,
    *,
    ax: Axes | None = None,
    value: str | None = None,
    scale: Scale = "auto",
    limits: DrawnRange | None = None,
) -> Axes:
    """Draw each point of the grid as a cell around its true coordinates, with nothing interpolated.

    Arguments and result are those of `plot_contour`; one alpha or one beta is enough.
    """
    return _plot(draw_heat, to_field(surface, value), ax, scale, limits)


def draw_contour(ax: Axes, field: Field, shading: Shading) -> ScalarMappable:
    """Contour lines without labels and color bar; returns what a color bar can be made of."""
    values = _gridded(field, shading)
    colors = shading.line_colors
    drawn = [level for level in shading.levels if shading.low <= level <= shading.high]
    shown = [level for level in drawn if values.min() < level < values.max()] if values.count() else []
    if shown:
        ax.contour(
            field.alphas, field.betas, values, levels=shown, norm=shading.norm, cmap=colors, linewidths=LINE_WIDTH
        )
    elif values.count():
        # A picture without a line would look broken: it says instead what it is.
        low, high = (short_number(float(end), 4) for end in (values.min(), values.max()))
        said = f"no contour: flat at {low}" if low == high else f"no contour between {low} and {high}"
        ax.text(0.5, 0.93, said, transform=ax.transAxes, ha="center", va="top", fontsize=SMALL)
    _frame(ax, field, values, cells=False)
    return ScalarMappable(shading.norm, colors)


def line_levels(panels: Sequence[Axes]) -> list[float]:
    """Levels at which contour lines are drawn in any of the panels, ascending."""
    return sorted({float(level) for lines in _line_sets(panels) for level in lines.levels})


def label_lines(panels: Sequence[Axes]) -> None:
    """Write levels into the contour lines of panels, once everything on their page has its place."""
    place_everything(panels[0].get_figure(root=True))  # type: ignore[arg-type]
    for lines in _line_sets(panels):
        label_contours(lines, written_places(lines.axes))


def _line_sets(panels: Sequence[Axes]) -> list[ContourSet]:
    drawn = (artist for panel in panels for artist in panel.collections)
    return [artist for artist in drawn if isinstance(artist, ContourSet)]


def draw_filled(
    ax: Axes,
    field: Field,
    shading: Shading,
    *,
    values: Float[np.ma.MaskedArray, "betas alphas"] | None = None,
) -> ScalarMappable:
    """Filled contours of the field's values, or of others on its grid, without a color bar.

    Returns what a color bar can be made of.
    """
    gridded = _gridded(field, shading)
    values = gridded if values is None else values
    norm, colors = shading.bands, shading.colors
    if values.count():
        ax.contourf(
            field.alphas,
            field.betas,
            values,
            levels=shading.levels,
            norm=norm,
            cmap=colors,
            extend=shading.arrows(shading.levels[0], shading.levels[-1]),
        )
    _frame(ax, field, values, cells=False)
    return ScalarMappable(norm, colors)


def draw_heat(ax: Axes, field: Field, shading: Shading) -> ScalarMappable:
    """Cells without a color bar; returns what a color bar can be made of."""
    values = shading.drawn(field)
    mesh = ax.pcolormesh(
        _edges(field.alphas),
        _edges(field.betas),
        values,
        norm=shading.norm,
        cmap=shading.colors,
        rasterized=values.size > MOST_VECTOR_CELLS,
        # Without an edge of its own color, viewers show the paper between the cells of a PDF.
        edgecolors="face",
        linewidth=0.1,
    )
    _frame(ax, field, values, cells=True)
    return mesh


def draw_dots(ax: Axes, field: Field) -> None:
    """Dots at a field's evaluated points: between them, what is drawn smoothed is a guess."""
    alphas, betas = np.meshgrid(field.alphas, field.betas)
    there = np.isfinite(field.values)
    look: dict[str, Any] = {"marker": ".", "markersize": 1.8, "color": "black", "markeredgewidth": 0, "zorder": 2.5}
    ax.plot(alphas[there], betas[there], linestyle="none", label="evaluated", **look)


def proportion(field: Field) -> float:
    """Height of a panel over its width: that of the spans, but no strip."""
    width, height = (float(np.ptp(_edges(axis))) for axis in (field.alphas, field.betas))
    return float(np.clip(height / width, 0.5, 2))


def _plot(
    draw: Callable[[Axes, Field, Shading], ScalarMappable],
    field: Field,
    ax: Axes | None,
    scale: Scale,
    limits: DrawnRange | None,
) -> Axes:
    shading = shade([field], scale, limits)
    ax = ax or new_axes()
    mappable = draw(ax, field, shading)
    add_colorbar(ax.figure, mappable, shading, lines=line_levels([ax]) if draw is draw_contour else None, ax=ax)
    label_networks([ax])
    if draw is draw_contour:
        label_lines([ax])
    return ax


def _gridded(field: Field, shading: Shading) -> Float[np.ma.MaskedArray, "betas alphas"]:
    if min(len(field.alphas), len(field.betas)) < 2:
        raise ValueError(
            "`surface` must have at least 2 alphas and 2 betas for contours, got "
            f'{len(field.alphas)} and {len(field.betas)}: draw kind "heat"'
        )
    return shading.drawn(field)


def _edges(centers: Float[np.ndarray, "points"]) -> Float[np.ndarray, "points_and_one"]:
    """Borders of the cells: half-way between neighbors, and as far outside at the ends."""
    if len(centers) == 1:
        return centers[0] + np.array([-0.5, 0.5])
    halves = np.diff(centers) / 2
    return np.concatenate([[centers[0] - halves[0]], centers[:-1] + halves, [centers[-1] + halves[-1]]])


def _frame(ax: Axes, field: Field, values: Float[np.ma.MaskedArray, "betas alphas"], *, cells: bool) -> None:
    """Labels, extent, the origin, and what could not be drawn."""
    handles = []
    for name, where in _gaps(field, np.ma.getmaskarray(values)).items():
        look: dict[str, Any] = {
            "facecolor": GAP_COLOR,
            "edgecolor": GAP_HATCH_COLOR,
            "hatch": _HATCHES.get(name, _ANY_HATCH),
            "linewidth": 0,
        }
        rectangles = list(_rectangles(field, where, cells=cells))
        ax.add_collection(PolyCollection(rectangles, zorder=0.5, label=name, **look), autolim=False)
        handles.append(Patch(label=name, **look))
    if handles:
        ax.legend(handles=handles, loc="lower left", borderpad=0.3)
    borders = [_edges(axis) if cells else axis for axis in (field.alphas, field.betas)]
    (left, right), (bottom, top) = ((float(border.min()), float(border.max())) for border in borders)
    ax.plot(0, 0, marker="+", markersize=6, markeredgewidth=2.2, color="white", zorder=3)
    ax.plot(0, 0, marker="+", markersize=5.5, markeredgewidth=0.9, color="black", zorder=3, label="origin")
    across, upward = axis_labels(field.meta)
    ax.set(xlim=(left, right), ylim=(bottom, top))
    ax.set_xlabel(across, parse_math=False)
    ax.set_ylabel(textwrap.fill(upward, int(_LETTERS * proportion(field))), parse_math=False)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(_RoundTicks(steps=[1, 2, 5, 10]))
    ax.set_box_aspect(proportion(field))
    draw_trajectories(ax, field)


@final
class _RoundTicks(MaxNLocator):
    """A few round numbers: as many as have room on an axis, whose length is known only when its page is laid out."""

    def tick_values(self, vmin: float, vmax: float) -> Any:
        """Those between two ends, and one beyond each."""
        assert self.axis is not None
        self.set_params(nbins=int(np.clip(self.axis.get_tick_space(), 1, _MOST_TICKS)))
        return np.asarray(super().tick_values(vmin, vmax))


def _gaps(field: Field, missing: Bool[np.ndarray, "betas alphas"]) -> dict[str, Bool[np.ndarray, "betas alphas"]]:
    """Why values are missing -> where: by the field's marks, the first that says it; else they are not finite."""
    nowhere = np.zeros_like(missing)
    marks = {**dict.fromkeys(_HATCHES, nowhere), **field.marks}
    gaps, rest = {}, missing
    for name, where in marks.items():
        gaps[name] = rest & where
        rest = rest & ~where
    gaps[NON_FINITE] = gaps[NON_FINITE] | rest
    return {name: where for name, where in gaps.items() if where.any()}


def _rectangles(field: Field, where: Bool[np.ndarray, "betas alphas"], *, cells: bool) -> Float[np.ndarray, "gaps 4 2"]:
    """Around each point its cell, or all that contours leave out: as far as its neighbors."""
    spans = []
    for axis in (field.alphas, field.betas):
        edges = _edges(axis) if cells else np.concatenate([axis[:1], axis, axis[-1:]])
        step = 1 if cells else 2
        spans.append((edges[:-step], edges[step:]))
    (left, right), (bottom, top) = spans
    rows, columns = np.nonzero(where)
    x0, x1, y0, y1 = left[columns], right[columns], bottom[rows], top[rows]
    return np.stack([np.stack([x0, x1, x1, x0], axis=-1), np.stack([y0, y0, y1, y1], axis=-1)], axis=-1)
