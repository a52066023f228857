"""Surfaces as numbers for a page that draws them itself: every view on one range, and what is read off at a point."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.offline

from gradscape.figures.style import short_number, styled
from gradscape.figures.surfaces.pages import figure_comparison, figure_landscape
from gradscape.figures.surfaces.shading import Shading
from gradscape.figures.surfaces.wording import describe_surfaces, result_names
from gradscape.figures.web.surfaces import (
    PLOTLY_CONFIG,
    VIEWS,
    color_scale,
    drawing_stride,
    drawn_heights,
    hover_template,
    kept_indices,
    shade_view,
)
from gradscape.landscape import Surface

__all__ = ["plotly_script", "surface_content", "surface_map"]

_TICKS = 5
_DOTS = 160  # an inch, of the picture that is printed


def plotly_script() -> str:
    """The JavaScript of plotly, for a page that must work without a network."""
    return str(plotly.offline.get_plotlyjs())


def surface_content(surfaces: Sequence[Surface], *, titles: Sequence[str]) -> dict[str, Any]:
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
    names = result_names(surfaces, titles)
    shadings = {view: shading for view in VIEWS if (shading := shade_view(surfaces, view))}
    stride = drawing_stride(surfaces)
    thinned = f" · one row and column in {stride} drawn" if stride > 1 else ""
    return {
        "panels": [_panel(surface, name, shadings, stride) for surface, name in zip(surfaces, names, strict=True)],
        "views": {_key(view): _view(shading) for view, shading in shadings.items()},
        "caption": describe_surfaces(surfaces, names) + thinned,
        "config": PLOTLY_CONFIG | {"displayModeBar": False, "scrollZoom": False},
    }


@styled()
def surface_map(surfaces: Sequence[Surface], *, titles: Sequence[str]) -> bytes:
    """Filled contours of the loss, of all surfaces on one scale, as a PNG picture: for paper.

    Args:
        surfaces: Each with at least 2 alphas and 2 betas.
        titles: A name for each.
    """
    several = len(surfaces) > 1
    figure = figure_comparison(surfaces, titles=titles) if several else figure_landscape(surfaces[0], kind="filled")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DOTS, metadata={"Software": "gradscape"})
    return buffer.getvalue()


def _key(view: tuple[str, str]) -> str:
    return " ".join(view)


def _panel(surface: Surface, title: str, shadings: dict[tuple[Any, Any], Shading], stride: int) -> dict[str, Any]:
    rows, columns = (kept_indices(len(axis), stride) for axis in (surface.betas, surface.alphas))
    read = np.stack([surface.loss, surface.loss_stderr, 100 * surface.error], axis=-1)[rows, columns]
    unsure = (np.isfinite(surface.loss_stderr) & ~surface.reliable)[rows, columns]
    return {
        "title": title,
        "alphas": _numbers(surface.alphas[columns]),
        "betas": _numbers(surface.betas[rows]),
        "heights": {_key(view): drawn_heights(surface, shading, stride) for view, shading in shadings.items()},
        # When hovering, plotly looks these two up as [x][y], although it reads z as [y][x].
        "read": [[_numbers(point) for point in row] for row in read.transpose(1, 0, 2)],
        "unsure": np.where(unsure.T, " (unreliable)", "").tolist() if unsure.any() else None,
        "template": hover_template(surface),
    }


def _view(shading: Shading) -> dict[str, Any]:
    logarithmic = shading.scale == "log"
    low, high = (float(np.log10(end)) if logarithmic else end for end in (shading.low, shading.high))
    ticks = shading.ticks(_TICKS)
    return {
        "value": shading.value,
        "label": shading.label,
        "low": low,
        "high": high,
        "ticks": [float(np.log10(tick)) if logarithmic else tick for tick in ticks],
        "texts": [short_number(tick) for tick in ticks],
        "colors": color_scale(shading.value),
    }


def _numbers(values: np.ndarray) -> list[float | None]:
    """Four digits, None where there is no number: JSON knows neither NaN nor infinity."""
    return [float(f"{value:.4g}") if np.isfinite(value) else None for value in values.tolist()]
