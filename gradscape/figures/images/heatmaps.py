"""Heatmaps: over their image, alone, or as a mask; for models, methods and images in one grid."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from torch import Tensor

from gradscape._names import class_label, one_line
from gradscape._provenance import Provenance
from gradscape.explain.heatmap import Heatmaps
from gradscape.figures.images.grid import (
    FEW_COLUMNS,
    LINE,
    Channels,
    ImageGrid,
    bare,
    drawable,
    fitted,
    grayed,
    lay_out_grid,
    picture,
    show_map,
)
from gradscape.figures.images.signals import SIGNAL_PROPORTION, chosen_curves, draw_curves, draw_heat
from gradscape.figures.images.slices import chosen_slices
from gradscape.figures.style import SMALL, check_choice, map_colors, new_axes, page_width, styled

__all__ = ["figure_heatmaps", "images_per_page", "plot_heatmap"]

Style = Literal["overlay", "heatmap", "masked"]
HeatmapScale = Literal["image", "shared"]
Arrangement = Literal["rows", "columns"]
Labels = Sequence[str] | None
FoundHeatmaps = Heatmaps | Mapping[str, Heatmaps] | Mapping[str, Mapping[str, Heatmaps]]

_INPUTS = {3: "signal", 4: "image", 5: "volume"}

_COLORS = "inferno"
_ALPHA = 0.5
_LINES_BELOW = 3
_BAR_WIDTH = 0.52
_PAGE_HEIGHT = 8.7
_MOST_ACROSS = 6
_BAR_LABELS = {"image": "share of the map's own range", "shared": "share of the largest value"}
_SCALES = {"image": "each map on its own scale", "shared": "all maps of a method on one scale"}
_STYLES = {"overlay": "maps over their images", "heatmap": "maps", "masked": "images times their maps"}
_SIGNAL_STYLES = {"overlay": "maps below their signals", "heatmap": "maps", "masked": "signals times their maps"}


@dataclass(frozen=True, eq=False)
class _Series:
    """What is drawn for every image: the maps of one method and model in one style."""

    model: str
    method: str
    style: Style
    heatmaps: Heatmaps
    shown: np.ndarray

    def title(self, parts: Sequence[str]) -> str:
        return ", ".join(one_line(getattr(self, part)) for part in parts)


@styled()
def plot_heatmap(
    image: Float[Tensor, "channels *size"],
    heatmaps: Heatmaps,
    number: int,
    *,
    ax: Axes | None = None,
    style: Style = "overlay",
    scale: HeatmapScale = "image",
    channels: Channels = None,
    slices: int | None = None,
) -> Axes:
    """Draw one heatmap; one that cannot be drawn is its image in gray and the reason in words.

    Args:
        image: (C, H, W) in [0, 1], a volume (C, D, H, W) in [0, 1], or a signal (C, L).
        heatmaps: The maps.
        number: Which of them belongs to the image.
        ax: Axes to draw into; by default on a page of their own.
        style: "overlay" (over the image in gray), "heatmap" (alone) or "masked" (image times map, the explanation map
            of Grad-CAM++).
        scale: "image" (every map from 0 to 1) or "shared" (from 0 to the largest value of all maps).
        channels: As `figure_heatmaps` takes it.
        slices: The slice of a volume to show; None for the one where the map is strongest.

    Returns:
        The axes.

    Raises:
        ValueError: `style` or `scale` is unknown, the maps are of images of another size, there is no such map, or
            `channels` is needed.
    """
    _check([heatmaps], image[None], style, scale)
    if not 0 <= number < len(heatmaps.raw):
        raise ValueError(f"`number` must be 0 to {len(heatmaps.raw) - 1}, got {number}")
    ax = bare(ax or new_axes())
    shown = (heatmaps.display if scale == "image" else heatmaps.shared_display)[number]
    if shown.ndim == 3:
        chosen = chosen_slices([shown[None]], slices)[0]
        image, shown = image[:, chosen], shown[chosen]
    image = _pictured(image[None], channels)[0]
    _draw(ax, image, shown, style, fault=heatmaps.faults.get(number))
    if shown.ndim == 2:
        # Beside other axes the panel may have any shape.
        ax.set_aspect("equal")
    return ax


@styled()
def figure_heatmaps(
    images: Float[Tensor, "images channels *size"],
    heatmaps: FoundHeatmaps,
    *,
    shown: Sequence[int] | None = None,
    style: Style | Sequence[Style] = "overlay",
    scale: HeatmapScale = "image",
    names: Sequence[str] | None = None,
    labels: Labels | Mapping[str, Labels] = None,
    images_as: Arrangement = "rows",
    channels: Channels = None,
    slices: int | Sequence[int] | None = None,
) -> Figure:
    """Images and their heatmaps in a grid, every panel with the class explained and its probability.

    With several models and several methods, the models stand below each other for each image. Of a volume one slice
    is shown, which its name says; signals are curves over a strip of heat.

    Args:
        images: (N, C, H, W) in [0, 1], volumes (N, C, D, H, W) in [0, 1], or signals (N, C, L): all that the maps were
            made of.
        heatmaps: Maps of one method, of several by name, or model -> method -> maps.
        shown: Numbers of the images on this page; by default all. A shared scale is that of all of them.
        style: "overlay", "heatmap" (alone) or "masked" (image times map); several stand side by side.
        scale: "image" (every map from 0 to 1), or "shared" (each method's from 0 to the largest value of all its
            maps, whatever the model and image).
        names: A name for each image.
        labels: Names of the classes, for all models or by model; without them their numbers are shown.
        images_as: What an image and its maps are: "rows", or "columns", of which six stand side by side.
        channels: Which to draw: one in gray, or three as red, green and blue; of signals up to three curves. None
            where there is one or are three.
        slices: Which slice of volumes to show, one for all or for each; None for the one where the maps are strongest.

    Returns:
        A page; of up to three columns of panels it is a single column wide.

    Raises:
        ValueError: Numbers or sizes of images, maps and names differ, an option is unknown, or `channels` is needed.

    Source: the explanation map of Chattopadhay et al. 2018 (Grad-CAM++) for "masked"; SPANet, figure 5, and ULSAM,
    figure 3, for grids of images and models.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))
        >>> from gradscape.explain import heatmaps
        >>> images = torch.rand(2, 3, 12, 16)
        >>> figure = figure_heatmaps(images, heatmaps(net, images, method=["gradcam", "layercam"], target_layer="0"))
        >>> round(float(figure.get_figwidth()), 2)
        3.35
    """
    styles = [style] if isinstance(style, str) else list(style)
    check_choice("images_as", images_as, get_args(Arrangement))
    nested = _nested(heatmaps)
    every = [maps for methods in nested.values() for maps in methods.values()]
    if not styles:
        raise ValueError("`style` must name at least one style, got none")
    for one in styles:
        _check(every, images, one, scale)
    if any(len(maps.raw) != len(images) for maps in every):
        raise ValueError(f"`heatmaps` must hold a map for each of the {len(images)} images, got other numbers")
    if names is not None and len(names) != len(images):
        raise ValueError(f"`names` must hold a name for each of the {len(images)} images, got {len(names)}")
    series = _series(nested, styles, scale)
    caption = _caption(nested, styles, scale)
    names = list(names or [f"{_INPUTS[images.ndim]} {number}" for number in range(len(images))])
    if images.ndim == 5:
        caption += "" if slices is not None else " · slices where the maps shown are strongest"
        images, series, names = _sliced(images, series, names, slices)
    if channels is not None:
        caption += f" · channels {', '.join(map(str, np.atleast_1d(channels)))}"
    images = _pictured(images, channels)
    numbers = range(len(images)) if shown is None else shown
    colored = any(one != "masked" for one in styles)
    page = _HeatmapPage(images, numbers, names, labels, caption, right=_BAR_WIDTH if colored else 0.0)
    stacked = images_as == "rows" and len(nested) > 1 and len(series) > len(nested) * len(styles)
    if stacked:
        grid = page.by_model(series, len(nested))
    else:
        grid = page.in_rows(series) if images_as == "rows" else page.in_columns(series)
    if colored:
        bar = grid.add_bar(ScalarMappable(Normalize(0, 1), map_colors(_COLORS)), _BAR_LABELS[scale])
        bar.set_ticks([0, 0.5, 1], labels=["0", "0.5", "1"])
    return grid.figure


def images_per_page(models: int, methods: int, images_as: Arrangement = "rows") -> int:
    """How many square images with their heatmaps in one style fit on a page of a paper; 0 columns where none does.

    Args:
        models: Number of models compared.
        methods: Number of methods compared.
        images_as: What an image and its maps are, "rows" or "columns".
    """
    stacked = images_as == "rows" and models > 1 and methods > 1
    steps = 1 + (methods if stacked else models * methods)
    columns = steps if images_as == "rows" else _MOST_ACROSS
    width = page_width(double=columns > FEW_COLUMNS)
    rows = int(_PAGE_HEIGHT / ((width - _BAR_WIDTH) / columns + _LINES_BELOW * LINE))
    if images_as == "columns":
        return rows // steps * columns
    return max(rows // (models if stacked else 1), 1)


@dataclass(frozen=True, eq=False)
class _HeatmapPage:
    """What panels are made of."""

    images: Tensor
    numbers: Sequence[int]
    names: Sequence[str]
    labels: Labels | Mapping[str, Labels]
    caption: str
    right: float

    def in_rows(self, series: Sequence[_Series]) -> ImageGrid:
        """A row for each image, itself first."""
        grid = self._grid(series, len(self.numbers), 1 + len(series), lines_above=2)
        for row, column in np.ndindex(len(self.numbers), 1 + len(series)):
            self._panel(grid, (row, column), self.numbers[row], series[column - 1] if column else None)
        grid.title_columns(["", *_titles(series)])
        return grid

    def in_columns(self, series: Sequence[_Series]) -> ImageGrid:
        """A column for each image, itself on top; what does not fit across goes into a second band."""
        count, steps = len(self.numbers), 1 + len(series)
        bands = -(-count // _MOST_ACROSS)
        across = -(-count // bands)
        grid = self._grid(series, bands * steps, across, lines_above=0, left=0.2)
        for place, step in np.ndindex(bands * across, steps):
            row, column = place // across * steps + step, place % across
            if place >= count:
                grid.panels[row, column].set_visible(False)
                continue
            self._panel(grid, (row, column), self.numbers[place], series[step - 1] if step else None)
        for band, (step, title) in product(range(bands), enumerate(_titles(series), 1)):
            grid.title_row(band * steps + step, title)
        return grid

    def by_model(self, series: Sequence[_Series], models: int) -> ImageGrid:
        """For each image a row of each model, a column for each method and style."""
        columns = len(series) // models
        grid = self._grid(series, len(self.numbers) * models, 1 + columns, lines_above=2, first_gap=0.15)
        for image, model in np.ndindex(len(self.numbers), models):
            row = image * models + model
            own = series[model * columns : (model + 1) * columns]
            if model:
                grid.panels[row, 0].set_visible(False)
            else:
                self._panel(grid, (row, 0), self.numbers[image], None)
            for column, one in enumerate(own, 1):
                self._panel(grid, (row, column), self.numbers[image], one)
            grid.title_row(row, own[0].model, column=1)
        parts = [part for part in _differing(series) if part != "model"]
        grid.title_columns(["", *(one.title(parts) for one in series[:columns])])
        return grid

    def _grid(self, series: Sequence[_Series], rows: int, columns: int, **room: Any) -> ImageGrid:
        """Panels with as many lines below as the longest class or name takes in their width."""
        proportion = SIGNAL_PROPORTION if self.images.ndim == 3 else self.images.shape[2] / self.images.shape[3]
        make = partial(lay_out_grid, rows, columns, self.caption, proportion=proportion, right=self.right, **room)
        width = make(lines_below=_LINES_BELOW).panel_width
        texts = [fitted(self.names[image], width, _LINES_BELOW) for image in self.numbers]
        texts += [self._described(one, image, width) for one in series for image in self.numbers]
        return make(lines_below=max(1 + text.count("\n") for text in texts))

    def _panel(self, grid: ImageGrid, place: tuple[int, int], image: int, series: _Series | None) -> None:
        ax = grid.panels[place]
        if series is None:
            _draw_input(ax, self.images[image])
            grid.describe(ax, self.names[image], lines=_LINES_BELOW)
            return
        fault = series.heatmaps.faults.get(image)
        _draw(ax, self.images[image], series.shown[image], series.style, fault=fault, width=grid.panel_width)
        text = self._described(series, image, grid.panel_width)
        ax.set_xlabel(text, fontsize=SMALL, labelpad=2, linespacing=1.05, parse_math=False)

    def _described(self, series: _Series, image: int, width: float) -> str:
        """The class explained, and its probability on a line of its own."""
        labels = self.labels.get(series.model) if isinstance(self.labels, Mapping) else self.labels
        explained, probability = _explained(series.heatmaps, image, labels)
        return f"{fitted(explained, width, _LINES_BELOW - 1)}\n{probability}"


def _pictured(images: Tensor, channels: Channels) -> Tensor:
    """The channels that are drawn."""
    return chosen_curves(images, channels) if images.ndim == 3 else drawable(images, channels)


def _sliced(
    volumes: Tensor, series: Sequence[_Series], names: Sequence[str], slices: int | Sequence[int] | None
) -> tuple[Tensor, list[_Series], list[str]]:
    """One slice of each volume and its maps, and names that say which."""
    numbers = chosen_slices([one.shown for one in series], slices)
    every, depth = range(len(numbers)), volumes.shape[2]
    said = [f"{name}, slice {number + 1}/{depth}" for name, number in zip(names, numbers, strict=True)]
    return volumes[every, :, numbers], [replace(one, shown=one.shown[every, numbers]) for one in series], said


def _draw_input(ax: Axes, image: Tensor) -> None:
    if image.ndim == 2:
        draw_curves(ax, image)
    else:
        ax.imshow(picture(image), aspect="auto")


def _draw(ax: Axes, image: Tensor, shown: np.ndarray, style: Style, *, fault: str | None, width: float = 2.0) -> None:
    is_signal = image.ndim == 2
    if fault:
        if is_signal:
            draw_curves(ax, image, pale=True)
        else:
            ax.imshow(grayed(image, pale=0.6), aspect="auto")
        reason = "\n".join(textwrap.wrap(f"no map: {fault}", max(int(width * 16), 8)))
        ax.text(0.5, 0.5, reason, transform=ax.transAxes, ha="center", va="center", fontsize=SMALL, parse_math=False)
        return
    if is_signal:
        _draw_signal(ax, image, shown, style)
        return
    if style == "masked":
        ax.imshow(picture(image) * shown[..., None], aspect="auto")
        return
    if style == "overlay":
        # Orange over an orange bird would not be seen: color is the map's alone.
        ax.imshow(grayed(image), aspect="auto")
    show_map(ax, shown, cmap=map_colors(_COLORS), vmin=0, vmax=1, alpha=_ALPHA if style == "overlay" else None)


def _draw_signal(ax: Axes, signal: Tensor, shown: np.ndarray, style: Style) -> None:
    draw_curves(ax, signal, pale=style == "masked")
    if style == "masked":
        draw_curves(ax, signal, weight=shown)
        return
    if style == "heatmap":
        for curve in list(ax.lines):
            curve.remove()
    draw_heat(ax, shown, alone=style == "heatmap", cmap=map_colors(_COLORS))


def _nested(heatmaps: FoundHeatmaps) -> dict[str, dict[str, Heatmaps]]:
    """Model -> method -> maps; a model that the caller has not named is the provenance's."""
    if isinstance(heatmaps, Heatmaps):
        heatmaps = {heatmaps.method: heatmaps}
    nested: dict[str, dict[str, Heatmaps]] = {}
    for name, found in heatmaps.items():
        if isinstance(found, Heatmaps):
            nested.setdefault(one_line(Provenance.of(found.meta).called), {})[name] = found
        else:
            nested[name] = dict(found)
    if not nested or not all(nested.values()):
        raise ValueError("`heatmaps` must hold the maps of at least one method, got none")
    if len({tuple(methods) for methods in nested.values()}) > 1:
        raise ValueError("`heatmaps` must hold the same methods for each model, got different ones")
    return nested


