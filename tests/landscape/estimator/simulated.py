"""Losses of images at the points of a grid, drawn from known distributions, and what an evaluation keeps of them."""

from collections.abc import Sequence

import numpy as np

from gradscape.landscape.estimator import JointMoments, Levels, Sample, joint_moments
from gradscape.landscape.statistics import BlockStatistics

__all__ = ["BLOCK", "bowls", "egg_boxes", "measured"]

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


def measured(losses: np.ndarray, levels: Levels, images: Sequence[int], population: int) -> Sample:
    """What is kept where each level saw so many of the first images, whole blocks; the origin sees nothing of interest.

    Args:
        losses: (points, images).
        levels: Of the grid.
        images: Of each level.
        population: Number of images that these were drawn from.
    """
    blocks, points = max(images) // BLOCK, len(losses)
    wrong = (losses > np.median(losses)).astype(float)
    count = np.zeros((blocks, 1 + points), np.int64)
    arrays = {name: np.full(count.shape, np.nan) for name in ("mean", "m2", "right")}
    joints: dict[str, list[JointMoments]] = {"loss": [], "error": []}
    for level, number in enumerate(images):
        seen, chosen = number // BLOCK, levels.points(level)
        numbers = chosen + 1 if level else np.insert(chosen + 1, 0, 0)
        cut = losses[np.maximum(numbers - 1, 0), : seen * BLOCK].reshape(len(numbers), seen, BLOCK)
        bad = wrong[np.maximum(numbers - 1, 0), : seen * BLOCK].reshape(len(numbers), seen, BLOCK)
        count[:seen, numbers] = BLOCK
        with np.errstate(invalid="ignore"):
            arrays["mean"][:seen, numbers] = cut.mean(axis=2).T
            arrays["m2"][:seen, numbers] = cut.var(axis=2).T * BLOCK
        arrays["right"][:seen, numbers] = (1 - bad).sum(axis=2).T
        for kind, values in (("loss", losses), ("error", wrong)):
            own = np.zeros((seen, len(chosen), levels.parents.shape[1]))
            among = np.zeros((*own.shape, own.shape[2]))
            for place, point in enumerate(chosen if level else []):
                for block in range(seen):
                    part = slice(block * BLOCK, (block + 1) * BLOCK)
                    own[block, place], among[block, place] = joint_moments(
                        values[point, part], values[levels.parents[point], part]
                    )
            joints[kind].append(JointMoments(own, among))
    statistics = BlockStatistics(count=count, nonfinite=np.zeros_like(count), **arrays, population=population)
    return Sample(statistics, tuple(joints["loss"]), tuple(joints["error"]), ((0, blocks, levels.depth),))
