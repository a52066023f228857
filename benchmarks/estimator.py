"""The regression estimator against plain means: errors at equal cost, and how often its intervals hold the truth.

    python benchmarks/estimator.py CKPT DATA.npz [--side 51] [--span 0.5] [--one-in 8] [--draws 200]
        [--losses FILE.npz]

DATA is an `npz` file with `images` (N, H, W, 3) uint8 and `labels`. The losses of all its images are computed once (and
kept in `--losses`), and count as the population: at all points of the coarser levels, and in one cell of these in so
many at points of the two finest levels, which then count for their whole level. Each draw shuffles the images; levels
see the first so many of them: the fine ones n, the coarse ones as many as the allocation gives for the variances of the
first draw. It prints the mean squared error over points and draws of plain means that cost as many passes, divided by
that of the estimates; the share of points and draws whose 95 % interval holds the truth; the least share in a ninth of
the grid; and the mean stated variance as a share of the squared error.
"""

import argparse
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from scipy.stats import t as student

from gradscape.landscape import Line, Options, random_directions
from gradscape.landscape.engine import Precision
from gradscape.landscape.engine.ledger import Judgment, Ledger
from gradscape.landscape.estimator import (
    JointMoments,
    Levels,
    Observed,
    allocate,
    grid_levels,
    level_variances,
    regress,
)
from gradscape.landscape.evaluate import evaluate_grid
from gradscape.models import load_checkpoint

BLOCK = 16
IMAGES_A_FREEDOM = 16  # as surfaces have it


def image_losses(
    checkpoint: Path, data: Path, axis: np.ndarray, chosen: np.ndarray, precision: Precision
) -> np.ndarray:
    """Losses of every image at the chosen points of the grid, (points, images)."""
    arrays = np.load(data)
    images = torch.from_numpy(arrays["images"]).permute(0, 3, 1, 2).float() / 255
    labels = torch.from_numpy(arrays["labels"]).long()
    model = load_checkpoint(checkpoint)
    found = np.full((len(chosen) + 1, len(labels)), np.nan, np.float32)
    plain = Ledger.enter

    def enter(self: Ledger, point: int, first: int, block_size: int, judged: Judgment) -> None:
        found[point, first * block_size : first * block_size + len(judged.losses)] = judged.losses
        plain(self, point, first, block_size, judged)

    grid = np.stack([one.ravel() for one in np.meshgrid(axis, axis)], axis=1)
    with patch.object(Ledger, "enter", enter):
        evaluate_grid(
            Line,
            model,
            list(zip(images.split(512), labels.split(512), strict=True)),
            random_directions(model, seed=0),
            axes={"alphas": np.arange(float(len(chosen)))},
            options=Options(precision=precision),
            positions=grid[chosen],
        )
    return found[1:]


def chosen_points(axis: np.ndarray, one_in: int) -> np.ndarray:
    """All points of the coarser levels; of the two finest, points in one cell of these in so many.

    The cells at the origin are among the chosen ones. Of the finest level's points in them one in two is taken.
    """
    levels = grid_levels([axis, axis])
    coarse = (levels.level < levels.depth - 2).reshape(len(axis), -1)
    lines = np.flatnonzero(coarse.any(axis=1))
    random = np.random.default_rng(0)
    near, last = np.argsort(np.abs(axis))[:3], len(axis) - 1
    taken, inside = coarse.copy(), np.zeros_like(coarse)  # parents lie on a cell's sides too
    for low, high in pairwise(lines):
        for left, right in pairwise(lines):
            at_origin = all(a <= near.max() and b >= near.min() for a, b in ((low, high), (left, right)))
            if random.random() < 1 / one_in or at_origin:
                taken[low : high + 1, left : right + 1] = True
                inside[low : high + (high == last), left : right + (right == last)] = True
    finest = levels.level == levels.depth - 1
    half = random.random(taken.shape) < 0.5
    half[np.ix_(near, near)] = True
    return np.flatnonzero(taken.ravel() & (~finest | (inside & half).ravel()))


def among(levels: Levels, chosen: np.ndarray) -> Levels:
    """The levels of the chosen points, which numbers then count."""
    number = np.full(len(levels.level), -1)
    number[chosen] = np.arange(len(chosen))
    return Levels(levels.level[chosen], number[levels.parents[chosen]], levels.weights[chosen])


def kept(losses: np.ndarray, levels: Levels, images: Sequence[int]) -> Observed:
    """Means, sums of squares, joint moments and counts of blocks, each level with so many of the first images."""
    blocks, points = max(images) // BLOCK, len(losses)
    mean, m2 = np.full((2, blocks, points), np.nan)
    count, joints = np.zeros((blocks, points), int), []
    for level, number in enumerate(images):
        seen, chosen = number // BLOCK, levels.points(level)
        cut = losses[chosen, : seen * BLOCK].reshape(len(chosen), seen, BLOCK)
        mean[:seen, chosen], count[:seen, chosen] = cut.mean(axis=2).T, BLOCK
        cut = cut - cut.mean(axis=2, keepdims=True)
        m2[:seen, chosen] = (cut**2).sum(axis=2).T
        if not level:
            continue
        around = losses[levels.parents[chosen], : seen * BLOCK].reshape(len(chosen), -1, seen, BLOCK)
        around = around - around.mean(axis=3, keepdims=True)
        joints.append(
            JointMoments(np.einsum("pbi,pcbi->bpc", cut, around), np.einsum("pcbi,pdbi->bpcd", around, around))
        )
    return Observed(mean, m2, count, joints)


