"""Features as the embedding programs can take them: told apart in single precision, whatever their offset and scale."""

from collections import defaultdict

import numpy as np
from jaxtyping import Float

__all__ = ["spread_out"]

_LARGEST_OFFSET = 1e3  # of the center over the spread: single precision still holds four digits of the differences
_USUAL_SPREAD = 1e-10, 1e10  # squares of what is far below or above leave single precision
_DIGITS = 23  # binary ones of a difference, beside the distance from the center
_SMALLEST = 1e-12  # of the spread: what is below has no square in single precision beside it


def spread_out(
    values: Float[np.ndarray, "images features"], perplexity: float, *, layer: str
) -> Float[np.ndarray, "images features"]:
    """Return features whose distances single precision holds: the same ones, or centered and scaled to a spread of 1.

    Neighbors depend on neither center nor scale, so that only what could not be told apart, and ended the programs
    by a division by zero or outside of their memory, is changed.

    Args:
        values: Finite, and not all rows the same.
        perplexity: About how many neighbors count: among more images than that, differences must not vanish.
        layer: Where they come from, for the message.

    Raises:
        ValueError: More images than the perplexity differ from each other by less than single precision holds beside
            how far they are from the others.
    """
    centered = values.astype(np.float64)
    center = np.median(centered, axis=0)  # which is near the crowd also where there are outliers
    centered -= center
    spread = float(np.sqrt(np.square(centered).mean()))
    _check_differences(values, centered, spread, perplexity, layer)
    low, high = _USUAL_SPREAD
    if low <= spread <= high and np.abs(center).max() <= _LARGEST_OFFSET * spread:
        return values
    return (centered / spread).astype(np.float32)


def _check_differences(values: np.ndarray, centered: np.ndarray, spread: float, perplexity: float, layer: str) -> None:
    """Refuse a crowd of different images that would become one."""
    distance = np.sqrt(np.square(centered).sum(axis=1, keepdims=True))
    step = np.maximum(
        2.0 ** (np.floor(np.log2(np.maximum(distance, _SMALLEST * spread))) - _DIGITS), _SMALLEST * spread
    )
    crowds: dict[bytes, list[int]] = defaultdict(list)
    for number, row in enumerate(np.hstack([np.round(centered / step) + 0.0, step])):
        crowds[row.tobytes()].append(number)
    for crowd in crowds.values():
        if len(crowd) > perplexity and (values[crowd] != values[crowd[0]]).any():
            raise ValueError(
                f"`layer` {layer} gives {len(crowd)} of the {len(values)} images features that differ by less than "
                "single precision holds beside how far they are from the others', as behind a saturated softmax: "
                "name a layer before it, or leave out the images that are far from all others"
            )
