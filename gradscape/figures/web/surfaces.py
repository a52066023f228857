"""Surfaces to turn, zoom and read off in a browser: one HTML text that needs no network."""

import html
from collections.abc import Sequence
from itertools import product
from typing import Any, get_args

import numpy as np
import plotly.graph_objects as go
import plotly.io
from matplotlib.colors import to_hex
from plotly.subplots import make_subplots

from gradscape.figures.style import colormap, short_number
from gradscape.figures.surfaces.shading import Scale, Shading, Value, shade
from gradscape.figures.surfaces.wording import describe_surfaces, result_names
from gradscape.figures.web.pages import render_page
from gradscape.landscape import Surface

__all__ = [
    "PLOTLY_CONFIG",
    "VIEWS",
    "color_scale",
    "drawing_stride",
    "drawn_heights",
    "hover_template",
    "interactive_surface",
    "kept_indices",
    "shade_view",
]

# Each point costs about 70 bytes: seven heights as text, three float32 numbers to read. They come on top of plotly's
# own 4.8 MB, and this many, five surfaces of 51 × 51 among them, keep a page below about 6 MB.
_MOST_POINTS = 13_500
VIEWS: tuple[tuple[Value, Scale], ...] = tuple(product(get_args(Value), ("raw", "minmax", "log")))
_NAMES = {"raw": "", "minmax": ", min-max", "log": ", log"}
_COLORS = 33
_PANEL_HEIGHT = 560
_PLOT = "landscape"
_MOST_COLUMNS = 3
# Nothing in the page leads out of it: without the second and third entry plotly shows a button that uploads the data.
PLOTLY_CONFIG = {"displaylogo": False, "showSendToCloud": False, "plotlyServerURL": ""}


def interactive_surface(surfaces: Surface | Sequence[Surface], *, titles: Sequence[str] | None = None) -> str:
    """Make a page of 3-D surfaces with plotly inside, which works offline.

    Buttons choose loss or error (where it was measured), as it is, min-max scaled or on a log scale. Several
    surfaces share one color scale and one range of heights. Hovering shows the coordinates, loss ± standard error
    (and whether that is reliable) and the error. Non-finite values are gaps. Above 13,500 points only every second
    (third, …) row and column is drawn, and the caption says so.

    Args:
        surfaces: One surface or several, each with at least 2 alphas and 2 betas.
        titles: A name for each; by default its model's.

    Returns:
        The text of an HTML file. Names and provenance are shown as they are, never as markup.

    Raises:
        ValueError: No surface, fewer than two alphas or betas, or titles of another number.

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
    several = [surfaces] if isinstance(surfaces, Surface) else list(surfaces)
    names = result_names(several, titles)
    views = {view: shading for view in VIEWS if (shading := shade_view(several, view))}
    for surface in several:
        if min(len(surface.alphas), len(surface.betas)) < 2:
            raise ValueError(
                "`surfaces` must have at least 2 alphas and 2 betas each, got "
                f"{len(surface.alphas)} and {len(surface.betas)}"
            )
    stride = drawing_stride(several)
    figure = _figure(several, names, views, stride)
    caption = describe_surfaces(several, names)
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
    return render_page("surface.html", title=", ".join(names), plot=plot, caption=caption)


def shade_view(surfaces: Sequence[Surface], view: tuple[Value, Scale]) -> Shading | None:
    """A view's range; None where it cannot be drawn: no error was measured, or nothing is positive on a log scale."""
    try:
        return shade(surfaces, *view)
    except ValueError:
        if view == VIEWS[0]:
            raise
        return None


def drawing_stride(surfaces: Sequence[Surface]) -> int:
    """Draw one row and column in so many, for the page to stay small."""
    points = sum(surface.loss.size for surface in surfaces)
    return int(np.ceil(np.sqrt(points / _MOST_POINTS))) if points > _MOST_POINTS else 1