def _check(every: Sequence[Heatmaps], images: Tensor, style: str, scale: str) -> None:
    check_choice("style", style, get_args(Style))
    check_choice("scale", scale, get_args(HeatmapScale))
    size = tuple(images.shape[2:])
    other = next((maps.image_size for maps in every if maps.image_size != size), None)
    if other:
        expected, got = (" × ".join(map(str, one)) for one in (size, other))
        raise ValueError(f"`heatmaps` must be of images of {expected} pixels, got {got}")


def _series(
    nested: Mapping[str, Mapping[str, Heatmaps]], styles: Sequence[Style], scale: HeatmapScale
) -> list[_Series]:
    series = []
    for model, methods in nested.items():
        for method, maps in methods.items():
            if scale == "image":
                shown = maps.display
            else:
                highest = max(_largest(others[method]) for others in nested.values())
                shown = maps.shared_display * np.float32(_largest(maps) / highest if highest else 1)
            series += [_Series(model, method, style, maps, shown) for style in styles]
    return series


def _largest(maps: Heatmaps) -> float:
    finite = np.isfinite(maps.raw).all(axis=tuple(range(1, maps.raw.ndim)))
    return float(maps.raw[finite].max(initial=0))


def _differing(series: Sequence[_Series]) -> list[str]:
    return [part for part in ("model", "method", "style") if len({getattr(one, part) for one in series}) > 1]


