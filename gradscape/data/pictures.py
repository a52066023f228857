"""Single pictures: image files and folders of them, given by path."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gradscape._arrays import load_result, save_arrays
from gradscape._digest import digest_tensors
from gradscape._names import path_tails, tell_apart
from gradscape._profile import spent_on
from gradscape._provenance import Provenance, current_versions
from gradscape.data.canvas import Canvas
from gradscape.data.pixels import IMAGE_SUFFIXES, decode_file, resize_image, to_unit_range

__all__ = [
    "PICTURES",
    "Pictures",
    "ShownPictures",
    "load_canvases",
    "load_pictures",
    "load_shown_pictures",
    "save_shown_pictures",
]


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures ready for a network, in the order in which they were given.

    Attributes:
        images: float32 (N, 3, S, S) in [0, 1].
        names: Name of each file, with its folder, or as many as it takes, where two files are called the same.
        files: Their paths as they were given; none of pictures that lie in no file.
        covered: (columns, rows) of each canvas that show the picture; none where pictures fill their squares.
    """

    images: Tensor
    names: tuple[str, ...]
    files: tuple[str, ...] = ()
    covered: tuple[tuple[int, int], ...] = ()

    def cropped(self, number: int) -> Float[Tensor, "3 height width"]:
        """A picture without what its canvas is filled with."""
        columns, rows = self.covered[number] if self.covered else self.images.shape[:1:-1]
        return self.images[number, :, :rows, :columns]

    def only(self, number: int) -> "Pictures":
        """One of them by itself."""
        one = slice(number, number + 1)
        return Pictures(self.images[one], self.names[one], self.files[one], self.covered[one])


@spent_on("data")
def load_pictures(paths: Iterable[str | os.PathLike[str]], image_size: int) -> Pictures:
    """Decode pictures and bring them to one size: the shorter side resized, the center square cut out.

    What is transparent is seen on white.

    Args:
        paths: Image files, and folders whose own image files are taken in alphabetical order, hidden ones and
            sub-folders left out. A file that comes twice is taken once.
        image_size: Side of the square in pixels.

    Raises:
        FileNotFoundError: There is no such file or folder.
        ValueError: No path came, a folder holds no image, or a file is no image or only one pixel wide or high.
    """
    files = _every_file(paths)
    images = torch.stack([to_unit_range(resize_image(_decode(file), image_size)) for file in files])
    return Pictures(images, *_named(files))


@spent_on("data")
def load_canvases(paths: Iterable[str | os.PathLike[str]], image_size: int) -> Pictures:
    """Decode whole pictures as detectors and segmenters are shown them, see `load_annotated`.

    Args:
        paths: As `load_pictures` takes them.
        image_size: Side of the canvases in pixels; the longer side of each picture is scaled to it.

    Raises:
        FileNotFoundError: As `load_pictures`.
        ValueError: As `load_pictures`.
    """
    files = _every_file(paths)
    decoded = [_decode(file) for file in files]
    canvases = [Canvas(one.shape[2], one.shape[1], image_size) for one in decoded]
    images = torch.stack([canvas.show(canvas.draw(one)) for canvas, one in zip(canvases, decoded, strict=True)])
    return Pictures(images, *_named(files), tuple(canvas.covered for canvas in canvases))


def _every_file(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    files = list(dict.fromkeys(file for path in paths for file in _files(Path(path).expanduser())))
    if not files:
        raise ValueError("`paths` must name at least one image file or folder of images, got none")
    return files


def _named(files: Sequence[Path]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the pictures are called, and their paths."""
    return tuple(tell_apart([[file.name for file in files], path_tails(files)])), tuple(map(str, files))


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise FileNotFoundError(f"there is no image file or folder {path}")
    if not path.is_dir():
        return [path]
    found = sorted(
        file
        for file in path.iterdir()
        if file.is_file() and file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith(".")
    )
    if not found:
        raise ValueError(f"the folder `{path}` must hold image files, but holds none; its sub-folders are not searched")
    return found


def _decode(file: Path) -> Tensor:
    image = decode_file((str(file),), 0, upright=True, on_white=True)
    height, width = image.shape[1:]
    if min(height, width) < 2:
        raise ValueError(f"`{file}` must be at least 2 pixels wide and high, but is {width} × {height}: leave it out")
    return image


PICTURES = "pictures.npz"
"""What the file is called."""

_ARRAYS = {"pixels": UInt8[np.ndarray, "pictures height width 3"]}


class _PicturesEntry(TypedDict):
    names: list[str]
    digest: str


@dataclass(frozen=True, eq=False)
class ShownPictures:
    """Pictures as a page shows them.

    Attributes:
        pixels: One for each picture.
        names: Of their files.
        digest: Of the images in [0, 1], by which results name them.
    """

    pixels: UInt8[np.ndarray, "pictures height width 3"]
    names: tuple[str, ...]
    digest: str


def save_shown_pictures(pictures: Pictures, folder: Path) -> Path:
    """Write pictures with 256 levels a channel to `pictures.npz`.

    Args:
        pictures: Images in [0, 1]; what lies outside is clipped.
        folder: Where the results about them are.

    Returns:
        The file.
    """
    pixels = (pictures.images.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    about = {"names": list(pictures.names), "digest": digest_tensors([("images", pictures.images)])}
    save_arrays(folder / PICTURES, {"pixels": pixels}, {"versions": current_versions(), "pictures": about})
    return folder / PICTURES


def load_shown_pictures(path: Path) -> ShownPictures:
    """Read what `save_shown_pictures` wrote.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It holds no pictures.
    """

    def made(arrays: dict[str, np.ndarray], about: _PicturesEntry, _: Provenance) -> ShownPictures:
        if len(about["names"]) != len(arrays["pixels"]):
            raise ValueError(f"it names {len(about['names'])} of {len(arrays['pixels'])} pictures")
        return ShownPictures(arrays["pixels"], tuple(about["names"]), about["digest"])

    return load_result(path, "pictures", made, called="pictures", entry=_PicturesEntry, arrays=_ARRAYS)
