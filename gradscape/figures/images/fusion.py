"""Features before and after attention, and any layer's feature maps, as tiles."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from gradscape._names import one_line
from gradscape._provenance import Provenance
from gradscape.explain.fusion_map import FusionMaps
from gradscape.figures.caption import add_caption, caption_height
from gradscape.figures.images.grid import bare, fitted, mosaic, picture, tile_columns
from gradscape.figures.style import SMALL, map_colors, new_axes, page_width, styled

__all__ = ["figure_features", "figure_fusion", "plot_features"]

_COLORS = "viridis"
_MOST_ACROSS = 4
_PICTURE_SIDE = 1.0
_BAR_ROOM = 0.3
_TITLE_ROOM = 0.2


@styled()
def plot_features(
    features: Float[np.ndarray, "channels height width"],
    *,
    ax: Axes | None = None,
    most: int = 32,
    columns: int | None = None,
) -> Axes:
    """Draw the first channels of a feature map as tiles, row by row, all on one scale.

    Args:
        features: The maps.
        ax: Axes to draw into; by default on a page of their own.
        most: Channels drawn.
        columns: Tiles in a row; by default as few as make a block that is not wider than high.

    Returns:
        The axes.

    Raises:
        ValueError: `most` or `columns` is less than one.
    """
    ax = bare(ax or new_axes())
    tiles = _tiles(features, most)
    _draw(ax, tiles, columns or tile_columns(len(tiles)))
    ax.set_aspect("equal")
    return ax


@styled()
def figure_fusion(
    maps: FusionMaps,
    *,
    number: int = 0,
    most: int = 32,
    image: Float[Tensor, "3 image_height image_width"] | None = None,
    names: Sequence[str] | None = None,
) -> Figure:
    """Features before attention, attention's part and both together, side by side, each on its own scale.

    Args:
        maps: Of one block.
        number: Which image's.
        most: Channels drawn, from the first on.
        image: The picture that they come from, drawn above; None for noise.
        names: What the caption says the images are, one each.

    Returns:
        A double-column page.

    Raises:
        ValueError: `most` is less than one, or `number` is no image's.

    Source: UPANets, figures 1, 7 and 19.
    """
    if not 0 <= number < len(maps.before):
        raise ValueError(f"`number` must be 0 to {len(maps.before) - 1}, got {number}")
    features = {
        title: getattr(maps, stage)[number]
        for title, stage in zip(maps.names, ("before", "part", "fused"), strict=True)
    }
    shown = min(most, maps.before.shape[1])
    said = [Provenance.of(maps.meta).called, maps.block, names[number] if names else ""]
    said += [f"the first {shown} of {maps.before.shape[1]} channels"] if shown < maps.before.shape[1] else []
    return _page(features, most, [*said, "each panel on its own scale"], image)


@styled()
def figure_features(
    features: Mapping[str, Float[np.ndarray, "channels height width"]],
    *,
    most: int = 32,
    image: Float[Tensor, "3 image_height image_width"] | None = None,
    title: str = "",
) -> Figure:
    """Feature maps of several layers or models, side by side, each on its own scale.

    Args:
        features: (C, H, W) by title.
        most: Channels drawn of each, from the first on.
        image: The picture that they come from, drawn above.
        title: What the caption begins with.

    Returns:
        A page; of one or two panels without a picture it is a single column wide.

    Raises:
        ValueError: There are no features, or `most` is less than one.

    Source: BA2M, figure 3.
    """
    if not features:
        raise ValueError("`features` must hold the feature maps of at least one layer, got none")
    return _page(features, most, [title, f"up to {most} channels each", "each panel on its own scale"], image)


def _page(features: Mapping[str, np.ndarray], most: int, said: Sequence[str], image: Tensor | None) -> Figure:
    tiles = {title: _tiles(one, most) for title, one in features.items()}
    missing = sum(int((~np.isfinite(one).all(axis=(1, 2))).sum()) for one in tiles.values())
    gaps = f"{missing} map{'s' if missing > 1 else ''} with values that are not finite (white)" if missing else ""
    caption = " · ".join(one_line(part) for part in [*said, gaps] if part)
    across = -(-len(tiles) // -(-len(tiles) // _MOST_ACROSS))  # as many in every row
    page = page_width(double=across > 2 or image is not None)
    wide = (page - 0.1 - 0.15 * (across - 1)) / across
    columns = {title: tile_columns(len(one)) for title, one in tiles.items()}
    proportions = [_proportion(one, columns[title]) for title, one in tiles.items()]
    tall = max(proportions) * wide
    rows = -(-len(tiles) // across)
    above = _PICTURE_SIDE + 0.08 if image is not None else 0.0
    height = above + rows * (_TITLE_ROOM + tall + _BAR_ROOM) + caption_height(caption, page)
    figure = Figure(figsize=(page, height))
    if image is not None:
        side = (_PICTURE_SIDE / page, _PICTURE_SIDE / height)
        ax = bare(figure.add_axes((0.5 - side[0] / 2, 1 - 0.05 / height - side[1], *side)))
        ax.imshow(picture(image))
    for number, (title, one) in enumerate(tiles.items()):
        row, column = divmod(number, across)
        top = height - above - row * (_TITLE_ROOM + tall + _BAR_ROOM) - _TITLE_ROOM
        own = proportions[number] * wide
        left = 0.05 + column * (wide + 0.15)
        ax = bare(figure.add_axes((left / page, (top - own) / height, wide / page, own / height)))
        drawn = _draw(ax, one, columns[title])
        ax.set_title(fitted(title, wide), fontsize=SMALL, pad=3, parse_math=False)
        low = (top - own - 0.1) / height
        _add_bar(figure, drawn, ((left + 0.1 * wide) / page, low, 0.8 * wide / page, 0.06 / height))
    add_caption(figure, caption)
    return figure


def _tiles(features: np.ndarray, most: int) -> np.ndarray:
    if most < 1:
        raise ValueError(f"`most` must be at least 1, got {most}")
    return features[:most]


def _proportion(tiles: np.ndarray, columns: int) -> float:
    height, width = mosaic(tiles, columns).shape
    return height / width


def _draw(ax: Axes, tiles: np.ndarray, columns: int) -> AxesImage:
    finite = tiles[np.isfinite(tiles)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    return ax.imshow(
        mosaic(tiles, columns), cmap=map_colors(_COLORS), vmin=low, vmax=high, aspect="auto", interpolation="nearest"
    )


def _add_bar(figure: Figure, drawn: AxesImage, place: tuple[float, float, float, float]) -> Colorbar:
    bar = figure.colorbar(drawn, cax=figure.add_axes(place), orientation="horizontal")
    bar.locator = MaxNLocator(4)
    bar.ax.tick_params(labelsize=SMALL, length=2, pad=1)
    bar.outline.set_linewidth(0.4)
    return bar
