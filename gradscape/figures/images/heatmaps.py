"""Heatmaps: over their image, alone, or as a mask; for models, methods and images in one grid."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gradscape._names import one_line
from gradscape._provenance import Provenance
from gradscape.explain.heatmap import Heatmaps
from gradscape.figures.images.grid import FEW_COLUMNS, LINE, Channels, bare, drawable
from gradscape.figures.images.heatmap_page import LINES_BELOW, MOST_ACROSS, HeatmapPage, HeatmapSeries, Labels
from gradscape.figures.images.heatmap_panel import Style, describe_styles, draw_panel, known_background
from gradscape.figures.images.method_titles import method_title
from gradscape.figures.images.overlay import Background, HeatmapScale, add_heat_bar
from gradscape.figures.images.signals import chosen_curves
from gradscape.figures.images.slices import chosen_slices
from gradscape.figures.style import check_choice, new_axes, page_width, styled

__all__ = ["figure_heatmaps", "images_per_page", "plot_heatmap"]

Arrangement = Literal["rows", "columns"]
FoundHeatmaps = Heatmaps | Mapping[str, Heatmaps] | Mapping[str, Mapping[str, Heatmaps]]

_INPUTS = {3: "signal", 4: "image", 5: "volume"}

_BAR_WIDTH = 0.52
_GAP = 0.06
_PAGE_HEIGHT = 8.6
_SCALES = {"image": "each map on its own scale", "shared": "all maps of a method on one scale"}


@styled()
def plot_heatmap(
    image: Float[Tensor, "channels *size"],
    heatmaps: Heatmaps,
    number: int,
    *,
    ax: Axes | None = None,
    style: Style = "overlay",
    background: Background | None = None,
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
        style: "overlay" (over the image), "heatmap" (alone) or "masked" (the image where the map is strong).
        background: As `figure_heatmaps` takes it.
        scale: "image" (every map from 0 to 1) or "shared" (from 0 to the largest value of all maps).
        channels: As `figure_heatmaps` takes it.
        slices: The slice of a volume to show; None for the one where the map is strongest.

    Returns:
        The axes.

    Raises:
        ValueError: `style`, `background` or `scale` is unknown or does not fit, the maps are of images of another size,
            there is no such map, or `channels` is needed.
    """
    _check([heatmaps], image[None], style, scale)
    background = known_background(background, [style], signals=image.ndim == 2)
    if not 0 <= number < len(heatmaps.raw):
        raise ValueError(f"`number` must be 0 to {len(heatmaps.raw) - 1}, got {number}")
    ax = bare(ax or new_axes())
    shown = (heatmaps.display if scale == "image" else heatmaps.shared_display)[number]
    if shown.ndim == 3:
        chosen = chosen_slices([shown[None]], slices)[0]
        image, shown = image[:, chosen], shown[chosen]
    image = _pictured(image[None], channels)[0]
    draw_panel(ax, image, shown, style=style, background=background, fault=heatmaps.faults.get(number))
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
    background: Background | None = None,
    scale: HeatmapScale = "image",
    names: Sequence[str] | None = None,
    labels: Labels | Mapping[str, Labels] = None,
    images_as: Arrangement = "rows",
    channels: Channels = None,
    slices: int | Sequence[int] | None = None,
) -> Figure:
    """Images and their heatmaps in a grid; the class explained and its probability stand once for image and model.

    With several models and several methods, the models stand below each other for each image. Of a volume one slice
    is shown, which its name says; signals are curves over a strip of heat.

    Args:
        images: (N, C, H, W) in [0, 1], volumes (N, C, D, H, W) in [0, 1], or signals (N, C, L): all that the maps were
            made of.
        heatmaps: Maps of one method, of several by name, or model -> method -> maps.
        shown: Numbers of the images on this page; by default all. A shared scale is that of all of them.
        style: "overlay", "heatmap" (alone) or "masked" (the image where the map is strong); several stand side by side.
        background: What overlays lie over, and what masked images show elsewhere: the image in "color" (masked: dim) or
            in "gray" (masked: pale), or "none" (masked: black, as the explanation map of Grad-CAM++). None for
            overlays in color and masks on gray.
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

    Source: the explanation map of Chattopadhay et al. 2018 (Grad-CAM++) for "masked" on "none"; SPANet, figure 5, and
    ULSAM, figure 3, for grids of images and models.

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
    background = known_background(background, styles, signals=images.ndim == 3)
    series = _series(nested, styles, scale)
    said = describe_styles(styles, background, signals=images.ndim == 3)
    caption = _caption(nested, [*said, _SCALES[scale]])
    names = list(names or [f"{_INPUTS[images.ndim]} {number}" for number in range(len(images))])
    if images.ndim == 5:
        caption += "" if slices is not None else " · slices where the maps shown are strongest"
        images, series, names = _sliced(images, series, names, slices)
    if channels is not None:
        caption += f" · channels {', '.join(map(str, np.atleast_1d(channels)))}"
    images = _pictured(images, channels)
    numbers = range(len(images)) if shown is None else shown
    colored = any(one != "masked" for one in styles)
    right = _BAR_WIDTH if colored else 0.0
    page = HeatmapPage(images, numbers, names, labels, caption, background=background, right=right)
    stacked = images_as == "rows" and len(nested) > 1 and len(series) > len(nested) * len(styles)
    if stacked:
        grid = page.by_model(series, len(nested))
    else:
        grid = page.in_rows(series) if images_as == "rows" else page.in_columns(series)
    if colored:
        lined = "overlay" in styles and background != "none" and images.ndim == 4
        add_heat_bar(grid, scale, half=lined)
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
    columns = steps if images_as == "rows" else MOST_ACROSS
    width = page_width(double=columns > FEW_COLUMNS)
    side = (width - _BAR_WIDTH) / columns
    if images_as == "columns":  # words stand below the images and below the last maps of each model
        return int(_PAGE_HEIGHT / (steps * (side + _GAP) + (1 + models) * LINES_BELOW * LINE)) * columns
    rows = int(_PAGE_HEIGHT / (side + LINES_BELOW * LINE))
    return max(rows // (models if stacked else 1), 1)


def _pictured(images: Tensor, channels: Channels) -> Tensor:
    """The channels that are drawn."""
    return chosen_curves(images, channels) if images.ndim == 3 else drawable(images, channels)


def _sliced(
    volumes: Tensor, series: Sequence[HeatmapSeries], names: Sequence[str], slices: int | Sequence[int] | None
) -> tuple[Tensor, list[HeatmapSeries], list[str]]:
    """One slice of each volume and its maps, and names that say which."""
    numbers = chosen_slices([one.shown for one in series], slices)
    every, depth = range(len(numbers)), volumes.shape[2]
    said = [f"{name}, slice {number + 1}/{depth}" for name, number in zip(names, numbers, strict=True)]
    return volumes[every, :, numbers], [replace(one, shown=one.shown[every, numbers]) for one in series], said


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
    if images.ndim not in _INPUTS:
        raise ValueError(
            "`images` must be images, volumes or signals to have maps drawn over them; maps of tokens or columns are "
            f"the numbers in `Heatmaps.raw`, one for each; got the shape {tuple(images.shape)}"
        )
    size = tuple(images.shape[2:])
    other = next((maps.image_size for maps in every if maps.image_size != size), None)
    if other:
        expected, got = (" × ".join(map(str, one)) for one in (size, other))
        raise ValueError(f"`heatmaps` must be of images of {expected} pixels, got {got}")


def _series(
    nested: Mapping[str, Mapping[str, Heatmaps]], styles: Sequence[Style], scale: HeatmapScale
) -> list[HeatmapSeries]:
    series = []
    for model, methods in nested.items():
        for method, maps in methods.items():
            if scale == "image":
                shown = maps.display
            else:
                highest = max(_largest(others[method]) for others in nested.values())
                shown = maps.shared_display * np.float32(_largest(maps) / highest if highest else 1)
            series += [HeatmapSeries(model, method_title(method), style, maps, shown) for style in styles]
    return series


def _largest(maps: Heatmaps) -> float:
    finite = np.isfinite(maps.raw).all(axis=tuple(range(1, maps.raw.ndim)))
    return float(maps.raw[finite].max(initial=0))


def _caption(nested: Mapping[str, Mapping[str, Heatmaps]], said: Sequence[str]) -> str:
    """Models and methods as far as no title says them, target layers, and how maps are shown."""
    parts = [one_line(name) for name in nested] if len(nested) == 1 else []
    first = next(iter(nested.values()))
    parts += [one_line(method_title(name)) for name in first] if len(first) == 1 else []
    layers = {model: {maps.target_layer for maps in methods.values()} for model, methods in nested.items()}
    alike = len({frozenset(names) for names in layers.values()}) == 1
    for model, names in list(layers.items())[: 1 if alike else None]:
        parts.append(f"target layer {'' if alike else f'of {one_line(model)} '}{', '.join(sorted(names))}")
    return " · ".join([*parts, *said, "below the maps the class explained and its probability"])
