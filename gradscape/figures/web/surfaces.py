"""Surfaces to turn, zoom and read off in a browser: one HTML text that needs no network."""

import html
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import plotly.io
from plotly.subplots import make_subplots

from gradscape.figures.surfaces.fields import several
from gradscape.figures.surfaces.levels import level_texts
from gradscape.figures.surfaces.shading import Shading
from gradscape.figures.look import current_look
from gradscape.figures.style import short_number
from gradscape.figures.surfaces.fields import several, to_fields
from gradscape.figures.surfaces.shading import Scale, Shading, shade
from gradscape.figures.surfaces.wording import describe_fields, result_names
from gradscape.figures.web.pages import render_page
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
from gradscape.landscape import Field, Surface

__all__ = ["PLOTLY_CONFIG", "interactive_surface"]

_SCALE_NAMES = {"raw": "", "minmax": ", min-max", "log": ", log"}
_PANEL_HEIGHT = 560
_PLOT = "landscape"
_SWITCHED = ("loss", "error")  # which a page of surfaces has buttons for
_EYE = (1.15, -1.45, 0.9)
_MOST_COLUMNS = 3
_MOST_TICKS = 6
# Nothing in the page leads out of it: without the second and third entry plotly shows a button that uploads the data.
PLOTLY_CONFIG = {"displaylogo": False, "showSendToCloud": False, "plotlyServerURL": ""}


def interactive_surface(
    surfaces: Surface | Field | Sequence[Surface | Field],
    *,
    titles: Sequence[str] | None = None,
    value: str | None = None,
    scale: Scale | None = None,
) -> str:
    """Make a page of 3-D surfaces with plotly inside, which works offline.

    Buttons choose loss or error (where it was measured), as it is, min-max scaled or on a log scale. Several
    surfaces share one color scale and one range of heights. Hovering shows the coordinates, loss ± standard error
    (and whether that is reliable) and the error. Non-finite values are gaps. Above 13,500 points only every second
    (third, …) row and column is drawn, and the caption says so. A field is shown in the same way, by itself.

    Args:
        surfaces: One surface or field or several, each with at least 2 alphas and 2 betas.
        titles: A name for each; by default its model's.
        value: What is shown first, "loss" by default; of what is neither loss nor error the page has nothing else.
        scale: How it is shown first: "raw", "minmax" or "log".

    Returns:
        The text of an HTML file. Names and provenance are shown as they are, never as markup.

    Raises:
        ValueError: No surface, fewer than two alphas or betas, titles of another number, or a value or scale that the
            surfaces cannot be shown by.

    Example:
        >>> import torch
        >>> from gradscape.landscape import evaluate_surface, random_directions
        >>> net, batches = torch.nn.Linear(4, 3), [(torch.randn(64, 4), torch.arange(64) % 3)]
        >>> axis = [-1.0, 0.0, 1.0]
        >>> surface = evaluate_surface(net, batches, random_directions(net, seed=0), axis, axis)
        >>> page = interactive_surface(surface)
        >>> page.startswith("<!DOCTYPE html>")
        True
    """
    drawables = several(surfaces)
    panels = make_panels(drawables if value in (None, *_SWITCHED) else to_fields(drawables, value))
    firsts = [panel[0] for panel in panels]
    names = result_names(firsts, titles)
    views = _first_of(shade_views(panels), panels, value, scale)
    for first in firsts:
        if min(len(first.alphas), len(first.betas)) < 2:
            raise ValueError(
                "`surfaces` must have at least 2 alphas and 2 betas each, got "
                f"{len(first.alphas)} and {len(first.betas)}"
            )
    stride = drawing_stride(panels)
    figure = _figure(panels, names, views, stride)
    caption = describe_fields(firsts, names)
    if stride > 1:
        caption += f" · one row and column in {stride} drawn"
    plot = plotly.io.to_html(
        figure,
        include_plotlyjs=True,
        full_html=False,
        div_id=_PLOT,
        config=PLOTLY_CONFIG,
        post_script=render_page("surface.js", plot_id=_PLOT, most_columns=_MOST_COLUMNS),
    )
    heading = current_look().heading
    return render_page("surface.html", title=heading or ", ".join(names), heading=heading, plot=plot, caption=caption)


def _first_of(
    views: dict[View, Shading], panels: Sequence[Panel], value: str | None, scale: Scale | None
) -> dict[View, Shading]:
    """Views with the wanted one in front."""
    first, usual = next(iter(views))
    wanted = (value if value in _SWITCHED else first, usual if scale is None else scale)
    if wanted not in views:  # which is why, in words
        name, how = wanted
        fields = [next((field for field in panel if field.name == name), panel[0]) for panel in panels]
        shade(fields, how)
        raise ValueError(f"the page cannot show {name} on the scale {how}: not all surfaces have it")
    return {wanted: views[wanted], **views}


