"""Masks as COCO writes them: polygons and run lengths."""

from collections.abc import Sequence
from math import isnan
from typing import Any

import numpy as np
from jaxtyping import Bool

from gradscape._schema import fits, shown

__all__ = ["Outline", "check_outline", "draw_outlines"]

Outline = bytes
"""Compressed run lengths, down the columns of the picture, as COCO's own tools encode a mask."""

_ROUNDING = 1.0  # pixels by which a polygon may stick out of its picture


def check_outline(segmentation: object, width: int, height: int) -> Outline:
    """Rasterize what an annotation has as `segmentation`, by the arithmetic of COCO's own tools.

    Args:
        segmentation: Polygons, each a list x1, y1, x2, y2 …; or run lengths, plain or compressed.
        width: Of the picture, in pixels.
        height: The same.

    Raises:
        ValueError: What is wrong with it.
    """
    from faster_coco_eval.core import mask  # late: only masks need it

    if isinstance(segmentation, list):
        return mask.segmToRle(_checked_polygons(segmentation, width, height), width, height)["counts"]
    if not isinstance(segmentation, dict) or not fits(segmentation.get("counts"), list[int] | str):
        raise ValueError(f"its `segmentation` must be polygons or run lengths, got {shown(segmentation)}")
    if (size := segmentation.get("size")) != [height, width]:
        raise ValueError(f"its `segmentation` must have the picture's size [{height}, {width}], got {shown(size)}")
    try:
        encoded = mask.segmToRle(segmentation, width, height)
        mask.decode(encoded)
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"its `segmentation` has run lengths that do not fill the picture: {error}") from error
    return encoded["counts"]


def _checked_polygons(polygons: list[Any], width: int, height: int) -> list[list[float]]:
    if not polygons:
        raise ValueError("its `segmentation` must be polygons or run lengths, but is empty; leave it out, or draw it")
    return [_checked_polygon(polygon, width, height) for polygon in polygons]


def _checked_polygon(polygon: Any, width: int, height: int) -> list[float]:
    # There are millions of numbers: they are looked at all at once, and `fits` takes them one by one.
    numbers = isinstance(polygon, list) and set(map(type, polygon)) <= {int, float}
    if not numbers or len(polygon) < 6 or len(polygon) % 2:
        raise ValueError(f"its `segmentation` must have polygons x1, y1, x2, y2 … of 3 or more, got {shown(polygon)}")
    for corners, end in ((polygon[0::2], width), (polygon[1::2], height)):
        if not (min(corners) >= -_ROUNDING and max(corners) <= end + _ROUNDING) or any(map(isnan, corners)):
            raise ValueError(f"its `segmentation` must lie in the picture of {width} × {height} pixels, but does not")
    return np.clip(np.reshape(polygon, (-1, 2)), 0.0, (width, height)).ravel().tolist()


def draw_outlines(outlines: Sequence[Outline], width: int, height: int) -> Bool[np.ndarray, "masks height width"]:
    """Masks in the size of the picture."""
    from faster_coco_eval.core import mask  # late, as above

    if not outlines:
        return np.zeros((0, height, width), dtype=bool)
    decoded = mask.decode([{"size": [height, width], "counts": counts} for counts in outlines])
    return np.moveaxis(decoded, 2, 0).astype(bool)
