"""How often the intervals of landscape metrics hold the truth, on surfaces seen through heavy-tailed image losses.

    python benchmarks/metric_coverage.py [--seen blocks levels] [--repeats 200] [--details]

`blocks` are plain means over blocks of 32 images, drawn from endlessly many: the truth is their expectation. `levels`
are estimates by regression, from 4,096 images in blocks of 16, of which each level sees the first so many in an order
drawn anew: the truth is the surface over all 4,096.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from gradscape.landscape import Surface
from gradscape.landscape.metrics.measure import METRICS, Measure, measure_landscape
from tests.landscape.noisy_surfaces import NOISES, TRUTHS, Population, drawn_surface, true_surface

POPULATION = 4096
BLOCK = 16


class Case(NamedTuple):
    """A surface seen in one way: what it was seen through, the truth, and what the images of a seed show."""

    seen: str
    truth: Surface
    draw: Callable[[int], Surface]


def cases(surface: str, noise: str, options: argparse.Namespace) -> Iterator[Case]:
    """All ways in which a surface is seen through a noise."""
    if "blocks" in options.seen:
        for blocks in options.blocks:
            yield Case(
                str(blocks),
                true_surface(surface),
                lambda seed, blocks=blocks: drawn_surface(surface, NOISES[noise], blocks=blocks, seed=seed),
            )
    if "levels" in options.seen:
        population = Population.draw(surface, NOISES[noise], images=POPULATION, seed=1)
        for levels in options.levels:
            images = [int(number) for number in levels.split(":")]
            yield Case(
                " · ".join(f"{number:,}" for number in images),
                population.surface(),
                lambda seed, images=images: population.estimated(images, block=BLOCK, seed=seed),
            )


def shares(case: Case, options: argparse.Namespace) -> list[str]:
    """How often the interval of each metric holds the truth, in percent."""
    exact = measure_landscape(case.truth)
    found = [measure_landscape(case.draw(seed), resamples=options.resamples) for seed in range(options.repeats)]
    if options.details:
        tell_details(exact, found)
    return [
        f"{100 * np.mean([one[name].low <= exact[name].value <= one[name].high for one in found]):.1f}"
        for name in METRICS
    ]


def tell_details(exact: dict[str, Measure], found: list[dict[str, Measure]]) -> None:
    """Print bias and spread of each metric."""
    for name in METRICS:
        values = np.array([one[name].value for one in found])
        halves = np.array([(one[name].high - one[name].low) / 4 for one in found])
        print(
            f"  {name:17s} true {exact[name].value:.4f} mean {np.nanmean(values):.4f} "
            f"deviation {np.nanstd(values):.4f} claimed {np.nanmedian(halves):.4f}",
            sorted({one[name].note[:60] for one in found})[:3],
        )


def main() -> None:
    """Print a table in Markdown: a row for each truth and noise, a column for each metric."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seen", nargs="+", choices=["blocks", "levels"], default=["blocks", "levels"])
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--resamples", type=int, default=200)
    parser.add_argument("--blocks", type=int, nargs="+", default=[16, 64], help="Blocks of 32 images.")
    parser.add_argument(
        "--levels", nargs="+", default=["2048:512:128", "4096:1024:256"], help="Images of each level, coarse to fine."
    )
    parser.add_argument("--surfaces", nargs="+", choices=TRUTHS, default=list(TRUTHS))
    parser.add_argument("--noises", nargs="+", choices=NOISES, default=list(NOISES))
    parser.add_argument("--details", action="store_true", help="Print bias and spread too.")
    options = parser.parse_args()
    print("| surface | noise | blocks or images |", " | ".join(METRICS), "|")
    print("|---|---|---:|" + "---:|" * len(METRICS))
    for surface in options.surfaces:
        for noise in options.noises:
            for case in cases(surface, noise, options):
                print(f"| {surface} | {noise} | {case.seen} |", " | ".join(shares(case, options)), "|", flush=True)


if __name__ == "__main__":
    main()
