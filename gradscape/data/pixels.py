"""Single images: decoding a file, resizing, and the way to float32 in [0, 1]."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import numpy as np
import torch
from jaxtyping import Float, Shaped, UInt8
from PIL import Image, ImageOps
from torch import Tensor

from gradscape._files import check_readable

__all__ = [
    "IMAGE_SUFFIXES",
    "decode_file",
    "decode_labels",
    "pick_image",
    "picture_size",
    "resize_image",
    "to_unit_range",
]

IMAGE_SUFFIXES = {".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
"""Endings of the files that are taken for images in a folder."""

_DECODED = (
    *("PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "DIB", "PPM", "TIFF", "AVIF"),
    *("JPEG2000", "TGA", "ICO", "PCX", "QOI", "SGI", "XBM"),
)
_LONGEST = 1000  # times the shorter side, which becomes as many pixels as a network takes
_STRIP = 2**24  # pixels
_MANY, _EMPTIEST = 2**26, 100  # pixels; how many of so many may be of one byte: photographs have at most twenty

# Pillow clips these modes to 8 bits when it makes them RGB: the picture would come out white or black.
_DEEP_MODES = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")


def decode_file(
    paths: tuple[str, ...], index: int, *, upright: bool = False, on_white: bool = False
) -> Shaped[Tensor, "3 height width"]:
    """Decode `paths[index]` to uint8 RGB; gray becomes three equal channels.

    Args:
        paths: Image files.
        index: Which of them.
        upright: Whether to turn it as the camera says that it was held. Data sets are not turned, as torchvision reads
            them and networks were trained.
        on_white: Whether what is transparent is seen on white. In data sets transparency is dropped, likewise.

    Raises:
        OSError: The file cannot be opened.
        ValueError: The file is no image, is cut off, or has more than 8 bits per channel.
    """
    # Takes seconds to import, which who only reads results shall not pay.
    from torchvision.transforms.v2 import functional as transforms

    path = paths[index]
    with _opened(path) as image:
        mode = image.mode
        turned = _turned(image) if upright else image
        # The palette's transparency has to be spread before it can be dropped; Pillow warns otherwise.
        transparent = "transparency" in image.info or (on_white and turned.has_transparency_data)
        rgb = _opaque(turned, on_white=on_white) if transparent else turned.convert("RGB")
    if mode in _DEEP_MODES:
        raise ValueError(f"`{path}` must have 8 bits per channel, but has Pillow's mode {mode}; convert the file")
    return transforms.pil_to_tensor(rgb)


def decode_labels(path: str) -> UInt8[np.ndarray, "height width"]:
    """Decode a picture whose gray levels, or numbers of colors in its palette, are the classes of its pixels.

    Raises:
        OSError: As `decode_file`.
        ValueError: As `decode_file`; or it has colors without a palette.
    """
    with _opened(path) as image:
        mode, labels = image.mode, np.array(image)
    if mode not in ("P", "L"):
        raise ValueError(
            f"`{path}` must have a class's number at each pixel, as a palette of colors or gray levels have, but has "
            f"Pillow's mode {mode}: convert the file"
        )
    return labels


def picture_size(path: str) -> tuple[int, int]:
    """Width and height of a picture by what its file begins with; errors as `decode_file`."""
    with _opened(path, whole=False) as image:
        return image.size


@contextmanager
def _opened(path: str, *, whole: bool = True) -> Iterator[Image.Image]:
    """An image file of which more is only read in the block; whatever its decoder says is told in one line."""
    check_readable(path, "image")
    try:
        with Image.open(path, formats=_formats()) as image:
            _check_size(image, os.stat(path).st_size)
            if whole and image.format == "PNG":  # whose checksums Pillow passes over where it decodes
                with Image.open(path, formats=("PNG",)) as again:
                    again.verify()
            yield image
    except Exception as error:  # Pillow's decoders raise nearly every type on corrupt bytes
        if isinstance(error, OSError) and error.errno:  # the system's, by its own name; Pillow's have no number
            raise
        reason = " ".join(str(error).split())
        raise ValueError(f"`{path}` cannot be decoded as an image: {reason}; replace or remove the file") from error


@cache
def _formats() -> tuple[str, ...]:
    """What Pillow reads by itself, as far as it was built so: for some formats it calls other programs."""
    Image.init()
    return tuple(name for name in _DECODED if name in Image.OPEN)


def _check_size(image: Image.Image, file_size: int) -> None:
    width, height = image.size
    if max(image.size) > _LONGEST * min(image.size):
        raise ValueError(f"{width} × {height} pixels are more than {_LONGEST:,} to 1")
    if width * height > max(_MANY, _EMPTIEST * file_size):
        raise ValueError(f"it claims {width} × {height} pixels and has {file_size:,} bytes")


def _turned(image: Image.Image) -> Image.Image:
    image.load()  # damaged pixels are told once: where this has failed, what is left passes for the whole picture
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # what a camera is said to have written can be anything, and says then nothing of the pixels
        return image


def _opaque(image: Image.Image, *, on_white: bool) -> Image.Image:
    """RGB without transparency, made in strips: four copies of a large image would take gigabytes."""
    width, height = image.size
    rows = max(1, _STRIP // width)
    whole = Image.new("RGB", image.size)
    for top in range(0, height, rows):
        strip = image.crop((0, top, width, min(top + rows, height))).convert("RGBA")
        if on_white:
            strip = Image.alpha_composite(Image.new("RGBA", strip.size, "white"), strip)
        whole.paste(strip.convert("RGB"), (0, top))
    return whole


def pick_image(images: np.ndarray | Tensor, index: int) -> Shaped[Tensor, "3 height width"]:
    """Take one image of (N, H, W), (N, H, W, 1) or (N, H, W, 3) as three channels."""
    image = torch.as_tensor(images[index])
    if image.ndim == 2:
        image = image[..., None]
    return image.permute(2, 0, 1).expand(3, -1, -1)


def resize_image(
    image: Shaped[Tensor, "3 height width"], image_size: int | None, *, photograph: bool = False
) -> Shaped[Tensor, "3 new_height new_width"]:
    """Bring the shorter side to `image_size` (bilinear, antialiased) and cut out the center square.

    8-bit images go through Pillow, whose integer arithmetic gives the same bytes on every processor.

    Args:
        image: uint8 or float32.
        image_size: Side of the square in pixels; None leaves the image as it is.
        photograph: Bring the shorter side to 8/7 of `image_size` instead: to 256 pixels for a square of 224, as
            networks for ImageNet are evaluated.
    """
    if image_size is None or (image.shape[1:] == (image_size, image_size) and not photograph):
        return image
    shorter = image_size * 8 // 7 if photograph else image_size
    from torchvision.transforms.v2 import functional as transforms  # late, as above

    if image.dtype != torch.uint8:
        return transforms.center_crop(transforms.resize(image, [shorter], antialias=True), [image_size])
    resized = transforms.resize(transforms.to_pil_image(image), [shorter], antialias=True)
    return transforms.pil_to_tensor(transforms.center_crop(resized, [image_size]))


def to_unit_range(images: Shaped[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Copy to float32, 8-bit values divided by 255."""
    copied = images.to(torch.float32, copy=True)
    return copied.div_(255) if images.dtype == torch.uint8 else copied
