"""Pictures of every format that is read, and ones that are no pictures or far too large."""

import io
import struct
import zlib
from random import Random

import numpy as np
from PIL import Image

__all__ = ["FORMATS", "hostile_picture", "picture"]

FORMATS = {"png": "PNG", "jpg": "JPEG", "gif": "GIF", "bmp": "BMP", "webp": "WEBP", "tif": "TIFF", "ppm": "PPM"}
"""Ending -> Pillow's name."""

_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F", "YCbCr")
_SIDES = 20, 24


def picture(ending: str) -> bytes:
    """A small picture without any two equal rows or columns."""
    rows, columns = np.mgrid[: _SIDES[0], : _SIDES[1]]
    pixels = np.stack([rows * 11, columns * 9, (rows * columns) % 251], axis=-1).astype(np.uint8)
    return _encoded(Image.fromarray(pixels), FORMATS[ending])


def hostile_picture(ending: str, random: Random) -> tuple[bytes, str]:
    """Something else that has a picture's name: huge by its header, of a rare mode, one pixel high, text.

    Args:
        ending: What its name ends in.
        random: Chooses.

    Returns:
        The file, and what it is.
    """
    way = random.choice(("bomb", "mode", "thin", "other", "animated", "text", "empty"))
    if way == "bomb":
        side = random.choice((20_000, 60_000, 2**31 - 1))
        return _png(side, random.choice((1, side)), bytes(1000)), way
    if way == "mode":
        return _in_mode(random.choice(_MODES)), way
    if way == "thin":
        size = random.choice(((1, 1), (1, 40), (30_000, 1), (2, 20_000)))
        return _encoded(Image.new("RGB", size, "red"), "PNG"), way
    if way == "other":
        return picture(random.choice(sorted(FORMATS))), way
    if way == "animated":
        frames = [Image.new("P", (8, 8), color) for color in range(5)]
        file = io.BytesIO()
        frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
        return file.getvalue(), way
    if way == "text":
        return random.choice(
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<html>", b"%PDF-1.4", b"%!PS-Adobe-3.0 EPSF-3.0\n")
        ), way
    return b"", way


def _in_mode(mode: str) -> bytes:
    image = Image.fromarray(np.arange(_SIDES[0] * _SIDES[1], dtype=np.uint8).reshape(_SIDES))
    kind = "TIFF" if mode in ("CMYK", "F", "YCbCr", "I") else "PNG"
    if mode == "I;16":
        return _encoded(Image.fromarray(np.arange(_SIDES[0] * _SIDES[1], dtype=np.uint16).reshape(_SIDES)), kind)
    return _encoded(image.convert(mode), kind)


def _png(width: int, height: int, pixels: bytes) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


def _encoded(image: Image.Image, kind: str) -> bytes:
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()
