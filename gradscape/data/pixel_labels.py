"""Pictures with a class for each pixel."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from gradscape.data.canvas import Canvas, decode_pictures
from gradscape.data.pixels import decode_labels

__all__ = ["PixelLabels"]

_VOID = 255
_IGNORED = -100  # which cross-entropy leaves out


@dataclass(frozen=True)
class PixelLabels:
    """The pictures of one split and as many pictures of their labels.

    Attributes:
        paths: Image files.
        labels: Files of labels: 8-bit indices into `classes`, 255 where nothing counts.
        sizes: int64 (N, 2), (width, height) of each in pixels.
        classes: The class names.
        split: What the split is called.
    """

    paths: tuple[str, ...]
    labels: tuple[str, ...]
    sizes: np.ndarray
    classes: tuple[str, ...]
    split: str

    def read(self, side: int, index: int) -> UInt8[Tensor, "4 {side} {side}"]:
        """A picture's canvas and its labels below it.

        Raises:
            OSError: As `decode_file`.
            ValueError: As `decode_file`; the labels are of another size, or there are too many classes.
        """
        width, height = self.sizes[index].tolist()
        labels = decode_labels(self.labels[index])
        if labels.shape != (height, width):
            raise ValueError(
                f"`{self.labels[index]}` must be {width} × {height} pixels, as {self.paths[index]} is, but is "
                f"{labels.shape[1]} × {labels.shape[0]}"
            )
        if (strange := labels[(labels >= len(self.classes)) & (labels != _VOID)]).size:
            raise ValueError(
                f"`{self.labels[index]}` must have classes 0 to {len(self.classes) - 1}, or {_VOID} where nothing "
                f"counts, got {strange[0]}: name all of them in class_names.txt, or correct the file"
            )
        drawn = torch.from_numpy(Canvas(width, height, side).draw_nearest(labels, _VOID))
        return torch.cat([decode_pictures(self.paths, self.sizes, side, index), drawn[None]])

    def targets(self, index: int, canvas: Canvas, more: Tensor) -> Int64[Tensor, "side side"]:
        """The labels of a picture as `AnnotatedSplit` describes them."""
        labels = more[0].long()
        return labels.masked_fill_(labels == _VOID, _IGNORED)
