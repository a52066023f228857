"""The regression estimator against plain means: errors at equal cost, and how often its intervals hold the truth.

    python benchmarks/estimator.py CKPT DATA.npz [--side 26] [--span 0.5] [--draws 200] [--losses FILE.npz]

DATA is an `npz` file with `images` (N, H, W, 3) uint8 and `labels`. The losses of all its images at all points of the
grid are computed once (and kept in `--losses`), and count as the population. Each draw shuffles the images; levels see
the first so many of them: the fine ones n, the coarse ones as many as the allocation gives for the variances of the
first draw. It prints the mean squared error over points and draws of plain means that cost as many passes, divided by
that of the estimates; the share of points and draws whose 95 % interval holds the truth; the least share in a ninth of
the grid; and the mean stated variance as a share of the squared error.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from scipy.stats import t as student

from gradscape.landscape import evaluate_surface, random_directions
from gradscape.landscape.engine.ledger import Judgment, Ledger
from gradscape.landscape.estimator import JointMoments, Levels, allocate, grid_levels, regress, residual_variances
from gradscape.models import load_checkpoint

BLOCK = 32
FREEDOM = 2  # for a block, as surfaces have it


def image_losses(checkpoint: Path, data: Path, axis: np.ndarray) -> np.ndarray:
    """Losses of every image at every point of the grid, (points, images)."""
    arrays = np.load(data)
    images = torch.from_numpy(arrays["images"]).permute(0, 3, 1, 2).float() / 255
    labels = torch.from_numpy(arrays["labels"]).long()
    model = load_checkpoint(checkpoint)
    found = np.full((len(axis) ** 2 + 1, len(labels)), np.nan, np.float32)
    plain = Ledger.enter

    def enter(self: Ledger, point: int, first: int, block_size: int, judged: Judgment) -> None:
        found[point, first * block_size : first * block_size + len(judged.losses)] = judged.losses
        plain(self, point, first, block_size, judged)

    batches = list(zip(images.split(512), labels.split(512), strict=True))
    with patch.object(Ledger, "enter", enter):
        evaluate_surface(model, batches, random_directions(model, seed=0), axis, axis)
    return found[1:]


def kept(losses: np.ndarray, levels: Levels, images: Sequence[int]) -> tuple[np.ndarray, ...]:
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
        around = losses[levels.parents[chosen], : seen * BLOCK].reshape(len(chosen), -1, seen, BLOCK)
        around = around - around.mean(axis=3, keepdims=True)
        joints.append(
            JointMoments(np.einsum("pbi,pcbi->bpc", cut, around), np.einsum("pcbi,pdbi->bpcd", around, around))
        )
    return mean, m2, joints, count  # type: ignore[return-value]


def compare(losses: np.ndarray, axis: np.ndarray, *, fine: int, draws: int) -> str:
    """A line of what the docstring names, for so many images at the finest level."""
    levels, (points, population) = grid_levels([axis, axis]), losses.shape
    truth, sizes = (
        losses.mean(axis=1, dtype=float),
        [int((levels.level == number).sum()) for number in range(levels.depth)],
    )

    def shuffled(seed: int) -> np.ndarray:
        return losses[:, np.random.default_rng(seed).permutation(population)].astype(float)

    variances = residual_variances(*kept(shuffled(0), levels, [fine] * levels.depth), levels)
    low, high = 1e-9, 1e9
    for _ in range(80):  # the target for which the finest level sees just so many
        middle = float(np.sqrt(low * high))
        numbers = allocate(
            variances,
            sizes,
            seen=BLOCK,
            least=BLOCK,
            most=population,
            population=population,
            target=middle,
            budget=None,
        )
        low, high = (middle, high) if numbers[-1] > fine else (low, middle)
    numbers = [max(int(number) // BLOCK * BLOCK, fine) for number in numbers[:-1]] + [fine]
    cost = sum(size * number for size, number in zip(sizes, numbers, strict=True)) / points
    errors, plain, told, held = (np.zeros(points) for _ in range(4))
    for draw in range(draws):
        drawn = shuffled(draw)
        found = regress(*kept(drawn, levels, numbers), levels, population)
        estimate = found.mean.mean(axis=0)
        squares = found.m2.sum(axis=0) + BLOCK * ((found.mean - estimate) ** 2).sum(axis=0)
        stderr = np.sqrt(squares / (fine - 1) / fine * (1 - fine / population))
        half = student.ppf(0.975, FREEDOM * fine // BLOCK) * stderr
        held += np.abs(estimate - truth) <= half + 1e-9
        errors += (estimate - truth) ** 2
        told += np.where(stderr > 1e-9, stderr, 0) ** 2
        plain += (drawn[:, : round(cost)].mean(axis=1) - truth) ** 2
    side, scale = len(axis), losses.var(axis=1)
    grid = np.where(told > 0, held / draws, np.nan).reshape(side, side)  # but for what is known exactly
    thirds = np.array_split(np.arange(side), 3)
    least = min(np.nanmean(grid[np.ix_(rows, columns)]) for rows in thirds for columns in thirds)
    center = np.nanmean(grid[side // 2 - 1 : side // 2 + 2, side // 2 - 1 : side // 2 + 2])
    everywhere = np.nanmean(grid)
    return (
        f"levels {numbers} images at {sizes} points, as many passes as {cost:.0f} everywhere: squared error "
        f"{plain.sum() / errors.sum():.1f} times smaller ({(plain / scale).sum() / (errors / scale).sum():.1f} with "
        f"all points alike); 95 % intervals hold {everywhere:.3f}, {center:.3f} around the origin, {least:.3f} in "
        f"the worst ninth; stated variance {(told / scale).sum() / (errors / scale).sum():.2f} of the squared error"
    )


def main() -> None:
    """Evaluate, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--side", type=int, default=26)
    parser.add_argument("--span", type=float, default=0.5)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--losses", type=Path)
    parser.add_argument("--images", type=int, nargs="+", default=[128, 256, 512, 1024])
    asked = parser.parse_args()
    axis = np.linspace(-asked.span, asked.span, asked.side)
    if asked.losses and asked.losses.exists():
        losses = np.load(asked.losses)["losses"]
    else:
        losses = image_losses(asked.checkpoint, asked.data, axis)
        if asked.losses:
            np.savez_compressed(asked.losses, losses=losses)
    print(f"{asked.checkpoint.name}: {losses.shape[0]:,} points, {losses.shape[1]:,} images, {asked.draws} draws")
    for fine in asked.images:
        print(f"n = {fine}: {compare(losses, axis, fine=fine, draws=asked.draws)}", flush=True)


if __name__ == "__main__":
    main()
