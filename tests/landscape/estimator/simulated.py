"""Losses of images at the points of a grid, drawn from known distributions, and what an evaluation keeps of them."""

from collections.abc import Sequence

import numpy as np

from gradscape.landscape import Surface
from gradscape.landscape.estimator import JointMoments, Levels, Sample, grid_levels
from gradscape.landscape.statistics import BlockStatistics

__all__ = ["BLOCK", "SURFACES", "bowls", "egg_boxes", "estimated_surface", "measured"]

BLOCK = 16


def bowls(axis: np.ndarray, images: int, seed: int) -> np.ndarray:
    """Losses (points, images) of heavy tails: each image has a bowl of its own depth, width and place."""
    random = np.random.default_rng(seed)
    alphas, betas = _coordinates(axis)
    place = random.normal(scale=0.3, size=(2, images))
    width, depth = random.lognormal(sigma=1.0, size=(2, images))
    return width * ((alphas - place[0]) ** 2 + (betas - place[1]) ** 2) + 0.05 * depth


def egg_boxes(axis: np.ndarray, images: int, seed: int) -> np.ndarray:
    """Losses that have nothing to do with those of any other point, as egg boxes finer than the grid have."""
    random = np.random.default_rng(seed)
    return random.exponential(size=(len(axis) ** 2, images))


def _coordinates(axis: np.ndarray) -> np.ndarray:
    """Of every point, (2, points, 1)."""
    return np.stack([one.ravel()[:, None] for one in np.meshgrid(axis, axis)])


def shared_egg_box(axis: np.ndarray, images: int, seed: int) -> np.ndarray:
    """An egg box whose period is two steps of the grid, deeper for some images than for others, and noise."""
    random = np.random.default_rng(seed)
    waves = np.cos(np.pi * _coordinates(axis) / (axis[1] - axis[0])).prod(axis=0)
    return random.lognormal(size=(1, images)) * (1.2 + waves) + 0.3 * random.exponential(size=(len(waves), images))


def own_egg_boxes(axis: np.ndarray, images: int, seed: int) -> np.ndarray:
    """Every image has an egg box of its own phase and of a period of two to four steps of the grid."""
    random = np.random.default_rng(seed)
    period = (axis[1] - axis[0]) * random.uniform(2, 4, size=(2, 1, images))
    waves = np.cos(2 * np.pi * (_coordinates(axis) / period + random.random((2, 1, images))))
    return random.lognormal(size=(1, images)) * (1.1 + waves.prod(axis=0))


def steps(axis: np.ndarray, images: int, seed: int) -> np.ndarray:
    """Losses of 0 on one side of a line, which every image has its own of, and of 1 on the other, as errors are."""
    random = np.random.default_rng(seed)
    angle, place = 2 * np.pi * random.random(images), random.normal(scale=0.7, size=images)
    alphas, betas = _coordinates(axis)
    return (np.cos(angle) * alphas + np.sin(angle) * betas > place).astype(float)


def cliffs(axis: np.ndarray, images: int, seed: int) -> np.ndarray:
    """Bowls, and beyond a circle losses of heavy tails that are a hundred times as large and independent."""
    random = np.random.default_rng(seed)
    losses = bowls(axis, images, seed)
    broken = np.square(_coordinates(axis)).sum(axis=0) > 0.8
    return np.where(broken, 100 * random.pareto(3.0, size=losses.shape), losses)


SURFACES = {
    "bowls": bowls,
    "independent losses": egg_boxes,
    "a shared egg box finer than the anchors": shared_egg_box,
    "egg boxes of each image": own_egg_boxes,
    "steps": steps,
    "cliffs": cliffs,
}


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
        for kind, values in (("loss", losses), ("error", wrong)) if level else ():
            joints[kind].append(_joints(values, levels, level, seen, block))
    statistics = BlockStatistics(count=count, nonfinite=np.zeros_like(count), **arrays, population=population)
    rounds = tuple((0, number // block, 1 + level) for level, number in enumerate(images))
    return Sample(statistics, tuple(joints["loss"]), tuple(joints["error"]), rounds)


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
    with np.errstate(invalid="ignore"):
        own, around = _in_blocks(values[chosen], seen, block), _in_blocks(values[levels.parents[chosen]], seen, block)
        own, around = (part - part.mean(axis=-1, keepdims=True) for part in (own, around))
        return JointMoments(
            np.einsum("pki,pcki->kpc", own, around, optimize=True),
            np.einsum("pcki,pdki->kpcd", around, around, optimize=True),
        )
