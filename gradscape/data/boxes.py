"""Boxes around things in pictures, and the outline of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from gradscape.data.canvas import Canvas, decode_pictures
from gradscape.data.outlines import Outline, draw_outlines

__all__ = ["AnnotatedBoxes", "Box", "Corners", "check_box", "gather_boxes", "has_area"]

_ROUNDING = 1.0  # pixels by which a box may stick out of its picture: some tools count from 0 and some from 1

Corners = tuple[float, float, float, float]


class Box(NamedTuple):
    """One thing in a picture.

    Attributes:
        corners: x1, y1, x2, y2 in pixels from the picture's top left.
        label: Index into the class names.
        crowd: Whether it is a region of many, or too difficult.
        area: In pixels.
        outline: Its mask, where masks are asked for.
    """

    corners: Corners
    label: int
    crowd: bool
    area: float
    outline: Outline | None = None


@dataclass(frozen=True)
class AnnotatedBoxes:
    """The pictures of one split and the boxes in them, those of one picture after those of another.

    Attributes:
        paths: Image files.
        sizes: int64 (N, 2), (width, height) of each in pixels.
        classes: The class names.
        split: What the split is called.
        starts: int64 (N + 1,): the boxes of picture i are those from `starts[i]` to before `starts[i + 1]`.
        corners: float64 (T, 4), x1, y1, x2, y2 in pixels of the picture.
        labels: int64 (T,).
        crowd: bool (T,).
        area: float64 (T,), in pixels of the picture.
        outlines: One for each box, where masks are asked for.
    """

    paths: tuple[str, ...]
    sizes: np.ndarray
    classes: tuple[str, ...]
    split: str
    starts: np.ndarray
    corners: np.ndarray
    labels: np.ndarray
    crowd: np.ndarray
    area: np.ndarray
    outlines: tuple[Outline, ...] | None

    @cached_property
    def slots(self) -> int:
        """The largest number of boxes in a picture of the whole split, so that any part of it has as many slots."""
        return int(np.diff(self.starts).max())

    def read(self, side: int, index: int) -> Tensor:
        """A picture's canvas, uint8 (3, side, side)."""
        return decode_pictures(self.paths, self.sizes, side, index)

    def targets(self, index: int, canvas: Canvas, more: Tensor) -> dict[str, Tensor]:
        """The boxes of a picture as `AnnotatedSplit` describes them."""
        own = slice(*self.starts[index : index + 2].tolist())
        targets = {
            "boxes": self._padded(self.corners[own] * canvas.scale, 0).float(),
            "classes": self._padded(self.labels[own], -1),
            "crowd": self._padded(self.crowd[own], False),
            "area": self._padded(self.area[own], 0).float(),
            "scale": torch.tensor(canvas.scale),
        }
        if self.outlines is not None:
            masks = draw_outlines(self.outlines[own], canvas.width, canvas.height)
            targets["masks"] = self._padded(canvas.draw_nearest(masks, 0), False)
        return targets

    def _padded(self, values: np.ndarray, rest: int) -> Tensor:
        slots = torch.full((self.slots, *values.shape[1:]), rest, dtype=torch.from_numpy(values[:0]).dtype)
        slots[: len(values)] = torch.from_numpy(values)
        return slots


def gather_boxes(
    paths: Sequence[str],
    sizes: Sequence[tuple[int, int]],
    boxes: Sequence[Sequence[Box]],
    classes: Sequence[str],
    *,
    split: str,
) -> AnnotatedBoxes:
    """Put the boxes of all pictures into arrays.

    Args:
        paths: Image files.
        sizes: (width, height) of each.
        boxes: Those in each; at least one altogether.
        classes: Class names.
        split: What the split is called.
    """
    every = [box for own in boxes for box in own]
    outlines = tuple(box.outline for box in every if box.outline is not None)
    return AnnotatedBoxes(
        paths=tuple(paths),
        sizes=np.array(sizes, dtype=np.int64).reshape(-1, 2),
        classes=tuple(classes),
        split=split,
        starts=np.cumsum([0, *map(len, boxes)], dtype=np.int64),
        corners=np.array([box.corners for box in every]),
        labels=np.array([box.label for box in every], dtype=np.int64),
        crowd=np.array([box.crowd for box in every], dtype=bool),
        area=np.array([box.area for box in every], dtype=np.float64),
        outlines=outlines if len(outlines) == len(every) else None,
    )


def check_box(corners: Corners, width: int, height: int) -> Corners:
    """Clip what sticks out of a picture by rounding: at most one pixel.

    Args:
        corners: x1, y1, x2, y2.
        width: Of the picture.
        height: The same.

    Returns:
        The corners within the picture.

    Raises:
        ValueError: What is wrong with it.
    """
    if not all(map(isfinite, corners)):
        raise ValueError(f"its box must be finite numbers, got {_spelled(corners)}")
    left, top, right, bottom = corners
    if right < left or bottom < top:
        raise ValueError(f"its box must have a width and height of at least 0, got {right - left:g} × {bottom - top:g}")
    ends = (float(width), float(height), float(width), float(height))
    left, top, right, bottom = (min(max(corner, 0.0), end) for corner, end in zip(corners, ends, strict=True))
    inside = (left, top, right, bottom)
    lost = has_area(corners) and not has_area(inside)
    if lost or max(abs(one - other) for one, other in zip(corners, inside, strict=True)) > _ROUNDING:
        raise ValueError(
            f"its box must lie in the picture of {width} × {height} pixels, but x1, y1, x2, y2 are {_spelled(corners)}"
        )
    return inside


def has_area(corners: Corners) -> bool:
    """Whether a box is wider and higher than nothing."""
    return corners[2] > corners[0] and corners[3] > corners[1]


def _spelled(corners: Corners) -> str:
    return ", ".join(f"{one:g}" for one in corners)
