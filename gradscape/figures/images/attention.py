"""What attention blocks computed: maps by channel or head, channel weights, scales of a pyramid, images of a batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from gradscape._names import one_line
from gradscape.explain.attention_map import AttentionMap
from gradscape.figures.caption import add_caption, caption_height
from gradscape.figures.images.grid import Channels, bare, drawable, fitted, fitted_end, lay_out_grid, picture, show_map
from gradscape.figures.style import (
    CYCLE,
    GAP_COLOR,
    SMALL,
    map_colors,
    new_axes,
    new_figure,
    page_width,
    styled,
)

__all__ = [
    "MAP_KINDS",
    "draws_map",
    "figure_attention",
    "figure_batch_weights",
    "figure_channel_weights",
    "figure_scale_weights",
    "plot_batch_weights",
    "plot_channel_weights",
    "plot_scale_weights",
]

MAP_KINDS = ("spatial", "mask", "subspace", "affinity", "part")
"""Kinds of attention that `figure_attention` draws; the others are weights without places."""

AttentionMaps = Mapping[str, AttentionMap]

_LAYERS = {"mask": "channel", "part": "channel", "subspace": "group", "affinity": "head", "spatial": "map"}
_SCALES = {1: ("global",), 2: ("fine", "global"), 3: ("fine", "coarse", "global")}
_MOST_THUMBNAILS = 24
_FEW_THUMBNAILS = 6
_NAME_LENGTH = 1.25  # inches, written upright


@dataclass(frozen=True, eq=False)
class _MapRow:
    """Maps of one attention for one image.

    Attributes:
        titles: Its block, what it is there, and how many maps there are, a line each.
        maps: (K, h, w).
        asked: Whether they are those of the chosen pixel.
    """

    titles: tuple[str, str, str]
    maps: np.ndarray
    asked: bool


@styled()
def figure_attention(
    image: Float[Tensor, "channels height width"],
    maps: AttentionMaps,
    *,
    number: int = 0,
    most: int = 7,
    pixel: tuple[float, float] = (0.5, 0.5),
    title: str = "",
    channels: Channels = None,
) -> Figure:
    """One image's attention maps: a row for each attention, its mean over the image and its first channels or heads.

    Every row has its own color scale. Of affinities, which have a map for every pixel, that of one pixel is drawn,
    or, where a class token comes before the pixels, that of the class token.

    Args:
        image: In [0, 1].
        maps: Attention maps by name; those that are not of `MAP_KINDS` are left out.
        number: Which image of the batch it is.
        most: Channels or heads drawn of each attention.
        pixel: Where the pixel is whose affinities are drawn, from (0, 0), top left, to (1, 1).
        title: What the caption begins with, such as the image's name.
        channels: Which to draw: one in gray, or three as red, green and blue; None where there is one or are three.

    Returns:
        A page.

    Raises:
        ValueError: No attention has maps, there is no such image, a number is out of range, or `channels` is needed.
    """
    image = drawable(image[None], channels)[0]
    if most < 1:
        raise ValueError(f"`most` must be at least 1, got {most}")
    if not all(0 <= part <= 1 for part in pixel):
        raise ValueError(f"`pixel` must be (down, right) from 0 to 1, got {pixel}")
    rows = [_row(name, one, number, pixel) for name, one in maps.items() if draws_map(one)]
    if not rows:
        raise ValueError(f"`maps` must hold a map of pixels ({', '.join(MAP_KINDS)}), got {_kinds(maps)}")
    columns = 1 + min(most, max(len(row.maps) for row in rows))
    grid = lay_out_grid(
        len(rows),
        columns,
        _attention_caption(title, rows, columns - 1),
        proportion=image.shape[1] / image.shape[2],
        lines_above=2 if page_width(double=columns > 3) / columns < 1.2 else 1,
        left=0.44,
        right=0.5,
        wide=columns > 3,
    )
    for number_of_row, row in enumerate(rows):
        norm, colors = _scale(row.maps)
        first, *panels = grid.panels[number_of_row]
        first.imshow(picture(image), aspect="auto", extent=(0, 1, 1, 0))
        show_map(first, row.maps.mean(0), norm=norm, cmap=colors, alpha=0.6, extent=(0, 1, 1, 0))
        if row.asked:
            first.plot(pixel[1], pixel[0], marker="+", color="white", markersize=6, markeredgewidth=1.4)
        for ax, one in zip(panels, row.maps, strict=False):
            show_map(ax, one, norm=norm, cmap=colors)
        for ax in panels[len(row.maps) :]:
            ax.set_visible(False)
        lines = "\n".join(fitted_end(part, grid.panel_height * 1.05) for part in row.titles)
        first.set_ylabel(lines, fontsize=SMALL, labelpad=2, linespacing=1.1, parse_math=False)
        bar = grid.add_bar(ScalarMappable(norm, colors), "", number_of_row)
        bar.locator = MaxNLocator(3)
    grid.title_columns(["mean over image", *(str(column) for column in range(columns - 1))])
    return grid.figure


@styled()
def plot_channel_weights(weights: AttentionMap, *, ax: Axes | None = None) -> Axes:
    """Draw channel attention: a row of weights for each image, or the matrix that mixes channels.

    Args:
        weights: Of kind "channel": (N, C), (N, C, 1, 1), or a matrix (out, in).
        ax: Axes to draw into; by default on a page of their own.

    Returns:
        The axes.

    Raises:
        ValueError: It is of another kind.
    """
    _check_kind(weights, "channel")
    ax = ax or new_axes()
    values = weights.values.reshape(len(weights.values), -1)
    norm, colors = _scale(values)
    show_map(ax, values, norm=norm, cmap=colors)
    bar = ax.figure.colorbar(ScalarMappable(norm, colors), ax=ax, aspect=10, pad=0.01, fraction=0.05)
    bar.locator = MaxNLocator(3)
    bar.outline.set_linewidth(0.4)
    bar.ax.tick_params(labelsize=SMALL)
    ax.set_title(one_line(weights.name), fontsize=SMALL, loc="left", pad=2, parse_math=False)
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    if len(values) > 1:
        ax.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    else:
        ax.set_yticks([])  # of one row there is nothing to count
    return ax


@styled()
def figure_channel_weights(maps: AttentionMaps) -> Figure:
    """Every channel attention of a network, one below the other: images (or outgoing channels) against channels.

    Args:
        maps: Attention maps by name; those of other kinds are left out.

    Returns:
        A double-column page.

    Raises:
        ValueError: There is no channel attention among them.
    """
    shown = _of_kind(maps, "channel")
    heights = [float(np.clip(0.06 * len(one.values), 0.35, 1.6)) for one in shown]
    figure = new_figure(page_width(double=True), sum(heights) + 0.36 * len(shown) + 0.5)
    panels = figure.subplots(len(shown), 1, squeeze=False, height_ratios=heights)[:, 0]
    for ax, one in zip(panels, shown, strict=True):
        plot_channel_weights(one, ax=ax)
    panels[-1].set_xlabel("channel")
    add_caption(figure, "weights of the channels: a row for each image, or for each channel that channels are mixed to")
    return figure


@styled()
def plot_scale_weights(maps: AttentionMaps, *, ax: Axes | None = None) -> Axes:
    """Draw |w| of each scale of a pyramid as bars, a group for each block.

    Args:
        maps: Attention maps by name; those of kind "scale weights" are drawn, from fine to coarse.
        ax: Axes to draw into; by default on a page of their own.

    Returns:
        The axes.

    Raises:
        ValueError: There are no scale weights among them, or blocks have different numbers of scales.

    Source: SPANet, figure 6.
    """
    shown = _of_kind(maps, "scale weights")
    if len({one.values.shape for one in shown}) > 1:
        raise ValueError("`maps` must have the same number of scales in every block, got different ones")
    ax = ax or new_axes()
    weights = np.abs(np.stack([one.values for one in shown]))
    blocks, scales = weights.shape
    names = _SCALES.get(scales, tuple(f"scale {number}" for number in range(scales)))
    for number in range(scales):
        places = np.arange(blocks) + (number - (scales - 1) / 2) * 0.8 / scales
        ax.bar(places, weights[:, number], width=0.8 / scales, color=CYCLE[number % len(CYCLE)])
    for block in np.flatnonzero(~np.isfinite(weights).all(axis=1)):
        ax.text(float(block), 0, "not finite", rotation=90, ha="center", va="bottom", fontsize=SMALL)
    ax.set_xticks(range(blocks), [_short_block(one.block) for one in shown], rotation=45, ha="right", parse_math=False)
    ax.set_ylabel("|w|")
    ax.margins(x=0.01)
    # Above the bars, so that it never lies over one.
    ax.set_ylim(0, 1.2 * float(np.nanmax(weights, initial=1e-6)))
    handles = [Patch(color=CYCLE[number % len(CYCLE)], label=name) for number, name in enumerate(names)]
    ax.legend(handles=handles, loc="upper right", ncols=scales)
    return ax


@styled()
def figure_scale_weights(maps: AttentionMaps, *, title: str = "") -> Figure:
    """A page with `plot_scale_weights`, a double column wide from nine blocks on.

    Args:
        maps: As for `plot_scale_weights`.
        title: What the caption begins with, such as the model's name.

    Returns:
        The page.

    Raises:
        ValueError: As `plot_scale_weights`.
    """
    blocks = len(_of_kind(maps, "scale weights"))
    figure = new_figure(page_width(double=blocks > 8), 2.4)
    plot_scale_weights(maps, ax=figure.add_subplot())
    said = [one_line(title), "contribution of each scale of the pyramid, block by block"]
    add_caption(figure, " · ".join(part for part in said if part))
    return figure


@styled()
def plot_batch_weights(
    images: Float[Tensor, "images channels height width"],
    weights: AttentionMap,
    *,
    names: Sequence[str] | None = None,
    ax: Axes | None = None,
    channels: Channels = None,
) -> Axes:
    """Draw the weights that a batch's images have among each other: bars from high to low above the images.

    Of more than 24 images only the first and the last twelve are drawn.

    Args:
        images: In [0, 1], the batch.
        weights: Of kind "batch weights", (N,).
        names: A name for each image.
        ax: Axes to draw into; by default on a page of their own.
        channels: Which to draw: one in gray, or three as red, green and blue; None where there is one or are three.

    Returns:
        The axes.

    Raises:
        ValueError: It is of another kind, there are other numbers of images, or `channels` is needed.

    Source: BA2M, whose weights tell how complex an image's content is.
    """
    _check_kind(weights, "batch weights")
    images = drawable(images, channels)
    if weights.values.shape != (len(images),):
        raise ValueError(f"`weights` must hold one for each of the {len(images)} images, got {weights.values.shape}")
    ax = ax or new_figure(page_width(double=True), 2.2).add_subplot()
    order = np.argsort(-weights.values, kind="stable")
    half = _MOST_THUMBNAILS // 2
    shown = order if len(order) <= _MOST_THUMBNAILS else np.concatenate([order[:half], order[-half:]])
    ax.bar(range(len(shown)), weights.values[shown], color=CYCLE[0], width=0.7)
    ax.set(xlim=(-0.6, len(shown) - 0.4), ylabel="weight")
    if len(shown) < len(order):
        ax.axvline(half - 0.5, color="0.5", linestyle=":", linewidth=0.8)
    ax.set_xticks([])
    for place, index in enumerate(shown):
        inset = bare(ax.inset_axes((place - 0.46, -0.6, 0.92, 0.58), transform=ax.get_xaxis_transform()))
        inset.imshow(picture(images[index]))
        inset.set_anchor("N")
        if names:
            upright = len(shown) > _FEW_THUMBNAILS
            text = fitted(names[index], _NAME_LENGTH if upright else 0.9 * page_width(double=True) / len(shown))
            inset.set_xlabel(text, rotation=90 if upright else 0, fontsize=SMALL, labelpad=2, parse_math=False)
    return ax


@styled()
def figure_batch_weights(
    images: Float[Tensor, "images channels height width"],
    weights: AttentionMap,
    *,
    names: Sequence[str] | None = None,
    channels: Channels = None,
) -> Figure:
    """A double-column page with `plot_batch_weights`, whose arguments and errors it has, and a caption."""
    left_out = len(images) - _MOST_THUMBNAILS
    said = [f"weights of {len(images)} image{'s' if len(images) > 1 else ''} in {one_line(weights.block)}, ranked"]
    said += [f"{left_out} in the middle are left out (dotted line)"] if left_out > 0 else []
    caption = " · ".join(said)
    # Placed by hand: layout engines do not see what hangs below the axes.
    bars, count, left, width = 1.3, min(len(images), _MOST_THUMBNAILS), 0.45, page_width(double=True)
    side = min(0.58 * bars, 0.9 * (width - left) / count * images.shape[2] / images.shape[3])
    longest = max((len(name) for name in names), default=0) if names else 0
    named = min(0.055 * longest, _NAME_LENGTH) + 0.05 if count > _FEW_THUMBNAILS else 0.15
    below = 0.02 * bars + side + (named if names else 0.0) + caption_height(caption, width) + 0.05
    height = 0.1 + bars + below
    figure = Figure(figsize=(width, height))
    place = (left / width, below / height, 0.99 - left / width, bars / height)
    ax = figure.add_axes(place)
    plot_batch_weights(images, weights, names=names, ax=ax, channels=channels)
    add_caption(figure, caption)
    return figure


def draws_map(one: AttentionMap) -> bool:
    """Whether `figure_attention` draws this: not weights without places, nor affinities that form no grid."""
    square = one.grid is not None and one.values.shape[-2] == one.values.shape[-1]
    return one.kind in MAP_KINDS and one.values.ndim == 4 and (one.kind != "affinity" or square)


def _row(name: str, one: AttentionMap, number: int, pixel: tuple[float, float]) -> _MapRow:
    if not 0 <= number < len(one.values) and len(one.values) > 1:
        raise ValueError(f"`number` must be 0 to {len(one.values) - 1}, got {number}")
    maps, asked = one.values[number if len(one.values) > 1 else 0], False
    if one.grid is not None:
        maps, asked = _of_one_query(maps, one.grid, _class_token(one), pixel)
    own = name.removeprefix(f"{one.block}.") if name != one.block else one.kind
    how_many = f"{len(maps)} {_LAYERS[one.kind]}{'s' if len(maps) > 1 else ''}"
    return _MapRow((one_line(one.block), one_line(own), how_many), maps, asked)


def _of_one_query(
    matrices: Float[np.ndarray, "heads queries keys"],
    grid: tuple[int, int],
    class_token: int | None,
    pixel: tuple[float, float],
) -> tuple[Float[np.ndarray, "heads height width"], bool]:
    """The map of the class token where there is one, else of the chosen pixel; and whether it is the pixel's."""
    tokens = matrices.shape[2] - grid[0] * grid[1]
    down, right = (min(int(part * size), size - 1) for part, size in zip(pixel, grid, strict=True))
    query = tokens + down * grid[1] + right if class_token is None else class_token
    return matrices[:, query, tokens:].reshape(-1, *grid), class_token is None


