"""What attention blocks computed: maps by channel or head, channel weights, scales of a pyramid, images of a batch."""

import sys
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from gradscape._intervals import mean_of
from gradscape._names import one_line
from gradscape.explain.attention_map import AttentionMap
from gradscape.figures.caption import add_caption, caption_height
from gradscape.figures.images.attention_names import column_titles, place_name
from gradscape.figures.images.attention_rows import MAP_KINDS, AttentionRow, attention_row, draws_map, value_scale
from gradscape.figures.images.grid import Channels, bare, drawable, fitted, fitted_end, lay_out_grid, picture, show_map
from gradscape.figures.style import (
    CYCLE,
    SMALL,
    new_axes,
    new_figure,
    page_width,
    styled,
)

__all__ = [
    "figure_attention",
    "figure_attention_maps",
    "figure_batch_weights",
    "figure_channel_weights",
    "figure_scale_weights",
    "plot_batch_weights",
    "plot_channel_weights",
    "plot_scale_weights",
]

AttentionMaps = Mapping[str, AttentionMap]

_SCALES = {1: ("global",), 2: ("fine", "global"), 3: ("fine", "coarse", "global")}
_NARROWEST_STRIP = 2.0  # inches, with its numbers and its color bar
_MOST_THUMBNAILS = 24
_FEW_THUMBNAILS = 6
_NAME_LENGTH = 1.25  # inches, written upright


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
    _check_most(most, pixel)
    rows = [attention_row(one, number, name=name, pixel=pixel) for name, one in _placed(maps).items()]
    return _page_of_rows([image] * len(rows), rows, [row.titles for row in rows], most=most, pixel=pixel, title=title)


@styled()
def figure_attention_maps(
    images: Float[Tensor, "images channels height width"],
    maps: AttentionMaps,
    *,
    shown: Sequence[int] | None = None,
    names: Sequence[str] | None = None,
    most: int = 7,
    pixel: tuple[float, float] = (0.5, 0.5),
    title: str = "",
    channels: Channels = None,
) -> Figure:
    """Several images' attention maps: rows for each image, the mean over it and the first heads or channels.

    Args:
        images: (N, C, H, W) in [0, 1], the batch.
        maps: Attention maps by name, better of one kind; those that are not of `MAP_KINDS` are left out.
        shown: Numbers of the images on this page; by default all.
        names: A name for each image.
        most: As `figure_attention` takes it, as is `pixel`.
        pixel: Where the pixel is whose affinities are drawn.
        title: What the caption begins with, such as the network's name.
        channels: Which to draw: one in gray, or three as red, green and blue; None where there is one or are three.

    Returns:
        A page.

    Raises:
        ValueError: No attention has maps, a number is out of range, or `channels` is needed.
    """
    images = drawable(images, channels)
    _check_most(most, pixel)
    placed = _placed(maps)
    numbers = range(len(images)) if shown is None else shown
    cells = [(number, name) for number in numbers for name in placed]
    rows = [attention_row(placed[name], number, name=name, pixel=pixel) for number, name in cells]
    called = [names[number] if names else f"image {number + 1}" for number, _ in cells]
    labels = [
        (image, *row.titles[:2]) if len(placed) > 1 else (image,) for image, row in zip(called, rows, strict=True)
    ]
    return _page_of_rows([images[number] for number, _ in cells], rows, labels, most=most, pixel=pixel, title=title)


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
    norm, colors = value_scale(values)
    show_map(ax, values, norm=norm, cmap=colors)
    bar = ax.figure.colorbar(ScalarMappable(norm, colors), ax=ax, aspect=10, pad=0.01, fraction=0.05)
    bar.locator = MaxNLocator(3)
    bar.outline.set_linewidth(0.4)
    bar.ax.tick_params(labelsize=SMALL)
    title = " · ".join(part for part in place_name(weights.name) if part)
    ax.set_title(title, fontsize=SMALL, loc="left", pad=2, parse_math=False)
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
    wanted = next(number for number, most in ((1, 4), (2, 12), (3, sys.maxsize)) if len(shown) <= most)
    columns = max(1, min(wanted, int(page_width(double=True) / _NARROWEST_STRIP)))
    rows = [shown[start : start + columns] for start in range(0, len(shown), columns)]
    heights = [max(float(np.clip(0.06 * len(one.values), 0.35, 1.6)) for one in row) for row in rows]
    figure = new_figure(page_width(double=True), sum(heights) + 0.36 * len(rows) + 0.5)
    panels = figure.subplots(len(rows), columns, squeeze=False, height_ratios=heights)
    for ax, one in zip(panels.ravel(), shown, strict=False):
        plot_channel_weights(one, ax=ax)
    for ax in panels.ravel()[len(shown) :]:
        ax.set_visible(False)
    for ax in panels[-1]:
        ax.set_xlabel("channel")
    said = (
        "weights of the channels, each on its own scale: a row for each image, or each channel that they are mixed to"
    )
    add_caption(figure, f"{said} · stages and blocks count from 1")
    return figure


