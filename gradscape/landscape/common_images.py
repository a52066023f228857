"""Surfaces over the images that all of them have seen, so that what they owe to the same images is paired."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from typing import TypeVar

import numpy as np
from jaxtyping import Float

from gradscape.landscape.estimator.levels import grid_levels
from gradscape.landscape.measured import Measured
from gradscape.landscape.statistics import BlockStatistics

__all__ = ["on_common_images", "unlike_images"]

Kind = TypeVar("Kind", bound=Measured)


def unlike_images(first: Measured, second: Measured) -> str:
    """What differs so that images cannot be paired; "" where one has seen the first of the images of the other.

    A last block that has fewer images than others is no block of those who have seen more: it does not count.
    """
    if first.blocks.population != second.blocks.population:
        return "numbers of images to draw from"
    common, sizes = _begin_alike(first, second), (_sizes(first), _sizes(second))
    if common == min(map(len, sizes)) or (common and sizes[0][common] != sizes[1][common]):
        return ""
    return "images" if sizes[0][:1] == sizes[1][:1] else "numbers of images in a block"


def on_common_images(surfaces: Sequence[Kind], axes: Sequence[Float[np.ndarray, "_"]]) -> list[Kind]:
    """The same surfaces, each over no more than the images that all have seen.

    Plain means are taken over the blocks that all have at a point. Of estimates by regression each level is cut to the
    blocks that this level has seen on all surfaces, and they are made anew: then every image counts alike on all of
    them, and what they owe to it cancels in differences. Where some are plain means, all become plain means over what
    the finest level has seen; but plain means over all images there are have no error, and stay beside estimates.

    Args:
        surfaces: On one grid, over images that `unlike_images` finds alike.
        axes: Coordinates in the order of the grid's axes.

    Returns:
        Those of them that have seen no more than the others as they are.

    Source: Cochran, Sampling Techniques (1977), section 9A (paired by blocks); Giles 2015 (levels).
    """
    if all(one.sample is None for one in surfaces):
        return _plain(surfaces)
    estimated = [one for one in surfaces if one.sample is not None]
    others = [one for one in surfaces if one.sample is None]
    exact = all((one.blocks.images == one.blocks.population).all() for one in others)
    found = _estimates(estimated, axes) if exact else []
    if not found:
        return _plain([_measured_alone(one) for one in surfaces])
    again = iter(found)
    return [next(again) if one.sample is not None else _exact(one, found[0]) for one in surfaces]


def _plain(surfaces: Sequence[Kind]) -> list[Kind]:
    """Plain means over the blocks that all have."""
    blocks = min(_begin_alike(surfaces[0], one) for one in surfaces)
    counts = np.stack([one.blocks.count[:blocks] for one in surfaces])
    kept = (counts == counts[0]).all(axis=0) & (counts[0] > 0)
    blocks = max(np.flatnonzero(kept.any(axis=(1, 2))).tolist(), default=-1) + 1
    kept = kept[:blocks]
    if all(np.array_equal(kept, one.blocks.count > 0) for one in surfaces):
        return list(surfaces)
    return [
        replace(
            one,
            blocks=one.blocks.only(kept),
            origin=one.origin.only(one.origin.count[:blocks] > 0),
        )
        for one in surfaces
    ]


def _estimates(surfaces: Sequence[Kind], axes: Sequence[np.ndarray]) -> list[Kind]:
    """Estimates from the blocks that each level has seen on all of them; none where the finest level has seen none."""
    levels = grid_levels(axes)
    samples = [one.sample for one in surfaces if one.sample is not None]
    blocks = min(_begin_alike(surfaces[0], one) for one in surfaces)
    reached = [sample.seen(levels) for sample in samples]
    seen = [min(blocks, *of_level) for of_level in zip(*reached, strict=True)]
    if not min(seen):
        return []
    found = []
    for one, sample, own in zip(surfaces, samples, reached, strict=True):
        if list(own) == seen:
            found.append(one)
            continue
        cut = sample.cut(seen, levels)
        points, origin = cut.estimate(levels)
        found.append(
            replace(one, blocks=points.reshape(one.blocks.count.shape[1:]), origin=origin.reshape(()), sample=cut)
        )
    return found


def _measured_alone(one: Kind) -> Kind:
    """Plain means of what was measured, in the place of estimates."""
    if one.sample is None:
        return one
    measured = one.sample.blocks
    everywhere = np.asarray((measured.count > 0).all(axis=1))
    if everywhere.any():  # with more images at some points than at others these would stand out by what images share
        measured = measured.only(measured.count * everywhere[:, None] > 0)
    points = measured.points(slice(1, None)).reshape(one.blocks.count.shape[1:])
    return replace(one, blocks=points, origin=measured.points(0), sample=None)


def _exact(one: Kind, like: Kind) -> Kind:
    """Means over all images, told as blocks that do not vary, as many as another surface has."""
    return replace(
        one, blocks=_constant(one.blocks, like.blocks.count), origin=_constant(one.origin, like.origin.count)
    )


def _constant(known: BlockStatistics, count: np.ndarray) -> BlockStatistics:
    return BlockStatistics(
        count=count,
        mean=np.broadcast_to(known.loss, count.shape),
        m2=np.zeros(count.shape),
        right=count * (1 - known.error),
        nonfinite=np.zeros_like(count),
        population=known.population,
    )


def _begin_alike(first: Measured, second: Measured) -> int:
    """How many blocks of images both begin with; where neither file tells which, as many as both have."""
    ours, theirs = (one.meta.get("blocks") for one in (first, second))
    both = min(len(_sizes(first)), len(_sizes(second)))
    if ours == theirs:
        return both
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(ours or (), theirs or (), strict=False))
    return min(len(list(alike)), both)


def _sizes(one: Measured) -> list[int]:
    """Images in each block that was seen anywhere."""
    blocks = one.blocks if one.sample is None else one.sample.blocks
    return [int(size) for size in blocks.count.reshape(len(blocks.count), -1).max(axis=1, initial=0)]