def numbers_of_images(variances: np.ndarray, points: Sequence[int], *, fine: int, population: int) -> list[int]:
    """What the allocation gives the levels where the finest sees so many."""
    low, high = 1e-9, 1e9
    for _ in range(80):
        middle = float(np.sqrt(low * high))
        found = allocate(
            variances,
            points,
            seen=np.full(len(points), BLOCK),
            least=BLOCK,
            most=population,
            population=population,
            target=middle,
            budget=None,
        )
        low, high = (middle, high) if found[-1] > fine else (low, middle)
    return [max(int(number) // BLOCK * BLOCK, fine) for number in found[:-1]] + [fine]


def compare(losses: np.ndarray, axis: np.ndarray, chosen: np.ndarray, *, fine: int, draws: int) -> str:
    """A line of what the docstring names, for so many images at the finest level."""
    whole, (points, population) = grid_levels([axis, axis]), losses.shape
    levels, truth = among(whole, chosen), losses.mean(axis=1, dtype=float)
    sizes = [len(whole.points(number)) for number in range(whole.depth)]
    counts = np.array([size / len(levels.points(number)) for number, size in enumerate(sizes)])[levels.level]

    def shuffled(seed: int) -> np.ndarray:
        return losses[:, np.random.default_rng(seed).permutation(population)].astype(float)

    variances = level_variances(kept(shuffled(0), levels, [fine] * levels.depth), levels)
    numbers = numbers_of_images(variances, sizes, fine=fine, population=population)
    cost = sum(size * number for size, number in zip(sizes, numbers, strict=True)) / sum(sizes)
    errors, plain, told, held = (np.zeros(points) for _ in range(4))
    for draw in range(draws):
        drawn = shuffled(draw)
        found = regress(kept(drawn, levels, numbers), levels, population)
        estimate = found.mean.mean(axis=0)
        squares = found.m2.sum(axis=0) + BLOCK * ((found.mean - estimate) ** 2).sum(axis=0)
        stderr = np.sqrt(squares / (fine - 1) / fine * (1 - fine / population))
        half = student.ppf(0.975, fine / IMAGES_A_FREEDOM) * stderr
        held += np.abs(estimate - truth) <= half + 1e-9
        errors += (estimate - truth) ** 2
        told += np.where(stderr > 1e-9, stderr, 0) ** 2
        plain += (drawn[:, : round(cost)].mean(axis=1) - truth) ** 2
    rows, columns = np.unravel_index(chosen, (len(axis), len(axis)))
    shares, open_ones = held / draws, told > 0  # but for what is known exactly
    ninths = np.digitize(rows, cuts := [len(axis) / 3, 2 * len(axis) / 3]) * 3 + np.digitize(columns, cuts)
    least = min(
        np.average(shares[part], weights=counts[part]) for part in (open_ones & (ninths == n) for n in range(9))
    )
    near = np.abs(axis)[np.argsort(np.abs(axis))[2]]
    around = open_ones & (np.abs(axis[rows]) <= near) & (np.abs(axis[columns]) <= near)
    scale = losses.var(axis=1)
    told_around = f"{shares[around].mean():.3f} around the origin" if around.any() else "all exact around the origin"
    return (
        f"levels {numbers} images at {sizes} points, as many passes as {cost:.0f} everywhere: squared error "
        f"{counts @ plain / (counts @ errors):.1f} times smaller "
        f"({counts @ (plain / scale) / (counts @ (errors / scale)):.1f} with all points alike); 95 % intervals hold "
        f"{np.average(shares[open_ones], weights=counts[open_ones]):.3f}, {told_around}, {least:.3f} in the worst "
        f"ninth; stated variance {counts @ (told / scale) / (counts @ (errors / scale)):.2f} of the squared error"
    )


def main() -> None:
    """Evaluate, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--side", type=int, default=51)
    parser.add_argument("--one-in", type=int, default=8)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--span", type=float, default=0.5)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--losses", type=Path)
    parser.add_argument("--images", type=int, nargs="*", default=[128, 256, 512, 1024])
    asked = parser.parse_args()
    axis = np.linspace(-asked.span, asked.span, asked.side)
    chosen = chosen_points(axis, asked.one_in)
    if asked.losses and asked.losses.exists():
        losses = np.load(asked.losses)["losses"]
    else:
        losses = image_losses(asked.checkpoint, asked.data, axis, chosen, asked.precision)
        if asked.losses:
            np.savez_compressed(asked.losses, losses=losses)
    print(f"{asked.checkpoint.name}: {losses.shape[0]:,} points, {losses.shape[1]:,} images, {asked.draws} draws")
    for fine in asked.images:
        print(f"n = {fine}: {compare(losses, axis, chosen, fine=fine, draws=asked.draws)}", flush=True)


if __name__ == "__main__":
    main()
