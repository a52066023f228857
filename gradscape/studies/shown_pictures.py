"""The pictures that networks were shown, kept beside what they made of them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from gradscape._arrays import load_result, save_arrays
from gradscape._digest import digest_tensors
from gradscape.data.pictures import Pictures

__all__ = ["PICTURES", "ShownPictures", "load_shown_pictures", "save_shown_pictures"]

PICTURES = "pictures.npz"
"""What the file is called."""


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
    save_arrays(folder / PICTURES, {"pixels": pixels}, {"pictures": about})
    return folder / PICTURES


def load_shown_pictures(path: Path) -> ShownPictures:
    """Read what `save_shown_pictures` wrote.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It holds no pictures.
    """
    arrays, about, _ = load_result(path, "pictures", called="pictures")
    return ShownPictures(arrays["pixels"], tuple(about["names"]), about["digest"])
