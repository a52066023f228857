"""Lines through parameter space: loss with its interval, and error."""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gradscape._names import one_line
from gradscape.figures.caption import add_caption
from gradscape.figures.look import current_look
from gradscape.figures.style import CYCLE, SMALL, add_legend, check_choice, new_axes, new_figure, page_width, styled
from gradscape.figures.surfaces.wording import describe_lines, model_name, result_names
from gradscape.landscape import Line, Value
from gradscape.landscape.field import value_label

__all__ = ["LineScale", "figure_line", "plot_line"]

LineScale = Literal["raw", "log"]

_LONGEST_END = 26
_LONGEST_INSIDE = 22  # where two names share the width of the axes
_MOST_MARKED = 60


@styled()
def plot_line(
    lines: Line | Sequence[Line],
    *,
    ax: Axes | None = None,
    value: Value = "loss",
    scale: LineScale = "raw",
    titles: Sequence[str] | None = None,
) -> Axes:
    """Draw loss or error along one or several lines.

    Losses have a band, their 95 % interval. Where few images carry the loss the interval cannot be trusted:
    there the line is dashed and has no band. Non-finite losses are crosses at the upper edge.

    Args:
        lines: One line or several.
        ax: Axes to draw into; by default on a page of their own.
        value: "loss" or "error" (in percent).
        scale: "raw" or "log".
        titles: A name for each line; by default its model's.

    Returns:
        The axes.

    Raises:
        ValueError: No line, titles of another number, or an unknown option.
    """
    lines = _several(lines)
    ax = ax or new_axes()
    handles = _draw_lines(ax, lines, result_names(lines, titles), value, scale=scale)
    add_legend(ax, handles)
    _name_ends(ax, lines)
    ax.set_xlabel(_alpha_label(lines))
    return ax


@styled()
def figure_line(
    lines: Line | Sequence[Line], *, scale: LineScale = "raw", titles: Sequence[str] | None = None
) -> Figure:
    """A single-column page: loss above, error below (where it was measured), and a caption.

    Args:
        lines: One line or several.
        scale: How losses are scaled, "raw" or "log"; errors are not.
        titles: A name for each line; by default its model's.

    Returns:
        The page.

    Raises:
        ValueError: No line, titles of another number, or an unknown option.

    Example:
        >>> import torch
        >>> from gradscape.landscape import evaluate_line, random_directions
        >>> net, batches = torch.nn.Linear(4, 3), [(torch.randn(64, 4), torch.arange(64) % 3)]
        >>> line = evaluate_line(net, batches, random_directions(net, seed=0)[0], [-1.0, 0.0, 1.0])
        >>> len(figure_line(line).axes)  # loss and error
        2
    """
    lines = _several(lines)
    names = result_names(lines, titles)
    measured = any(np.isfinite(line.error).any() for line in lines)
    heights = (3, 2) if measured else (3,)
    figure = new_figure(page_width(double=False), 0.4 + 0.65 * sum(heights))
    panels = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    add_legend(panels[0], _draw_lines(panels[0], lines, names, "loss", scale=scale))
    if measured:
        _draw_lines(panels[1], lines, names, "error", scale="raw")
    _name_ends(panels[0], lines)
    panels[-1].set_xlabel(_alpha_label(lines))
    add_caption(figure, describe_lines(lines))
    return figure


def _several(lines: Line | Sequence[Line]) -> list[Line]:
    several = [lines] if isinstance(lines, Line) else list(lines)
    if not several:
        raise ValueError("`lines` must hold at least one line, got none")
    return several


