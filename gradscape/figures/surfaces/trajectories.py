"""Networks in the plane of a map: paths with their ends, epochs and names, and how far off the plane they lie."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float
from matplotlib import patheffects
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.text import Annotation, Text
from mpl_toolkits.mplot3d.axes3d import Axes3D  # type: ignore[import-untyped]

from gradscape._names import one_line
from gradscape.figures.charts.label_places import box_distances, place_labels
from gradscape.figures.letters import place_everything
from gradscape.figures.style import CYCLE, LINE_STYLES, SMALL, short_number
from gradscape.figures.surfaces.trajectory_wording import farthest, trajectories_of, within
from gradscape.landscape import Field, Trajectory

__all__ = [
    "CASING",
    "LABEL",
    "add_key",
    "draw_trajectories",
    "label_look",
    "label_networks",
    "labelled",
    "marks_of",
    "network_name",
    "path_look",
    "sizes_of",
    "written_places",
]

LABEL = "network"
"""Group of the artists that name networks, which find their places once their page is laid out."""

CASING: dict[str, Any] = {"color": "white", "linestyle": "-", "linewidth": 2.8, "solid_capstyle": "round", "alpha": 0.9}
"""Look of what lies below a path, so that it is seen on every color."""

_Corner = Literal["upper right", "upper left", "lower right", "lower left"]

_COLORS = (CYCLE[1], CYCLE[6], CYCLE[3], CYCLE[0], CYCLE[2])  # those that few color maps have come first
_SMALLEST, _LARGEST = 3.0, 11.0  # points across: a network in the plane, and the one farthest off it
_BETWEEN = 3  # networks between the ends of a path that are named
_NEAREST = 0.11  # of a panel's side, by which named networks of a path are apart
_SOLID_KEY = (-0.05, -0.03)  # of 3-D axes, where their cube leaves room
_CLOSE = 9.0  # points from a label to its network, without a line


def draw_trajectories(ax: Axes, field: Field) -> None:
    """Draw the networks that a field's provenance places in its plane, below it or not; without names yet."""
    trajectories = trajectories_of(field)
    if not trajectories:
        return
    most = farthest(field)
    for number, one in enumerate(trajectories):
        look = path_look(number)
        if one.joined:
            ax.plot(one.alphas, one.betas, zorder=4, label="_casing", **CASING)
            ax.plot(one.alphas, one.betas, zorder=4.1, label=one_line(one.name), linewidth=1.1, **look)
        color = look["color"]
        if most:
            ax.scatter(
                one.alphas, one.betas, sizes_of(one, most) ** 2,
                facecolor=(1, 1, 1, 0.35), edgecolor=color, linewidth=0.6, zorder=4.2, label="off the plane",
            )  # fmt: skip
        marks: dict[str, Any] = {"color": color, "linestyle": "none", "markeredgecolor": "white", "zorder": 4.3}
        for name, mark, where in marks_of(one):
            ax.plot(one.alphas[where], one.betas[where], label=name, markeredgewidth=0.4, **mark, **marks)
        for which in labelled(field, one):
            at = float(one.alphas[which]), float(one.betas[which])
            text = network_name(one, which, alone=len(trajectories) == 1)
            ax.annotate(text, at, xycoords="data", gid=LABEL, **label_look(color))
    if most:
        add_key(ax, most, _freest_corner(ax, trajectories))


