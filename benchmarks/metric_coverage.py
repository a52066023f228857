"""How often the intervals of landscape metrics hold the truth, on surfaces seen through heavy-tailed image losses."""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from gradscape.landscape.metrics.measure import METRICS, measure_landscape
from tests.landscape.noisy_surfaces import NOISES, TRUTHS, drawn_surface, true_surface


def main() -> None:
    """Print a table in Markdown: a row for each truth and noise, a column for each metric."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--resamples", type=int, default=200)
    parser.add_argument("--blocks", type=int, nargs="+", default=[16, 64], help="Blocks of 32 images.")
    parser.add_argument("--noises", nargs="+", choices=NOISES, default=list(NOISES))
    parser.add_argument("--details", action="store_true", help="Print bias and spread too.")
    options = parser.parse_args()
    print("| surface | noise | blocks |", " | ".join(METRICS), "|")
    print("|---|---|---:|" + "---:|" * len(METRICS))
    for truth in TRUTHS:
        exact = measure_landscape(true_surface(truth))
        for noise in options.noises:
            for blocks in options.blocks:
                found = [
                    measure_landscape(
                        drawn_surface(truth, NOISES[noise], blocks=blocks, seed=seed), resamples=options.resamples
                    )
                    for seed in range(options.repeats)
                ]
                cells = []
                for name in METRICS:
                    held = [one[name].low <= exact[name].value <= one[name].high for one in found]
                    cells.append(f"{100 * np.mean(held):.1f}")
                    if options.details:
                        values = np.array([one[name].value for one in found])
                        halves = np.array([(one[name].high - one[name].low) / 4 for one in found])
                        print(
                            f"  {name:17s} true {exact[name].value:.4f} mean {np.nanmean(values):.4f} deviation "
                            f"{np.nanstd(values):.4f} claimed {np.nanmedian(halves):.4f}",
                            sorted({one[name].note[:60] for one in found})[:3],
                        )
                print(f"| {truth} | {noise} | {blocks} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
