"""Compare whole bf16 surfaces with fp32 ones: is the stated error a bound at every point?

Run it from anywhere: `python benchmarks/rounding.py CKPT… --data D [--help]`. For every checkpoint the same surface is
evaluated twice. Printed are the largest difference as a share of the stated error and of the standard error (of the
point's own, or of the median where that is larger), at how many points it exceeds them, and whether the same points
are finite. It fails if a point exceeds the stated error, if the stated error exceeds a quarter of the standard error,
or if the masks differ.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

from gradscape._allocator import keep_freed_memory
from gradscape.data import load_split
from gradscape.landscape import Surface, evaluate_surface, random_directions
from gradscape.landscape.rounding import MOST_ROUNDING
from gradscape.models import load_checkpoint


def main() -> int:
    """Compare; the exit status."""
    parser = argparse.ArgumentParser(description="Compare whole bf16 surfaces with fp32 ones.")
    parser.add_argument("checkpoints", nargs="+", type=Path, metavar="CKPT")
    parser.add_argument("--data", required=True)
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--limit", type=int, default=32)
    parser.add_argument("--steps", type=int, default=21)
    parser.add_argument("--span", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    axis = np.linspace(-arguments.span, arguments.span, arguments.steps)
    held = True
    for path in arguments.checkpoints:
        model = load_checkpoint(path)
        split = load_split(
            arguments.data, "train", root=arguments.data_root, image_size=model.image_size, limit=arguments.limit
        )
        directions = random_directions(model, seed=0)
        exact = evaluate_surface(model, split, directions, axis, axis, precision="fp32")
        coarse = evaluate_surface(model, split, directions, axis, axis, precision="bf16")
        held &= report(str(path), exact, coarse)
    return int(not held)


def report(title: str, exact: Surface, coarse: Surface) -> bool:
    """Print how two surfaces compare; whether everything that is claimed holds."""
    same = bool(np.array_equal(np.isfinite(exact.loss), np.isfinite(coarse.loss)))
    finite = np.isfinite(exact.loss) & np.isfinite(coarse.loss)
    difference = np.abs(coarse.loss - exact.loss)[finite]
    stated = coarse.loss_rounding[finite]
    own = coarse.loss_stderr[finite]
    stderr = np.maximum(own, np.median(own))
    print(f"{title}: {coarse.meta['plan_notes']['precision']}; {len(difference)} finite points, same mask: {same}")
    for name, bound in (("stated error", stated), ("standard error", stderr), ("point's own standard error", own)):
        share = difference / bound
        print(f"  |bf16 - fp32| / {name}: median {np.median(share):.3f}, 99 % {np.quantile(share, 0.99):.3f}, ", end="")
        print(
            f"largest {share.max():.3f}, beyond 1 at {(share > 1).sum()}, beyond 1/4 at {(share > 0.25).sum()} points"
        )
    shares = stated / stderr
    print(f"  stated error / standard error: {shares.max():.3f}")
    return same and bool((difference <= stated).all()) and bool(shares.max() <= MOST_ROUNDING)


if __name__ == "__main__":
    sys.exit(main())
