"""Lines through parameter space: loss with its interval, and error."""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import ScaledTranslation

from gradscape._names import one_line
from gradscape.figures.caption import add_caption
from gradscape.figures.look import current_look
from gradscape.figures.style import SMALL, check_choice, line_look, new_axes, new_figure, page_width, styled
from gradscape.figures.surfaces.line_wording import alpha_label, leads_between
from gradscape.figures.surfaces.norm_wording import stored_ends
from gradscape.figures.surfaces.wording import describe_lines, model_name, result_names
from gradscape.landscape import Line, Value
from gradscape.landscape.field import value_label

__all__ = ["LineScale", "figure_line", "plot_line"]

LineScale = Literal["raw", "log"]

_LONGEST_END = 26
_LONGEST_INSIDE = 22  # where two names share the width of the axes
_MOST_MARKED = 60
_MOST_TICKS = 6  # more run into each other in a single column
_TWO, _THREE = 26, 15  # letters of legend entries of which two or three fit beside each other
_NAMES_HEIGHT = 11.0  # points above the axes
_UNSURE: dict[str, Any] = {"linestyle": (0, (2, 1.5)), "linewidth": 0.9}


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
    there the line is dashed and has no band. Non-finite losses are crosses at the upper edge. The legend stands above
    the axes, where it hides nothing.

    Args:
        lines: One line or several.
        ax: Axes to draw into; by default on a page of their own.
        value: "loss" or "error" (in percent).
        scale: "raw" or "log".
        titles: A name for each line; by default its model's.

    Returns:
        The axes.

    Raises:
        ValueError: No line, lines whose alphas count different things, titles of another number, or an unknown option.
    """
    lines = _several(lines)
    ax = ax or new_axes()
    handles = _draw_lines(ax, lines, result_names(lines, titles), value, scale=scale)
    _add_legend(ax, handles, height=_name_ends(ax, lines))
    ax.set_xlabel(alpha_label(lines))
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
        ValueError: No line, lines whose alphas count different things, titles of another number, or an unknown option.

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
    handles = _draw_lines(panels[0], lines, names, "loss", scale=scale)
    if measured:
        _draw_lines(panels[1], lines, names, "error", scale="raw")
    _add_legend(panels[0], handles, height=_name_ends(panels[0], lines))
    panels[-1].set_xlabel(alpha_label(lines))
    add_caption(figure, describe_lines(lines, names))
    return figure


def _several(lines: Line | Sequence[Line]) -> list[Line]:
    several = [lines] if isinstance(lines, Line) else list(lines)
    if not several:
        raise ValueError("`lines` must hold at least one line, got none")
    alpha_label(several)  # refuses lines that cannot share an axis
    return several


def _draw_lines(
    ax: Axes, lines: Sequence[Line], names: Sequence[str], value: Value, *, scale: LineScale
) -> list[Artist]:
    """Everything but the names on the axes; returns what a legend should explain."""
    check_choice("value", value, get_args(Value))
    check_choice("scale", scale, get_args(LineScale))
    handles: list[Artist] = []
    pair = _shared_ends(lines)
    shared = " → ".join(pair) if pair else ""
    for number, (line, name) in enumerate(zip(lines, names, strict=True)):
        look = line_look(number)
        values = np.asarray(line.loss if value == "loss" else 100 * line.error)
        marks: dict[str, Any] = {"marker": ".", "markersize": 3} if len(values) <= _MOST_MARKED else {}
        unsure = _unsure(line) & (value == "loss")
        ax.plot(line.alphas, values, color=look["color"], **_UNSURE, **marks)
        handles += ax.plot(line.alphas, np.where(unsure, np.nan, values), **look, label=_beside(name, shared))
        if value == "loss":
            low, high = (np.where(unsure, np.nan, end) for end in line.interval())
            ax.fill_between(line.alphas, low, high, color=look["color"], alpha=0.22, linewidth=0)
            lost = line.alphas[(line.count > 0) & ~np.isfinite(line.loss)]
            top = ax.get_xaxis_transform()
            ax.plot(lost, np.full(len(lost), 0.97), "x", color=look["color"], markersize=3.5, transform=top)
        _mark_stored(ax, line, value, color=look["color"])
    if scale == "log":
        ax.set_yscale("log")
    _limit(ax, value)
    ax.xaxis.set_major_locator(MaxNLocator(_MOST_TICKS, steps=[1, 2, 5, 10]))
    labels = {value_label(line.meta, value) for line in lines}
    percent = " (%)" if value == "error" else ""
    ax.set_ylabel((labels.pop() if len(labels) == 1 else value) + percent, parse_math=False)
    ax.margins(x=0.02)
    return [*(handles if len(lines) > 1 else []), *(_exceptions(lines) if value == "loss" else [])]


def _mark_stored(ax: Axes, line: Line, value: Value, *, color: Any) -> None:
    """Open circles for networks with their own running statistics, where the line has others."""
    alphas, losses, errors = stored_ends(line.meta)
    heights = losses if value == "loss" else 100 * errors
    if len(alphas):
        ax.plot(alphas, heights, "o", color=color, markerfacecolor="none", markersize=4.5, clip_on=False)


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
        handles.append(Line2D([], [], color="0.3", label="no interval: few images carry the loss", **_UNSURE))
    if any(((line.count > 0) & ~np.isfinite(line.loss)).any() for line in lines):
        handles.append(Line2D([], [], color="0.3", linestyle="", marker="x", markersize=3.5, label="non-finite"))
    if any(len(stored_ends(line.meta)[0]) for line in lines):
        label = "networks with their own statistics"
        handles.append(
            Line2D([], [], color="0.3", linestyle="", marker="o", markerfacecolor="none", markersize=4.5, label=label)
        )
    return handles


def _add_legend(ax: Axes, handles: Sequence[Artist], *, height: float) -> None:
    """Explain `handles` above the axes, where no curve and no band is, over `height` points of other text."""
    if not handles:
        return
    longest = max(len(str(handle.get_label())) for handle in handles)
    columns = next(number for number, most in ((3, _THREE), (2, _TWO), (1, longest)) if longest <= most)
    figure = ax.get_figure(root=True)
    assert figure is not None
    legend = ax.legend(
        handles=handles,
        ncols=min(columns, len(handles)),
        loc="lower left",
        bbox_to_anchor=(0, 1),
        bbox_transform=ax.transAxes + ScaledTranslation(0, height / 72, figure.dpi_scale_trans),
        borderaxespad=0.2,
        borderpad=0,
        columnspacing=1.2,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _shared_ends(lines: Sequence[Line]) -> tuple[str, str] | None:
    """The networks at 0 and 1, where all lines go between the same two."""
    ends = {(model_name(line), one_line(line.meta["other"])) if leads_between(line) else None for line in lines}
    return ends.pop() if len(ends) == 1 else None


def _beside(name: str, shared: str) -> str:
    """What a line's name says beside that of its ends, which stand above the axes: a long legend narrows these."""
    rest = name.removeprefix(shared).removeprefix(",").strip() if shared else ""
    return rest or name


def _name_ends(ax: Axes, lines: Sequence[Line]) -> float:
    """Name the networks at 0 and 1 above the axes, where all lines go between the same two; return points it takes."""
    pair = _shared_ends(lines)
    if pair is None:
        return 0.0
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
    return _NAMES_HEIGHT
