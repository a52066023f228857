"""Surfaces as numbers for a page that draws them itself: every view on one range, and what is read off at a point."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.offline

from gradscape.figures.look import current_look
from gradscape.figures.style import picture_bytes
from gradscape.figures.surfaces.fields import to_fields
from gradscape.figures.surfaces.layout import DrawingKind
from gradscape.figures.surfaces.levels import level_texts
from gradscape.figures.surfaces.pages import figure_comparison, figure_landscape
from gradscape.figures.surfaces.scales import Scale
from gradscape.figures.surfaces.shading import Shading, shade
from gradscape.figures.surfaces.trajectory_wording import axis_labels
from gradscape.figures.surfaces.wording import describe_fields, result_names
from gradscape.figures.web.panel_paths import panel_paths
from gradscape.figures.web.panels import (
    Panel,
    View,
    color_scale,
    drawing_stride,
    drawn_heights,
    hover_template,
    in_plotly,
    make_panels,
    read_names,
    read_off,
    readable_scale,
    shade_views,
    thinned_axes,
    unreliable_texts,
)
from gradscape.landscape import Field, Surface

__all__ = ["plotly_script", "surface_content", "surface_picture"]

_TICKS = 5
_DOTS = 160  # an inch, of the picture that is printed
_SWITCHED = ("loss", "error")  # which a page of surfaces has buttons for
_EYE = (1.15, -1.4, 0.9)
_STEEPEST = 89.9  # degrees: straight from above plotly cannot tell which way is up
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


def surface_content(
    surfaces: Sequence[Surface | Field],
    *,
    titles: Sequence[str],
    value: str | None = None,
    scale: Scale | None = None,
) -> dict[str, Any]:
    """What a page needs to draw surfaces side by side, as JSON can hold it.

    Args:
        surfaces: Each with at least 2 alphas and 2 betas.
        titles: A name for each.
        value: What is shown first, "loss" by default; of what is neither loss nor error there is nothing else.
        scale: How every value is shown first: "raw", "minmax" or "log"; by default the one on which all can be read.

    Returns:
        `panels`: for each surface its title, whether it is shown `first`, alphas, betas, heights by view, what is said
        at a point, what its axes are, and the networks in its plane; `views`: for each value and scale that all can be
        drawn in, the shared range, ticks and colors; `values`: name and short text of each value, the first to begin
        with; `start`: the scale that each value begins with; `eye`: where surfaces are seen from; `caption` and
        `config`.

    Raises:
        ValueError: No surface, titles of another number, or a value or scale that the surfaces cannot be shown by.
    """
    panels = make_panels(surfaces if value in (None, *_SWITCHED) else to_fields(surfaces, value))
    firsts = [panel[0] for panel in panels]
    names = result_names(firsts, titles)
    shadings = shade_views(panels)
    start = _begun_with(shadings, panels, value, scale)
    short = {name: one.short for (name, _), one in shadings.items()}
    stride = drawing_stride(panels)
    thinned = f" · one row and column in {stride} drawn" if stride > 1 else ""
    return {
        "panels": [_panel(panel, name, shadings, stride) for panel, name in zip(panels, names, strict=True)],
        "views": {_key(view): _view(shading) for view, shading in shadings.items()},
        "values": [[name, short[name]] for name in start],
        "start": start,
        "eye": dict(zip("xyz", _eye(), strict=True)),
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


def _begun_with(
    views: Mapping[View, Shading], panels: Sequence[Panel], value: str | None, scale: Scale | None
) -> dict[str, Scale]:
    """The scale that each value is first shown on, the wanted value in front."""
    names = list(dict.fromkeys(name for name, _ in views))
    wanted = value if value is not None and value in _SWITCHED else names[0]
    start: dict[str, Scale] = {}
    for name in dict.fromkeys([wanted, *names]):
        fields = [next((field for field in panel if field.name == name), panel[0]) for panel in panels]
        asked = scale if scale not in (None, "auto") and (name == wanted or (name, scale) in views) else None
        start[name] = asked or readable_scale(fields)
        if (name, start[name]) not in views:  # which is why, in words
            shade(fields, start[name])
            raise ValueError(f"the page cannot show {name} on the scale {start[name]}: not all surfaces have it")
    return start


def _eye() -> tuple[float, float, float]:
    """Where surfaces are seen from, as far away as usual."""
    camera = current_look().camera
    if camera is None:
        return _EYE
    azimuth, elevation = np.radians((camera[0], np.clip(camera[1], -_STEEPEST, _STEEPEST)))
    across = np.cos(elevation) * np.linalg.norm(_EYE)
    height = np.sin(elevation) * np.linalg.norm(_EYE)
    return float(across * np.cos(azimuth)), float(across * np.sin(azimuth)), float(height)


def _key(view: View) -> str:
    return " ".join(view)


def _panel(panel: Panel, title: str, shadings: dict[View, Shading], stride: int) -> dict[str, Any]:
    alphas, betas = thinned_axes(panel, stride)
    unsure = unreliable_texts(panel, stride)
    return {
        "title": title,
        "first": True,
        "alphas": _numbers(alphas),
        "betas": _numbers(betas),
        "heights": {_key(view): drawn_heights(panel, shading, stride) for view, shading in shadings.items()},
        "read": [[_numbers(point) for point in row] for row in read_off(panel, stride)],
        "unsure": None if unsure is None else unsure.tolist(),
        "template": hover_template(panel),
        "columns": read_names(panel),
        "axes": [in_plotly(label) for label in axis_labels(panel[0].meta, usual=("alpha", "beta"))],
        "paths": panel_paths(panel, {_key(view): shading for view, shading in shadings.items()}),
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