def path_look(number: int) -> dict[str, Any]:
    """Color and line style of the `number`-th trajectory on a map."""
    return {"color": _COLORS[number % len(_COLORS)], "linestyle": LINE_STYLES[number // len(_COLORS)]}


def label_look(color: str) -> dict[str, Any]:
    """How a network's name is written, as Matplotlib takes it."""
    return {
        "xytext": (0, 8),
        "textcoords": "offset points",
        "ha": "center",
        "va": "center",
        "fontsize": SMALL,
        "color": "black",
        "parse_math": False,
        "annotation_clip": False,
        "in_layout": False,
        "arrowprops": {"arrowstyle": "-", "linewidth": 0.5, "color": color, "shrinkA": 0.5, "shrinkB": 2},
        "path_effects": [patheffects.withStroke(linewidth=1.6, foreground="white", alpha=0.9)],
        "zorder": 6,
    }


def sizes_of(trajectory: Trajectory, most: float) -> Float[np.ndarray, " networks"]:
    """Diameters, in points, that grow with the distance off the plane, of which `most` is the largest."""
    return np.asarray(_SMALLEST + (_LARGEST - _SMALLEST) * trajectory.distance / most)


def marks_of(trajectory: Trajectory) -> list[tuple[str, dict[str, Any], Bool[np.ndarray, " networks"]]]:
    """Name, look and places of the marks of a path's start, its end, and what is between; or of all points alike."""
    numbers = np.arange(len(trajectory.labels))
    if not trajectory.joined:
        return [("network", {"marker": "o", "markersize": 4.5}, numbers >= 0)]
    first, last = numbers == 0, numbers == numbers[-1]
    between = ~(first | last)
    marks = [("between", {"marker": "o", "markersize": 2.4}, between)] if between.any() else []
    return [
        *marks,
        ("start", {"marker": "s", "markersize": 4.5}, first & ~last),
        ("end", {"marker": "*", "markersize": 8}, last),
    ]


def labelled(field: Field, trajectory: Trajectory) -> list[int]:
    """Which networks are named: all that are points by themselves; of a path its ends and a few that are apart."""
    inside = np.flatnonzero(within(field, trajectory))
    if not trajectory.joined or len(inside) < 2:
        return [int(number) for number in inside]
    spans = [float(np.ptp(axis)) or 1.0 for axis in (field.alphas, field.betas)]
    places = np.stack([trajectory.alphas, trajectory.betas], axis=1) / spans
    chosen = [int(inside[0]), int(inside[-1])]
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(places[inside], axis=0).T))])
    for part in range(1, _BETWEEN + 1):
        number = int(inside[np.abs(along - along[-1] * part / (_BETWEEN + 1)).argmin()])
        apart = np.hypot(*(places[chosen] - places[number]).T)
        if (apart > _NEAREST).all():
            chosen.append(number)
    return sorted(chosen)


def network_name(trajectory: Trajectory, number: int, *, alone: bool) -> str:
    """What is written beside a network: at its last one also whose path it is, between the ends no more than tells.

    Args:
        trajectory: Whose network.
        number: Which of them.
        alone: Whether no other trajectory is drawn.
    """
    labels = [one_line(label) for label in trajectory.labels]
    label, last = labels[number], len(labels) - 1
    if not trajectory.joined:
        return label
    if number == last and not alone:
        return f"{one_line(trajectory.name)}, {label}"
    said = label.rpartition(" ")
    shared = all(other.rpartition(" ")[0] == said[0] for other in labels)
    return said[2] if shared and 0 < number < last else label


def label_networks(panels: Sequence[Axes]) -> None:
    """Give names on panels their places, once everything on their page has its own: none lies on another or a path."""
    named = {panel: [text for text in panel.texts if text.get_gid() == LABEL] for panel in panels}
    if not any(named.values()):
        return
    figure = panels[0].get_figure(root=True)
    assert figure is not None
    place_everything(figure)
    points = 72 / float(figure.dpi)
    for panel, texts in named.items():
        if labels := [text for text in texts if isinstance(text, Annotation)]:
            _place(panel, labels, points)


def written_places(panel: Axes) -> Float[np.ndarray, " places 2"]:
    """Pixels that paths, names and legends of a panel lie on, as close as letters are, for what is written later."""
    texts = [text for text in panel.texts if text.get_gid() == LABEL]
    places = [np.zeros((0, 2))]
    for text in texts:
        left, low, right, high = Text.get_window_extent(text).extents
        across, upward = np.meshgrid(np.linspace(left, right, 12), np.linspace(low, high, 5))
        places.append(np.stack([across.ravel(), upward.ravel()], axis=1))
    lines = _obstacles(panel)
    parts = np.linspace(0, 1, 24)[:, None]
    return np.concatenate([*places, *(start + (end - start) * parts for start, end in lines)])


