"""Square canvases: a picture with its longer side scaled to the canvas's, and what stays empty beside or below it."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Shaped, UInt8
from PIL import Image
from torch import Tensor

from gradscape.data.pixels import decode_file, to_unit_range
from gradscape.data.source import IMAGENET

__all__ = ["Canvas", "decode_pictures"]


@dataclass(frozen=True)
class Canvas:
    """Where a picture lies on a square: at its top left, with one scale for both axes.

    What of the shorter side does not fill a whole pixel of the canvas is left out, so that the scale is exact.

    Attributes:
        width: Of the picture, in pixels.
        height: The same.
        side: Of the square, in pixels.
    """

    width: int
    height: int
    side: int

    @property
    def scale(self) -> float:
        """Pixels of the canvas for one of the picture."""
        return self.side / max(self.width, self.height)

    @property
    def covered(self) -> tuple[int, int]:
        """(columns, rows) of the canvas that show the picture."""
        longer = max(self.width, self.height)
        return max(1, self.width * self.side // longer), max(1, self.height * self.side // longer)

    def draw(self, picture: UInt8[Tensor, "3 height width"]) -> UInt8[Tensor, "3 side side"]:
        """Scale a picture (bilinear, antialiased; also up), with zeros where the canvas stays empty."""
        columns, rows = self.covered
        shown = (0, 0, min(columns / self.scale, self.width), min(rows / self.scale, self.height))
        pillow = Image.fromarray(picture.permute(1, 2, 0).numpy())
        scaled = pillow.resize((columns, rows), Image.Resampling.BILINEAR, box=shown)
        canvas = torch.zeros(3, self.side, self.side, dtype=torch.uint8)
        canvas[:, :rows, :columns] = torch.from_numpy(np.array(scaled)).permute(2, 0, 1)
        return canvas

    def draw_nearest(
        self, planes: Shaped[np.ndarray, "*planes height width"], rest: int
    ) -> Shaped[np.ndarray, "*planes side side"]:
        """Scale labels or masks, each pixel that of the picture below its middle; `rest` where the canvas is empty."""
        columns, rows = (self._nearest(count) for count in self.covered)
        columns, rows = columns.clip(max=self.width - 1), rows.clip(max=self.height - 1)
        canvas = np.full((*planes.shape[:-2], self.side, self.side), rest, dtype=planes.dtype)
        canvas[..., : len(rows), : len(columns)] = planes[..., rows[:, None], columns]
        return canvas

    def _nearest(self, count: int) -> np.ndarray:
        return (2 * np.arange(count) + 1) * max(self.width, self.height) // (2 * self.side)

    def show(self, canvas: UInt8[Tensor, "3 side side"]) -> Float32[Tensor, "3 side side"]:
        """What `draw` drew in [0, 1], with ImageNet's mean color, which normalization makes 0, where it is empty."""
        columns, rows = self.covered
        shown = to_unit_range(canvas)
        mean = torch.tensor(IMAGENET[0])[:, None, None]
        shown[:, rows:] = mean
        shown[:, :, columns:] = mean
        return shown


def decode_pictures(
    paths: tuple[str, ...], sizes: np.ndarray, side: int, index: int
) -> UInt8[Tensor, "3 {side} {side}"]:
    """Decode `paths[index]` and draw it on its canvas.

    Args:
        paths: Image files.
        sizes: int64 (N, 2), (width, height) of each as it is annotated.
        side: Of the canvas.
        index: Which of them.

    Raises:
        OSError: As `decode_file`.
        ValueError: As `decode_file`; or the picture is of another size.
    """
    picture = decode_file(paths, index)
    (width, height), found = sizes[index].tolist(), (picture.shape[2], picture.shape[1])
    if found != (width, height):
        raise ValueError(
            f"`{paths[index]}` must be {width} × {height} pixels, as it is annotated, but is {found[0]} × {found[1]}: "
            "annotate this picture, or put that one there"
        )
    return Canvas(width, height, side).draw(picture)