@styled()
def plot_scale_weights(maps: AttentionMaps | Sequence[AttentionMaps], *, ax: Axes | None = None) -> Axes:
    """Draw |w| of each scale of a pyramid as bars, a group for each block; of several trainings means with intervals.

    Args:
        maps: Attention maps by name; those of kind "scale weights" are drawn, from fine to coarse. A list of them, one
            a training of the same network, is drawn as the mean of |w| with Student's 95 % interval over trainings.
        ax: Axes to draw into; by default on a page of their own.

    Returns:
        The axes.

    Raises:
        ValueError: There are no scale weights among them, blocks have different numbers of scales, or trainings
            different blocks.

    Source: SPANet, figure 6.
    """
    shown, weights = _scale_weights(maps)
    ax = ax or new_axes()
    means, ends = weights.mean(axis=0), _ends(weights)
    blocks, scales = means.shape
    names = _SCALES.get(scales, tuple(f"scale {number}" for number in range(scales)))
    for number in range(scales):
        places = np.arange(blocks) + (number - (scales - 1) / 2) * 0.8 / scales
        ax.bar(places, means[:, number], width=0.8 / scales, color=CYCLE[number % len(CYCLE)])
        if ends is not None:
            ax.vlines(places, *ends[:, :, number], color="0.15", linewidth=0.7)
    for block in np.flatnonzero(~np.isfinite(means).all(axis=1)):
        ax.text(float(block), 0, "not finite", rotation=90, ha="center", va="bottom", fontsize=SMALL)
    ax.set_xticks(range(blocks), [place_name(one.block)[0] for one in shown], rotation=45, ha="right", parse_math=False)
    ax.set_ylabel("|w|")
    ax.margins(x=0.01)
    # Above the bars, so that it never lies over one.
    highest = means if ends is None else ends[1]
    ax.set_ylim(0, 1.2 * float(np.nanmax(highest, initial=1e-6)))
    handles = [Patch(color=CYCLE[number % len(CYCLE)], label=name) for number, name in enumerate(names)]
    ax.legend(handles=handles, loc="upper right", ncols=scales)
    return ax


@styled()
def figure_scale_weights(maps: AttentionMaps | Sequence[AttentionMaps], *, title: str = "") -> Figure:
    """A page with `plot_scale_weights`, a double column wide from nine blocks on.

    Args:
        maps: As for `plot_scale_weights`.
        title: What the caption begins with, such as the model's name.

    Returns:
        The page.

    Raises:
        ValueError: As `plot_scale_weights`.
    """
    trainings = len(_several(maps))
    figure = new_figure(page_width(double=len(_scale_weights(maps)[0]) > 8), 2.4)
    plot_scale_weights(maps, ax=figure.add_subplot())
    said = [one_line(title), "contribution of each scale of the pyramid, block by block"]
    said += [f"mean of {trainings} trainings with 95 % intervals (Student's) over them"] if trainings > 1 else []
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

    A dashed line is the mean of all of them, the weight that an image has where nothing is weighed. Of more than 24
    images only the first and the last twelve are drawn.

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
    ax.axhline(float(weights.values.mean()), color="0.2", linestyle="--", linewidth=0.8)
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
    said = [
        f"weights of {len(images)} image{'s' if len(images) > 1 else ''} in {one_line(weights.block)}, ranked",
        "dashed: their mean",
    ]
    said += [f"{left_out} in the middle are left out (dotted line)"] if left_out > 0 else []
    caption = " · ".join(said)
    # Placed by hand: layout engines do not see what hangs below the axes.
    bars, count, left, width = 1.3, min(len(images), _MOST_THUMBNAILS), 0.5, page_width(double=True)
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


def _placed(maps: AttentionMaps) -> AttentionMaps:
    placed = {name: one for name, one in maps.items() if draws_map(one)}
    if not placed:
        raise ValueError(f"`maps` must hold a map of pixels ({', '.join(MAP_KINDS)}), got {_kinds(maps)}")
    return placed