def add_key(ax: Axes, most: float, corner: _Corner) -> None:
    """Explain the circles in a corner; what explains gaps keeps its own."""
    look: dict[str, Any] = {"linestyle": "none", "marker": "o", "markerfacecolor": "white", "markeredgecolor": "0.2"}
    label = f"{short_number(most)} off the plane"
    circle = Line2D([], [], markersize=_LARGEST, markeredgewidth=0.6, label=label, **look)
    place: dict[str, Any] = (
        {"bbox_to_anchor": _SOLID_KEY, "borderaxespad": 0, "frameon": False} if isinstance(ax, Axes3D) else {}
    )
    key = Legend(ax, [circle], [label], loc=corner, borderpad=0.4, handlelength=1.6, **place)
    key.set_gid("key")
    key.set_zorder(5)
    ax.add_artist(key)


def _freest_corner(ax: Axes, trajectories: Sequence[Trajectory]) -> _Corner:
    (left, right), (low, high) = sorted(ax.get_xlim()), sorted(ax.get_ylim())
    shares = np.stack(
        [
            (np.concatenate([one.alphas for one in trajectories]) - left) / (right - left),
            (np.concatenate([one.betas for one in trajectories]) - low) / (high - low),
        ],
        axis=1,
    )
    corners: dict[_Corner, tuple[int, int]] = {
        "upper right": (1, 1),
        "upper left": (0, 1),
        "lower right": (1, 0),
        "lower left": (0, 0),
    }
    if ax.get_legend() is not None:
        del corners["lower left"]
    return max(corners, key=lambda name: float(np.hypot(*(shares - corners[name]).T).min()))


def _place(panel: Axes, labels: Sequence[Annotation], points: float) -> None:
    anchors = points * np.stack([panel.transData.transform(label.xy) for label in labels])
    sizes = points * np.array([Text.get_window_extent(label).size for label in labels])  # without the line
    corners = points * np.array(panel.bbox.extents)
    centers = place_labels(anchors, sizes, corners + np.array([2, 2, -2, -2]), points * _obstacles(panel))
    distances = box_distances(anchors, centers, sizes)
    for number, label in enumerate(labels):
        label.set_position(tuple(centers[number] - anchors[number]))
        assert label.arrow_patch is not None
        label.arrow_patch.set_visible(bool(distances[number, number] > _CLOSE))


def _obstacles(panel: Axes) -> Float[np.ndarray, " lines 2 2"]:
    """What no name may lie on, as lines in pixels: paths, and the legends, which are crossed and framed."""
    lines = [np.zeros((0, 2, 2))]
    for line in panel.lines:
        if line.get_label() == "_casing":
            path = panel.transData.transform(np.column_stack([line.get_xdata(), line.get_ydata()]))
            pieces = np.stack([path[:-1], path[1:]], axis=1)
            lines.append(pieces[np.isfinite(pieces).all(axis=(1, 2))])
    solid = [panel.xaxis, panel.yaxis, panel.zaxis] if isinstance(panel, Axes3D) else []  # whose numbers lie inside
    # As they were drawn: asked for their labels, axes move them back to where flat ones have them.
    written: list[Artist] = [tick.label1 for axis in solid for tick in axis.majorTicks if tick.label1.get_text()]
    written += [artist for artist in panel.get_children() if isinstance(artist, Legend)]
    for artist in written:
        left, low, right, high = artist.get_window_extent().extents
        box = np.array([[left, low], [right, high], [left, high], [right, low], [left, low], [left, high]])
        middle = np.array([[[left, (low + high) / 2], [right, (low + high) / 2]]])
        lines += [np.stack([box[:-1], box[1:]], axis=1), middle]
    return np.concatenate(lines)
