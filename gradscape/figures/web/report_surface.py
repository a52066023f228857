"""Surfaces as numbers for a page that draws them itself: every view on one range, and what is read off at a point."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.offline

from gradscape.figures.style import picture_bytes
from gradscape.figures.surfaces.levels import level_texts
from gradscape.figures.surfaces.pages import figure_comparison, figure_landscape
from gradscape.figures.surfaces.shading import Shading
from gradscape.figures.surfaces.wording import describe_fields, result_names
from gradscape.figures.web.panels import (
    Panel,
    View,
    color_scale,
    drawing_stride,
    drawn_heights,
    hover_template,
    make_panels,
    read_off,
    shade_views,
    thinned_axes,
    unreliable_texts,
)
from gradscape.figures.web.surfaces import PLOTLY_CONFIG
from gradscape.landscape import Field, Surface

__all__ = ["plotly_script", "surface_content", "surface_map"]

_TICKS = 5
_DOTS = 160  # an inch, of the picture that is printed


def plotly_script() -> str:
    """The JavaScript of plotly, for a page that must work without a network."""
    return str(plotly.offline.get_plotlyjs())


def surface_content(surfaces: Sequence[Surface | Field], *, titles: Sequence[str]) -> dict[str, Any]:
    """What a page needs to draw surfaces side by side, as JSON can hold it.

    Args:
        surfaces: Each with at least 2 alphas and 2 betas.
        titles: A name for each.

    Returns:
        `panels`: for each surface its title, alphas, betas, heights by view and what is said at a point; `views`: for
        each value and scale that all can be drawn in, the shared range, ticks and colors; `caption` and `config`.

    Raises:
        ValueError: No surface, or titles of another number.
    """
    panels = make_panels(surfaces)
    firsts = [panel[0] for panel in panels]
    names = result_names(firsts, titles)
    shadings = shade_views(panels)
    stride = drawing_stride(panels)
    thinned = f" · one row and column in {stride} drawn" if stride > 1 else ""
    return {
        "panels": [_panel(panel, name, shadings, stride) for panel, name in zip(panels, names, strict=True)],
        "views": {_key(view): _view(shading) for view, shading in shadings.items()},
        "caption": describe_fields(firsts, names) + thinned,
        "config": PLOTLY_CONFIG | {"displayModeBar": False, "scrollZoom": False},
    }


def surface_map(surfaces: Sequence[Surface | Field], *, titles: Sequence[str]) -> bytes:
    """Filled contours of the loss, of all surfaces on one scale, as a PNG picture: for paper.

    Args:
        surfaces: Each with at least 2 alphas and 2 betas.
        titles: A name for each.
    """
    several = len(surfaces) > 1
    figure = figure_comparison(surfaces, titles=titles) if several else figure_landscape(surfaces[0], kind="filled")
    return picture_bytes(figure, dots=_DOTS)


def _key(view: View) -> str:
    return " ".join(view)


def _panel(panel: Panel, title: str, shadings: dict[View, Shading], stride: int) -> dict[str, Any]:
    alphas, betas = thinned_axes(panel, stride)
    unsure = unreliable_texts(panel, stride)
    return {
        "title": title,
        "alphas": _numbers(alphas),
        "betas": _numbers(betas),
        "heights": {_key(view): drawn_heights(panel, shading, stride) for view, shading in shadings.items()},
        "read": [[_numbers(point) for point in row] for row in read_off(panel, stride)],
        "unsure": None if unsure is None else unsure.tolist(),
        "template": hover_template(panel),
    }


def _view(shading: Shading) -> dict[str, Any]:
    logarithmic = shading.scale == "log"
    low, high = (float(np.log10(end)) if logarithmic else end for end in (shading.low, shading.high))
    ticks = shading.ticks(_TICKS)
    return {
        "value": shading.short,
        "label": shading.label,
        "low": low,
        "high": high,
        "ticks": [float(np.log10(tick)) if logarithmic else tick for tick in ticks],
        "texts": level_texts(ticks),
        "colors": color_scale(shading),
    }


def _numbers(values: np.ndarray) -> list[float | None]:
    """Four digits, None where there is no number: JSON knows neither NaN nor infinity."""
    return [float(f"{value:.4g}") if np.isfinite(value) else None for value in values.tolist()]