def _class_token(one: AttentionMap) -> int | None:
    """The token before the patches that the output reads; without a measurement the first one."""
    assert one.grid is not None
    before = one.values.shape[-1] - one.grid[0] * one.grid[1]
    read = [0] if one.read is None else one.read
    return min(read, default=before) if before and min(read, default=before) < before else None


def _scale(values: np.ndarray) -> tuple[Normalize, Colormap]:
    """A range for values: from the lowest to the highest, or around zero where some are negative."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if low < 0:
        reach = max(-low, high)
        return Normalize(-reach, reach), map_colors("RdBu_r").with_extremes(bad=GAP_COLOR)
    if high - low <= 1e-6 * high:  # constant: in the middle of the colors
        low, high = 0.0, 2 * high or 1.0
    return Normalize(low, high), map_colors("viridis").with_extremes(bad=GAP_COLOR)


def _attention_caption(title: str, rows: Sequence[_MapRow], shown: int) -> str:
    said = [
        one_line(title),
        "left: mean of all channels or heads over the image",
        f"then the first {shown if shown > 1 else 'one'}",
        "each row on its own scale",
    ]
    said += ["affinities of the pixel marked +"] if any(row.asked for row in rows) else []
    missing = sum(not np.isfinite(row.maps).all() for row in rows)
    said += [f"{missing} row{'s' if missing > 1 else ''} with values that are not finite (gray)"] if missing else []
    return " · ".join(part for part in said if part)


def _of_kind(maps: AttentionMaps, kind: str) -> list[AttentionMap]:
    found = [one for one in maps.values() if one.kind == kind]
    if not found:
        raise ValueError(f"`maps` must hold attention of kind {kind}, got {_kinds(maps)}")
    return found


def _check_kind(one: AttentionMap, kind: str) -> None:
    if one.kind != kind:
        raise ValueError(f"`weights` must be of kind {kind}, got {one.kind}")


def _kinds(maps: AttentionMaps) -> str:
    return ", ".join(dict.fromkeys(one.kind for one in maps.values())) or "none"


def _short_block(name: str) -> str:
    """A block's name without what all attention blocks are called."""
    return one_line(name).removeprefix("network.").removesuffix(".spa")
