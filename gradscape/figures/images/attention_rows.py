"""The maps of one attention for one image, as they are drawn: which, on what scale, and what they are called."""

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float
from matplotlib.colors import Colormap, Normalize

from gradscape._taps import Kind
from gradscape.explain.attention_map import AttentionMap
from gradscape.figures.images.attention_names import layer_words, place_name
from gradscape.figures.style import GAP_COLOR, map_colors

__all__ = ["MAP_KINDS", "AttentionRow", "attention_row", "draws_map", "value_scale"]

MAP_KINDS = ("spatial", "mask", "subspace", "affinity", "part")
"""Kinds of attention that `figure_attention` draws; the others are weights without places."""


@final
@dataclass(frozen=True, eq=False)
class AttentionRow:
    """Maps of one attention for one image.

    Attributes:
        titles: Where it is, what it is there, and how many maps there are, a line each.
        kind: Its kind.
        maps: (K, h, w).
        asked: Whether they are those of the chosen pixel.
    """

    titles: tuple[str, str, str]
    kind: Kind
    maps: Float[np.ndarray, "maps height width"]
    asked: bool


def attention_row(
    one: AttentionMap, number: int, *, name: str = "", pixel: tuple[float, float] = (0.5, 0.5)
) -> AttentionRow:
    """Return what is drawn of an attention: of affinities those of the class token, or of one pixel.

    Args:
        one: Of `MAP_KINDS`.
        number: Which image of the batch.
        name: Its key among the maps; by default its own name.
        pixel: Where the pixel is, from (0, 0), top left, to (1, 1).

    Raises:
        ValueError: There is no such image.
    """
    if not 0 <= number < len(one.values) and len(one.values) > 1:
        raise ValueError(f"`number` must be 0 to {len(one.values) - 1}, got {number}")
    maps, asked = one.values[number if len(one.values) > 1 else 0], False
    if one.grid is not None:
        maps, asked = _of_one_query(maps, one.grid, _class_token(one), pixel)
    name = name or one.name
    place, inside = place_name(one.block)
    own = name.removeprefix(f"{one.block}.") if name != one.block else one.kind
    said = f"{inside} {own}" if inside and inside != own else own
    return AttentionRow((place, said, layer_words(one.kind, len(maps))), one.kind, maps, asked)


def draws_map(one: AttentionMap) -> bool:
    """Whether `figure_attention` draws this: not weights without places, nor affinities that form no grid."""
    square = one.grid is not None and one.values.shape[-2] == one.values.shape[-1]
    return one.kind in MAP_KINDS and one.values.ndim == 4 and (one.kind != "affinity" or square)


def _of_one_query(
    matrices: Float[np.ndarray, "heads queries keys"],
    grid: tuple[int, int],
    class_token: int | None,
    pixel: tuple[float, float],
) -> tuple[Float[np.ndarray, "heads height width"], bool]:
    """The map of the class token where there is one, else of the chosen pixel; and whether it is the pixel's."""
    tokens = matrices.shape[2] - grid[0] * grid[1]
    down, right = (min(int(part * size), size - 1) for part, size in zip(pixel, grid, strict=True))
    query = tokens + down * grid[1] + right if class_token is None else class_token
    return matrices[:, query, tokens:].reshape(-1, *grid), class_token is None


def _class_token(one: AttentionMap) -> int | None:
    """The token before the patches that the output reads; without a measurement the first one."""
    assert one.grid is not None
    before = one.values.shape[-1] - one.grid[0] * one.grid[1]
    read = [0] if one.read is None else one.read
    return min(read, default=before) if before and min(read, default=before) < before else None


def value_scale(values: np.ndarray) -> tuple[Normalize, Colormap]:
    """A range for values: from the lowest to the highest, or around zero where some are negative."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if low < 0:
        reach = max(-low, high)
        return Normalize(-reach, reach), map_colors("RdBu_r").with_extremes(bad=GAP_COLOR)
    if high - low <= 1e-6 * high:  # constant: in the middle of the colors
        low, high = 0.0, 2 * high or 1.0
    return Normalize(low, high), map_colors("viridis").with_extremes(bad=GAP_COLOR)
