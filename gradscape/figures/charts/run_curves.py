"""Training curves of several networks together, one panel a column of metrics.csv."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradscape._names import one_line
from gradscape.figures.caption import add_caption, caption_height
from gradscape.figures.charts.training import Metrics, align_runs, draw_median, mark_epochs
from gradscape.figures.style import (
    CYCLE,
    LINE_STYLES,
    add_legend,
    new_axes,
    new_figure,
    page_width,
    styled,
)
from gradscape.training.score_columns import describe_column, is_share

__all__ = ["MOST_NETWORKS", "Runs", "figure_run_curves", "plot_run_curves"]

Runs = Mapping[str, Metrics | Sequence[Metrics]]

MOST_NETWORKS = len(CYCLE)
"""As many as colors tell apart."""

_PANEL_HEIGHT = 2.0
_LEGEND_ROW = 0.14


@styled()
def plot_run_curves(
    runs: Runs, *, ax: Axes | None = None, column: str = "train_loss", first_epoch: int = 1, explained: bool = True
) -> Axes:
    """Draw one column of several networks' metrics; epochs without a number are passed over.

    Args:
        runs: Per network, by its title, what `plot_training` takes: a run's columns, or those of several seeds,
            drawn as their median in a band from the lowest to the highest.
        ax: Axes to draw into; by default on a page of their own.
        column: The column; scores in [0, 1] are drawn in percent.
        first_epoch: Earlier epochs, counted from 1, are left out.
        explained: Whether a legend names the networks.

    Returns:
        The axes.

    Raises:
        ValueError: No network or more than seven, a network without the column, one whose seeds have other epochs,
            or one that was over before the first epoch to be drawn.
    """
    aligned = _check_runs(runs, column, first_epoch)
    ax = ax or new_axes()
    handles: list[Artist] = []
    for number, (title, several) in enumerate(aligned.items()):
        drawn = several[0]["epoch"] >= first_epoch
        values = np.stack([run[column][drawn] for run in several]) * (100 if is_share(column) else 1)
        handles += draw_median(
            ax,
            several[0]["epoch"][drawn],
            values,
            color=CYCLE[number],
            linestyle=LINE_STYLES[number],
            label=one_line(title),
        )
    ax.set(xlabel="epoch", ylabel=_axis_label(column))
    mark_epochs(ax)
    ax.margins(x=0.02)
    add_legend(ax, handles if explained else [])
    return ax


@styled()
def figure_run_curves(
    runs: Runs, columns: Sequence[str] = ("train_loss", "test_loss"), *, first_epoch: int = 1
) -> Figure:
    """A page of panels side by side, a column of the metrics each, with one legend above them and a caption.

    Args:
        runs: As for `plot_run_curves`.
        columns: The columns, from left to right.
        first_epoch: Earlier epochs, counted from 1, are left out.

    Returns:
        The page: one panel takes a paper's column, two take both.

    Raises:
        ValueError: No column, and as for `plot_run_curves`.
    """
    if not columns:
        raise ValueError("`columns` must name at least one column of metrics.csv, got none")
    width = page_width(double=len(columns) > 1)
    beside = _legend_columns(list(runs), width)
    caption = _describe({title: align_runs(one) for title, one in runs.items()}, columns, first_epoch)
    # Neither names nor the caption take from the panels' height.
    around = _LEGEND_ROW * math.ceil(len(runs) / beside) + caption_height(caption, width)
    figure = new_figure(width, _PANEL_HEIGHT + around)
    panels = figure.subplots(1, len(columns), squeeze=False)[0]
    for ax, column in zip(panels, columns, strict=True):
        plot_run_curves(runs, ax=ax, column=column, first_epoch=first_epoch, explained=False)
    # Not in a panel, where several networks' curves leave no corner free.
    legend = figure.legend(handles=panels[0].get_lines(), loc="outside upper center", ncols=beside, handlelength=3.2)
    for text in legend.get_texts():
        text.set_parse_math(False)
    add_caption(figure, caption)
    return figure


def _check_runs(runs: Runs, column: str, first_epoch: int) -> dict[str, list[Metrics]]:
    if not 1 <= len(runs) <= MOST_NETWORKS:
        raise ValueError(f"`runs` must be of 1 to {MOST_NETWORKS} networks, which colors tell apart, got {len(runs)}")
    aligned = {title: align_runs(metrics) for title, metrics in runs.items()}
    for title, several in aligned.items():
        missing = [run for run in several if column not in run]
        if missing:
            raise ValueError(f"`runs` must have the column {column}, and {title} has {', '.join(missing[0])}")
        last = several[0]["epoch"][-1]
        if last < first_epoch:
            raise ValueError(
                f"`first_epoch` must be one that every network has, and {title} ended with epoch {last:g}, "
                f"before {first_epoch}: train it for longer"
            )
    return aligned


def _axis_label(column: str) -> str:
    words = describe_column(column)
    return f"{words} (%)" if is_share(column) else words


def _legend_columns(titles: Sequence[str], width: float) -> int:
    """How many names stand beside each other, by the length of the longest."""
    return max(1, min(len(titles), int(width / (0.45 + 0.058 * max(map(len, titles))))))


def _describe(aligned: Mapping[str, Sequence[Metrics]], columns: Sequence[str], first_epoch: int) -> str:
    epochs = {title: len(several[0]["epoch"]) for title, several in aligned.items()}
    counts = {title: len(several) for title, several in aligned.items()}
    parts = [_by_title(epochs, "epoch")]
    parts += [f"drawn from epoch {first_epoch}"] if first_epoch > 1 else []
    parts += [_last_values(aligned, column) for column in columns]
    if max(counts.values()) > 1:
        parts.append(f"{_by_title(counts, 'run')}: median, in a band from lowest to highest")
    return " · ".join(parts)


def _by_title(numbers: Mapping[str, int], what: str) -> str:
    """A number once if it is the same for all networks, else for each by its title."""
    said = {title: f"{number} {what}{'s' if number != 1 else ''}" for title, number in numbers.items()}
    if len(set(said.values())) == 1:
        return next(iter(said.values()))
    return ", ".join(f"{one_line(title)} {text}" for title, text in said.items())


def _last_values(aligned: Mapping[str, Sequence[Metrics]], column: str) -> str:
    """What each network's curve ends at."""
    percent = is_share(column)
    factor = 100 if percent else 1
    last = {
        one_line(title): factor * np.array([run[column][np.isfinite(run[column])][-1] for run in several])
        for title, several in aligned.items()
    }
    ends = ", ".join(f"{title} {_end(values, percent=percent)}" for title, values in last.items())
    told = " (mean ± std, median)" if any(len(values) > 1 for values in last.values()) else ""
    return f"{describe_column(column)} after the last{told}: {ends}"


def _end(values: np.ndarray, *, percent: bool) -> str:
    """Where runs end: of several mean, standard deviation and median."""
    form, unit = (".2f", " %") if percent else (".3g", "")
    if len(values) == 1:
        return f"{values[0]:{form}}{unit}"
    return f"{values.mean():{form}} ± {values.std(ddof=1):{form}}{unit} ({np.median(values):{form}}{unit})"
