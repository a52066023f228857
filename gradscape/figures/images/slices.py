"""Volumes as pictures: for each the slice in which a network sees most."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

__all__ = ["chosen_slices"]


def chosen_slices(
    maps: Sequence[Float[np.ndarray, "volumes depth height width"]], asked: int | Sequence[int] | None = None
) -> list[int]:
    """Return for each volume the number of the slice to show: where all its maps together are strongest.

    Args:
        maps: What is shown of each volume, by every method; a map that is not finite does not count.
        asked: One slice for all, or one for each; None for the strongest, or the middle where all is zero.

    Raises:
        ValueError: There is no such slice, or not one for each volume.
    """
    volumes, depth = maps[0].shape[:2]
    if asked is None:
        strength = np.sum([np.nan_to_num(one).sum((2, 3)) for one in maps], axis=0)
        return [int(row.argmax()) if row.any() else depth // 2 for row in strength]
    numbers = [asked] * volumes if isinstance(asked, int) else list(asked)
    if len(numbers) != volumes or not all(0 <= number < depth for number in numbers):
        raise ValueError(f"`slices` must be one number from 0 to {depth - 1}, or one for each of the {volumes} volumes")
    return numbers