def _figure(
    surfaces: Sequence[Surface], names: Sequence[str], views: dict[tuple[Value, Scale], Shading], stride: int
) -> go.Figure:
    columns = min(len(surfaces), _MOST_COLUMNS)
    rows = -(-len(surfaces) // columns)
    figure = make_subplots(
        rows=rows,
        cols=columns,
        specs=[[{"type": "surface"}] * columns] * rows,
        # Plotly reads titles as a kind of HTML.
        subplot_titles=[html.escape(name, quote=False) for name in names],
        horizontal_spacing=0.01,
        vertical_spacing=0.05,
    )
    for number, surface in enumerate(surfaces):
        trace = _trace(surface, drawn_heights(surface, views[VIEWS[0]], stride), stride)
        figure.add_trace(trace, row=number // columns + 1, col=number % columns + 1)
    scenes = [f"scene{number}" if number > 1 else "scene" for number in range(1, len(surfaces) + 1)]
    for scene, surface in zip(scenes, surfaces, strict=True):
        figure.update_layout({scene: _scene(surface)})
    buttons = [
        {
            "label": value + _NAMES[scale],
            "method": "update",
            "args": [
                {"z": [drawn_heights(surface, shading, stride) for surface in surfaces]},
                _look(shading, scenes),
            ],
        }
        for (value, scale), shading in views.items()
    ]
    figure.update_layout(_look(views[VIEWS[0]], scenes))
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


def _trace(surface: Surface, heights: list[list[float | None]], stride: int) -> go.Surface:
    rows, columns = (kept_indices(len(axis), stride) for axis in (surface.betas, surface.alphas))
    read = np.stack([surface.loss, surface.loss_stderr, 100 * surface.error], axis=-1)[rows, columns]
    unsure = (np.isfinite(surface.loss_stderr) & ~surface.reliable)[rows, columns]
    return go.Surface(
        x=surface.alphas[columns],
        y=surface.betas[rows],
        z=heights,
        # When hovering, plotly looks these two up as [x][y], although it reads z as [y][x].
        customdata=read.transpose(1, 0, 2).astype(np.float32),
        text=np.where(unsure.T, " (unreliable)", "") if unsure.any() else None,
        hovertemplate=hover_template(surface),
        coloraxis="coloraxis",
        contours={axis: {"highlight": True, "highlightwidth": 1} for axis in "xyz"},
        lighting={"ambient": 0.75, "diffuse": 0.5, "specular": 0.05, "roughness": 0.9},
    )


def hover_template(surface: Surface) -> str:
    """What is said at a point, of custom data (loss, standard error, error in percent) and a text where unreliable."""
    parts = ["alpha %{x:.4~g}", "beta %{y:.4~g}", "loss %{customdata[0]:.4~g}"]
    if np.isfinite(surface.loss_stderr).any():
        unsure = (np.isfinite(surface.loss_stderr) & ~surface.reliable).any()
        parts[-1] += " ± %{customdata[1]:.2~g}" + ("%{text}" if unsure else "")
    if np.isfinite(surface.error).any():
        parts.append("error %{customdata[2]:.2~f} %")
    return "<br>".join(parts) + "<extra></extra>"


def drawn_heights(surface: Surface, shading: Shading, stride: int) -> list[list[float | None]]:
    """What is drawn as z, None where there is a gap; logarithms are taken here, so that colors follow them."""
    rows, columns = (kept_indices(len(axis), stride) for axis in (surface.betas, surface.alphas))
    values = shading.drawn(surface).filled(np.nan)[rows, columns]
    heights = np.log10(values) if shading.scale == "log" else values
    # Five digits are finer than a screen, and a third of the bytes.
    return [[float(f"{height:.5g}") if np.isfinite(height) else None for height in row] for row in heights]


def kept_indices(length: int, stride: int) -> slice:
    """Every `stride`-th index, the middle one among them."""
    return slice((length - 1) // 2 % stride, None, stride)


def color_scale(value: Value) -> list[list[float | str]]:
    """A value's color map as plotly takes it."""
    colors = colormap(value)
    return [[step / (_COLORS - 1), to_hex(colors(step / (_COLORS - 1)))] for step in range(_COLORS)]


def _scene(surface: Surface) -> dict[str, Any]:
    alphas, betas = (float(np.ptp(axis)) for axis in (surface.alphas, surface.betas))
    ratio = float(np.clip(betas / alphas, 0.5, 2))
    return {
        "xaxis": {"title": {"text": "alpha"}},
        "yaxis": {"title": {"text": "beta"}},
        "aspectmode": "manual",
        "aspectratio": {"x": min(1, 1 / ratio), "y": min(1, ratio), "z": 0.7},
        "camera": {"eye": {"x": 1.15, "y": -1.45, "z": 0.9}, "center": {"x": 0, "y": 0, "z": -0.12}},
    }


def _look(shading: Shading, scenes: Sequence[str]) -> dict[str, Any]:
    """Range, colors, ticks and labels of a view, as changes of plotly's layout."""
    low, high = shading.low, shading.high
    ticks: dict[str, Any] = {"tickmode": "auto"}
    if shading.scale == "log":
        low, high = float(np.log10(low)), float(np.log10(high))
        shown = [level for level in shading.levels if shading.low <= level <= shading.high]
        ticks = {
            "tickmode": "array",
            "tickvals": [float(np.log10(level)) for level in shown],
            "ticktext": [short_number(level) for level in shown],
        }
    look: dict[str, Any] = {
        "coloraxis.cmin": low,
        "coloraxis.cmax": high,
        "coloraxis.colorscale": color_scale(shading.value),
        "coloraxis.colorbar.title.text": html.escape(shading.label, quote=False),
        **{f"coloraxis.colorbar.{name}": value for name, value in ticks.items()},
    }
    for scene in scenes:
        # The floor lies a little lower, else its grid shows through the surface's lowest points.
        look |= {f"{scene}.zaxis.range": [low - 0.02 * (high - low), high], f"{scene}.zaxis.title.text": shading.value}
        look |= {f"{scene}.zaxis.{name}": value for name, value in ticks.items()}
    return look
