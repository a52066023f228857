"""How small standard errors get in a given time: the regression estimator against plain means.

    python benchmarks/estimator_time.py CKPT DATA [--minutes 12] [-o FOLDER]

It runs `gradscape landscape CKPT --data DATA --span 0.5 --precision fp32 --time T` with each estimator, one after the
other, on the whole machine and from the start of the command on. It prints the median standard error as a share of
the range of the loss, what each level saw, and how long plain means would need for the same error: at their own rate,
and at that of the original tool, which `--original` states in images a second at a point.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from gradscape.landscape import Surface


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("data")
    parser.add_argument("--minutes", type=float, default=12.0)
    parser.add_argument("--span", type=float, default=0.5)
    parser.add_argument("--steps", type=int, default=51)
    parser.add_argument("--original", type=float, help="rate of the original tool, images a second at a point")
    parser.add_argument("-o", "--output", type=Path, default=Path("estimator_time"))
    asked = parser.parse_args()
    found = {}
    for estimator in ("regression", "mean"):
        folder, began = asked.output / estimator, time.monotonic()
        options = {
            "--data": asked.data,
            "--span": asked.span,
            "--steps": asked.steps,
            "--precision": "fp32",
            "--estimator": estimator,
            "--time": asked.minutes * 60,
            "-o": folder,
        }
        flat = [str(part) for pair in options.items() for part in pair]
        command = [sys.executable, "-c", "from gradscape.cli import main; main()", "landscape", str(asked.checkpoint)]
        subprocess.run([*command, *flat], check=True)
        spent = time.monotonic() - began
        surface = found[estimator] = Surface.load(folder / "surface.h5")
        share = np.median(surface.loss_stderr) / np.ptp(surface.loss)
        print(f"{estimator}: {spent:.0f} s with drawing, median standard error {100 * share:.3f} % of the range")
        for level in surface.meta.get("estimator", {}).get("levels", ()):
            print(f"    {level['points']:,} points saw {level['images']:,} images")
    regression, mean = found["regression"], found["mean"]
    ratio = np.median(mean.loss_stderr) / np.median(regression.loss_stderr)
    images, population = int(mean.count.max()), mean.blocks.population
    # s/√n·√(1 − n/N): how many images everywhere have the error of the other.
    needed = 1 / ((1 / images - 1 / population) / ratio**2 + 1 / population)
    rate = mean.loss.size * images / (asked.minutes * 60)
    print(f"plain means saw {images:,} images: their standard error is {ratio:.1f} times as large")
    print(f"the same error takes {needed:,.0f} images at every point: {needed * mean.loss.size / rate / 60:.0f} min")
    if asked.original:
        print(f"with the original tool {needed * mean.loss.size / asked.original / 60:.0f} min")


if __name__ == "__main__":
    main()
