"""How a map's heat lies over a photograph, or uncovers it, so that both can be seen."""

from typing import Literal

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Colormap, ListedColormap, Normalize
from matplotlib.patheffects import Normal, Stroke
from torch import Tensor

from gradscape.figures.images.grid import ImageGrid, grayed, picture, show_map, show_picture
from gradscape.figures.style import map_colors

__all__ = ["HEAT", "Background", "HeatmapScale", "add_heat_bar", "lay_heat", "masked_picture", "softened"]

HEAT = "inferno"
"""The colors of heat: perceptually even, and glowing on photographs, which are gray beneath."""

Background = Literal["color", "gray", "none"]
"""What a map lies over, or what is seen of an image where its map is zero."""

HeatmapScale = Literal["image", "shared"]
"""What is 1: the largest value of each map, or of all maps of a method."""

_BAR_LABELS = {
    "image": ("share of the map's own range", "share of range"),
    "shared": ("share of the largest value", "share of largest"),
}
_COVER = 0.65  # what the strongest heat hides of the photograph
_RISE = 0.6  # below 1: weak heat is seen early
_SOFTENED = 3.0  # from a third of the range on the photograph below is gray
_PALE = 0.6  # how far the part of an image without heat is on its way to white
_DIM = 0.3  # how bright it is in color
_HALF = 0.5
_LINE = 0.5  # points


def lay_heat(
    ax: Axes,
    image: Float[Tensor, "channels height width"],
    heat: Float[np.ndarray, "height width"],
    *,
    background: Background = "color",
) -> None:
    """Draw a map from 0 to 1 over its image, transparent where it is low, with a line at one half.

    A photograph in color turns gray under the heat: orange over an orange bird would not be seen. Without a background
    the map stands alone and opaque.
    """
    if background == "none":
        show_map(ax, heat, cmap=map_colors(HEAT), vmin=0, vmax=1)
        return
    show_picture(ax, softened(image, heat) if background == "color" else grayed(image))
    show_map(ax, heat, cmap=_fading(), vmin=0, vmax=1)
    if heat.min() < _HALF < heat.max():
        line = ax.contour(heat, levels=[_HALF], colors="white", linewidths=_LINE)
        line.set_path_effects([Stroke(linewidth=2.2 * _LINE, foreground="black"), Normal()])


def softened(
    image: Float[Tensor, "channels height width"], heat: Float[np.ndarray, "height width"]
) -> Float[np.ndarray, "height width 3"]:
    """An image in its colors, which give way to gray where the map is strong."""
    share = np.clip(_SOFTENED * heat, 0, 1)[..., None]
    return (1 - share) * picture(image) + share * grayed(image)


def masked_picture(
    image: Float[Tensor, "channels height width"],
    heat: Float[np.ndarray, "height width"],
    *,
    background: Background = "gray",
) -> Float[np.ndarray, "height width 3"]:
    """An image in its colors by as much as its map says; elsewhere pale and gray, dim in color, or black ("none").

    Source: Chattopadhay et al., "Grad-CAM++", 2018, whose explanation map, image times map, is that on black.
    """
    weight, whole = heat[..., None], picture(image)
    rest = {"gray": grayed(image, pale=_PALE), "color": _DIM * whole, "none": np.zeros_like(whole)}[background]
    return weight * whole + (1 - weight) * rest


def add_heat_bar(grid: ImageGrid, scale: HeatmapScale, *, half: bool = False) -> Colorbar:
    """A color bar from 0 to 1 to the right of all rows, with the line at one half where maps have it."""
    label, short = _BAR_LABELS[scale]
    bar = grid.add_bar(ScalarMappable(Normalize(0, 1), map_colors(HEAT)), label, short=short)
    bar.set_ticks([0, _HALF, 1], labels=["0", "0.5", "1"])
    if half:
        line = bar.ax.axhline(_HALF, color="white", linewidth=_LINE)
        line.set_path_effects([Stroke(linewidth=2.2 * _LINE, foreground="black"), Normal()])
    return bar


def _fading() -> Colormap:
    """The colors of heat, the more transparent the lower."""
    steps = np.linspace(0, 1, 256)
    colors = map_colors(HEAT)(steps)
    colors[:, 3] = _COVER * steps**_RISE
    return ListedColormap(colors, name=f"{HEAT}-fading")