def _titles(series: Sequence[_Series]) -> list[str]:
    parts = _differing(series) or ["method"]
    return [one.title(parts) for one in series]


def _explained(maps: Heatmaps, image: int, labels: Labels) -> tuple[str, str]:
    index, probability = int(maps.class_index[image]), float(maps.probability[image])
    if index < 0:
        return "score", f"{float(maps.score[image]):.3g}"
    name = class_label(labels, index) or f"class {index}"
    return one_line(name), f"{100 * probability:.1f} %" if np.isfinite(probability) else "probability not finite"


def _caption(nested: Mapping[str, Mapping[str, Heatmaps]], styles: Sequence[Style], scale: HeatmapScale) -> str:
    """Models and methods as far as no title says them, target layers, and how maps are shown."""
    parts = [one_line(name) for name in nested] if len(nested) == 1 else []
    first = next(iter(nested.values()))
    parts += [one_line(name) for name in first] if len(first) == 1 else []
    layers = {model: {maps.target_layer for maps in methods.values()} for model, methods in nested.items()}
    alike = len({frozenset(names) for names in layers.values()}) == 1
    for model, names in list(layers.items())[: 1 if alike else None]:
        parts.append(f"target layer {'' if alike else f'of {one_line(model)} '}{', '.join(sorted(names))}")
    below = "below each map the class explained and its probability"
    words = _SIGNAL_STYLES if len(next(iter(first.values())).image_size) == 1 else _STYLES
    return " · ".join(part for part in [*parts, *(words[style] for style in styles), _SCALES[scale], below] if part)
