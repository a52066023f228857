"""Fields as a browser draws them: heights by view, shared ranges, and what is read off at a point."""

import html
from collections.abc import Sequence
from itertools import product

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.colors import to_hex

from gradscape.figures.surfaces.fields import drawn_unit
from gradscape.figures.surfaces.scales import Scale, chosen_scale, readable_together
from gradscape.figures.surfaces.shading import Shading, shade
from gradscape.landscape import Field, Surface
from gradscape.landscape.field import UNRELIABLE

__all__ = [
    "Panel",
    "View",
    "color_scale",
    "drawing_stride",
    "drawn_heights",
    "hover_template",
    "in_plotly",
    "make_panels",
    "read_names",
    "read_off",
    "readable_scale",
    "shade_views",
    "thinned_axes",
    "unreliable_texts",
]

Panel = tuple[Field, ...]
"""Fields on one grid, one of which is drawn at a time; the first is read off with its standard error."""

View = tuple[str, Scale]
"""Name of the field that is drawn, and how it is scaled."""

# Each point costs about 70 bytes: seven heights as text, three float32 numbers to read. They come on top of plotly's
# own 4.8 MB, and this many, five surfaces of 51 × 51 among them, keep a page below about 6 MB.
_MOST_POINTS = 13_500
_SCALES: tuple[Scale, ...] = ("raw", "minmax", "log")
_COLORS = 33


def make_panels(drawables: Sequence[Surface | Field]) -> list[Panel]:
    """What each panel can show: of a surface the loss, and the error where it was measured; a field by itself."""
    return [
        (drawable,)
        if isinstance(drawable, Field)
        else tuple(drawable.field(name) for name in ("loss", "error") if name in drawable.fields)
        for drawable in drawables
    ]


def shade_views(panels: Sequence[Panel]) -> dict[View, Shading]:
    """Every view that all panels can be drawn in, with its range; not on a log scale where nothing is positive.

    Raises:
        ValueError: No panel, or panels whose first fields cannot share a range.
    """
    # What is wrong with the first view is said, not left out.
    shade([panel[0] for panel in panels], "raw")
    by_name = [{field.name: field for field in panel} for panel in panels]
    shared = [name for name in by_name[0] if all(name in fields for fields in by_name)]
    shadings: dict[View, Shading] = {}
    for name, scale in product(shared, _SCALES):
        try:
            shadings[name, scale] = shade([fields[name] for fields in by_name], scale)
        except ValueError:
            continue
    return shadings


def readable_scale(fields: Sequence[Field]) -> Scale:
    """The scale that pictures choose by themselves; where they choose one for each panel, min-max scaled."""
    scale = chosen_scale(fields, "auto")
    return scale if readable_together(fields, scale) else "minmax"


def drawing_stride(panels: Sequence[Panel]) -> int:
    """Draw one row and column in so many, for the page to stay small."""
    points = sum(panel[0].values.size for panel in panels)
    return int(np.ceil(np.sqrt(points / _MOST_POINTS))) if points > _MOST_POINTS else 1


def thinned_axes(panel: Panel, stride: int) -> tuple[Float[np.ndarray, "alphas"], Float[np.ndarray, "betas"]]:
    """The coordinates that are drawn."""
    rows, columns = _kept(panel[0], stride)
    return panel[0].alphas[columns], panel[0].betas[rows]


def drawn_heights(panel: Panel, shading: Shading, stride: int) -> list[list[float | None]]:
    """What is drawn as z, None where there is a gap; logarithms are taken here, so that colors follow them."""
    (field,) = (field for field in panel if field.name == shading.value)
    values = shading.drawn(field).filled(np.nan)[_kept(field, stride)]
    heights = np.log10(values) if shading.scale == "log" else values
    # Five digits are finer than a screen, and a third of the bytes.
    return [[float(f"{height:.5g}") if np.isfinite(height) else None for height in row] for row in heights]


def read_off(panel: Panel, stride: int) -> Float[np.ndarray, "alphas betas numbers"]:
    """What is said at a point: the first field, its standard error (NaN without one), the other fields."""
    first, *others = panel
    factor, _ = drawn_unit(first.unit)
    stderr = np.full_like(first.values, np.nan) if first.stderr is None else first.stderr
    numbers = [factor * first.values, factor * stderr, *(drawn_unit(field.unit)[0] * field.values for field in others)]
    # When hovering, plotly looks this up as [x][y], although it reads z as [y][x].
    return np.stack(numbers, axis=-1)[_kept(first, stride)].transpose(1, 0, 2)


def read_names(panel: Panel) -> list[str]:
    """What the numbers of `read_off` are, with their units."""
    first, *others = panel
    units = {field.name: drawn_unit(field.unit)[1] for field in panel}
    said = {field.name: field.short + (f" ({units[field.name]})" if units[field.name] else "") for field in panel}
    return [said[first.name], f"standard error of {said[first.name]}", *(said[field.name] for field in others)]


def unreliable_texts(panel: Panel, stride: int) -> np.ndarray | None:
    """What is said of a standard error that cannot be trusted, (A, B) texts; None where all can."""
    unsure = _unreliable(panel[0])[_kept(panel[0], stride)]
    return np.where(unsure.T, " (unreliable)", "") if unsure.any() else None


def hover_template(panel: Panel) -> str:
    """How plotly says what `read_off` found, and a text where that is unreliable."""
    first, *others = panel
    parts = ["alpha %{x:.4~g}", "beta %{y:.4~g}", _said(first, 0)]
    if first.stderr is not None and np.isfinite(first.stderr).any():
        parts[-1] += " ± %{customdata[1]:.2~g}" + ("%{text}" if _unreliable(first).any() else "")
    parts += [_said(field, place) for place, field in enumerate(others, 2) if np.isfinite(field.values).any()]
    return "<br>".join(parts) + "<extra></extra>"


def in_plotly(name: str) -> str:
    """A name without a meaning in plotly's texts and templates, which know a few tags, entities and `%{…}`."""
    return html.escape(name, quote=False).replace("%{", "&#37;{")


def color_scale(shading: Shading) -> list[list[float | str]]:
    """A color map as plotly takes it."""
    colors = shading.colors
    return [[step / (_COLORS - 1), to_hex(colors(step / (_COLORS - 1)))] for step in range(_COLORS)]


def _kept(field: Field, stride: int) -> tuple[slice, slice]:
    """Every `stride`-th row and column, the middle ones among them."""
    rows, columns = (slice((length - 1) // 2 % stride, None, stride) for length in field.values.shape)
    return rows, columns


def _unreliable(field: Field) -> Bool[np.ndarray, "betas alphas"]:
    return field.marks.get(UNRELIABLE, np.zeros(field.values.shape, bool))


def _said(field: Field, place: int) -> str:
    _, unit = drawn_unit(field.unit)
    digits = ".2~f" if unit == "%" else ".4~g"
    return f"{in_plotly(field.short)} %{{customdata[{place}]:{digits}}}" + (f" {in_plotly(unit)}" if unit else "")
