"""Attention of a whole network at a glance: a row for each block, a column for each image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, ListedColormap, Normalize
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from gradscape._names import one_line
from gradscape.explain.attention_map import AttentionMap
from gradscape.figures.caption import add_caption, caption_height
from gradscape.figures.images.attention_rows import MAP_KINDS, AttentionRow, attention_row, draws_map
from gradscape.figures.images.grid import (
    LINE,
    Channels,
    bare,
    drawable,
    fitted,
    fitted_end,
    grayed,
    picture,
    show_map,
    show_picture,
)
from gradscape.figures.images.overlay import HEAT, lay_heat
from gradscape.figures.style import SMALL, map_colors, page_width, styled

__all__ = ["figure_attention_overview"]

_PAGE_HEIGHT = 8.6
_LABEL = 1.1  # inches to the left of a row, at most
_GAP = 0.04
_MARGIN = 0.05
_RIGHT = 0.52  # for the color bar
_LARGEST = 1.2
_MOST_BANDS = 4
_NAME_LINES = 2


@styled()
def figure_attention_overview(
    images: Float[Tensor, "images channels height width"],
    maps: Mapping[str, AttentionMap],
    *,
    names: Sequence[str] | None = None,
    pixel: tuple[float, float] = (0.5, 0.5),
    title: str = "",
    channels: Channels = None,
) -> Figure:
    """Attention of several images, block by block: the mean over heads or channels, laid over the image.

    Every row has its own scale, which its images share; rows are as large as a page allows, in several bands where
    images are few. Of affinities, those of the class token are drawn, or else of one pixel.

    Args:
        images: (N, C, H, W) in [0, 1], the batch.
        maps: Attention maps by name, better of one kind; those that are not of `MAP_KINDS` are left out.
        names: A name for each image.
        pixel: Where the pixel is whose affinities are drawn, from (0, 0), top left, to (1, 1).
        title: What the caption begins with, such as the network's name.
        channels: Which to draw: one in gray, or three as red, green and blue; None where there is one or are three.

    Returns:
        A page, up to a double column wide.

    Raises:
        ValueError: No attention has maps, names differ in number, or `channels` is needed.
    """
    images = drawable(images, channels)
    names = [f"image {number + 1}" for number in range(len(images))] if names is None else names
    if len(names) != len(images):
        raise ValueError(f"`names` must hold a name for each of the {len(images)} images, got {len(names)}")
    rows = [
        [attention_row(one, number, name=name, pixel=pixel) for number in range(len(images))]
        for name, one in maps.items()
        if draws_map(one)
    ]
    if not rows:
        raise ValueError(f"`maps` must hold a map of pixels ({', '.join(MAP_KINDS)}), got none")
    signed = any(float(np.nanmin(one.maps, initial=0)) < 0 for row in rows for one in row)
    longest = max(len(part) for row in rows for part in _label(row[0]))
    label = min(_LABEL, 0.12 + 0.055 * longest)
    page = _OverviewPage.of(len(rows), images, _caption(title, rows, signed=signed), label=label)
    for band in range(page.bands):
        for column, (image, name) in enumerate(zip(images, names, strict=True)):
            ax = page.panel(band, 0, column)
            show_picture(ax, picture(image))
            text = fitted(name, page.side, _NAME_LINES)
            ax.set_title(text, fontsize=SMALL, pad=2, linespacing=1, parse_math=False)
    for number, row in enumerate(rows):
        band, place = divmod(number, page.deep)
        for column, (image, heat) in enumerate(zip(images, _scaled(row, signed=signed), strict=True)):
            ax = page.panel(band, 1 + place, column)
            _draw_map(ax, image, heat, signed=signed)
            if row[column].asked:
                _mark(ax, image, pixel)
            if column == 0:
                _write_label(ax, _label(row[0]), page.side)
    page.add_bar(signed=signed)
    return page.figure


@final
@dataclass(frozen=True, eq=False)
class _OverviewPage:
    """Panels by band, row and column.

    Attributes:
        figure: The page.
        bands: How often the images stand side by side.
        deep: Rows of maps in each band.
        columns: Images.
        label: Inches to the left of each band.
        side: Width of a panel, inches.
        down: Height of a panel, inches.
    """

    figure: Figure
    bands: int
    deep: int
    columns: int
    label: float
    side: float
    down: float

    @classmethod
    def of(cls, rows: int, images: Tensor, caption: str, *, label: float) -> "_OverviewPage":
        """The page whose panels are largest."""
        page = page_width(double=True)
        columns, proportion = len(images), images.shape[2] / images.shape[3]
        foot, head = caption_height(caption, page) + 0.04, 0.08 + _NAME_LINES * LINE

        def side(bands: int) -> float:
            across = (page - 2 * _MARGIN - _RIGHT - bands * label) / (bands * columns) - _GAP
            down = (_PAGE_HEIGHT - head - foot) / (-(-rows // bands) + 1) - _GAP
            return min(across, down / proportion, _LARGEST)

        bands = max(range(1, min(_MOST_BANDS, rows) + 1), key=side)
        deep = -(-rows // bands)
        width = 2 * _MARGIN + _RIGHT + bands * (label + columns * (side(bands) + _GAP))
        width = max(width, page_width(double=False))
        down = side(bands) * proportion
        height = head + (deep + 1) * (down + _GAP) + caption_height(caption, width) + 0.04
        figure = Figure(figsize=(width, height))
        add_caption(figure, caption)
        return cls(figure, bands, deep, columns, label, side(bands), down)

    def panel(self, band: int, row: int, column: int) -> Axes:
        """Axes for a picture."""
        width, height = self.figure.get_size_inches()
        x = _MARGIN + (band + 1) * self.label + (band * self.columns + column) * (self.side + _GAP)
        y = height - 0.08 - _NAME_LINES * LINE - row * (self.down + _GAP) - self.down
        return bare(self.figure.add_axes((x / width, y / height, self.side / width, self.down / height)))

    def add_bar(self, *, signed: bool) -> None:
        """One color bar for all, since every row has its own scale."""
        width, height = self.figure.get_size_inches()
        tall = min((self.deep + 1) * (self.down + _GAP), 2.4)
        top = height - 0.08 - _NAME_LINES * LINE
        right = _MARGIN + self.bands * (self.label + self.columns * (self.side + _GAP)) + 0.06
        place = (right / width, (top - tall) / height, 0.07 / width, tall / height)
        colors = map_colors("RdBu_r" if signed else HEAT)
        norm = Normalize(-1, 1) if signed else Normalize(0, 1)
        bar = self.figure.colorbar(ScalarMappable(norm, colors), cax=self.figure.add_axes(place))
        label = "share of the row's largest value" if signed else "share of the row's range"
        bar.set_label(label, fontsize=SMALL, parse_math=False)
        ticks = [-1, 0, 1] if signed else [0, 0.5, 1]
        bar.set_ticks(ticks, labels=[str(tick).replace("-", "−") for tick in ticks])
        bar.ax.tick_params(labelsize=SMALL, length=2)
        bar.outline.set_linewidth(0.4)


def _scaled(shown: Sequence[AttentionRow], *, signed: bool) -> Float[np.ndarray, "images height width"]:
    """Means over heads or channels, from 0 to 1 over all images, or signed by their largest value."""
    means = np.stack([one.maps.mean(0) for one in shown])
    finite = means[np.isfinite(means)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if signed:
        low, high = 0.0, max(-low, high)
    return (means - low) / (high - low or 1.0)


def _draw_map(ax: Axes, image: Tensor, heat: np.ndarray, *, signed: bool) -> None:
    large = _resized(heat, tuple(image.shape[1:]))
    if not np.isfinite(heat).all():
        show_picture(ax, grayed(image, pale=0.6))
        ax.text(0.5, 0.5, "not finite", transform=ax.transAxes, ha="center", va="center", fontsize=SMALL)
    elif signed:
        show_picture(ax, grayed(image, pale=0.6))  # over a dark image no color would be seen
        show_map(ax, large, cmap=_fading(), vmin=-1, vmax=1)
    else:
        lay_heat(ax, image, large)


def _label(row: AttentionRow) -> tuple[str, str]:
    """Stage and block, and what the attention is called there; its kind is the whole page's."""
    place, inside, _ = row.titles
    return place, inside.removesuffix(row.kind).strip()


