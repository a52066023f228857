"""Accuracy against efficiency: a bubble for each network, as large as it has parameters."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from gradscape.figures.caption import add_caption, caption_height
from gradscape.figures.charts.label_places import box_distances, place_labels
from gradscape.figures.letters import place_everything
from gradscape.figures.style import CYCLE, SMALL, new_figure, page_width, styled

__all__ = ["Bubble", "figure_bubbles", "plot_bubbles"]

Group = Literal["published", "highlighted", "own"]

_AREA = 34.0  # square points a million parameters
_SIZES = (1, 5, 15)
_NEAR = 10.0  # points from which on a line leads to the label
_NEARER = 1.5  # also to one from which another center is not as much farther as this
_LOOKS: dict[Group, dict[str, str]] = {
    "published": {"color": "#9a9a9a", "mark": "o", "text": "0.2"},
    "highlighted": {"color": CYCLE[1], "mark": "o", "text": "#8f3d00"},
    "own": {"color": CYCLE[0], "mark": "D", "text": "#004a75"},
}


@dataclass(frozen=True)
class Bubble:
    """A network as a point.

    Attributes:
        name: Its label.
        accuracy: Percent.
        size: Parameters, millions.
        efficiency: Percent of accuracy per million parameters.
        group: "published"; "highlighted", whose points are joined by a line; or "own".
    """

    name: str
    accuracy: float
    size: float
    efficiency: float
    group: Group = "published"


@styled()
def plot_bubbles(bubbles: Sequence[Bubble], *, ax: Axes, highlighted: str = "highlighted", own: str = "own") -> Axes:
    """Draw accuracy against efficiency; areas are proportional to sizes, and no label lies on another.

    Labels are placed for the axes as they are: give them their limits and size first.

    Args:
        bubbles: The networks.
        ax: Axes to draw into.
        highlighted: What the legend calls the highlighted ones.
        own: What it calls one's own.

    Returns:
        The axes.

    Raises:
        ValueError: There is no network, or a size is not positive.
    """
    if not bubbles or not all(bubble.size > 0 for bubble in bubbles):
        raise ValueError("`bubbles` must hold at least one network, each with a positive size")
    names: dict[Group, str] = {"published": "others", "highlighted": highlighted, "own": own}
    ax.grid(visible=True, zorder=0)
    ax.set_axisbelow(True)
    for bubble in sorted(bubbles, key=lambda bubble: -bubble.size):
        color, mark = _LOOKS[bubble.group]["color"], _LOOKS[bubble.group]["mark"]
        place = (bubble.efficiency, bubble.accuracy)
        ax.scatter(*place, s=_AREA * bubble.size, c=color, alpha=0.42, edgecolors=color, linewidths=0.8, zorder=2)
        ax.scatter(*place, s=7 if mark == "o" else 11, c="black", marker=mark, linewidths=0, zorder=4)
    joined = np.array(
        sorted((bubble.efficiency, bubble.accuracy) for bubble in bubbles if bubble.group == "highlighted")
    ).reshape(-1, 2)
    ax.plot(*joined.T, color=CYCLE[1], linestyle="--", linewidth=1.1, zorder=3)
    ax.set(xlabel="efficiency: accuracy (%) / parameters (million)", ylabel="test accuracy (%)")
    present = [group for group in _LOOKS if any(bubble.group == group for bubble in bubbles)]
    _add_legend(ax, [*(_legend_entry(group, names[group]) for group in present), *map(_size_entry, _SIZES)])
    _add_labels(ax, bubbles, joined)
    return ax


@styled()
def figure_bubbles(
    bubbles: Sequence[Bubble], *, title: str, caption: str, highlighted: str = "highlighted", own: str = "own"
) -> Figure:
    """A double-column page.

    Args:
        bubbles: The networks.
        title: Above the axes.
        highlighted: What the legend calls the highlighted ones.
        own: What it calls one's own.
        caption: At the foot.

    Returns:
        The page.
    """
    width = page_width(double=True)
    figure = new_figure(width, 4.2 + caption_height(caption, width))
    ax = figure.add_subplot()
    ax.set_title(title, parse_math=False, loc="left")
    widest = max(bubble.efficiency for bubble in bubbles)
    ax.set_xlim(-0.06 * widest, 1.12 * widest)
    accuracies = [bubble.accuracy for bubble in bubbles]
    room = 0.1 * (max(accuracies) - min(accuracies)) or 1.0
    ax.set_ylim(min(accuracies) - room, max(accuracies) + room)
    add_caption(figure, caption)
    plot_bubbles(bubbles, ax=ax, highlighted=highlighted, own=own)
    return figure


def _legend_entry(group: Group, name: str) -> Artist:
    look = _LOOKS[group]
    dashes: Literal["--", "none"] = "--" if group == "highlighted" else "none"
    return Line2D([], [], marker=look["mark"], markersize=5, color=look["color"], linestyle=dashes, label=name)


def _size_entry(size: int) -> Artist:
    side = float(np.sqrt(_AREA * size))
    label = f"{size} M" if size < _SIZES[-1] else f"{size} M parameters"
    return Line2D(
        [],
        [],
        linestyle="none",
        marker="o",
        markersize=side,
        markerfacecolor="none",
        markeredgecolor="0.4",
        label=label,
    )


def _add_legend(ax: Axes, handles: Sequence[Artist]) -> None:
    """In a row above the axes, where it covers nothing."""
    row: dict[str, Any] = {
        "ncols": len(handles),
        "loc": "lower right",
        "bbox_to_anchor": (1.0, 1.0),
        "borderaxespad": 0.2,
    }
    legend = ax.legend(handles=handles, columnspacing=1.4, handletextpad=0.7, handlelength=2.6, borderpad=1.5, **row)
    for text in legend.get_texts():
        text.set_parse_math(False)


def _add_labels(ax: Axes, bubbles: Sequence[Bubble], joined: Float[np.ndarray, "points 2"]) -> None:
    figure = ax.get_figure(root=True)
    assert figure is not None
    texts = [
        ax.annotate(
            bubble.name,
            (bubble.efficiency, bubble.accuracy),
            xytext=(0, 0),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=SMALL,
            color=_LOOKS[bubble.group]["text"],
            parse_math=False,
            arrowprops={"arrowstyle": "-", "linewidth": 0.4, "color": "0.35", "shrinkA": 0.5, "shrinkB": 2},
            zorder=5,
        )
        for bubble in bubbles
    ]
    place_everything(figure)
    points = 72 / float(figure.dpi)
    anchors = points * ax.transData.transform([(bubble.efficiency, bubble.accuracy) for bubble in bubbles])
    sizes = points * np.array([Text.get_window_extent(text).size for text in texts])  # without the line
    corners = points * np.array(ax.bbox.extents)
    line = points * ax.transData.transform(joined) if len(joined) else joined
    centers = place_labels(anchors, sizes, corners + np.array([2, 2, -2, -2]), np.stack([line[:-1], line[1:]], axis=1))
    distances = box_distances(anchors, centers, sizes)
    for number, text in enumerate(texts):
        text.set_position(tuple(centers[number] - anchors[number]))
        own = distances[number, number]
        mistaken = (distances[:, number] < _NEARER * own).sum() > 1
        assert text.arrow_patch is not None
        text.arrow_patch.set_visible(bool(own > _NEAR or mistaken))
