"""Whole pages of surfaces: one, original beside scaled, several on one scale."""

from collections.abc import Sequence
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from gradscape.figures.style import styled
from gradscape.figures.surfaces.color_bars import add_colorbar
from gradscape.figures.surfaces.fields import several, to_field, to_fields
from gradscape.figures.surfaces.layout import DrawingKind, Page, fit_reliefs, fitting_columns, lay_out
from gradscape.figures.surfaces.maps import (
    draw_contour,
    draw_dots,
    draw_filled,
    draw_heat,
    label_lines,
    line_levels,
)
from gradscape.figures.surfaces.relief import draw_points, draw_relief
from gradscape.figures.surfaces.scales import Scale
from gradscape.figures.surfaces.shading import Shading, shade, shade_panels
from gradscape.figures.surfaces.smoothing import smooth, smoothing_note
from gradscape.figures.surfaces.trajectories import label_networks
from gradscape.figures.surfaces.wording import describe_field, describe_fields, result_names
from gradscape.landscape import Field, Surface

__all__ = ["figure_comparison", "figure_landscape", "figure_scaled"]

_DRAW = {"contour": draw_contour, "filled": draw_filled, "heat": draw_heat, "surface": draw_relief}
_Key = tuple[Sequence[Axes], ScalarMappable, Shading]
"""Panels that share a color bar, and what that is made of."""

_MOST_COLUMNS = 3
_OWN_SCALES = "each panel on a scale of its own, since on a shared one some would look flat"


@styled()
def figure_landscape(
    surface: Surface | Field,
    *,
    kind: DrawingKind = "filled",
    value: str | None = None,
    scale: Scale = "auto",
    smoothed: bool = False,
) -> Figure:
    """A single-column page of one surface with its caption.

    Args:
        surface: A surface, or a field itself.
        kind: "contour", "filled", "heat" or "surface" (3-D).
        value: Name of the surface's field: "loss" (the default), "error" (in percent), "stderr", …; none for a field.
        scale: "raw", "minmax", "minmax-column" or "log"; "auto" is "log" where values exceed two decades, else "raw".
        smoothed: Interpolate between the points, which get dots, for all kinds but "heat"; the caption says so.

    Returns:
        The page.

    Raises:
        ValueError: An option is unknown or does not fit the values.

    Example:
        >>> import torch
        >>> from gradscape.landscape import evaluate_surface, random_directions
        >>> net, batches = torch.nn.Linear(4, 3), [(torch.randn(64, 4), torch.arange(64) % 3)]
        >>> axis = [-1.0, 0.0, 1.0]
        >>> surface = evaluate_surface(net, batches, random_directions(net, seed=0), axis, axis)
        >>> figure = figure_landscape(surface, kind="contour")
        >>> round(float(figure.get_figwidth()), 2)  # inches: one column
        3.35
    """
    field = to_field(surface, value)
    shading = shade([field], scale)
    caption = describe_field(field, drawn=_drawn([field], [shading], smoothed=smoothed))
    page = lay_out(kind, [field], caption, columns=1, shared=True)
    mappable = _draw(kind, page.panels[0], field, shading, smoothed=smoothed)
    _finish(kind, page, [(page.panels, mappable, shading)])
    return page.figure


@styled()
def figure_scaled(
    surfaces: Surface | Field | Sequence[Surface | Field],
    *,
    kind: DrawingKind = "surface",
    value: str | None = None,
    scale: Literal["minmax", "minmax-column"] = "minmax",
    titles: Sequence[str] | None = None,
) -> Figure:
    """Original on the left, min-max scaled on the right; a row for each surface.

    All originals share one range, so that they can be compared; a scaled surface fills [0, 1] by itself.

    Args:
        surfaces: One surface or several; also fields.
        kind: "contour", "filled", "heat" or "surface" (3-D).
        value: Name of the surface's field: "loss" (the default), "error" (in percent), "stderr", …; none for a field.
        scale: "minmax" scales each surface as a whole, "minmax-column" each of its columns by itself.
        titles: A name for each surface; by default its model's.

    Returns:
        A double-column page.

    Raises:
        ValueError: No surface, titles of another number, or an unknown option.

    Source: UPANets, appendix C, figures 12 to 17.
    """
    rows = to_fields(several(surfaces), value)
    names = result_names(rows, titles)
    if scale not in ("minmax", "minmax-column"):
        raise ValueError(f'`scale` must be "minmax" or "minmax-column", got {scale!r}: the original stands beside it')
    shadings = [shade(rows, "raw"), shade(rows, scale)]
    twice = [field for field in rows for _ in range(2)]
    caption = describe_fields(rows, names, drawn=f"right: {shadings[1].note}")
    page = lay_out(kind, twice, caption, columns=fitting_columns(kind, 2, shared=False), shared=False)
    keys: list[_Key] = []
    for number, ax in enumerate(page.panels):
        row, column = divmod(number, 2)
        keys.append(([ax], _DRAW[kind](ax, rows[row], shadings[column]), shadings[column]))
        _add_title(ax, f"{names[row]}, {('original', 'scaled')[column]}", kind)
    _finish(kind, page, keys)
    return page.figure


