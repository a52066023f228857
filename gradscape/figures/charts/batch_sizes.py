"""Test error against the batch size of the training: single runs, their mean and their standard deviation."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from gradscape.figures.caption import add_caption
from gradscape.figures.style import CYCLE, add_legend, new_axes, new_figure, page_width, styled

__all__ = ["figure_batch_sizes", "plot_batch_sizes"]


@styled()
def plot_batch_sizes(
    errors: Mapping[int, Sequence[float]], *, ax: Axes | None = None, published: Mapping[int, float] | None = None
) -> Axes:
    """Draw the mean test error of the runs with each batch size, with the single runs and their spread.

    Args:
        errors: Batch size -> test errors of its runs, in percent. Of several runs the mean stands in a bar of one
            standard deviation (that of a sample) to each side; a single run has no bar.
        ax: Axes to draw into; by default on a page of their own.
        published: Batch size -> mean test error that a paper prints, in percent, to be drawn with them.

    Returns:
        The axes; batch sizes are on a scale of powers of two.

    Raises:
        ValueError: No batch size, one below 1 or without a run, or an error outside 0 to 100.
    """
    _check_errors(errors)
    ax = ax or new_axes()
    sizes = sorted(errors)
    singles = [(size, error) for size in sizes if len(errors[size]) > 1 for error in errors[size]]
    handles: list[Artist] = []
    if singles:
        handles += ax.plot(*zip(*singles, strict=True), ".", color="0.55", markersize=3, label="one run")
    means = [float(np.mean(errors[size])) for size in sizes]
    deviations = [_deviation(errors[size]) for size in sizes]
    ax.errorbar(sizes, means, deviations, fmt="none", ecolor=CYCLE[0], capsize=2.5, elinewidth=0.9)
    label = "mean" if singles else "one run"
    handles += ax.plot(sizes, means, "o-", color=CYCLE[0], label=label, markersize=3.5, markerfacecolor="white")
    if published:
        places = sorted(published)
        prints = [published[size] for size in places]
        handles += ax.plot(places, prints, "D", color=CYCLE[1], label="in the paper", markersize=4.5, zorder=1)
    _mark_sizes(ax, sorted({*sizes, *(published or {})}))
    ax.set(xlabel="batch size N", ylabel="test error (%)")
    add_legend(ax, handles if len(handles) > 1 else [])
    return ax


@styled()
def figure_batch_sizes(
    errors: Mapping[int, Sequence[float]], *, published: Mapping[int, float] | None = None
) -> Figure:
    """A single-column page with a caption that says how many runs stand behind the points.

    Args:
        errors: As for `plot_batch_sizes`.
        published: As for `plot_batch_sizes`.

    Returns:
        The page.

    Raises:
        ValueError: As for `plot_batch_sizes`.
    """
    figure = new_figure(page_width(double=False), 2.6)
    plot_batch_sizes(errors, ax=figure.add_subplot(), published=published)
    add_caption(figure, _describe(errors))
    return figure


def _check_errors(errors: Mapping[int, Sequence[float]]) -> None:
    if not errors:
        raise ValueError("`errors` must hold the test errors of at least one batch size, got none")
    for size, several in errors.items():
        if size < 1 or not len(several):
            raise ValueError(f"`errors` must have batch sizes from 1 on and a run for each, got {size}: {several}")
        if not all(0 <= error <= 100 for error in several):
            raise ValueError(f"`errors` must be in percent, from 0 to 100, got {several} for batch size {size}")


def _deviation(errors: Sequence[float]) -> float:
    """Standard deviation of a sample; NaN of a single run, which has none."""
    return float(np.std(errors, ddof=1)) if len(errors) > 1 else np.nan


def _mark_sizes(ax: Axes, sizes: Sequence[int]) -> None:
    ax.set_xscale("log", base=2)
    ax.set_xticks(sizes, [str(size) for size in sizes])
    ax.xaxis.set_minor_locator(NullLocator())


def _describe(errors: Mapping[int, Sequence[float]]) -> str:
    counts = {len(several) for several in errors.values()}
    if counts == {1}:
        return "one run with each batch size"
    runs = f"{min(counts)} to {max(counts)}" if len(counts) > 1 else str(*counts)
    return f"mean of {runs} runs with each batch size, in bars of one standard deviation"
