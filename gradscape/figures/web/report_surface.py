"""Surfaces as numbers for a page that draws them itself: every view on one range, and what is read off at a point."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.offline

from gradscape.figures.style import picture_bytes, short_number
from gradscape.figures.surfaces.layout import DrawingKind
from gradscape.figures.surfaces.pages import figure_comparison, figure_landscape
from gradscape.figures.surfaces.shading import Scale, Shading
from gradscape.figures.surfaces.wording import describe_fields, result_names
from gradscape.figures.web.panels import (
    Panel,
    View,
    color_scale,
    drawing_stride,
    drawn_heights,
    hover_template,
    make_panels,
    read_names,
    read_off,
    shade_views,
    thinned_axes,
    unreliable_texts,
)
from gradscape.landscape import Field, Surface

__all__ = ["plotly_script", "surface_content", "surface_picture"]

_TICKS = 5
_DOTS = 160  # an inch, of the picture that is printed
_TWO_DECADES = 100.0
# Nothing in the page leads out of it: without the second and third entry plotly shows a button that uploads the data.
_CONFIG = {
    "displaylogo": False,
    "showSendToCloud": False,
    "plotlyServerURL": "",
    "displayModeBar": False,
    "scrollZoom": False,
}


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
        each value and scale that all can be drawn in, the shared range, ticks and colors; `values`: name and short
        text of each value; `start`: the scale to begin with; `caption` and `config`.

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
        "values": [list(pair) for pair in dict.fromkeys((name, one.short) for (name, _), one in shadings.items())],
        "start": _readable_scale(shadings),
        "caption": describe_fields(firsts, names) + thinned,
        "config": _CONFIG,
    }


def surface_picture(
    surfaces: Sequence[Surface | Field], *, titles: Sequence[str], kind: DrawingKind = "filled", scale: Scale = "raw"
) -> bytes:
    """The loss of all surfaces on one scale, as a PNG picture: for paper.

    Args:
        surfaces: Each with at least 2 alphas and 2 betas.
        titles: A name for each.
        kind: What is drawn: "filled", "surface" (3-D), …
        scale: As on the page.
    """
    several = len(surfaces) > 1
    figure = (
        figure_comparison(surfaces, titles=titles, kind=kind, scale=scale)
        if several
        else figure_landscape(surfaces[0], kind=kind, scale=scale)
    )
    return picture_bytes(figure, dots=_DOTS)


def _readable_scale(shadings: dict[View, Shading]) -> str:
    """A log scale where the first value exceeds two decades, of which the lower one would look flat."""
    name = next(iter(shadings))[0]
    raw = shadings[name, "raw"]
    wide = raw.lowest > 0 and raw.highest > _TWO_DECADES * raw.lowest
    return "log" if wide and (name, "log") in shadings else "raw"


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
        "columns": read_names(panel),
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
        "texts": [short_number(tick) for tick in ticks],
        "colors": color_scale(shading),
    }


def _numbers(values: np.ndarray) -> list[float | None]:
    """Four digits, None where there is no number: JSON knows neither NaN nor infinity."""
    return [float(f"{value:.4g}") if np.isfinite(value) else None for value in values.tolist()]
