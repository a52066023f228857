"""Losses of images at the points of a grid, drawn from known distributions, and what an evaluation keeps of them."""

from collections.abc import Sequence

import numpy as np

from gradscape.landscape import Surface
from gradscape.landscape.estimator import JointMoments, Levels, Sample, grid_levels
from gradscape.landscape.statistics import BlockStatistics

__all__ = ["BLOCK", "bowls", "egg_boxes", "estimated_surface", "measured"]

BLOCK = 32


def bowls(axis: np.ndarray, images: int, seed: int) -> np.ndarray:
    """Losses (points, images) of heavy tails: each image has a bowl of its own depth, width and place."""
    random = np.random.default_rng(seed)
    alphas, betas = (one.ravel()[:, None] for one in np.meshgrid(axis, axis))
    place = random.normal(scale=0.3, size=(2, images))
    width, depth = random.lognormal(sigma=1.0, size=(2, images))
    return width * ((alphas - place[0]) ** 2 + (betas - place[1]) ** 2) + 0.05 * depth


def egg_boxes(axis: np.ndarray, images: int, seed: int) -> np.ndarray:
    """Losses that have nothing to do with those of any other point, as egg boxes finer than the grid have."""
    random = np.random.default_rng(seed)
    return random.exponential(size=(len(axis) ** 2, images))


def measured(
    losses: np.ndarray,
    levels: Levels,
    images: Sequence[int],
    population: int,
    *,
    block: int = BLOCK,
    wrong: np.ndarray | None = None,
    origin: tuple[np.ndarray, np.ndarray] | None = None,
) -> Sample:
    """What is kept where each level saw so many of the first images, in whole blocks.

    Args:
        losses: (points, images).
        levels: Of the grid.
        images: Of each level.
        population: Number of images that these were drawn from.
        block: Images in a block.
        wrong: 1 where an answer is wrong, else 0, (points, images); by default where the loss is above the median.
        origin: Losses and wrong answers there, (images,) each; by default those of the first point.
    """
    wrong = (losses > np.median(losses)).astype(float) if wrong is None else wrong
    center = origin or (losses[0], wrong[0])
    blocks, points = max(images) // block, len(losses)
    arrays = {name: np.full((blocks, 1 + points), np.nan) for name in ("mean", "m2", "right")}
    count = np.zeros((blocks, 1 + points), np.int64)
    joints: dict[str, list[JointMoments]] = {"loss": [], "error": []}
    for level, number in enumerate(images):
        seen, chosen = number // block, levels.points(level)
        numbers = chosen + 1 if level else np.insert(chosen + 1, 0, 0)
        rows = {"loss": losses[chosen], "error": wrong[chosen]}
        if not level:
            rows = {kind: np.concatenate([own[None], rows[kind]]) for kind, own in zip(rows, center, strict=True)}
        cut, bad = (_in_blocks(rows[kind], seen, block) for kind in ("loss", "error"))
        count[:seen, numbers] = block
        with np.errstate(invalid="ignore"):
            arrays["mean"][:seen, numbers] = cut.mean(axis=2).T
            arrays["m2"][:seen, numbers] = cut.var(axis=2).T * block
        arrays["right"][:seen, numbers] = (1 - bad).sum(axis=2).T
        for kind, values in (("loss", losses), ("error", wrong)):
            joints[kind].append(_joints(values, levels, level, seen, block))
    statistics = BlockStatistics(count=count, nonfinite=np.zeros_like(count), **arrays, population=population)
    rounds = [
        (start, stop, sum(number >= stop * block for number in images))
        for start, stop in zip(
            [0, *sorted({number // block for number in images})],
            sorted({number // block for number in images}),
            strict=False,
        )
    ]
    return Sample(statistics, tuple(joints["loss"]), tuple(joints["error"]), tuple(rounds))


def estimated_surface(sample: Sample, alphas: np.ndarray, betas: np.ndarray, **meta: object) -> Surface:
    """The surface that an evaluation by regression ends with, its images known by their numbers alone."""
    points, origin = sample.estimate(grid_levels([betas, alphas]))
    return Surface(
        alphas=alphas,
        betas=betas,
        blocks=points.reshape((len(betas), len(alphas))),
        origin=origin.reshape(()),
        meta={"blocks": [f"block{number}" for number in range(len(sample.blocks.count))], **meta},
        sample=sample,
    )


def _in_blocks(values: np.ndarray, seen: int, block: int) -> np.ndarray:
    return values[..., : seen * block].reshape(*values.shape[:-1], seen, block)


def _joints(values: np.ndarray, levels: Levels, level: int, seen: int, block: int) -> JointMoments:
    chosen = levels.points(level)
    corners = levels.parents.shape[1]
    if not level:
        return JointMoments(np.zeros((seen, len(chosen), corners)), np.zeros((seen, len(chosen), corners, corners)))
    with np.errstate(invalid="ignore"):
        own, around = _in_blocks(values[chosen], seen, block), _in_blocks(values[levels.parents[chosen]], seen, block)
        own, around = (part - part.mean(axis=-1, keepdims=True) for part in (own, around))
        return JointMoments(
            np.einsum("pki,pcki->kpc", own, around, optimize=True),
            np.einsum("pcki,pdki->kpcd", around, around, optimize=True),
        )
