"""Topology of surfaces: minima and saddles on the map, the merge tree, and the persistence diagram with its band."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from gradscape.figures.caption import add_caption, caption_height
from gradscape.figures.style import GAP_COLOR, SMALL, new_axes, new_figure, page_width, short_number, styled
from gradscape.figures.surfaces.color_bars import add_colorbar
from gradscape.figures.surfaces.fields import drawn_unit
from gradscape.figures.surfaces.maps import draw_filled
from gradscape.figures.surfaces.shading import DrawnRange, shade_panels
from gradscape.figures.surfaces.trajectories import label_networks
from gradscape.figures.surfaces.trajectory_wording import axis_labels
from gradscape.figures.surfaces.wording import describe_fields, result_names
from gradscape.landscape import Topology

__all__ = ["describe_topology", "figure_topology", "plot_merge_tree", "plot_persistence"]

_MARKS = {"minimum": ("o", "#0072B2"), "saddle": ("X", "#E69F00"), "maximum": ("^", "#D55E00")}
_NOISE = "0.6"
_ROW = 2.05  # inches
_MOST_NUMBERED = 9
_MOST_NOISY = 40  # branches of the noise in a tree
_BEYOND = 0.09  # of the range: above it stands what never ends


@styled()
def plot_merge_tree(topology: Topology, *, ax: Axes | None = None, limits: DrawnRange | None = None) -> Axes:
    """Draw at which level each basin begins and meets a deeper one; what noise may have made is thin and gray.

    Args:
        topology: The topology of a loss, or of an error (in percent).
        ax: Axes to draw into; by default on a page of their own.
        limits: Lowest and highest level; by default those of the pairs.

    Returns:
        The axes.

    Source: Carr, Snoeyink and Axen, Computing Contour Trees in All Dimensions, 2003.
    """
    ax = ax or new_axes()
    low, _, beyond = _levels([topology], limits)
    basins = _shown_basins(topology)
    places = {number: float(place) for place, number in enumerate(_leaves(topology, basins))}
    factor = drawn_unit(topology.unit)[0]
    ends = np.where(np.isfinite(topology.death), factor * topology.death, beyond)
    kept = [number for number in basins if topology.kept[number]]
    for number in sorted(basins, key=lambda number: bool(topology.kept[number])):
        strong, joined = bool(topology.kept[number]), int(topology.into[number])
        look: dict[str, Any] = {"color": "black" if strong else _NOISE, "linewidth": 1.2 if strong else 0.6}
        begin, end, place = float(factor * topology.birth[number]), float(ends[number]), places[number]
        ax.plot([place, place], [begin, end], linestyle="-", solid_capstyle="butt", **look)
        if joined >= 0:
            ax.plot([place, places[joined]], [end, end], linestyle="-", **look)
        if strong:
            _mark(ax, "minimum", place, begin)
            _number(ax, kept.index(number), place, begin)
            if joined >= 0:
                _mark(ax, "saddle", places[joined], end)
    ax.set(xticks=[], xlabel=f"{len(kept)} {'basin' if len(kept) == 1 else 'basins'}")
    ax.set_xlim(-0.7, max(len(places) - 1, 1) + 0.7)
    ax.set_ylim(low, beyond)
    ax.set_ylabel(_level_label(topology))
    return ax


@styled()
def plot_persistence(topology: Topology, *, ax: Axes | None = None, limits: DrawnRange | None = None) -> Axes:
    """Draw where all pairs begin and end; those in the gray band along the diagonal may be noise.

    Args:
        topology: The topology of a loss, or of an error (in percent).
        ax: Axes to draw into; by default on a page of their own.
        limits: Lowest and highest level; by default those of the pairs.

    Returns:
        The axes.

    Source: Fasy et al., Confidence Sets for Persistence Diagrams, Annals of Statistics 2014, figure 2.
    """
    ax = ax or new_axes()
    low, high, beyond = _levels([topology], limits)
    factor = drawn_unit(topology.unit)[0]
    ax.plot([low, beyond], [low, beyond], color="0.4", linewidth=0.6, linestyle="-")
    if topology.band > 0:
        line = np.array([low, beyond])
        ax.fill_between(line, line, line + 2 * factor * topology.band, color=GAP_COLOR, linewidth=0, zorder=0.5)
    ax.axhline(high + (beyond - high) / 2, color="0.4", linewidth=0.6, linestyle=":")
    deaths = np.where(np.isfinite(topology.death), factor * topology.death, high + (beyond - high) / 2)
    for kind, dimension in (("minimum", 0), ("maximum", 1)):
        for kept in (False, True):
            chosen = (topology.dimension == dimension) & (topology.kept == kept)
            if chosen.any():
                births = factor * topology.birth[chosen]
                ax.plot(births, deaths[chosen], linestyle="none", **_look(kind, kept=kept), zorder=3 if kept else 2)
    ax.set(xlim=(low, beyond), ylim=(low, beyond), xlabel="begins at", ylabel="ends at (dotted: never)")
    ax.set_box_aspect(1)
    return ax


@styled()
def figure_topology(topologies: Topology | Sequence[Topology], *, titles: Sequence[str] | None = None) -> Figure:
    """A double-column page: for each surface its map with minima and saddles, its merge tree and its diagram.

    Args:
        topologies: One or several of one value; all are drawn on one scale.
        titles: A name for each; by default its model's.

    Returns:
        The page.

    Raises:
        ValueError: There is none, titles are of another number, or the topologies are of different values.

    Example:
        >>> import torch
        >>> from gradscape.landscape import evaluate_surface, random_directions
        >>> net, batches = torch.nn.Linear(4, 3), [(torch.randn(64, 4), torch.arange(64) % 3)]
        >>> axis = [-1.0, 0.0, 1.0]
        >>> topology = evaluate_surface(net, batches, random_directions(net, seed=0), axis, axis).topology()
        >>> len(figure_topology(topology).axes)  # with the color bar
        4
    """
    several = [topologies] if isinstance(topologies, Topology) else list(topologies)
    fields = [topology.field() for topology in several]
    shadings = shade_panels(fields, "auto")
    names = result_names(fields, titles)
    caption = describe_fields(fields, names, drawn=describe_topology(several))
    width, rows = page_width(double=True), len(several)
    figure = new_figure(width, rows * (_ROW + 0.3) + caption_height(caption, width), solid=True)
    panels = figure.subplots(rows, 3, squeeze=False, width_ratios=[1.25, 1, 1])
    low, high, _ = _levels(several, None)
    for (ground, tree, diagram), topology, field, shading, name in zip(
        panels, several, fields, shadings, names, strict=True
    ):
        add_colorbar(figure, draw_filled(ground, field, shading), shading, ax=ground)
        _mark_map(ground, topology)
        plot_merge_tree(topology, ax=tree, limits=(low, high))
        plot_persistence(topology, ax=diagram, limits=(low, high))
        ground.set_title(name if rows > 1 else "", parse_math=False)
        across, upward = axis_labels(field.meta, brief=True)
        ground.set_xlabel(across, parse_math=False)
        ground.set_ylabel(upward, parse_math=False)
    panels[0, 2].legend(
        handles=_legend(several), loc="lower right", borderpad=0.2, handletextpad=0.3, handlelength=1.2, framealpha=0
    )
    add_caption(figure, caption)
    label_networks(panels[:, 0].tolist())
    return figure


def describe_topology(topologies: Sequence[Topology]) -> str:
    """What captions say: what is numbered, and which pairs stand out of the noise."""
    first, said = topologies[0], ["minima numbered by persistence"]
    if all(topology.band == 0 for topology in topologies):
        said.append("all images were seen, so that none is noise of sampling")
    if any(topology.unresolved.any() for topology in topologies):
        said.append("hollow above the gray: valleys finer than the grid")
    bands = [topology.band for topology in topologies if np.isfinite(topology.band)]
    if any(bands):
        factor, unit = drawn_unit(first.unit)
        widths = " and ".join(dict.fromkeys(f"±{short_number(factor * band, 2)}" for band in bands))
        unit = f" {unit}" if unit else ""
        said.append(
            f"gray: persistence within twice the simultaneous {100 * first.confidence:g} % band ({widths}{unit})"
        )
    return " · ".join(said)


def _levels(topologies: Sequence[Topology], limits: DrawnRange | None) -> tuple[float, float, float]:
    """Lowest and highest level of pairs, and the end of the axis, between which stands what never ends."""
    if limits is None:
        factor = drawn_unit(topologies[0].unit)[0]
        lows = [float(factor * topology.birth.min()) for topology in topologies]
        ends = [factor * topology.death[np.isfinite(topology.death)] for topology in topologies]
        low, high = min(lows), float(np.concatenate(ends).max(initial=-np.inf))
        if not high > low:
            high = max(
                float(factor * np.nanmax(topology.values[np.isfinite(topology.values)])) for topology in topologies
            )
        high = high if high > low else low + 1.0
        limits = (low - 0.04 * (high - low), high)
    low, high = limits
    return low, high, high + _BEYOND * (high - low)


def _shown_basins(topology: Topology) -> list[int]:
    """All that are kept, and the most persistent of the others; what a basin joins is always among them."""
    basins = np.flatnonzero(topology.dimension == 0)
    return [int(number) for number in basins[: int(topology.kept[basins].sum()) + _MOST_NOISY]]


def _leaves(topology: Topology, basins: Sequence[int]) -> list[int]:
    """Basins from left to right such that no branches cross: behind each those that join it, the first one first."""
    behind: dict[int, list[int]] = {number: [] for number in (-1, *basins)}
    for number in sorted(basins, key=lambda number: (topology.death[number], topology.birth[number])):
        behind[int(topology.into[number])].append(number)
    order, waiting = [], behind[-1][::-1]
    while waiting:
        number = waiting.pop()
        order.append(number)
        waiting += behind[number][::-1]
    return order


def _mark_map(ax: Axes, topology: Topology) -> None:
    """Critical points that are kept; numbers tell which branch of the tree a minimum is."""
    for point in (*topology.maxima, *topology.saddles, *topology.minima):
        _mark(ax, point.kind, point.alpha, point.beta)
    for number, point in enumerate(topology.minima):
        _number(ax, number, point.alpha, point.beta)


def _mark(ax: Axes, kind: str, x: float, y: float) -> None:
    ax.plot([x], [y], linestyle="none", clip_on=False, zorder=4, **_look(kind, kept=True))


def _number(ax: Axes, number: int, x: float, y: float) -> None:
    if number < _MOST_NUMBERED:
        ax.annotate(
            str(number + 1), (x, y), xytext=(3.5, 2.5), textcoords="offset points", fontsize=SMALL, zorder=5,
            bbox={"boxstyle": "round,pad=0.1", "facecolor": "white", "alpha": 0.75, "linewidth": 0},
        )  # fmt: skip


def _look(kind: str, *, kept: bool) -> dict[str, Any]:
    shape, color = _MARKS[kind]
    if not kept:
        return {"marker": shape, "markersize": 3, "color": _NOISE, "markerfacecolor": "white", "markeredgewidth": 0.6}
    return {"marker": shape, "markersize": 5, "color": color, "markeredgecolor": "white", "markeredgewidth": 0.6}


def _legend(topologies: Sequence[Topology]) -> list[Artist]:
    names = {"minimum": "minimum, basin", "saddle": "saddle", "maximum": "maximum, ring"}
    points = {point.kind for topology in topologies for pair in topology.pairs if pair.kept
              for point in (pair.first, pair.last) if point is not None}  # fmt: skip
    handles: list[Artist] = [
        Line2D([], [], linestyle="none", label=name, **_look(kind, kept=True))
        for kind, name in names.items()
        if kind in points
    ]
    if any(topology.band > 0 for topology in topologies):
        handles.append(Patch(facecolor=GAP_COLOR, label="within the noise"))
    return handles


def _level_label(topology: Topology) -> str:
    unit = drawn_unit(topology.unit)[1]
    return f"{topology.value} ({unit})" if unit else topology.value
