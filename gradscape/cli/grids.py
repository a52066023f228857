"""Coordinates as command lines give them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from gradscape.studies.planes import Axes

__all__ = ["MOST_STEPS", "parse_grid", "parse_line_grid", "parse_span"]

MOST_STEPS = 2000  # on a side: as many points as a printed page has pixels


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
    if max(map(len, axes)) > MOST_STEPS:
        raise ValueError(f"`--grid` must have at most {MOST_STEPS} points on a side, got {text!r}")
    return axes[0], axes[1]


def parse_line_grid(text: str) -> "np.ndarray":
    """Read `a0:a1:A`: first, last and number of the alphas."""
    axes = _axes(text)
    if len(axes) != 1:
        raise ValueError(f"`--grid` must read a0:a1:A, such as -0.5:0.5:51, got {text!r}")
    return axes[0]


def _axes(text: str) -> "list[np.ndarray]":
    """As many axes as there are; none where one cannot be read or is empty."""
    import numpy as np

    try:
        ends = [part.split(":") for part in text.split(",")]
        axes = [np.linspace(float(start), float(stop), int(count)) for start, stop, count in ends]
    except ValueError:
        return []
    return axes if all(len(axis) and np.isfinite(axis).all() for axis in axes) else []
