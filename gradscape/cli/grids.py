"""Coordinates as command lines give them."""

from typing import TYPE_CHECKING

from gradscape.cli.numbers import MOST_POINTS, MOST_STEPS

if TYPE_CHECKING:
    import numpy as np

    from gradscape.studies.planes import Axes

__all__ = ["parse_grid", "parse_line_grid", "parse_span"]


def parse_span(text: str) -> float:
    """Read the half-width of a grid."""
    try:
        span = float(text)
    except ValueError:
        span = 0.0
    if not 0 < span < float("inf"):
        raise ValueError(f"`--span` must be auto or a positive number, got {text!r}")
    return span


def parse_grid(text: str) -> "Axes":
    """Read `a0:a1:A,b0:b1:B`: first, last and number of the alphas and of the betas."""
    axes = _axes(text)
    if len(axes) != 2:
        raise ValueError(f"`--grid` must read a0:a1:A,b0:b1:B, such as -1:1:51,-0.5:0.5:26, got {text!r}")
    return _bounded(axes[0], MOST_STEPS, text), _bounded(axes[1], MOST_STEPS, text)


def parse_line_grid(text: str) -> "np.ndarray":
    """Read `a0:a1:A`: first, last and number of the alphas."""
    axes = _axes(text)
    if len(axes) != 1:
        raise ValueError(f"`--grid` must read a0:a1:A, such as -0.5:0.5:51, got {text!r}")
    return _bounded(axes[0], MOST_POINTS, text)


_Axis = tuple[float, float, int]


def _axes(text: str) -> list[_Axis]:
    """First, last and number of as many axes as there are; none where one cannot be read, is empty or endless."""
    try:
        ends = [part.split(":") for part in text.split(",")]
        axes = [(float(start), float(stop), int(count)) for start, stop, count in ends]
    except ValueError:
        return []
    # The distance too: of finite ends it may be none.
    return axes if all(count > 0 and abs(stop - start) < float("inf") for start, stop, count in axes) else []


def _bounded(axis: _Axis, most: int, text: str) -> "np.ndarray":
    """The coordinates of an axis, before which memory is taken for none."""
    import numpy as np

    if axis[2] > most:
        raise ValueError(f"`--grid` must have at most {most} points on a side, got {text!r}")
    return np.linspace(*axis)
