"""Where the places of a family's features are, as its authors wrote it: said here by hand, and guessed nowhere."""

from dataclasses import dataclass

import numpy as np

__all__ = ["CHANNELS_FIRST", "CHANNELS_LAST", "Places", "tokens"]


@dataclass(frozen=True)
class Places:
    """How one image's features lie.

    Attributes:
        channels_last: Whether maps of three axes are (h, w, C) and not (C, h, w).
        first_at: Layers that give (C, h, w) all the same.
        before: Tokens before those of the places, where features are (L, C).
    """

    channels_last: bool = False
    first_at: tuple[str, ...] = ()
    before: int = 0

    def maps(self, features: np.ndarray, layer: str, image_size: tuple[int, int]) -> np.ndarray:
        """One image's features, or a gradient of their shape, as maps (C, h, w).

        Args:
            features: (C, h, w), (h, w, C) or (L, C).
            layer: Name of the layer that gave them.
            image_size: (H, W) of the image in pixels.
        """
        if features.ndim == 3:
            last = self.channels_last and layer not in self.first_at
            return np.moveaxis(features, 2, 0) if last else features
        placed = features[self.before :]
        height, width = _grid(len(placed), image_size)
        return placed.T.reshape(-1, height, width)


def _grid(count: int, image_size: tuple[int, int]) -> tuple[int, int]:
    """The rows and columns of so many square patches, of which the last may stick out of the image."""
    found = {
        grid
        for side in range(1, max(image_size) + 1)
        if np.prod(grid := tuple(-(-length // side) for length in image_size)) == count
    }
    (only,) = found
    return int(only[0]), int(only[1])


CHANNELS_FIRST = Places()
CHANNELS_LAST = Places(channels_last=True)


def tokens(*, before: int = 0) -> Places:
    """Features in a row, row by row; where a layer gives maps, channels come first."""
    return Places(before=before)
