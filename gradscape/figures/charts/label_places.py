"""Places for labels beside points, so that none lies on another, on a point, on a line or outside."""

import numpy as np
from jaxtyping import Bool, Float, Int

__all__ = ["box_distances", "place_labels"]

_ANGLES = 16
_DISTANCES = (5.0, 9.0, 15.0, 22.0, 30.0, 40.0, 52.0, 66.0, 82.0, 100.0)
_KEPT = 3500  # places of all labels together, for each the cheapest
_TRIALS = 400
_NEAREST = 6  # labels of which a trial begins with some
_SHAKEN = 4
_FORBIDDEN = 1e4
_STRUCK = 600.0
_CROSSED = 300.0  # more than all the way that a label can go
_MISTAKEN = 25.0
_LEAST_GAIN = 1e-6
_GAP = 1.5

Points = Float[np.ndarray, "_ 2"]
LabelBoxes = Float[np.ndarray, "_ 4"]
Lines = Float[np.ndarray, "_ 2 2"]
FoundPlace = Bool[np.ndarray, "_ _"]
Shared = Float[np.ndarray, "labels places labels places"]


def place_labels(
    anchors: Float[np.ndarray, "labels 2"],
    sizes: Float[np.ndarray, "labels 2"],
    bounds: Float[np.ndarray, "4"],
    lines: Float[np.ndarray, "lines 2 2"],
) -> Float[np.ndarray, "labels 2"]:
    """Find a center for each label near its point.

    Every label may stand around its point at growing distances. Overlaps, and leaving the bounds, cost most; then a
    label's line to its point that runs through another label; then a label on a line of the picture, and one whose own
    line crosses that of another or runs through a point; less that it stands nearer to the point of another; distance
    costs least. Cheap places of all together are searched for: a few labels near each other are put anywhere, then one
    after the other goes where it gains most until none gains, and what became no dearer is kept.

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
    cheapest = alone.argsort(axis=1, kind="stable")[:, : _KEPT // len(anchors)]
    places = np.take_along_axis(tried, cheapest[..., None], axis=1)
    shared = _cost_shared(places, anchors, sizes)
    nearest = np.hypot(*(anchors[:, None] - anchors[None]).transpose(2, 0, 1)).argsort(axis=1)[:, :_NEAREST]
    chosen = _search(np.take_along_axis(alone, cheapest, axis=1), shared, nearest)
    return places[np.arange(len(anchors)), chosen]


def box_distances(anchors: Points, centers: Points, sizes: Float[np.ndarray, "... 2"]) -> Float[np.ndarray, "_ _"]:
    """How far points are from labels, (points, labels), 0 within."""
    beyond = np.abs(anchors[:, None] - centers[None]) - sizes / 2
    return np.asarray(np.hypot(*np.moveaxis(np.maximum(beyond, 0), -1, 0)))


def _search(
    alone: Float[np.ndarray, "labels places"], shared: Shared, nearest: Int[np.ndarray, "labels near"]
) -> Int[np.ndarray, "labels"]:
    """Which of its places each label takes, so that all cost little together."""
    generator = np.random.default_rng(0)
    best, lowest = _settle(alone.argmin(axis=1), alone, shared)
    least = alone.min(axis=1).sum()  # what all cost if none is in another's way
    for _ in range(_TRIALS):
        if lowest < least + _LEAST_GAIN:
            break
        tried = best.copy()
        shaken = generator.permutation(nearest[generator.integers(len(alone))])[:_SHAKEN]
        tried[shaken] = generator.integers(alone.shape[1], size=len(shaken))
        settled, cost = _settle(tried, alone, shared)
        if cost <= lowest:
            best, lowest = settled, cost
    return best


def _settle(
    chosen: Int[np.ndarray, "labels"], alone: Float[np.ndarray, "labels places"], shared: Shared
) -> tuple[Int[np.ndarray, "labels"], float]:
    """Move labels, the one that gains most first, until none gains; where each is, and what all cost."""
    labels, chosen = np.arange(len(alone)), chosen.copy()
    own = alone + shared[labels, chosen].sum(axis=0)
    while True:
        gain = own[labels, chosen][:, None] - own
        label, place = np.unravel_index(gain.argmax(), gain.shape)
        if gain[label, place] < _LEAST_GAIN:
            return chosen, float((own + alone)[labels, chosen].sum() / 2)
        own += shared[label, place] - shared[label, chosen[label]]
        chosen[label] = place


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
    crossed = _strikes(lines[:, 0], lines[:, 1], boxes).sum(axis=0)
    others = np.delete(dots, label, axis=0)
    crossed += _strikes(centers, np.broadcast_to(anchors[label], centers.shape), others).sum(axis=1)
    distances = box_distances(anchors, centers, sizes[label])
    mistaken = (distances <= distances[label]).sum(axis=0) > 1
    return _FORBIDDEN * (outside + covered) + _CROSSED * crossed + _MISTAKEN * mistaken + np.repeat(_DISTANCES, _ANGLES)


def _cost_shared(places: Float[np.ndarray, "labels places 2"], anchors: Points, sizes: Points) -> Shared:
    """What each two places of two labels cost because of each other."""
    labels, count, _ = places.shape
    shared = np.zeros((labels, count, labels, count), dtype=np.float32)
    boxes = [_boxes(centers, size) for centers, size in zip(places, sizes, strict=True)]
    starts = [np.broadcast_to(anchor, centers.shape) for anchor, centers in zip(anchors, places, strict=True)]
    for first in range(labels):
        for second in range(first):
            struck = _strikes(places[first], starts[first], boxes[second]).astype(int)
            struck += _strikes(places[second], starts[second], boxes[first]).T
            crossed = _crossings(places[first], starts[first], places[second], starts[second])
            cost = _FORBIDDEN * _overlaps(boxes[first], boxes[second]) + _STRUCK * struck + _CROSSED * crossed
            shared[first, :, second], shared[second, :, first] = cost, cost.T
    return shared


def _boxes(centers: Points, sizes: Float[np.ndarray, "... 2"]) -> LabelBoxes:
    return np.concatenate([centers - sizes / 2 - _GAP, centers + sizes / 2 + _GAP], axis=1)


def _overlaps(first: LabelBoxes, second: LabelBoxes) -> FoundPlace:
    """Which boxes of the first overlap which of the second, (first, second)."""
    left, bottom = (np.maximum(first[:, None, side], second[None, :, side]) for side in (0, 1))
    right, top = (np.minimum(first[:, None, side], second[None, :, side]) for side in (2, 3))
    return (left < right) & (bottom < top)


def _strikes(starts: Points, ends: Points, boxes: LabelBoxes) -> FoundPlace:
    """Which segments pass through which boxes, (segments, boxes), by the slabs between their sides."""
    enters, leaves = np.zeros((1, 1)), np.ones((1, 1))
    for axis in (0, 1):
        way = (ends - starts)[:, None, axis]
        way = np.where(way == 0, 1e-12, way)
        low, high = ((boxes[None, :, side] - starts[:, None, axis]) / way for side in (axis, axis + 2))
        enters = np.maximum(enters, np.minimum(low, high))
        leaves = np.minimum(leaves, np.maximum(low, high))
    return enters < leaves


def _crossings(starts: Points, ends: Points, other_starts: Points, other_ends: Points) -> FoundPlace:
    """Which segments cross which others, (segments, others)."""
    a, b = starts[:, None], ends[:, None]
    c, d = other_starts[None], other_ends[None]
    return (_side(a, b, c) * _side(a, b, d) < 0) & (_side(c, d, a) * _side(c, d, b) < 0)


def _side(start: np.ndarray, end: np.ndarray, point: np.ndarray) -> np.ndarray:
    along, to = end - start, point - start
    return along[..., 0] * to[..., 1] - along[..., 1] * to[..., 0]
