"""On which scale values are drawn: the one that was asked for, or one on which they can be read."""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float

from gradscape.figures.style import check_choice
from gradscape.figures.surfaces.fields import drawn_unit
from gradscape.landscape import Field
from gradscape.landscape.field import decades

__all__ = ["SCALED", "WIDE", "Limits", "Scale", "chosen_scale", "drawn_values", "readable_together", "scale_note"]

Scale = Literal["auto", "raw", "minmax", "minmax-column", "log"]
"""How values become heights; "auto" takes "raw", or "log" where `chosen_scale` finds it to be needed."""

Limits = tuple[float | None, float | None]
"""Lowest and highest drawn value, None where nothing is chosen."""

SCALED = ("minmax", "minmax-column")

WIDE = 2.0
"""From so many decades on, an even scale shows the highest values only."""

_LEAST_SHARE = 0.1  # of the heights of all panels; what takes less looks flat beside the others


def chosen_scale(fields: Sequence[Field], scale: Scale, limits: Limits = (None, None)) -> Scale:
    """The scale to draw fields on that share one, by any name but "auto".

    Args:
        fields: What will be drawn with it.
        scale: What was asked for. "auto" takes "log" where all values together exceed two decades, or where some field
            would look flat beside the others and does not on a log scale; else "raw". Shares and signed values, which
            have no logarithm to speak of, are always "raw".
        limits: Lowest and highest drawn value in drawn units, None for the values' own; "auto" goes by what lies
            between, too, and takes "raw" where no logarithm reaches.

    Raises:
        ValueError: There is no such scale.
    """
    check_choice("scale", scale, get_args(Scale))
    if scale != "auto":
        return scale
    if any(field.signed or field.unit == "share" for field in fields):
        return "raw"
    pooled = np.concatenate([field.values.ravel() for field in fields])
    if limits != (None, None):
        positive = pooled[np.isfinite(pooled) & (pooled > 0)]
        own = (positive.min(initial=np.inf), positive.max(initial=0.0))
        low, high = (of_values if end is None else end for of_values, end in zip(own, limits, strict=True))
        ranged = 0 < low < high and np.log10(high / low) >= WIDE
        return "log" if ranged and decades(pooled) > WIDE else "raw"
    if decades(pooled) > WIDE:
        return "log"
    positive = decades(pooled) > 0 and not (pooled == 0).any()
    evenly = readable_together(fields, "raw")
    return "log" if positive and not evenly and readable_together(fields, "log") else "raw"


def readable_together(fields: Sequence[Field], scale: Scale) -> bool:
    """Whether every field that is not constant fills a tenth at least of the heights that all of them take."""
    heights = [_heights(field, scale) for field in fields]
    extents = [float(np.ptp(one)) for one in heights if len(one)]
    whole = float(np.ptp(np.concatenate(heights))) if extents else 0.0
    # Rounding may leave a constant field some extent.
    return all(extent >= _LEAST_SHARE * whole for extent in extents if extent > 1e-9 * whole)


def drawn_values(field: Field, scale: Scale) -> Float[np.ma.MaskedArray, "betas alphas"]:
    """Values in drawn units, (B, A): shares in percent unless scaled to [0, 1]; non-finite ones masked."""
    if scale in SCALED:
        values = field.minmax("column" if scale == "minmax-column" else None)
    else:
        values = drawn_unit(field.unit)[0] * field.values
    return np.ma.masked_invalid(values)


def scale_note(fields: Sequence[Field], scale: Scale) -> str:
    """What a caption says of the scale that fields are drawn on; of an even one nothing."""
    if scale == "log":
        wide = decades(np.concatenate([field.values.ravel() for field in fields]))
        return f"log scale, values span {wide:.1f} decades" if wide else "log scale"
    if scale == "minmax":
        return "min-max scaled: the same shape, heights from 0 to 1"
    return "each column min-max scaled by itself, which changes the shape" if scale == "minmax-column" else ""


def _heights(field: Field, scale: Scale) -> Float[np.ndarray, "points"]:
    values = drawn_values(field, scale).compressed()
    return np.log10(values[values > 0]) if scale == "log" else values
