"""How channel pixel attention makes one pixel: maps in rows, and lines from the pixels that are weighed."""

from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch, Rectangle
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from gradscape._names import one_line
from gradscape.figures.images.grid import LINE, ImageGrid, lay_out_grid, picture, show_map
from gradscape.figures.style import SMALL, map_colors, styled

__all__ = ["figure_channel_mixing"]

_WEIGHED = "#E69F00"
_MADE = "#D00000"
_COLORS = "viridis"
_IMAGE, _CONVOLVED, _INPUTS, _ATTENDED = range(4)

ChannelMaps = Float[np.ndarray, "maps height width"]


@styled()
def figure_channel_mixing(
    image: Float[Tensor, "3 image_height image_width"],
    convolved: ChannelMaps,
    inputs: Float[np.ndarray, "inputs height width"],
    attended: ChannelMaps,
    *,
    weights: Float[np.ndarray, " inputs"],
    constant: float,
    channel: int,
    pixel: tuple[int, int],
    most: int = 8,
    title: str = "",
) -> Figure:
    """Draw an image, maps of the convolutions, maps that are weighed, and maps of the attention.

    One pixel of the attention is marked, and the pixels at its position in the maps whose weighted sum it is. Of these
    maps those with the largest weights are drawn, of the others the first.

    Args:
        image: In [0, 1].
        convolved: Features that the attention is added to.
        inputs: Features that the attention weighs.
        attended: The attention's part.
        weights: Of each of the inputs, for the marked channel.
        constant: What is added to the weighted sum.
        channel: Which of the attention's maps the marked pixel is in; one of those drawn.
        pixel: Its row and column.
        most: ChannelMaps drawn in a row.
        title: What the caption begins with.

    Returns:
        A double-column page.

    Raises:
        ValueError: The marked map is not drawn, or there is no such pixel.

    Source: UPANets, figure 1; equation 1 for the weighted sum.
    """
    columns = min(most, len(attended))
    _check_mark(attended, channel, pixel, columns)
    order = np.argsort(-np.abs(weights), kind="stable")[:columns]
    grid = lay_out_grid(
        4,
        columns,
        _caption(title, len(inputs), len(order)),
        proportion=inputs.shape[1] / inputs.shape[2],
        lines_above=0,
        lines_below=1,
        left=0.2,
        right=0.5,
        wide=True,
    )
    for row, up in ((_CONVOLVED, 0.1), (_INPUTS, 0.2), (_ATTENDED, -0.1)):
        _move(grid, row, up)  # makes room for the lines
    _show_image(grid, image)
    value, total = attended[channel, pixel[0], pixel[1]], weights @ inputs[:, pixel[0], pixel[1]]
    _write_sum(grid, f"{value:.2f} = {total:.2f} {'−' if constant < 0 else '+'} {abs(constant):.2f}".replace("-", "−"))
    for row, name, maps in (
        (_CONVOLVED, "convolution", convolved[:columns]),
        (_INPUTS, "input", inputs[order]),
        (_ATTENDED, "CPA", attended[:columns]),
    ):
        _show_row(grid, row, maps, name)
    red = grid.panels[_ATTENDED, channel]
    _mark(red, pixel, _MADE, inputs.shape[1:])
    for ax, number in zip(grid.panels[_INPUTS], order, strict=False):
        _mark(ax, pixel, _WEIGHED, inputs.shape[1:])
        grid.describe(ax, f"× {weights[number]:.2f}".replace("-", "−"))
        _connect(grid, ax, red)
    return grid.figure


def _check_mark(attended: np.ndarray, channel: int, pixel: tuple[int, int], columns: int) -> None:
    if not 0 <= channel < columns:
        raise ValueError(f"`channel` must be one of the {columns} maps drawn, 0 to {columns - 1}, got {channel}")
    if not all(0 <= place < side for place, side in zip(pixel, attended.shape[1:], strict=True)):
        raise ValueError(f"`pixel` must lie in the map of {attended.shape[1]} × {attended.shape[2]}, got {pixel}")


def _caption(title: str, inputs: int, shown: int) -> str:
    said = [
        one_line(title),
        f"red: a pixel of CPA, the weighted sum of the pixels at its place in all {inputs} input maps (orange)",
        f"below each of the {shown} with the largest weights its weight",
        "CPA's normalization is part of the weights and the constant",
        "each row on its own scale",
    ]
    return " · ".join(part for part in said if part)


def _show_image(grid: ImageGrid, image: Tensor) -> None:
    """The image in the middle of the first row, whose other panels stay empty."""
    first, *others = grid.panels[_IMAGE]
    for ax in others:
        ax.set_visible(False)
    left, right = first.get_position(), others[-1].get_position() if others else first.get_position()
    place = left.translated((right.x0 - left.x0) / 2, 0)
    first.set_position(place)
    first.imshow(picture(image))


def _move(grid: ImageGrid, row: int, inches: float) -> None:
    for ax in grid.panels[row]:
        ax.set_position(ax.get_position().translated(0, inches / float(grid.figure.get_figheight())))


def _write_sum(grid: ImageGrid, numbers: str) -> None:
    ax = grid.panels[_IMAGE, 0]
    said = "red = Σ weight × orange + constant\n" + numbers
    look: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": SMALL + 1, "linespacing": 1.6}
    ax.annotate(said, (1, 0.5), (14, 0), "axes fraction", **look)


def _show_row(grid: ImageGrid, row: int, maps: np.ndarray, name: str) -> None:
    finite = maps[np.isfinite(maps)]
    norm = Normalize(float(finite.min()), float(finite.max())) if finite.size else Normalize(0, 1)
    for ax, one in zip(grid.panels[row], maps, strict=False):
        show_map(ax, one, norm=norm, cmap=map_colors(_COLORS))
    for ax in grid.panels[row, len(maps) :]:
        ax.set_visible(False)
    grid.title_row(row, name)
    bar = grid.add_bar(ScalarMappable(norm, map_colors(_COLORS)), "", row)
    bar.locator = MaxNLocator(3)


def _mark(ax: Axes, pixel: tuple[int, int], color: str, size: tuple[int, ...]) -> None:
    """A square around a pixel, large enough to be seen."""
    side = max(1, round(min(size) / 10)) | 1  # odd, so that the pixel is in the middle
    row, column = pixel
    corner = (column - side / 2, row - side / 2)
    look: dict[str, Any] = {"fill": False, "edgecolor": color, "linewidth": 1.1, "clip_on": False}
    ax.add_patch(Rectangle(corner, side, side, **look))


def _connect(grid: ImageGrid, weighed: Axes, made: Axes) -> None:
    """A line from below a weighed map, and its weight, to the marked one."""
    below = -LINE / grid.panel_height * 1.15
    line = ConnectionPatch(
        (0.5, below), (0.5, 1.0), "axes fraction", "axes fraction", axesA=weighed, axesB=made, color=_WEIGHED, lw=0.7
    )
    grid.figure.add_artist(line)
