"""How often the intervals of barriers hold the barrier over all images, between two trained networks.

Losses of all images of the data are measured once at every point of the line. Each draw then takes some of the images,
as a run with `--limit` does, and makes an interval of them.
"""

import argparse
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from gradscape.data import load_split
from gradscape.landscape import difference_direction
from gradscape.landscape.barrier import Barrier, measure_barrier
from gradscape.landscape.engine import evaluable
from gradscape.landscape.engine.moving import moving
from gradscape.landscape.statistics import BlockStatistics
from gradscape.models import load_checkpoint

BLOCK = 32


def main() -> None:
    """Measure the line, draw, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs=2, metavar="CKPT")
    parser.add_argument("--data", required=True)
    parser.add_argument("--split", default="train")
    parser.add_argument("--steps", type=int, default=13)
    parser.add_argument("--images", type=int, nargs="+", default=[256, 512, 1000, 2000])
    parser.add_argument("--draws", type=int, default=200)
    given = parser.parse_args()
    alphas = np.linspace(0, 1, given.steps)
    losses, right = measure(given.networks, given.data, given.split, alphas)
    truth = measure_barrier(alphas, draw_blocks(losses, right, np.arange(len(losses))))
    print(f"{len(losses):,} images, {given.draws} draws; share of intervals that hold it (marked as unreliable)")
    print(f"{'images':>6}  {'barrier':22}  {'over all':>9}  interval  ± 2 standard errors")
    for images in given.images:
        generator = np.random.default_rng(1)
        chosen = [generator.permutation(len(losses))[:images] for _ in range(given.draws)]
        found = [measure_barrier(alphas, draw_blocks(losses, right, one)) for one in chosen]
        for value in ("loss", "error"):
            for name in getattr(truth, value):
                print(f"{images:>6}  {value + ', ' + name:22}  {said(truth, found, value, name)}")


def said(truth: Barrier, found: list[Barrier], value: str, name: Any) -> str:
    """One row: the truth, how often it is covered, and how often by what ignores that the place was chosen."""
    wanted = getattr(truth, value)[name].height
    rises = [getattr(one, value)[name] for one in found]
    held = np.mean([one.low <= wanted <= one.high for one in rises])
    marked = np.mean([not one.reliable for one in rises])
    plain = np.mean([abs(one.height - wanted) <= 2 * one.stderr for one in rises])
    return f"{wanted:>9.4f}  {held:.3f} ({marked:.2f})  {plain:.3f}"


def measure(networks: list[str], data: str, split: str, alphas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Loss of every image at every point, and whether it is right, (images, alphas)."""
    first, second = map(load_checkpoint, networks)
    batches = load_split(data, split, image_size=first.image_size)
    losses, right = [], []
    with torch.no_grad(), evaluable(first), moving(first, [difference_direction(first, second)]) as move:
        for alpha in alphas:
            move([alpha])
            outputs = [(first(images), labels) for images, labels in batches]
            losses.append(torch.cat([F.cross_entropy(one, labels, reduction="none") for one, labels in outputs]))
            right.append(torch.cat([one.argmax(1) == labels for one, labels in outputs]))
    return torch.stack(losses, dim=1).double().numpy(), torch.stack(right, dim=1).double().numpy()


def draw_blocks(losses: np.ndarray, right: np.ndarray, chosen: np.ndarray) -> BlockStatistics:
    """The chosen images in blocks, as an evaluation keeps them."""
    parts = [(losses[part], right[part]) for part in np.split(chosen, range(BLOCK, len(chosen), BLOCK))]
    points = losses.shape[1]
    return BlockStatistics(
        count=np.stack([np.full(points, len(loss)) for loss, _ in parts]),
        mean=np.stack([loss.mean(0) for loss, _ in parts]),
        m2=np.stack([loss.var(0) * len(loss) for loss, _ in parts]),
        right=np.stack([counted.sum(0) for _, counted in parts]),
        nonfinite=np.zeros((len(parts), points), np.int64),
        population=len(losses),
    )


if __name__ == "__main__":
    main()