def _draw_lines(
    ax: Axes, lines: Sequence[Line], names: Sequence[str], value: Value, *, scale: LineScale
) -> list[Artist]:
    """Everything but the names on the axes; returns what a legend should explain."""
    check_choice("value", value, get_args(Value))
    check_choice("scale", scale, get_args(LineScale))
    handles: list[Artist] = []
    for number, (line, name) in enumerate(zip(lines, names, strict=True)):
        color = CYCLE[number % len(CYCLE)]
        values = np.asarray(line.loss if value == "loss" else 100 * line.error)
        marks: dict[str, Any] = {"marker": ".", "markersize": 3} if len(values) <= _MOST_MARKED else {}
        unsure = _unsure(line) & (value == "loss")
        ax.plot(line.alphas, values, color=color, linestyle=(0, (2, 1.5)), linewidth=0.9, **marks)
        handles += ax.plot(line.alphas, np.where(unsure, np.nan, values), color=color, linestyle="-", label=name)
        if value == "loss":
            low, high = (np.where(unsure, np.nan, end) for end in line.interval())
            ax.fill_between(line.alphas, low, high, color=color, alpha=0.22, linewidth=0)
            lost = line.alphas[(line.count > 0) & ~np.isfinite(line.loss)]
            ax.plot(
                lost, np.full(len(lost), 0.97), "x", color=color, markersize=3.5, transform=ax.get_xaxis_transform()
            )
    if scale == "log":
        ax.set_yscale("log")
    _limit(ax, value)
    labels = {value_label(line.meta, value) for line in lines}
    percent = " (%)" if value == "error" else ""
    ax.set_ylabel((labels.pop() if len(labels) == 1 else value) + percent, parse_math=False)
    ax.margins(x=0.02)
    return [*(handles if len(lines) > 1 else []), *(_exceptions(lines) if value == "loss" else [])]


def _limit(ax: Axes, value: Value) -> None:
    """Draw no further than was chosen."""
    low, high = current_look().limits_of(value)
    if low is not None and (ax.get_yscale() != "log" or low > 0):  # to 0 no logarithm reaches
        ax.set_ylim(bottom=low)
    if high is not None:
        ax.set_ylim(top=high)
    bottom, top = ax.get_ylim()
    if not bottom < top:
        raise ValueError(
            f"`--zmin` and `--zmax` must leave something to draw, got {bottom:g} to {top:g} for the {value}"
        )


def _unsure(line: Line) -> np.ndarray:
    # Without any standard error (a foreign file, a single image) there is no interval to distrust.
    return np.isfinite(line.loss_stderr) & ~line.reliable


def _exceptions(lines: Sequence[Line]) -> list[Artist]:
    """Legend entries for what is out of the ordinary on these lines."""
    handles: list[Artist] = []
    if any(_unsure(line).any() for line in lines):
        handles.append(
            Line2D([], [], color="0.3", linestyle=(0, (2, 1.5)), linewidth=0.9, label="few images carry the loss")
        )
    if any(((line.count > 0) & ~np.isfinite(line.loss)).any() for line in lines):
        handles.append(Line2D([], [], color="0.3", linestyle="", marker="x", markersize=3.5, label="non-finite"))
    return handles


def _alpha_label(lines: Sequence[Line]) -> str:
    between = ["other" in line.meta for line in lines]
    return "alpha (0: first network, 1: second)" if all(between) else "alpha" if any(between) else "alpha (direction 1)"


def _name_ends(ax: Axes, lines: Sequence[Line]) -> None:
    """Name the networks at 0 and 1 above the axes, where all lines go between the same two."""
    ends = {(model_name(line), one_line(line.meta["other"])) if "other" in line.meta else None for line in lines}
    pair = ends.pop()
    if ends or pair is None:
        return
    # Beside each other within the axes where these end at the networks: centered, long names would make them narrow.
    inside = all(line.alphas.min() >= 0 and line.alphas.max() <= 1 for line in lines)
    for position, (name, side) in enumerate(zip(pair, ("left", "right"), strict=True)):
        ax.axvline(position, color="0.6", linewidth=0.6, zorder=0.5)
        longest = _LONGEST_INSIDE if inside else _LONGEST_END
        half = longest // 2  # both ends of a name may tell runs apart
        text = name if len(name) <= longest else f"{name[:half]}…{name[1 - half :]}"
        ax.annotate(
            text,
            (position, 1),
            xycoords=ax.get_xaxis_transform(),
            xytext=(0, 3),
            textcoords="offset points",
            ha=side if inside else "center",
            fontsize=SMALL,
            parse_math=False,
        )
