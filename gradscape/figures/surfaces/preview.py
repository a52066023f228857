"""A surface that is still being evaluated: its picture, and the words for how far it is."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradscape.figures.style import short_number, styled
from gradscape.figures.surfaces.color_bars import add_colorbar
from gradscape.figures.surfaces.layout import lay_out
from gradscape.figures.surfaces.maps import draw_filled
from gradscape.figures.surfaces.shading import shade
from gradscape.figures.surfaces.wording import describe_field
from gradscape.landscape import Surface

__all__ = ["describe_progress", "figure_preview", "interpolated_loss"]

_LARGEST_DOT = 1.2  # points; dots on a fine grid are smaller, a sixth of their distance
_PANEL = 150.0  # points, about the width of the panel on a single-column page


@styled()
def figure_preview(surface: Surface) -> Figure:
    """A single-column page of the loss as filled contours, also while most points are still to be evaluated.

    Between evaluated points, which have dots, it is interpolated, and the caption says so; a surface evaluated
    everywhere is drawn as `figure_landscape` draws it.

    Args:
        surface: (B, A) values, of which those with `count` 0 are not known yet.

    Returns:
        The page.

    Raises:
        ValueError: Fewer than two alphas or betas.
    """
    field = surface.field("loss")
    shading = shade([field], "auto")
    complete = bool((surface.count > 0).all())
    # What is found on the way, such as standard errors of few images, would only hide how far the way is.
    caption = f"preview: {describe_progress(surface)} · {describe_field(field, drawn=shading.note, findings=complete)}"
    page = lay_out("filled", [field], caption, columns=1, shared=True)
    (panel,) = page.panels
    mappable = draw_filled(panel, field, shading, values=interpolated_loss(surface))
    add_colorbar(page.figure, mappable, shading, **page.bars[0])
    if not complete:
        _add_dots(panel, surface)
    return page.figure


def interpolated_loss(surface: Surface) -> Float[np.ma.MaskedArray, "betas alphas"]:
    """The loss of a surface with the points that were not evaluated filled in; for pictures, never to be stored.

    Linear along each row between its evaluated points, then along each column between its filled rows: on an even
    grid of evaluated points bilinear, which unlike a triangulation favors no diagonal. Nothing is extrapolated, and
    nothing bridged: what has a point of non-finite loss for its neighbor stays masked, as does that point itself.

    Args:
        surface: (B, A) values.

    Returns:
        (B, A); evaluated points hold their own loss.
    """
    evaluated = surface.count > 0
    # Contours do not ask for ascending coordinates, interpolation does.
    rows, columns = np.argsort(surface.betas), np.argsort(surface.alphas)
    there = np.ix_(rows, columns)
    losses, known = np.where(np.isfinite(surface.loss), surface.loss, np.nan)[there], evaluated[there]
    losses, known = _filled_rows(losses, known, surface.alphas[columns])
    turned, _ = _filled_rows(losses.T, known.T, surface.betas[rows])
    filled = np.full(evaluated.shape, np.nan)
    filled[there] = turned.T
    return np.ma.masked_invalid(filled)


def describe_progress(surface: Surface) -> str:
    """How many points are evaluated on how many images, and what is between them or how sure they are."""
    count, total = surface.count, surface.count.size
    evaluated = int((count > 0).sum())
    if not evaluated:
        return f"0 of {total:,} points"
    low, high = int(count[count > 0].min()), int(count.max())
    several = f"{low:,} to {high:,} images each" if low < high else f"{high:,} image{'s' if high > 1 else ''} each"
    if evaluated < total:
        return f"{evaluated:,} of {total:,} points on {several}; between the dots interpolated"
    if low == surface.blocks.population:
        return f"all {total:,} points on all {high:,} images"
    errors = surface.loss_stderr[np.isfinite(surface.loss_stderr)]
    sure = f", median standard error {short_number(float(np.median(errors)), 2)}" if len(errors) else ""
    return f"all {total:,} points on {several}{sure}"


def _filled_rows(
    values: Float[np.ndarray, "rows columns"],
    known: Bool[np.ndarray, "rows columns"],
    axis: Float[np.ndarray, "columns"],
) -> tuple[Float[np.ndarray, "rows columns"], Bool[np.ndarray, "rows columns"]]:
    """Each row, linear between its known values (NaN next to a NaN); where it is known then."""
    filled, reached = values.copy(), known.copy()
    for row, anchors in enumerate(known):
        at = np.flatnonzero(anchors)
        if len(at) < 2:
            continue
        between = np.setdiff1d(np.arange(at[0], at[-1]), at)
        right = at[np.searchsorted(at, between)]
        left = at[np.searchsorted(at, between) - 1]
        share = (axis[between] - axis[left]) / (axis[right] - axis[left])
        filled[row, between] = (1 - share) * values[row, left] + share * values[row, right]
        reached[row, between] = True
    return filled, reached


def _add_dots(ax: Axes, surface: Surface) -> None:
    rows, columns = np.nonzero(surface.count > 0)
    if len(rows):
        apart = _PANEL / max(len(np.unique(columns)), len(np.unique(rows)))
        size = min(_LARGEST_DOT, apart / 6)
        at = surface.alphas[columns], surface.betas[rows]
        # Dark in light, so that it is seen on every color of the map; at the rim whole, like those inside.
        look: dict[str, Any] = {"linestyle": "none", "marker": "o", "markeredgewidth": 0, "clip_on": False}
        ax.plot(*at, markersize=1.7 * size, color="white", alpha=0.4, zorder=2.5, **look)
        ax.plot(*at, markersize=size, color="black", alpha=0.8, zorder=2.6, label="evaluated", **look)
