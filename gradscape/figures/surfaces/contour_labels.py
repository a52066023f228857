"""Where contour lines are labelled: where they run straight, inside the frame, with room around."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float
from matplotlib import patheffects
from matplotlib.contour import ContourSet
from matplotlib.text import Text

from gradscape.figures.letters import text_size
from gradscape.figures.style import SMALL
from gradscape.figures.surfaces.levels import is_decade, level_texts

__all__ = ["label_contours"]

_STEP = 2.0  # points between places that are looked at
_MARGIN = 3.0  # points that a label keeps from the frame
_ROOM = 1.2  # points that it keeps from other lines and labels
_ORIGIN = 6.0  # points that it keeps from the mark at the origin
_SHORTEST = 2.2  # lengths of its label that a line must have
_LONG = 1.5  # sides of the panel, from which length on a piece of a line has a label of its own
_MOST_BENT = 0.35  # of its height, that a line may leave the middle of its label
_TURNED = 0.3  # what a turn by a radian counts beside that


@final
@dataclass(frozen=True, eq=False)
class _Place:
    """A label at a point of a line, (2,) points, turned by an angle, with half its width and height."""

    at: Float[np.ndarray, "2"]
    angle: float
    half: Float[np.ndarray, "2"]

    def own(self, points: Float[np.ndarray, "points 2"]) -> Float[np.ndarray, "points 2"]:
        """Points as seen from the middle of the label, along its text and across."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return (points - self.at) @ np.array([[cos, -sin], [sin, cos]])

    def covers(self, points: Float[np.ndarray, "points 2"]) -> bool:
        """Whether any of the points lies in the label or beside it."""
        return bool((np.abs(self.own(points)) < self.half + _ROOM).all(axis=1).any())

    @property
    def outline(self) -> Float[np.ndarray, "points 2"]:
        """Points over all of its area, closer than another label is high."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        along, across = np.meshgrid(np.linspace(-1, 1, 9), np.linspace(-1, 1, 3))
        own = np.stack([along.ravel(), across.ravel()], axis=1) * self.half
        return self.at + own @ np.array([[cos, sin], [-sin, cos]])


@final
@dataclass(frozen=True, eq=False)
class _Panel:
    """Lower left and upper right corner of a panel, (2, 2), and the place of its origin, (1, 2), in points."""

    corners: Float[np.ndarray, "2 2"]
    origin: Float[np.ndarray, "1 2"]

    @classmethod
    def of(cls, lines: ContourSet, to_points: float) -> "_Panel":
        box = lines.axes.get_window_extent()
        origin = np.asarray(lines.axes.transData.transform([[0.0, 0.0]]))
        return cls(np.array([[box.x0, box.y0], [box.x1, box.y1]]) * to_points, origin * to_points)

    @property
    def side(self) -> float:
        """The longer one."""
        return float(np.ptp(self.corners, axis=0).max())

    def best_place(
        self, piece: Float[np.ndarray, "points 2"], half: Float[np.ndarray, "2"], occupied: Sequence[np.ndarray]
    ) -> _Place | None:
        """The straightest place that is free, rather upright than turned; None if there is none."""
        taken = np.concatenate([*occupied, np.empty((0, 2))])
        for place in _straight_places(piece, half):
            near_origin = np.hypot(*place.own(self.origin)[0]) < half[0] + _ORIGIN
            if not near_origin and self._holds(place.outline) and not place.covers(taken):
                return place
        return None

    def _holds(self, points: Float[np.ndarray, "points 2"]) -> bool:
        low, high = self.corners
        return bool(((points >= low + _MARGIN) & (points <= high - _MARGIN)).all())


def label_contours(lines: ContourSet, kept_free: Float[np.ndarray, "points 2"] | None = None) -> list[Text]:
    """Write levels into contour lines; a line without room for it has none.

    The panel must have its final place, since a label is broken into the line where it is.

    Args:
        lines: Of a panel, one path for each level.
        kept_free: Pixels that no label may lie on.

    Returns:
        The labels.
    """
    to_points = 72 / lines.axes.figure.dpi
    levels = [float(level) for level in lines.levels]
    texts = level_texts(levels)
    pieces = [list(_pieces(lines, number, to_points)) for number in range(len(levels))]
    panel = _Panel.of(lines, to_points)
    free = [] if kept_free is None else [kept_free * to_points]
    places: list[tuple[int, _Place]] = []
    # Powers of ten first, and of those the short lines, which have the fewest places.
    for number in sorted(range(len(levels)), key=lambda one: (not is_decade(levels[one]), _longest(pieces[one]))):
        others = [piece for other, of_level in enumerate(pieces) if other != number for piece in of_level]
        half = _half(texts[number])
        for piece in _labelled(pieces[number], half, panel):
            place = panel.best_place(piece, half, [*others, *free, *(taken.outline for _, taken in places)])
            places += [(number, place)] if place else []
    return _written(lines, [(levels[number], texts[number], place.at / to_points) for number, place in places])


def _pieces(lines: ContourSet, number: int, to_points: float) -> Iterator[Float[np.ndarray, "points 2"]]:
    """The connected pieces of a level's line, as evenly spaced places in points."""
    for vertices in lines.get_paths()[number].to_polygons(closed_only=False):
        corners = np.asarray(lines.axes.transData.transform(vertices)) * to_points
        along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(corners, axis=0).T))])
        if along[-1] > 0:
            even = np.linspace(0, along[-1], 2 + int(along[-1] / _STEP))
            yield np.stack([np.interp(even, along, side) for side in corners.T], axis=1)


