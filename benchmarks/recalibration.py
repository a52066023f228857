"""Between two networks with batch norm: the line with moving and with recalibrated statistics, and what a point costs.

Run it from anywhere: `python benchmarks/recalibration.py CKPT CKPT2 TRAIN.npz TEST.npz [--help]`. Loss and error are
those of the first images of each file, as arrays hold them; calibration takes the first ones of the training file.
Printed are the ends, the highest rise above the straight line between them, the rise in the middle, and for every
treatment the time of a point. With `--compare FILE` (an npz with arrays `naive` and `naive_bn`, of a column each for
training loss, training error, test loss and test error) also the largest difference to it.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gradscape.landscape import Line, difference_direction, evaluate_line
from gradscape.models import load_checkpoint

COLUMNS = ("train loss", "train error", "test loss", "test error")


def main() -> None:
    """Evaluate both lines and print what they say."""
    parser = argparse.ArgumentParser(description="Lines with moving and with recalibrated batch-norm statistics.")
    parser.add_argument("checkpoints", nargs=2, type=Path, metavar="CKPT")
    parser.add_argument("files", nargs=2, type=Path, metavar="NPZ")
    parser.add_argument("--train", type=int, default=512, help="images of the first file; a multiple of 32")
    parser.add_argument("--test", type=int, default=1000, help="images of the second file")
    parser.add_argument("--calibration", type=int, default=2000, help="images of the first file to recalibrate on")
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compare", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    first, second = map(load_checkpoint, arguments.checkpoints)
    direction = difference_direction(first, second)
    alphas = np.linspace(0, 1, arguments.steps)
    batches = [
        first_images(path, count)
        for path, count in zip(arguments.files, (arguments.train, arguments.test), strict=True)
    ]
    calibration = [first_images(arguments.files[0], arguments.calibration)]
    known = dict(np.load(arguments.compare)) if arguments.compare else {}
    for treatment, stored in (("moving", "naive"), ("recalibrated", "naive_bn")):
        options: dict[str, Any] = {
            "batch_norm": treatment,
            "calibration": calibration if treatment == "recalibrated" else None,
        }
        began = time.perf_counter()
        line = evaluate_line(first, batches, direction, alphas, precision="fp32", **options)
        seconds = time.perf_counter() - began
        values = by_split(line, arguments.train)
        print(f"{treatment}: {seconds / (len(alphas) + 1):.2f} s a point", flush=True)
        for name, column in zip(COLUMNS, values.T, strict=True):
            rise = column - ((1 - alphas) * column[0] + alphas * column[-1])
            highest = int(rise.argmax())
            middle = column[len(alphas) // 2] - (column[0] + column[-1]) / 2
            print(
                f"  {name:12} ends {column[0]:.4f} {column[-1]:.4f}  above the chord {rise[highest]:.4f} at "
                f"{alphas[highest]:.3f}  sup - mean of ends {column.max() - (column[0] + column[-1]) / 2:.4f}  "
                f"middle {middle:.4f}"
            )
        if stored in known:
            print(f"  largest difference to the file: {np.abs(values - known[stored]).max():.1e}")


def first_images(path: Path, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The first images of a file in [0, 1], and their labels."""
    with np.load(path) as file:
        pixels, labels = file["images"][:count], file["labels"][:count]
    return torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255, torch.from_numpy(labels)


def by_split(line: Line, train: int) -> np.ndarray:
    """Loss and error on the first images and on the others, (points, 4)."""
    counts = line.blocks.count[:, 0].cumsum()
    parts = [counts <= train, counts > train]
    found = []
    for part in parts:
        count = line.blocks.count[part].sum(axis=0)
        found += [(line.blocks.mean * line.blocks.count)[part].sum(axis=0) / count]
        found += [1 - line.blocks.right[part].sum(axis=0) / count]
    return np.stack(found, axis=1)


if __name__ == "__main__":
    main()
