"""Landscape metrics of several networks side by side, each with its interval."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradscape._names import one_line
from gradscape.figures.caption import add_caption
from gradscape.figures.style import CYCLE, SMALL, new_axes, new_figure, page_width, styled
from gradscape.landscape.metrics.measure import Measure

__all__ = ["figure_measures", "plot_measures"]

_COLUMNS = 4
_ROW = 0.19  # inches a network takes
_BELOW = 0.25  # of a row: where single draws stand


@styled()
def plot_measures(
    measures: Mapping[str, Measure], *, ax: Axes | None = None, draws: Mapping[str, Sequence[float]] | None = None
) -> Axes:
    """Draw one metric: a row for each network with its value and interval; undefined ones say so.

    Args:
        measures: Network -> its measure.
        ax: Axes to draw into; by default on a page of their own.
        draws: Network -> values in single draws of directions, as small dots.

    Returns:
        The axes.

    Raises:
        ValueError: No network, or measures of different metrics.
    """
    metrics = {measure.name: measure.unit for measure in measures.values()}
    if len(metrics) != 1:
        raise ValueError(f"`measures` must be of one metric, got {', '.join(metrics) or 'none'}")
    ((name, unit),) = metrics.items()
    ax = ax or new_axes()
    for row, (network, measure) in enumerate(measures.items()):
        color = CYCLE[row % len(CYCLE)]
        values = np.asarray((draws or {}).get(network, ()), dtype=float)
        ax.plot(values, np.full(len(values), row + _BELOW), ".", color=color, markersize=3, alpha=0.6)
        if np.isfinite(measure.value):
            ends = [end if np.isfinite(end) else measure.value for end in (measure.low, measure.high)]
            ax.plot(ends, [row, row], "-", color=color)
            ax.plot([measure.value], [row], "o", color=color, markersize=4)
        else:
            ax.text(0.5, row, "undefined", transform=ax.get_yaxis_transform(), ha="center", va="center", fontsize=SMALL)
        if measure.high == np.inf:
            ax.plot([0.98], [row], ">", color=color, markersize=3, transform=ax.get_yaxis_transform())
    ax.set_yticks(range(len(measures)), [one_line(network) for network in measures])
    for label in ax.get_yticklabels():
        label.set_parse_math(False)
    ax.set_ylim(len(measures) - 0.5, -0.5)
    ax.margins(x=0.12)
    ax.grid(axis="x")
    ax.set_axisbelow(True)
    spelled = name.replace("_", " ")
    ax.set_xlabel(f"{spelled} ({unit})" if unit else spelled)
    return ax


@styled()
def figure_measures(
    measures: Mapping[str, Mapping[str, Measure]],
    *,
    draws: Mapping[str, Mapping[str, Sequence[float]]] | None = None,
    caption: str = "",
) -> Figure:
    """A double-column page: a panel for each metric, a row for each network.

    Args:
        measures: Network -> metric -> measure; the same metrics for each network.
        draws: Network -> metric -> values in single draws of directions.
        caption: What stands below.

    Returns:
        The page.

    Raises:
        ValueError: No network, or their metrics differ.
    """
    names = {tuple(of_network) for of_network in measures.values()}
    if len(names) != 1 or not all(names):
        raise ValueError("`measures` must hold the same metrics, at least one, for every network")
    metrics = names.pop()
    columns = min(_COLUMNS, len(metrics))
    rows = -(-len(metrics) // columns)
    figure = new_figure(page_width(double=True), 0.4 + rows * (0.55 + _ROW * len(measures)))
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax, metric in zip(axes.ravel(), metrics, strict=False):
        of_draws = {network: found[metric] for network, found in (draws or {}).items()}
        plot_measures({network: found[metric] for network, found in measures.items()}, ax=ax, draws=of_draws)
    for ax in axes.ravel()[len(metrics) :]:
        ax.remove()
    for ax in axes[:, 1:].ravel():
        ax.tick_params(labelleft=False)
    if caption:
        add_caption(figure, caption)
    return figure
