"""Maps and pictures as few bytes, for a page that colors and enlarges them itself."""

import base64
import io
from typing import Any

import matplotlib as mpl
import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

__all__ = ["COLOR_TABLES", "color_tables", "packed_maps", "picture_sheet", "shrunk"]

COLOR_TABLES = ("inferno", "viridis", "RdBu_r")
_TOP = 254  # the byte of the highest value; 255 stands for what is not finite
_LARGEST_LOSSLESS = 64  # pixels a side, up to which pictures stay as they are


def color_tables() -> dict[str, str]:
    """256 colors of each table, three bytes each, in base 64."""
    steps = np.linspace(0, 1, 256)
    return {name: _text((mpl.colormaps[name](steps)[:, :3] * 255).round().astype(np.uint8)) for name in COLOR_TABLES}


def packed_maps(maps: Float[np.ndarray, "maps height width"]) -> dict[str, Any]:
    """Maps that share a scale, a byte for each value.

    Negative values call for a diverging table, symmetric about zero.

    Args:
        maps: In any unit.

    Returns:
        Their size, the values that bytes 0 and 254 stand for, the table's name and the bytes in base 64.
    """
    finite = maps[np.isfinite(maps)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    diverging = low < 0
    if diverging:
        high = max(-low, high)
        low = -high
    elif high - low <= 1e-6 * high:  # constant: in the middle of the colors
        low, high = 0.0, 2 * high
    spread = (high - low) or 1.0
    with np.errstate(invalid="ignore"):
        steps = np.where(np.isfinite(maps), np.rint((maps - low) / spread * _TOP), _TOP + 1)
    return {
        "height": maps.shape[1],
        "width": maps.shape[2],
        "low": low,
        "high": high,
        "colors": "RdBu_r" if diverging else "viridis",
        "bytes": _text(steps.astype(np.uint8)),
    }


def shrunk(maps: Float[np.ndarray, "maps height width"], side: int) -> Float[np.ndarray, "maps less_height less_width"]:
    """Maps of at most so many pixels a side: each one the mean of those that it stands for."""
    for axis in (1, 2):
        length = maps.shape[axis]
        if length > side:
            starts = np.arange(side) * length // side
            sizes = np.diff([*starts, length])
            shape = [1, 1, 1]
            shape[axis] = side
            maps = np.add.reduceat(maps, starts, axis=axis) / sizes.reshape(shape).astype(maps.dtype)
    return maps


def picture_sheet(pictures: UInt8[np.ndarray, "pictures height width 3"], *, largest: int = 224) -> dict[str, Any]:
    """Pictures below each other on one sheet, small ones to the bit, larger ones as JPEG.

    Args:
        pictures: At least one.
        largest: Of their longer side in pixels.

    Returns:
        The sheet as a data URL, and the size of a picture on it.
    """
    height, width = pictures.shape[1:3]
    lossless = max(height, width) <= _LARGEST_LOSSLESS
    share = min(1.0, largest / max(height, width))
    size = (max(1, round(width * share)), max(1, round(height * share)))
    sheet = Image.new("RGB", (size[0], size[1] * len(pictures)))
    for number, pixels in enumerate(pictures):
        image = Image.fromarray(np.ascontiguousarray(pixels))
        sheet.paste(image if share == 1 else image.resize(size, Image.Resampling.LANCZOS), (0, number * size[1]))
    buffer = io.BytesIO()
    if lossless:
        sheet.save(buffer, "PNG")
    else:
        sheet.save(buffer, "JPEG", quality=86)
    kind = "png" if lossless else "jpeg"
    url = f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
    return {"url": url, "width": size[0], "height": size[1]}


def _text(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")
