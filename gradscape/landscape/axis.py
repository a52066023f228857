"""Coordinates along an axis of a grid: what is drawn and measured between neighbors needs them in order."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

__all__ = ["checked_axis"]


def checked_axis(values: Sequence[float] | np.ndarray, argument: str) -> Float[np.ndarray, " points"]:
    """The coordinates as an array.

    Args:
        values: At least one, rising or falling throughout.
        argument: What they were given as.

    Raises:
        ValueError: They are no such list.
    """
    axis = np.asarray(values, dtype=float)
    if axis.ndim != 1 or len(axis) == 0 or not np.isfinite(axis).all():
        raise ValueError(f"`{argument}` must be a list of finite numbers, got {values!r}")
    steps = np.diff(axis)
    if not ((steps > 0).all() or (steps < 0).all()):
        place = int(np.flatnonzero(np.sign(steps) != np.sign(steps[0]))[0]) if steps[0] else 0
        raise ValueError(
            f"`{argument}` must rise or fall throughout, each number once, but {axis[place]:g} is followed by "
            f"{axis[place + 1]:g}: give them in order, such as by numpy.unique"
        )
    return axis
