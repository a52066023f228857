"""Sharpness over the size of the disturbance: a panel for each kind, networks side by side with their intervals."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradscape._names import one_line
from gradscape.figures.caption import add_caption
from gradscape.figures.style import CYCLE, new_axes, new_figure, page_width, short_number, styled
from gradscape.landscape.metrics.measure import Measure

__all__ = ["figure_sharpness", "plot_sharpness"]

_COLUMNS = 3
_PANEL = 1.75  # inches
_SPREAD = 0.5  # of the way from one rho to the next, over which the networks stand
_MARKERS = "osD^vPX"
_ROOM = 3.0  # times the lowest value, which is what a log scale leaves below it


@styled()
def plot_sharpness(rises: Mapping[str, Mapping[float, Measure]], *, ax: Axes | None = None) -> Axes:
    """Draw the rise of the loss over rho: a dot for each network, with its interval as a bar.

    The scale is logarithmic where all values are positive; an interval that reaches 0 then reaches the lower edge.

    Args:
        rises: Network -> rho -> the mean rise.
        ax: Axes to draw into; by default on a page of their own.

    Returns:
        The axes, rho by rho from left to right.

    Raises:
        ValueError: There is no network, or no rho.
    """
    sizes = sorted({rho for of_network in rises.values() for rho in of_network})
    if not sizes:
        raise ValueError("`rises` must hold a network with at least one rho, got none")
    ax = ax or new_axes()
    values = np.array([one.value for of_network in rises.values() for one in of_network.values()])
    finite = values[np.isfinite(values)]
    lowest = float(finite.min()) / _ROOM if len(finite) and (finite > 0).all() else None
    if lowest is not None:
        ax.set_yscale("log")
    for number, (network, of_network) in enumerate(rises.items()):
        shift = _SPREAD * ((number + 0.5) / len(rises) - 0.5)
        look: dict[str, Any] = {"color": CYCLE[number % len(CYCLE)]}
        places = [sizes.index(rho) + shift for rho in of_network]
        for place, one in zip(places, of_network.values(), strict=True):
            if np.isfinite(one.low):
                low = one.low if lowest is None else max(one.low, lowest)
                ax.plot([place, place], [low, one.high], "-", linewidth=1.0, **look)
        marker = _MARKERS[number % len(_MARKERS)]
        ax.plot(places, [one.value for one in of_network.values()], marker, markersize=3.5, label=network, **look)
    if lowest is not None:
        ax.set_ylim(bottom=lowest)
    ax.set_xticks(range(len(sizes)), [short_number(rho) for rho in sizes])
    ax.set_xlim(-0.5, len(sizes) - 0.5)
    ax.grid(axis="y")
    ax.set_axisbelow(True)
    units = {one.unit for of_network in rises.values() for one in of_network.values()}
    ax.set(xlabel="rho", ylabel="rise of the loss" + (f" ({unit})" if (unit := next(iter(units))) else ""))
    return ax


@styled()
def figure_sharpness(rises: Mapping[str, Mapping[str, Mapping[float, Measure]]], *, caption: str = "") -> Figure:
    """A page with a panel for each kind of sharpness.

    Args:
        rises: What a kind is called -> network -> rho -> the mean rise.
        caption: What stands below.

    Returns:
        The page.

    Raises:
        ValueError: There is no kind, or as for `plot_sharpness`.
    """
    if not rises:
        raise ValueError("`rises` must hold at least one kind of sharpness, got none")
    columns = len(rises) if len(rises) <= _COLUMNS else 2 if len(rises) <= 4 else _COLUMNS
    rows = -(-len(rises) // columns)
    figure = new_figure(page_width(double=len(rises) > 1), 0.6 + rows * _PANEL)
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax, (called, of_kind) in zip(axes.ravel(), rises.items(), strict=False):
        plot_sharpness(of_kind, ax=ax)
        ax.set_title(called)
    for ax in axes.ravel()[len(rises) :]:
        ax.remove()
    for ax in axes[:, 1:].ravel():
        ax.set_ylabel("")
    handles: list[Artist] = list(axes[0, 0].get_legend_handles_labels()[0])
    if len(handles) > 1:
        legend = figure.legend(handles=handles, loc="outside upper center", ncols=min(4, len(handles)))
        for text in legend.get_texts():
            text.set_text(one_line(text.get_text()))
            text.set_parse_math(False)
    if caption:
        add_caption(figure, caption)
    return figure