def _check_most(most: int, pixel: tuple[float, float]) -> None:
    if most < 1:
        raise ValueError(f"`most` must be at least 1, got {most}")
    if not all(0 <= part <= 1 for part in pixel):
        raise ValueError(f"`pixel` must be (down, right) from 0 to 1, got {pixel}")


def _page_of_rows(
    images: Sequence[Tensor],
    rows: Sequence[AttentionRow],
    labels: Sequence[tuple[str, ...]],
    *,
    most: int,
    pixel: tuple[float, float],
    title: str,
) -> Figure:
    """A row for each image and its maps, with its label to the left and its color bar to the right."""
    columns = 1 + min(most, max(len(row.maps) for row in rows))
    grid = lay_out_grid(
        len(rows),
        columns,
        _attention_caption(title, rows, columns - 1),
        proportion=images[0].shape[1] / images[0].shape[2],
        lines_above=2 if page_width(double=columns > 3) / columns < 1.2 else 1,
        left=0.44,
        right=0.5,
        wide=columns > 3,
    )
    for number, (image, row, label) in enumerate(zip(images, rows, labels, strict=True)):
        norm, colors = value_scale(row.maps)
        first, *panels = grid.panels[number]
        _draw_mean(first, image, row, (norm, colors), pixel=pixel)
        for ax, one in zip(panels, row.maps, strict=False):
            show_map(ax, one, norm=norm, cmap=colors)
        for ax in panels[len(row.maps) :]:
            ax.set_visible(False)
        lines = "\n".join(fitted_end(part, grid.panel_height * 1.05) for part in label)
        first.set_ylabel(lines, fontsize=SMALL, labelpad=2, linespacing=1.1, parse_math=False)
        bar = grid.add_bar(ScalarMappable(norm, colors), "", number)
        bar.locator = MaxNLocator(3)
    grid.title_columns(["mean over image", *column_titles({row.kind for row in rows}, columns - 1)])
    return grid.figure


def _draw_mean(
    ax: Axes, image: Tensor, row: AttentionRow, scale: tuple[Normalize, Colormap], *, pixel: tuple[float, float]
) -> None:
    """The mean of all maps over the image, and the pixel that they belong to."""
    norm, colors = scale
    ax.imshow(picture(image), aspect="auto", extent=(0, 1, 1, 0))
    show_map(ax, row.maps.mean(0), norm=norm, cmap=colors, alpha=0.6, extent=(0, 1, 1, 0))
    if row.asked:
        ax.plot(pixel[1], pixel[0], marker="+", color="white", markersize=6, markeredgewidth=1.4)


def _attention_caption(title: str, rows: Sequence[AttentionRow], shown: int) -> str:
    said = [
        one_line(title),
        "left: mean of all channels or heads over the image",
        f"then the first {shown if shown > 1 else 'one'}",
        "each row on its own scale",
        "counted from 1",
    ]
    said += ["affinities of the pixel marked +"] if any(row.asked for row in rows) else []
    missing = sum(not np.isfinite(row.maps).all() for row in rows)
    said += [f"{missing} row{'s' if missing > 1 else ''} with values that are not finite (gray)"] if missing else []
    return " · ".join(part for part in said if part)


def _several(maps: AttentionMaps | Sequence[AttentionMaps]) -> list[AttentionMaps]:
    return [maps] if isinstance(maps, Mapping) else list(maps)


def _scale_weights(
    maps: AttentionMaps | Sequence[AttentionMaps],
) -> tuple[list[AttentionMap], Float[np.ndarray, "trainings blocks scales"]]:
    """The blocks, and |w| in each training."""
    trainings = [_of_kind(one, "scale weights") for one in _several(maps)]
    if not trainings:
        raise ValueError("`maps` must be of at least one training, got none")
    if len({one.values.shape for shown in trainings for one in shown}) > 1:
        raise ValueError("`maps` must have the same number of scales in every block, got different ones")
    if len({tuple(one.block for one in shown) for shown in trainings}) > 1:
        raise ValueError("`maps` must be of trainings of one network, got different blocks")
    return trainings[0], np.abs(np.stack([np.stack([one.values for one in shown]) for shown in trainings]))


def _ends(weights: Float[np.ndarray, "trainings blocks scales"]) -> Float[np.ndarray, "2 blocks scales"] | None:
    """Both ends of the intervals over trainings, none below 0; None where there is one training."""
    if len(weights) < 2:
        return None
    found = [mean_of(values, bounds=(0.0, np.inf)) for values in weights.reshape(len(weights), -1).T]
    return np.array([[one.low for one in found], [one.high for one in found]]).reshape(2, *weights.shape[1:])


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
