"""One heatmap in its panel: over its image, alone, or as a mask; of a signal over or below its curves."""

import textwrap
from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from torch import Tensor

from gradscape.figures.images.grid import grayed, picture, show_picture
from gradscape.figures.images.overlay import HEAT, Background, lay_heat, masked_picture
from gradscape.figures.images.signals import draw_curves, draw_heat
from gradscape.figures.style import SMALL, map_colors

__all__ = ["Style", "describe_styles", "draw_input", "draw_panel", "known_background"]

Style = Literal["overlay", "heatmap", "masked"]
"""Over the image, alone, or the image where the map is strong."""

_OVERLAYS = {
    "color": "maps over their images, with a line at one half",
    "gray": "maps over their images in gray, with a line at one half",
    "none": "maps",
}
_MASKED = {
    "gray": "images in color where their maps are strong, pale gray elsewhere",
    "color": "images in full where their maps are strong, dim elsewhere",
    "none": "images times their maps",
}
_SIGNALS = {"overlay": "maps below their signals", "heatmap": "maps", "masked": "signals times their maps"}


def known_background(
    background: Background | None, styles: Sequence[Style], *, signals: bool = False
) -> Background | None:
    """Refuse a background where nothing has one.

    Args:
        background: What was asked for; None for each style's own.
        styles: The styles that are drawn.
        signals: Whether signals are drawn.

    Raises:
        ValueError: It is unknown, or only maps alone or signals are drawn.
    """
    if background is None:
        return None
    if background not in _OVERLAYS:
        raise ValueError(f"`background` must be one of {', '.join(_OVERLAYS)}, got {background!r}")
    if signals or set(styles) == {"heatmap"}:
        drawn = "signals have" if signals else '`style` "heatmap" has'
        raise ValueError(f'`background` is for images drawn as "overlay" or "masked"; {drawn} none')
    return background


def describe_styles(styles: Sequence[Style], background: Background | None, *, signals: bool) -> list[str]:
    """What is drawn, in words for a caption."""
    if signals:
        return [_SIGNALS[style] for style in styles]
    words = {"overlay": _OVERLAYS[background or "color"], "heatmap": "maps", "masked": _MASKED[background or "gray"]}
    return list(dict.fromkeys(words[style] for style in styles))


def draw_input(ax: Axes, image: Float[Tensor, "channels *size"]) -> None:
    """Draw an image, or a signal's curves."""
    if image.ndim == 2:
        draw_curves(ax, image)
    else:
        show_picture(ax, picture(image))


def draw_panel(
    ax: Axes,
    image: Float[Tensor, "channels *size"],
    heat: Float[np.ndarray, "*size"],
    *,
    style: Style,
    background: Background | None = None,
    fault: str | None = None,
    width: float = 2.0,
) -> None:
    """Draw a map from 0 to 1 with its image (channels, height, width), or signal (channels, length).

    Args:
        ax: Where to.
        image: What the map was made of.
        heat: The map.
        style: "overlay", "heatmap" or "masked".
        background: "color", "gray" or "none"; None for an overlay in color and a mask on gray.
        fault: Why the map must not be drawn; then the image is pale below the reason in words.
        width: Of the panel, inches.
    """
    if fault:
        _draw_fault(ax, image, fault, width)
    elif image.ndim == 2:
        _draw_signal(ax, image, heat, style)
    elif style == "masked":
        show_picture(ax, masked_picture(image, heat, background=background or "gray"))
    else:
        lay_heat(ax, image, heat, background="none" if style == "heatmap" else background or "color")


def _draw_fault(ax: Axes, image: Tensor, fault: str, width: float) -> None:
    if image.ndim == 2:
        draw_curves(ax, image, pale=True)
    else:
        show_picture(ax, grayed(image, pale=0.6))
    reason = "\n".join(textwrap.wrap(f"no map: {fault}", max(int(width * 16), 8)))
    ax.text(0.5, 0.5, reason, transform=ax.transAxes, ha="center", va="center", fontsize=SMALL, parse_math=False)


def _draw_signal(ax: Axes, signal: Tensor, heat: np.ndarray, style: Style) -> None:
    draw_curves(ax, signal, pale=style == "masked")
    if style == "masked":
        draw_curves(ax, signal, weight=heat)
        return
    if style == "heatmap":
        for curve in list(ax.lines):
            curve.remove()
    draw_heat(ax, heat, alone=style == "heatmap", cmap=map_colors(HEAT))
