"""How a surface's topology is found: pairs on the grid, and the band that tells them from noise."""

from dataclasses import replace
from typing import Any, Literal, cast

import numpy as np
from jaxtyping import Float, Int

from gradscape.landscape.field import UNRELIABLE, Field
from gradscape.landscape.statistics import BlockStatistics
from gradscape.landscape.topology.loops import find_loops
from gradscape.landscape.topology.merge_tree import grow_merge_tree
from gradscape.landscape.topology.noise_band import NoiseBand, find_noise_band, shared_blocks
from gradscape.landscape.topology.persistence import Topology

__all__ = ["find_topology"]

_LEAST_RESAMPLES = 50


def find_topology(
    field: Field,
    blocks: BlockStatistics,
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
    rounding: float = 0.0,
) -> Topology:
    """Find minima, saddles and persistence pairs, and the band below which noise may have made them.

    Args:
        field: The loss or the error.
        blocks: What was measured of single images.
        confidence: Of the band, in (0, 1).
        resamples: Of the bootstrap over blocks.
        seed: Of the bootstrap.
        rounding: How far the values may be off by the precision of their computing, which widens the band.

    Raises:
        ValueError: An option is out of range, points were not evaluated or none is finite, the grid has fewer than
            two rows or columns, or gudhi is not installed.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"`confidence` must lie between 0 and 1, got {confidence}")
    if resamples < _LEAST_RESAMPLES:
        raise ValueError(f"`resamples` must be at least {_LEAST_RESAMPLES}, got {resamples}")
    value = cast(Literal["loss", "error"], field.name)
    values, notes = _values(field, blocks)
    band = find_noise_band(blocks, value, confidence=confidence, resamples=resamples, seed=seed)
    said = [*notes, *([band.note] if band.note else []), *_doubts(field, band)]
    found = Topology(
        alphas=field.alphas,
        betas=field.betas,
        values=values,
        **_paired(values),
        value=value,
        label=field.label,
        unit=field.unit,
        band=band.half_width + rounding,
        confidence=confidence,
        blocks=band.blocks,
        notes=tuple(said),
        meta={**field.meta, **({"images": field.images, "population": field.population} if field.images > 1 else {})},
    )
    coarse = int(found.unresolved.sum())
    if not coarse:
        return found
    many = "basins are valleys" if coarse > 1 else "basin is a valley"
    return replace(found, notes=(*said, f"{coarse} {many} finer than the grid, left out: take more steps"))


def _values(field: Field, blocks: BlockStatistics) -> tuple[Float[np.ndarray, "betas alphas"], list[str]]:
    """The field, or where points saw different images the mean over those that all saw."""
    shared, seen, values = shared_blocks(blocks), blocks.count > 0, field.values
    if min(values.shape) < 2:
        raise ValueError(f"`surface` must have at least 2×2 points, got {values.shape}: take more steps")
    if not seen.any(axis=0).all() or not shared.any():
        raise ValueError("`surface` must be evaluated on common images at every point: let its evaluation go on")
    notes = []
    if (seen.any(axis=(1, 2)) & ~shared).any():
        part = BlockStatistics(
            **{name: getattr(blocks, name)[shared] for name in blocks.arrays()}, population=blocks.population
        )
        values = np.asarray(part.loss if field.name == "loss" else part.error, dtype=float)
        notes.append(f"values are those of the {int(part.images.max())} images that every point saw")
    if lost := int((~np.isfinite(values)).sum()):
        if lost == values.size:
            raise ValueError(f"`surface` must have a finite {field.name} somewhere, got none")
        notes.append(f"{lost} points without a finite {field.name} are left out, as if they were above all others")
    return np.asarray(values, dtype=float), notes


def _doubts(field: Field, band: NoiseBand) -> list[str]:
    unreliable = field.marks.get(UNRELIABLE) if field.name == "loss" and band.half_width > 0 else None
    if unreliable is None or not (count := int(unreliable.sum())):
        return []
    return [f"few images carry most of the loss at {count} points: the band is unreliable"]


def _paired(values: Float[np.ndarray, "betas alphas"]) -> dict[str, Any]:
    """All pairs of more than no persistence: basins, then rings, the most persistent first."""
    tree, loops = grow_merge_tree(values), find_loops(values)
    flat = np.append(values.ravel(), np.inf)  # the last one stands for what never ends
    basins = np.stack([tree.minimum, tree.saddle], axis=1)
    sorted_basins, new = _sorted(flat, basins)
    sorted_loops, _ = _sorted(flat, loops)
    numbers = np.full(len(basins) + 1, -1)
    numbers[new] = np.arange(len(new))
    both = np.concatenate([sorted_basins, sorted_loops])
    return {
        "dimension": np.repeat([0, 1], [len(sorted_basins), len(sorted_loops)]),
        "birth_at": both[:, 0],
        "death_at": both[:, 1],
        "into": np.concatenate([numbers[tree.into[new]], np.full(len(sorted_loops), -1)]),
    }


def _sorted(
    flat: Float[np.ndarray, "points_and_one"], pairs: Int[np.ndarray, "pairs 2"]
) -> tuple[Int[np.ndarray, "kept 2"], Int[np.ndarray, "kept"]]:
    """Pairs that last, the most persistent first; and which they were."""
    persistence = flat[pairs[:, 1]] - flat[pairs[:, 0]]
    order = np.lexsort((pairs[:, 0], -persistence))
    order = order[persistence[order] > 0]
    return pairs[order], order
