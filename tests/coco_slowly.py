"""COCO's average precision written out plainly from its description, one detection after another."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["THRESHOLDS", "precision_slowly"]

THRESHOLDS = tuple(0.5 + 0.05 * step for step in range(10))

Box = tuple[float, float, float, float]


def precision_slowly(
    annotated: Sequence[Mapping[str, Any]],
    detected: Sequence[Mapping[str, Any]],
    number: int,
    *,
    threshold: float,
    sizes: tuple[float, float] = (0, 1e10),
) -> float:
    """The average precision of one class; NaN where nothing of these sizes is annotated.

    Args:
        annotated: Of each: image, number (of the class), box (corners), crowd, area, all in pixels of the original.
        detected: Of each: image, number, box, score.
        number: The class.
        threshold: Least overlap.
        sizes: Smallest and largest area that counts.
    """
    positives, told = 0, []
    for image in sorted({one["image"] for one in (*annotated, *detected)}):
        known = [one for one in annotated if (one["image"], one["number"]) == (image, number)]
        found = [one for one in detected if (one["image"], one["number"]) == (image, number)]
        counts = [not one["crowd"] and sizes[0] <= one["area"] <= sizes[1] for one in known]
        positives += sum(counts)
        taken: set[int] = set()
        for one in sorted(found, key=lambda one: -one["score"])[:100]:
            met = _meet(one["box"], known, counts, taken, threshold)
            if met is not None:
                taken.add(met)
                if counts[met]:
                    told.append((one["score"], True))
            elif sizes[0] <= _area(one["box"]) <= sizes[1]:
                told.append((one["score"], False))
    if not positives:
        return np.nan
    right, points = 0, []
    for seen, (_, hit) in enumerate(sorted(told, key=lambda one: -one[0]), 1):
        right += hit
        points.append((right / positives, right / seen))
    levels = np.linspace(0, 1, 101)
    return float(np.mean([max((p for recall, p in points if recall >= level), default=0.0) for level in levels]))


def _meet(
    box: Box, known: Sequence[Mapping[str, Any]], counts: Sequence[bool], taken: set[int], threshold: float
) -> int | None:
    """What a detection meets: of what counts the best that is free, else something that does not count."""
    for counting in (True, False):
        best, met = min(threshold, 1 - 1e-10), None
        for index, one in enumerate(known):
            if counts[index] is not counting or (index in taken and not one["crowd"]):
                continue
            if (overlap := _overlap(box, one["box"], crowd=one["crowd"])) >= best:
                best, met = overlap, index
        if met is not None:
            return met
    return None


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _overlap(box: Box, other: Box, *, crowd: bool) -> float:
    wide = max(0.0, min(box[2], other[2]) - max(box[0], other[0]))
    high = max(0.0, min(box[3], other[3]) - max(box[1], other[1]))
    return wide * high / (_area(box) if crowd else _area(box) + _area(other) - wide * high)