def _extent(piece: Float[np.ndarray, "points 2"]) -> float:
    return float(np.hypot(*np.diff(piece, axis=0).T).sum())


def _longest(pieces: Sequence[np.ndarray]) -> float:
    return max(map(_extent, pieces), default=0.0)


def _straight_places(piece: Float[np.ndarray, "points 2"], half: Float[np.ndarray, "2"]) -> list[_Place]:
    """Places along a line that is about straight there, from the best to the worst."""
    reach = max(1, round(half[0] / _STEP) + 1)
    found: list[tuple[float, _Place]] = []
    for middle in range(reach, len(piece) - reach):
        along = piece[middle + reach] - piece[middle - reach]
        angle = float((np.arctan2(along[1], along[0]) + np.pi / 2) % np.pi - np.pi / 2)  # never upside down
        place = _Place(piece[middle], angle, half)
        bent = float(np.abs(place.own(piece[middle - reach : middle + reach + 1])[:, 1]).max() / (2 * half[1]))
        if bent <= _MOST_BENT:
            found.append((bent + _TURNED * abs(angle), place))
    return [place for _, place in sorted(found, key=lambda one: one[0])]


def _half(text: str) -> Float[np.ndarray, "2"]:
    return np.array(text_size(text, SMALL)) / 2


def _labelled(pieces: Sequence[np.ndarray], half: Float[np.ndarray, "2"], panel: _Panel) -> list[np.ndarray]:
    """The pieces that get a label of their own: the longest, if it is not too short, and other long ones."""
    first, *rest = sorted(pieces, key=_extent, reverse=True) or [np.empty((0, 2))]
    enough = _extent(first) >= 2 * _SHORTEST * half[0]
    return [first, *(piece for piece in rest if _extent(piece) >= _LONG * panel.side)] if enough else []


def _written(lines: ContourSet, at: Sequence[tuple[float, str, Float[np.ndarray, "2"]]]) -> list[Text]:
    """Let Matplotlib break the lines and write; it looks for the line nearest to each place."""
    for level, text, pixels in at:
        place = tuple(lines.axes.transData.inverted().transform(pixels))
        lines.clabel([level], fmt={level: text}, fontsize=SMALL, inline_spacing=2, manual=[place])
    for label in lines.labelTexts:
        label.set_path_effects([patheffects.withStroke(linewidth=1.2, foreground="white")])
    return list(lines.labelTexts)
