"""Heatmaps of parts of pictures: each over its picture, with the box that it speaks for, its class and score."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gradscape.figures.images.boxes import draw_box
from gradscape.figures.images.grid import FEW_COLUMNS, LINE, fitted, lay_out_grid, picture, show_picture
from gradscape.figures.images.heatmap_panel import Style, describe_styles, draw_panel, known_background
from gradscape.figures.images.overlay import Background, add_heat_bar
from gradscape.figures.style import CYCLE, check_choice, page_width, styled

__all__ = ["LocatedHeatmap", "figure_located_heatmaps", "located_per_page"]

_BAR_WIDTH = 0.52
_GAP = 0.06
_PAGE_HEIGHT = 8.2
_TITLE_LINES = 3
_NAME_LINES = 2


@dataclass(frozen=True, eq=False)
class LocatedHeatmap:
    """A map of a part of one picture.

    Attributes:
        heat: (height, width) from 0 to 1, as large as the picture.
        called: Name of the class that is explained.
        score: How sure the network is of it, in [0, 1].
        box: x1, y1, x2, y2 in pixels of what is explained; None where it is no box.
        fault: Why the map must not be drawn.
    """

    heat: Float[np.ndarray, "height width"]
    called: str
    score: float
    box: Sequence[float] | None = None
    fault: str | None = None


@styled()
def figure_located_heatmaps(
    images: Sequence[Float[Tensor, "channels _ _"]],
    found: Mapping[str, Sequence[LocatedHeatmap | None]],
    *,
    names: Sequence[str],
    style: Style = "overlay",
    background: Background | None = None,
) -> Figure:
    """Pictures in rows, and beside each the maps of several networks or methods, with the boxes that they are of.

    Args:
        images: (channels, height, width) in [0, 1]; they may be of different sizes.
        found: Title of a column -> of each picture its map; None where nothing was found.
        names: A name for each picture.
        style: "overlay", "heatmap" (alone) or "masked" (the picture where the map is strong).
        background: As `figure_heatmaps` takes it.

    Returns:
        A page; of up to two maps it is a single column wide.

    Raises:
        ValueError: Numbers of pictures, maps and names differ, or `style` or `background` is unknown.

    Example:
        >>> import numpy as np
        >>> import torch
        >>> one = LocatedHeatmap(np.random.rand(24, 36), called="cat", score=0.9, box=(1.0, 2.0, 30.0, 20.0))
        >>> figure = figure_located_heatmaps([torch.rand(3, 24, 36)], {"HiResCAM": [one]}, names=["a"])
        >>> [ax.get_title() for ax in figure.axes[:2]]
        ['', 'HiResCAM']
    """
    check_choice("style", style, get_args(Style))
    background = known_background(background, [style])
    counts = {len(images), len(names), *map(len, found.values())}
    if counts != {len(images)} or not found or not images:
        raise ValueError(
            f"`images`, `names` and `found` must be of as many pictures, one at least, got {len(images)}, {len(names)} "
            f"and {', '.join(str(len(several)) for several in found.values()) or 'none'}"
        )
    every = [one for several in found.values() for one in several if one is not None]
    caption = _caption(style, background, boxed=any(one.box is not None for one in every))
    right = _BAR_WIDTH if style != "masked" else 0.0
    grid = lay_out_grid(
        len(images), 1 + len(found), caption, proportion=_proportion([tuple(one.shape[1:]) for one in images]),
        lines_above=max(title.count("\n") for title in found) + 2, lines_below=_NAME_LINES, right=right,
    )  # fmt: skip
    grid.title_columns(["", *found], lines=_TITLE_LINES)
    for row, (image, name) in enumerate(zip(images, names, strict=True)):
        first = grid.panels[row, 0]
        show_picture(first, picture(image)).axes.set_aspect("equal")
        grid.describe(first, name, lines=_NAME_LINES)
        for ax, several in zip(grid.panels[row, 1:], found.values(), strict=True):
            one = several[row]
            _draw(ax, image, one, style=style, background=background, width=grid.panel_width)
            if one is not None:
                said = f"{fitted(one.called, grid.panel_width)}\n{100 * one.score:.1f} %"
                grid.describe_together([ax], said)
    if right:
        add_heat_bar(grid, "image", half=style == "overlay" and background != "none")
    return grid.figure


def located_per_page(sizes: Sequence[tuple[int, ...]], maps: int) -> int:
    """How many pictures of these (height, width) fit on a page, each with so many maps beside it."""
    width = page_width(double=1 + maps > FEW_COLUMNS) - _BAR_WIDTH
    height = width / (1 + maps) * _proportion(sizes)
    return max(int(_PAGE_HEIGHT / (height + _GAP + _NAME_LINES * LINE)), 1)


def _proportion(sizes: Sequence[tuple[int, ...]]) -> float:
    return max(height / width for height, width in sizes)


def _draw(
    ax: Axes,
    image: Tensor,
    one: LocatedHeatmap | None,
    *,
    style: Style,
    background: Background | None,
    width: float,
) -> None:
    size = image.shape[1:]
    heat = np.zeros(size, np.float32) if one is None else one.heat
    fault = "nothing found" if one is None else one.fault
    draw_panel(ax, image, heat, style=style, background=background, fault=fault, width=width)
    ax.set_aspect("equal")
    if one is not None and one.box is not None:
        draw_box(ax, np.clip(one.box, 0, [*size[::-1]] * 2).tolist(), CYCLE[0])


def _caption(style: Style, background: Background | None, *, boxed: bool) -> str:
    what = "of the box, which is explained," if boxed else "explained"
    explained = f"below each map the class {what} and its score"
    said = [*describe_styles([style], background, signals=False), "each map on its own scale", explained]
    return " · ".join(said)