def _figure(panels: Sequence[Panel], names: Sequence[str], views: dict[View, Shading], stride: int) -> go.Figure:
    columns = min(len(panels), _MOST_COLUMNS)
    rows = -(-len(panels) // columns)
    figure = make_subplots(
        rows=rows,
        cols=columns,
        specs=[[{"type": "surface"}] * columns] * rows,
        # Plotly reads titles as a kind of HTML.
        subplot_titles=[html.escape(name, quote=False) for name in names],
        horizontal_spacing=0.01,
        vertical_spacing=0.05,
    )
    shown = next(iter(views.values()))
    for number, panel in enumerate(panels):
        trace = _trace(panel, drawn_heights(panel, shown, stride), stride)
        figure.add_trace(trace, row=number // columns + 1, col=number % columns + 1)
    scenes = [f"scene{number}" if number > 1 else "scene" for number in range(1, len(panels) + 1)]
    for scene, panel in zip(scenes, panels, strict=True):
        figure.update_layout({scene: _scene(panel[0])})
    buttons = [
        {
            "label": shading.short + _SCALE_NAMES[shading.scale],
            "method": "update",
            "args": [
                {"z": [drawn_heights(panel, shading, stride) for panel in panels]},
                _look(shading, scenes),
            ],
        }
        for shading in views.values()
    ]
    figure.update_layout(_look(shown, scenes))
    figure.update_layout(
        height=rows * _PANEL_HEIGHT,
        margin={"l": 10, "r": 10, "t": 30, "b": 80},
        coloraxis_colorbar={
            "orientation": "h",
            "thickness": 14,
            "lenmode": "pixels",
            "len": 320,
            "x": 0.5,
            "y": 0,
            "yanchor": "top",
            "title_side": "top",
        },
        updatemenus=[{"visible": False, "buttons": buttons}],
    )
    return figure


def _trace(panel: Panel, heights: list[list[float | None]], stride: int) -> go.Surface:
    alphas, betas = thinned_axes(panel, stride)
    return go.Surface(
        x=alphas,
        y=betas,
        z=heights,
        customdata=read_off(panel, stride).astype(np.float32),
        text=unreliable_texts(panel, stride),
        hovertemplate=hover_template(panel),
        coloraxis="coloraxis",
        contours={axis: {"highlight": True, "highlightwidth": 1} for axis in "xyz"},
        lighting={"ambient": 0.75, "diffuse": 0.5, "specular": 0.05, "roughness": 0.9},
    )


def _scene(field: Field) -> dict[str, Any]:
    alphas, betas = (float(np.ptp(axis)) for axis in (field.alphas, field.betas))
    ratio = float(np.clip(betas / alphas, 0.5, 2))
    return {
        "xaxis": {"title": {"text": "alpha"}},
        "yaxis": {"title": {"text": "beta"}},
        "aspectmode": "manual",
        "aspectratio": {"x": min(1, 1 / ratio), "y": min(1, ratio), "z": 0.7},
        "camera": {"eye": dict(zip("xyz", _eye(), strict=True)), "center": {"x": 0, "y": 0, "z": -0.12}},
    }


def _eye() -> tuple[float, float, float]:
    """Where a surface is seen from, as far away as usual."""
    camera = current_look().camera
    if camera is None:
        return _EYE
    azimuth, elevation = np.radians(camera)
    across = np.cos(elevation) * np.linalg.norm(_EYE)
    height = np.sin(elevation) * np.linalg.norm(_EYE)
    return float(across * np.cos(azimuth)), float(across * np.sin(azimuth)), float(height)


def _look(shading: Shading, scenes: Sequence[str]) -> dict[str, Any]:
    """Range, colors, ticks and labels of a view, as changes of plotly's layout."""
    low, high = shading.low, shading.high
    ticks: dict[str, Any] = {"tickmode": "auto"}
    if shading.scale == "log":
        low, high = float(np.log10(low)), float(np.log10(high))
        shown = shading.ticks(_MOST_TICKS)
        ticks = {
            "tickmode": "array",
            "tickvals": [float(np.log10(level)) for level in shown],
            "ticktext": level_texts(shown),
        }
    look: dict[str, Any] = {
        "coloraxis.cmin": low,
        "coloraxis.cmax": high,
        "coloraxis.colorscale": color_scale(shading),
        "coloraxis.colorbar.title.text": html.escape(shading.label, quote=False),
        **{f"coloraxis.colorbar.{name}": value for name, value in ticks.items()},
    }
    for scene in scenes:
        # The floor lies a little lower, else its grid shows through the surface's lowest points.
        look |= {f"{scene}.zaxis.range": [low - 0.02 * (high - low), high], f"{scene}.zaxis.title.text": shading.short}
        look |= {f"{scene}.zaxis.{name}": value for name, value in ticks.items()}
    return look
