"""Training curves: loss, score and learning rate against epochs, one run or several seeds."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gradscape._intervals import spread_of
from gradscape.figures.caption import add_caption, caption_height
from gradscape.figures.look import current_look
from gradscape.figures.style import (
    CYCLE,
    DOUBLE_COLUMN,
    LINE_STYLES,
    add_legend,
    check_choice,
    new_axes,
    new_figure,
    page_width,
    styled,
)
from gradscape.training.score_columns import SCORES, describe_column, is_share

__all__ = [
    "Metrics",
    "TrainingQuantity",
    "align_runs",
    "draw_median",
    "figure_curve",
    "figure_training",
    "mark_epochs",
    "plot_training",
]

Metrics = Mapping[str, np.ndarray]
TrainingQuantity = Literal["loss", "accuracy", "precision", "overlap", "learning_rate"]

_SPLITS: dict[str, tuple[str, Any]] = {
    "train": (CYCLE[0], LINE_STYLES[0]),
    "validation": (CYCLE[4], LINE_STYLES[2]),
    "test": (CYCLE[1], LINE_STYLES[1]),
}
# Beside that of its split in the same panel.
_SECOND: dict[str, tuple[str, Any]] = {
    "validation_ap": (CYCLE[3], LINE_STYLES[4]),
    "test_ap": (CYCLE[2], LINE_STYLES[3]),
}
_COLUMNS: dict[TrainingQuantity, tuple[str, ...]] = {
    "loss": tuple(f"{split}_loss" for split in _SPLITS),
    "accuracy": tuple(f"{split}_accuracy" for split in _SPLITS),
    "precision": ("validation_ap50", "validation_ap", "test_ap50", "test_ap"),
    "overlap": ("validation_iou", "test_iou"),
    "learning_rate": ("learning_rate",),
}
_LABELS: dict[TrainingQuantity, str] = {
    "loss": "loss",
    "accuracy": "accuracy (%)",
    "precision": "average precision (%)",
    "overlap": "mean IoU (%)",
    "learning_rate": "learning rate",
}
_MOST_PANELS = 3


@styled()
def plot_training(
    metrics: Metrics | Sequence[Metrics], *, ax: Axes | None = None, value: TrainingQuantity = "loss"
) -> Axes:
    """Draw one kind of training curve, that of every split together; epochs without a number are passed over.

    Args:
        metrics: Column name -> (epochs,) array, as in metrics.csv; scores in [0, 1], drawn in percent. What the
            columns of train, validation and test lack is left out. A list of them, one a seed, is drawn as its
            median in a band from the lowest to the highest; a run that stopped early counts with its last values.
        ax: Axes to draw into; by default on a page of their own.
        value: "loss", "accuracy", of detectors "precision", of segmenters "overlap", or "learning_rate".

    Returns:
        The axes.

    Raises:
        ValueError: No run, runs whose epochs differ, no such column, or an unknown value.
    """
    check_choice("value", value, get_args(TrainingQuantity))
    runs = align_runs(metrics)
    present = [column for column in _COLUMNS[value] if all(column in run for run in runs)]
    if not present:
        raise ValueError(f"`metrics` must have the column {' or '.join(_COLUMNS[value])}, got {', '.join(runs[0])}")
    ax = ax or new_axes()
    handles: list[Artist] = []
    for column in present:
        split = column.partition("_")[0]
        color, dashes = _SECOND.get(column) or _SPLITS.get(split, _SPLITS["train"])
        values = np.stack([run[column] for run in runs]) * (100 if is_share(column) else 1)
        label = describe_column(column) if value == "precision" else split
        handles += draw_median(ax, runs[0]["epoch"], values, color=color, linestyle=dashes, label=label)
    if value == "learning_rate":
        _scale_rate(ax, np.stack([run["learning_rate"] for run in runs]))
    ax.set(xlabel="epoch", ylabel=_LABELS[value])
    mark_epochs(ax)
    add_legend(ax, handles if len(handles) > 1 else [])
    return ax


@styled()
def figure_training(metrics: Metrics | Sequence[Metrics], *, about: str = "") -> Figure:
    """A double-column page: loss, score and learning rate, as far as they were recorded, and a caption.

    Args:
        metrics: As for `plot_training`; nothing that a clock measured is shown.
        about: More for the caption, such as which images the network was tested on.

    Returns:
        The page.

    Raises:
        ValueError: No run, runs whose epochs differ, or no column to draw.
    """
    runs = align_runs(metrics)
    shown = [
        value for value, columns in _COLUMNS.items() if any(all(column in run for run in runs) for column in columns)
    ]
    if not shown:
        raise ValueError(f"`metrics` must have a column such as train_loss or test_accuracy, got {', '.join(runs[0])}")
    figure = new_figure(current_look().page_width or DOUBLE_COLUMN * min(1, len(shown) / _MOST_PANELS), 2.3)
    for ax, value in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
        plot_training(runs, ax=ax, value=value)
    add_caption(figure, " · ".join(part for part in (_describe(runs), about) if part))
    return figure


@styled()
def figure_curve(metrics: Metrics | Sequence[Metrics], *, value: TrainingQuantity, title: str) -> Figure:
    """A single-column page with one kind of training curve, its title above and a caption.

    Args:
        metrics: As for `plot_training`.
        value: As for `plot_training`.
        title: What stands above.

    Returns:
        The page; with its labels the panel is three by two, as a page of 6 × 4 inches.

    Raises:
        ValueError: As for `plot_training`.
    """
    runs = align_runs(metrics)
    caption = _describe(runs)
    width = page_width(double=False)
    figure = new_figure(width, width * 2 / 3 + caption_height(caption, width))
    ax = plot_training(runs, ax=figure.add_subplot(), value=value)
    ax.set_title(title, parse_math=False)
    add_caption(figure, caption)
    return figure


def align_runs(metrics: Metrics | Sequence[Metrics]) -> list[Metrics]:
    """Runs of equal length, epochs counted from 1: one that stopped early is continued with its last values.

    Raises:
        ValueError: No run, or runs whose epochs differ.
    """
    runs = [metrics] if isinstance(metrics, Mapping) else list(metrics)
    if not runs or not all("epoch" in run and len(run["epoch"]) for run in runs):
        raise ValueError("`metrics` must hold at least one run with a column epoch that is not empty")
    longest = max(runs, key=lambda run: len(run["epoch"]))
    if not all(np.array_equal(run["epoch"], longest["epoch"][: len(run["epoch"])]) for run in runs):
        raise ValueError("`metrics` must be of runs whose epochs begin alike and go on alike, got other epochs")
    epochs = len(longest["epoch"])
    padded = [
        {name: np.pad(column, (0, epochs - len(column)), mode="edge") for name, column in run.items()} for run in runs
    ]
    counted = longest["epoch"] + (longest["epoch"][0] == 0)
    return [{**run, "epoch": counted} for run in padded]


def draw_median(
    ax: Axes,
    epochs: Float[np.ndarray, "epochs"],
    values: Float[np.ndarray, "runs epochs"],
    *,
    color: str,
    linestyle: Any,
    label: str,
) -> list[Artist]:
    """Draw the median of runs, of several in a band from the lowest to the highest; return the line."""
    evaluated = np.isfinite(values).any(axis=0)
    epochs, values = epochs[evaluated], values[:, evaluated]
    # One epoch is a point, and a line without a mark would not show it.
    marks: dict[str, Any] = {"marker": ".", "markersize": 4} if len(epochs) <= 15 else {}
    if len(values) > 1:
        ax.fill_between(
            epochs, np.nanmin(values, axis=0), np.nanmax(values, axis=0), color=color, alpha=0.22, linewidth=0
        )
    return list(ax.plot(epochs, np.nanmedian(values, axis=0), color=color, linestyle=linestyle, label=label, **marks))


def mark_epochs(ax: Axes) -> None:
    """Mark whole epochs, at most seven of them."""
    ax.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))


def _scale_rate(ax: Axes, rates: Float[np.ndarray, "runs epochs"]) -> None:
    positive = rates[rates > 0]
    if len(positive) and positive.max() >= 20 * positive.min():
        ax.set_yscale("log")


def _describe(runs: Sequence[Metrics]) -> str:
    epochs = len(runs[0]["epoch"])
    parts = [f"{epochs} epoch{'s' if epochs > 1 else ''}"]
    for column in (*SCORES, "validation_accuracy", "train_accuracy"):
        if all(column in run for run in runs):
            last = 100 * np.stack([run[column] for run in runs])[:, -1]
            spread = f" {spread_of(last)}" if len(runs) > 1 else ""
            parts.append(f"{describe_column(column)} after the last {last.mean():.2f}{spread} %")
            break
    if len(runs) > 1:
        parts.append(f"median of {len(runs)} runs, band from lowest to highest")
    return " · ".join(parts)
