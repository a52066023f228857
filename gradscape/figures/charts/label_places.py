"""Places for labels beside points, so that none lies on another, on a point or outside."""

import numpy as np
from jaxtyping import Bool, Float

__all__ = ["place_labels"]

_ANGLES = 24
_DISTANCES = (5.0, 9.0, 15.0, 22.0, 30.0, 40.0, 52.0, 66.0, 82.0, 100.0)
_SWEEPS = 12
_FORBIDDEN = 1e4
_STRUCK = 300.0
_CROSSED = 60.0
_GAP = 1.5

Points = Float[np.ndarray, "_ 2"]
LabelBoxes = Float[np.ndarray, "_ 4"]
Lines = Float[np.ndarray, "_ 2 2"]
FoundPlace = Bool[np.ndarray, "_ _"]


def place_labels(
    anchors: Float[np.ndarray, "labels 2"],
    sizes: Float[np.ndarray, "labels 2"],
    bounds: Float[np.ndarray, "4"],
    lines: Float[np.ndarray, "lines 2 2"],
) -> Float[np.ndarray, "labels 2"]:
    """Find a center for each label near its point.

    Every label is tried around its point at growing distances while the others stand where they are, and this is
    repeated until none moves. Overlaps, and leaving the bounds, cost most; a label on a line of the picture costs
    less; then one whose own line to its point crosses that of another, a label or a point; distance costs least.

    Args:
        anchors: The points, (x, y) in points of 1/72 inch.
        sizes: Width and height of the labels, likewise.
        bounds: Left, bottom, right and top of the room.
        lines: Ends of the picture's lines, (x, y) each.

    Returns:
        Centers of the labels.
    """
    tried = np.stack([_around(anchor, size) for anchor, size in zip(anchors, sizes, strict=True)])
    alone = np.stack(
        [_cost_alone(tried[label], label, anchors, sizes, bounds=bounds, lines=lines) for label in range(len(anchors))]
    )
    chosen = alone.argmin(axis=1)
    for _ in range(_SWEEPS):
        before = chosen.copy()
        for label in range(len(anchors)):
            centers = tried[np.arange(len(anchors)), chosen]
            chosen[label] = (alone[label] + _cost_among(tried[label], label, centers, anchors, sizes)).argmin()
        if (chosen == before).all():
            break
    return tried[np.arange(len(anchors)), chosen]


def _around(anchor: Float[np.ndarray, "2"], size: Float[np.ndarray, "2"]) -> Points:
    angles = np.linspace(0, 2 * np.pi, _ANGLES, endpoint=False)
    ways = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.concatenate([anchor + ways * (distance + size / 2) for distance in _DISTANCES])


def _cost_alone(
    centers: Points,
    label: int,
    anchors: Points,
    sizes: Points,
    *,
    bounds: Float[np.ndarray, "4"],
    lines: Lines,
) -> Float[np.ndarray, "centers"]:
    """What each center costs whatever the other labels do."""
    boxes = _boxes(centers, sizes[label])
    outside = (boxes[:, :2] < bounds[:2]).any(axis=1) | (boxes[:, 2:] > bounds[2:]).any(axis=1)
    dots = np.concatenate([anchors - 2 * _GAP, anchors + 2 * _GAP], axis=1)
    covered = _overlaps(boxes, dots).sum(axis=1)
    struck = _strikes(lines[:, 0], lines[:, 1], boxes).sum(axis=0)
    others = np.delete(dots, label, axis=0)
    crossed = _strikes(centers, np.broadcast_to(anchors[label], centers.shape), others).sum(axis=1)
    distance = np.repeat(_DISTANCES, _ANGLES)
    return _FORBIDDEN * (outside + covered) + _STRUCK * struck + _CROSSED * crossed + distance


def _cost_among(
    centers: Points, label: int, placed: Points, anchors: Points, sizes: Points
) -> Float[np.ndarray, "centers"]:
    """What each center costs because of where the others stand."""
    others = np.delete(np.arange(len(anchors)), label)
    own = _boxes(centers, sizes[label])
    boxes = _boxes(placed[others], sizes[others])
    covered = _overlaps(own, boxes).sum(axis=1)
    start = np.broadcast_to(anchors[label], centers.shape)
    crossed = _strikes(centers, start, boxes).sum(axis=1).astype(float)
    crossed += np.stack(
        [_strikes(placed[[other]], anchors[[other]], own)[0] for other in others] or [np.zeros(len(centers))]
    ).sum(axis=0)
    crossed += _crossings(centers, start, placed[others], anchors[others]).sum(axis=1)
    return _FORBIDDEN * covered + _CROSSED * crossed


def _boxes(centers: Points, sizes: Float[np.ndarray, "... 2"]) -> LabelBoxes:
    return np.concatenate([centers - sizes / 2 - _GAP, centers + sizes / 2 + _GAP], axis=1)


def _overlaps(first: LabelBoxes, second: LabelBoxes) -> FoundPlace:
    """Which boxes of the first overlap which of the second, (first, second)."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    return (low < high).all(axis=-1)


def _strikes(starts: Points, ends: Points, boxes: LabelBoxes) -> FoundPlace:
    """Which segments pass through which boxes, (segments, boxes), by the slabs between their sides."""
    way = (ends - starts)[:, None]
    way = np.where(way == 0, 1e-12, way)
    sides = np.stack([(boxes[None, :, :2] - starts[:, None]) / way, (boxes[None, :, 2:] - starts[:, None]) / way])
    enters, leaves = sides.min(axis=0).max(axis=-1), sides.max(axis=0).min(axis=-1)
    return (enters < leaves) & (enters < 1) & (leaves > 0)


def _crossings(starts: Points, ends: Points, other_starts: Points, other_ends: Points) -> FoundPlace:
    """Which segments cross which others, (segments, others)."""
    a, b = starts[:, None], ends[:, None]
    c, d = other_starts[None], other_ends[None]
    return (_side(a, b, c) * _side(a, b, d) < 0) & (_side(c, d, a) * _side(c, d, b) < 0)


def _side(start: np.ndarray, end: np.ndarray, point: np.ndarray) -> np.ndarray:
    along, to = end - start, point - start
    return along[..., 0] * to[..., 1] - along[..., 1] * to[..., 0]
