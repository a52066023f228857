"""Whole pages of surfaces: one, original beside scaled, several on one scale."""

from collections.abc import Sequence
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradscape.figures.style import styled
from gradscape.figures.surfaces.fields import several, to_field, to_fields
from gradscape.figures.surfaces.layout import DrawingKind, fitting_columns, lay_out
from gradscape.figures.surfaces.maps import add_colorbar, draw_contour, draw_filled, draw_heat
from gradscape.figures.surfaces.relief import draw_relief
from gradscape.figures.surfaces.shading import Scale, shade
from gradscape.figures.surfaces.wording import describe_field, describe_fields, result_names
from gradscape.landscape import Field, Surface

__all__ = ["figure_comparison", "figure_landscape", "figure_scaled"]

_DRAW = {"contour": draw_contour, "filled": draw_filled, "heat": draw_heat, "surface": draw_relief}
_MOST_COLUMNS = 3


@styled()
def figure_landscape(
    surface: Surface | Field, *, kind: DrawingKind = "filled", value: str | None = None, scale: Scale = "raw"
) -> Figure:
    """A single-column page of one surface with its caption.

    Args:
        surface: A surface, or a field itself.
        kind: "contour", "filled", "heat" or "surface" (3-D).
        value: Name of the surface's field: "loss" (the default), "error" (in percent), "stderr", …; none for a field.
        scale: "raw", "minmax", "minmax-column" or "log".

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
    page = lay_out(kind, [field], describe_field(field), columns=1, shared=True)
    add_colorbar(page.figure, _DRAW[kind](page.panels[0], field, shading), shading, **page.bars[0])
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
    page = lay_out(kind, twice, describe_fields(rows, names), columns=fitting_columns(kind, 2), shared=False)
    for number, (ax, bar) in enumerate(zip(page.panels, page.bars, strict=True)):
        row, column = divmod(number, 2)
        mappable = _DRAW[kind](ax, rows[row], shadings[column])
        _add_title(ax, f"{names[row]}, {('original', 'scaled')[column]}", kind)
        add_colorbar(page.figure, mappable, shadings[column], **bar)
    return page.figure


@styled()
def figure_comparison(
    surfaces: Sequence[Surface | Field],
    *,
    value: str | None = None,
    scale: Scale = "raw",
    kind: DrawingKind = "filled",
    titles: Sequence[str] | None = None,
) -> Figure:
    """Several checkpoints side by side on one color scale, one range of heights and with one color bar.

    Args:
        surfaces: One or more surfaces, or fields of one name; their grids may differ.
        value: Name of the surface's field: "loss" (the default), "error" (in percent), "stderr", …; none for a field.
        scale: "raw", "minmax", "minmax-column" or "log".
        kind: "contour", "filled", "heat" or "surface" (3-D).
        titles: A name for each surface; by default its model's.

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
    shading = shade(fields, scale)
    columns = fitting_columns(kind, 2 if len(fields) == 4 else min(len(fields), _MOST_COLUMNS))
    page = lay_out(kind, fields, describe_fields(fields, names), columns=columns, shared=True)
    for ax, field, name in zip(page.panels, fields, names, strict=True):
        mappable = _DRAW[kind](ax, field, shading)
        _add_title(ax, name, kind)
    if kind != "surface":
        _label_outer(page.panels, columns)
    add_colorbar(page.figure, mappable, shading, **page.bars[0])
    return page.figure


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
