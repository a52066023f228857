"""Signals with what a network sees in them: curves over a strip of heat."""

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from torch import Tensor

from gradscape.figures.images.grid import Channels, finite_only

__all__ = ["SIGNAL_PROPORTION", "chosen_curves", "draw_curves", "draw_heat"]

SIGNAL_PROPORTION = 0.5
"""Height over width of a panel with a signal."""

_MOST_CURVES = 3
_LINE_WIDTH = 0.5
_SHADES = ("0.0", "0.35", "0.55")
_MARGIN = 0.08  # of the signal's range, above and below
_STRIP, _GAP = 0.22, 0.06  # of the panel's height: a strip of heat below the curves, and what is free between


def chosen_curves(
    signals: Float[Tensor, "signals channels length"], channels: Channels = None
) -> Float[Tensor, "signals curves length"]:
    """Return the channels of signals that are drawn: up to three, or those asked for.

    Args:
        signals: Of any range.
        channels: A number or up to three; None for all.

    Raises:
        ValueError: There are more channels than can be told apart, or there is no such channel.
    """
    count = signals.shape[1]
    chosen = list(range(count)) if channels is None else [channels] if isinstance(channels, int) else list(channels)
    if channels is None and count > _MOST_CURVES:
        raise ValueError(
            f"`images` have {count} channels, more than {_MOST_CURVES} curves in one panel; say with `channels` which "
            "to draw, such as channels=0"
        )
    if not 1 <= len(chosen) <= _MOST_CURVES or not all(0 <= number < count for number in chosen):
        raise ValueError(f"`channels` must be up to {_MOST_CURVES} numbers from 0 to {count - 1}, got {channels}")
    return signals[:, chosen]


def draw_curves(
    ax: Axes, signal: Float[Tensor, "curves length"], *, weight: np.ndarray | None = None, pale: bool = False
) -> None:
    """Draw a signal's channels into a panel, as high as they reach, the first one darkest.

    Args:
        ax: The panel.
        signal: Its channels.
        weight: (L,), what they are multiplied with; the limits stay.
        pale: Whether they are the ground for something else.
    """
    curves = signal.detach().float().cpu().numpy()
    finite = curves[np.isfinite(curves)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    margin = _MARGIN * (high - low) or 1.0
    for number, curve in enumerate(curves):
        shown = finite_only(curve if weight is None else curve * weight)
        ax.plot(shown, color="0.8" if pale else _SHADES[number], linewidth=_LINE_WIDTH, linestyle="-")
    ax.set(xlim=(-0.5, curves.shape[1] - 0.5), ylim=(low - margin, high + margin))


def draw_heat(ax: Axes, heat: Float[np.ndarray, " length"], *, alone: bool, cmap: Colormap) -> None:
    """Draw a strip of colors, one for each point of the signal.

    Args:
        ax: The panel.
        heat: From 0 to 1.
        alone: Whether it fills the panel; else it lies below the curves, where it hides none and none hides it.
        cmap: The color map.
    """
    low, high = ax.get_ylim()
    top = high
    if not alone:
        height = (high - low) / (1 - _STRIP - _GAP)
        low, top = high - height, high - (1 - _STRIP) * height
    extent = (-0.5, len(heat) - 0.5, low, top)
    ax.imshow(finite_only(heat[None]), aspect="auto", extent=extent, cmap=cmap, vmin=0, vmax=1, zorder=0.5)
    ax.set_ylim(low, high)