def _write_label(ax: Axes, label: tuple[str, str], side: float) -> None:
    """Write to the left of a row."""
    lines = "\n".join(fitted_end(part, _LABEL - 0.08) for part in label if part)
    look: dict[str, Any] = {
        "ha": "right",
        "va": "center",
        "fontsize": SMALL,
        "linespacing": 1.05,
        "parse_math": False,
    }
    ax.text(-0.05 / side, 0.5, lines, transform=ax.transAxes, **look)


def _mark(ax: Axes, image: Tensor, pixel: tuple[float, float]) -> None:
    """The pixel whose affinities are drawn."""
    height, width = image.shape[1:]
    at = (pixel[1] * width - 0.5, pixel[0] * height - 0.5)
    ax.plot(*at, marker="+", color="white", markersize=4, markeredgewidth=1)


def _resized(heat: np.ndarray, size: tuple[int, ...]) -> Float[np.ndarray, "height width"]:
    maps = torch.from_numpy(np.ascontiguousarray(heat, dtype=np.float32))[None, None]
    return F.interpolate(maps, size, mode="bilinear", align_corners=False)[0, 0].numpy()


def _fading() -> Colormap:
    """Colors that diverge from zero, which is transparent."""
    steps = np.linspace(-1, 1, 257)
    colors = map_colors("RdBu_r")((steps + 1) / 2)
    colors[:, 3] = 0.85 * np.abs(steps) ** 0.6
    return ListedColormap(colors, name="RdBu_r-fading")


def _caption(title: str, rows: Sequence[Sequence[AttentionRow]], *, signed: bool) -> str:
    kinds = dict.fromkeys(row[0].kind for row in rows)
    said = [
        one_line(title),
        f"attention ({', '.join(kinds)}), mean over {_of_what(rows)}, over the image",
        "each row on its own scale",
        "stages and blocks counted from 1",
    ]
    said += ["with a line at one half"] if not signed else []
    if any(row[0].asked for row in rows):
        said.append("affinities of the pixel marked +")
    return " · ".join(part for part in said if part)


def _of_what(rows: Sequence[Sequence[AttentionRow]]) -> str:
    words = dict.fromkeys(row[0].titles[2].split(" ")[-1].removesuffix("s") + "s" for row in rows)
    return " or ".join(words)