@styled()
def figure_comparison(
    surfaces: Sequence[Surface | Field],
    *,
    value: str | None = None,
    scale: Scale = "auto",
    kind: DrawingKind = "filled",
    titles: Sequence[str] | None = None,
    smoothed: bool = False,
) -> Figure:
    """Several checkpoints side by side on one color scale, one range of heights and with one color bar if they can.

    Args:
        surfaces: One or more surfaces, or fields of one name; their grids may differ.
        value: Name of the surface's field: "loss" (the default), "error" (in percent), "stderr", …; none for a field.
        scale: "raw", "minmax", "minmax-column" or "log", shared by all. "auto" is "log" where that makes all of them
            readable, else "raw"; where no shared scale does, each has its own, and the caption says so.
        kind: "contour", "filled", "heat" or "surface" (3-D).
        titles: A name for each surface; by default its model's.
        smoothed: As for `figure_landscape`.

    Returns:
        A double-column page with up to three panels in a row.

    Raises:
        ValueError: No surface, titles of another number, or an unknown option.

    Source: UPANets, figures 8, 9, 18 and 20.

    Example:
        >>> import torch
        >>> from gradscape.landscape import evaluate_surface, random_directions
        >>> net, batches = torch.nn.Linear(4, 3), [(torch.randn(64, 4), torch.arange(64) % 3)]
        >>> axis = [-1.0, 0.0, 1.0]
        >>> surface = evaluate_surface(net, batches, random_directions(net, seed=0), axis, axis)
        >>> figure = figure_comparison([surface, surface], titles=["one", "another"])
        >>> [ax.get_title() for ax in figure.axes if ax.get_title()]
        ['one', 'another']
    """
    fields = to_fields(surfaces, value)
    names = result_names(fields, titles)
    shadings = shade_panels(fields, scale)
    shared = all(shading is shadings[0] for shading in shadings)
    columns = fitting_columns(kind, 2 if len(fields) == 4 else min(len(fields), _MOST_COLUMNS), shared=shared)
    caption = describe_fields(fields, names, drawn=_drawn(fields, shadings, smoothed=smoothed))
    page = lay_out(kind, fields, caption, columns=columns, shared=shared)
    keys: list[_Key] = []
    for ax, field, name, shading in zip(page.panels, fields, names, shadings, strict=True):
        keys.append(([ax], _draw(kind, ax, field, shading, smoothed=smoothed), shading))
        _add_title(ax, name, kind)
    if kind != "surface":
        _label_outer(page.panels, page.columns)
    _finish(kind, page, [(page.panels, *keys[0][1:])] if shared else keys)
    return page.figure


def _draw(kind: DrawingKind, ax: Axes, field: Field, shading: Shading, *, smoothed: bool) -> ScalarMappable:
    """Draw a panel; returns what a color bar can be made of."""
    if not smoothed:
        return _DRAW[kind](ax, field, shading)
    if kind == "heat":
        raise ValueError('`smoothed` interpolates between points, which "heat" draws as they are: choose another kind')
    finer = smooth(field, shading)
    if kind == "surface":
        mappable = draw_relief(ax, finer, shading, grid=False)
        draw_points(ax, field, shading)
    else:
        mappable = _DRAW[kind](ax, finer, shading)
        draw_dots(ax, field)
    return mappable


def _finish(kind: DrawingKind, page: Page, keys: Sequence[_Key]) -> None:
    """Add the color bars, then what must know where panels stand."""
    for (panels, mappable, shading), bar in zip(keys, page.bars, strict=False):
        lines = line_levels(panels) if kind == "contour" else None
        add_colorbar(page.figure, mappable, shading, lines=lines, **bar)
    if kind == "surface":
        fit_reliefs(page)
    label_networks(page.panels)
    if kind == "contour":
        label_lines(page.panels)


def _drawn(fields: Sequence[Field], shadings: Sequence[Shading], *, smoothed: bool) -> str:
    """What captions say of how fields are drawn."""
    notes = list(dict.fromkeys(shading.note for shading in shadings)) if shadings[0] is shadings[-1] else [_OWN_SCALES]
    notes += dict.fromkeys(smoothing_note(field) for field in fields) if smoothed else []
    return " · ".join(filter(None, notes))


def _add_title(ax: Axes, text: str, kind: DrawingKind) -> None:
    # 3-D axes reach above what they show: at their upper edge the title would float.
    if kind == "surface":
        ax.set_title(text, parse_math=False, y=0.99, pad=0)
    else:
        ax.set_title(text, parse_math=False)


def _label_outer(panels: Sequence[Axes], columns: int) -> None:
    """Leave out the labels between panels of the same extent."""
    if len({(ax.get_xlim(), ax.get_ylim()) for ax in panels}) > 1:
        return
    for number, ax in enumerate(panels):
        if number % columns:
            ax.set_ylabel("")
            ax.tick_params(labelleft=False)
        if number + columns < len(panels):
            ax.set_xlabel("")
            ax.tick_params(labelbottom=False)
