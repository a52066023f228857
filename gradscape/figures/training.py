"""Training curves: loss, accuracy and learning rate against epochs, one run or several seeds."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gradscape.figures.caption import add_caption
from gradscape.figures.shading import check_choice
from gradscape.figures.style import CYCLE, DOUBLE_COLUMN, add_legend, new_axes, new_figure, styled

Metrics = Mapping[str, np.ndarray]
Curve = Literal["loss", "accuracy", "learning_rate"]

_COLUMNS: dict[Curve, tuple[str, ...]] = {
    "loss": ("train_loss", "test_loss"),
    "accuracy": ("train_accuracy", "test_accuracy"),
    "learning_rate": ("learning_rate",),
}
_LABELS: dict[Curve, str] = {"loss": "loss", "accuracy": "accuracy (%)", "learning_rate": "learning rate"}


@styled()
def plot_training(metrics: Metrics | Sequence[Metrics], *, ax: Axes | None = None, value: Curve = "loss") -> Axes:
    """Draw one kind of training curve, train and test together; epochs without a number are passed over.

    Args:
        metrics: Column name -> (epochs,) array, as in metrics.csv; accuracies in [0, 1], drawn in percent. A list
            of them, one a seed, is drawn as its median in a band from the lowest to the highest; a run that stopped
            early counts with its last values.
        ax: Axes to draw into; by default on a page of their own.
        value: "loss", "accuracy" or "learning_rate".

    Returns:
        The axes.

    Raises:
        ValueError: No run, runs whose epochs differ, no such column, or an unknown value.
    """
    check_choice("value", value, get_args(Curve))
    runs = _several(metrics)
    present = [column for column in _COLUMNS[value] if all(column in run for run in runs)]
    if not present:
        raise ValueError(f"`metrics` must have the column {' or '.join(_COLUMNS[value])}, got {', '.join(runs[0])}")
    ax = ax or new_axes()
    handles = []
    for column in present:
        test = column.startswith("test_")
        values = np.stack([run[column] for run in runs]) * (100 if value == "accuracy" else 1)
        handles += _draw_runs(ax, runs[0]["epoch"], values, test=test)
    if value == "learning_rate":
        _scale_rate(ax, np.stack([run["learning_rate"] for run in runs]))
    ax.set(xlabel="epoch", ylabel=_LABELS[value])
    ax.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], integer=True))
    add_legend(ax, handles if len(handles) > 1 else [])
    return ax


@styled()
def figure_training(metrics: Metrics | Sequence[Metrics]) -> Figure:
    """A double-column page: loss, accuracy and learning rate, as far as they were recorded, and a caption.

    Args:
        metrics: As for `plot_training`; the column "seconds" goes into the caption.

    Returns:
        The page.

    Raises:
        ValueError: No run, runs whose epochs differ, or no column to draw.
    """
    runs = _several(metrics)
    shown = [
        value for value, columns in _COLUMNS.items() if any(all(column in run for run in runs) for column in columns)
    ]
    if not shown:
        raise ValueError(f"`metrics` must have a column such as train_loss or test_accuracy, got {', '.join(runs[0])}")
    figure = new_figure(DOUBLE_COLUMN * len(shown) / len(_COLUMNS), 2.3)
    for ax, value in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
        plot_training(runs, ax=ax, value=value)
    add_caption(figure, _describe(runs))
    return figure


def _several(metrics: Metrics | Sequence[Metrics]) -> list[Metrics]:
    """Runs of equal length."""
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
    return [{**run, "epoch": longest["epoch"]} for run in padded]


def _draw_runs(
    ax: Axes, epochs: Float[np.ndarray, "epochs"], values: Float[np.ndarray, "runs epochs"], *, test: bool
) -> list[Artist]:
    evaluated = np.isfinite(values).any(axis=0)
    epochs, values = epochs[evaluated], values[:, evaluated]
    color = CYCLE[1] if test else CYCLE[0]
    # One epoch is a point, and a line without a mark would not show it.
    marks: dict[str, Any] = {"marker": ".", "markersize": 4} if len(epochs) <= 15 else {}
    if len(values) > 1:
        ax.fill_between(
            epochs, np.nanmin(values, axis=0), np.nanmax(values, axis=0), color=color, alpha=0.22, linewidth=0
        )
    middle = np.nanmedian(values, axis=0)
    return list(
        ax.plot(epochs, middle, color=color, linewidth=1.2 if test else 1.0, label="test" if test else "train", **marks)
    )


def _scale_rate(ax: Axes, rates: Float[np.ndarray, "runs epochs"]) -> None:
    positive = rates[rates > 0]
    if len(positive) and positive.max() >= 20 * positive.min():
        ax.set_yscale("log")


def _describe(runs: Sequence[Metrics]) -> str:
    epochs = len(runs[0]["epoch"])
    parts = [f"{epochs} epoch{'s' if epochs > 1 else ''}"]
    for column, name in (("test_accuracy", "test accuracy"), ("train_accuracy", "train accuracy")):
        if all(column in run for run in runs):
            last = 100 * np.stack([run[column] for run in runs])[:, -1]
            spread = f" ({last.min():.2f} to {last.max():.2f})" if len(runs) > 1 else ""
            parts.append(f"{name} after the last {np.median(last):.2f} %{spread}")
            break
    if all("seconds" in run for run in runs):
        parts.append(f"{np.median(np.stack([run['seconds'] for run in runs])):.3g} s an epoch")
    if len(runs) > 1:
        parts.append(f"median of {len(runs)} runs, band from lowest to highest")
    return " · ".join(parts)
