"""Hessian products and CPU seconds for a map of |λmin/λmax|: warm starts against cold ones, point by point in turn.

    python benchmarks/curvature_map.py CHECKPOINT DATA [--points N] [--every K] [--span R]

DATA is an `npz` file with `images` (N, H, W, 3) uint8 and `labels`. The map has 11 x 11 points and 64 images;
`--points` takes only the first so many of its walk, and `--every` gives the rivals, which are slow, only every K-th of
these. Rivals: the same search from a random vector; `hessian_spectrum` with the same tolerance; and the way of the
original tool, SciPy's `eigsh` for the eigenvalue of largest magnitude and again for the other end, with tolerance 0.01.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh

from gradscape.landscape import hessian_spectrum, random_directions
from gradscape.landscape.engine import evaluable
from gradscape.landscape.engine.moving import moving
from gradscape.landscape.hessian.curvature_walk import CurvatureWalk
from gradscape.landscape.hessian.mapping import Finder
from gradscape.landscape.hessian.products import HessianProducts
from gradscape.models import load_checkpoint

_IMAGES, _SIDE, _TOLERANCE = 64, 11, 0.01


def main() -> None:
    """Measure and print a line a point, then the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("data")
    parser.add_argument("--points", type=int, default=_SIDE**2)
    parser.add_argument("--every", type=int, default=4)
    parser.add_argument("--span", type=float, default=0.5)
    given = parser.parse_args()
    torch.set_num_threads(1)
    arrays = np.load(given.data)
    images = torch.from_numpy(arrays["images"][:_IMAGES]).permute(0, 3, 1, 2).float() / 255
    batches = [(images, torch.from_numpy(arrays["labels"][:_IMAGES]).long())]
    model = load_checkpoint(given.checkpoint).to(memory_format=torch.channels_last)
    directions = random_directions(model, seed=0)
    products = HessianProducts(model, batches, ignore="biasbn")
    finder = Finder(products, directions, tolerance=_TOLERANCE, most=100, seed=0, held=True)
    axis = np.linspace(-given.span, given.span, _SIDE)
    walk = CurvatureWalk(axis, axis, {}, None)
    found: dict[str, list[tuple[int, float]]] = {}

    def contest(name: str, run: Callable[[], tuple[int, Any, Any]]) -> None:
        began = time.process_time()
        count, largest, smallest = run()
        seconds = time.process_time() - began
        found.setdefault(name, []).append((count, seconds))
        print(f"  {name:<22} {count:3d} products {seconds:6.1f} s   {largest:10.3f} {smallest:10.4f}", flush=True)

    with evaluable(model):
        for number, place in enumerate(walk.left()):
            if number == given.points:
                break
            point = walk.point(place)
            print(f"point {number}: {point[0]:g}, {point[1]:g}", flush=True)

            def warm(place: tuple[int, int] = place, point: tuple[float, float] = point) -> tuple[int, float, float]:
                ends = finder.warm(point, walk.warm)
                walk.add(place, ends)
                assert ends is not None
                return ends.products, *ends.values

            contest("warm" if number else "first", warm)
            if number % given.every == given.every - 1:
                contest("cold, same search", partial(_cold, finder, point))
                with moving(model, directions) as move_to:
                    move_to(point)
                    contest("hessian_spectrum", lambda: _spectrum(model, batches))
                    contest("eigsh twice", lambda: _original(products))
    for name, several in found.items():
        counts, seconds = np.array(several).T
        print(f"{name:<22} {len(several):3d} points, mean {counts.mean():5.1f} products, {seconds.mean():6.2f} CPU s")


def _cold(finder: Finder, point: tuple[float, float]) -> tuple[int, float, float]:
    ends = finder.cold(point)
    assert ends is not None
    return ends.products, *ends.values


def _spectrum(model: torch.nn.Module, batches: list[Any]) -> tuple[int, float, float]:
    steps: list[int] = []
    spectrum = hessian_spectrum(
        model,
        batches,
        top=1,
        bottom=1,
        ignore="biasbn",
        held_out=False,
        tolerance=_TOLERANCE,
        report=lambda progress, *_: steps.append(1),
    )
    return len(steps), float(spectrum.values[0]), float(spectrum.values[-1])


def _original(products: HessianProducts) -> tuple[int, float, float]:
    """Both ends as the original tool asks for them, here with the shift that keeps the other end the other end."""
    count = 0

    def product(vector: np.ndarray) -> np.ndarray:
        nonlocal count
        count += 1
        return products.product(torch.from_numpy(vector.astype(np.float32).ravel())).double().numpy()

    def largest(shift: float) -> float:
        shape = (products.dimension, products.dimension)
        operator = LinearOperator(shape, matvec=lambda vector: product(vector) - shift * vector.ravel(), dtype=float)
        start = np.random.default_rng(0).standard_normal(products.dimension)
        return float(eigsh(operator, k=1, tol=_TOLERANCE, which="LM", v0=start)[0][0]) + shift

    top = largest(0.0)
    bottom = largest(top)
    return count, top, bottom


if __name__ == "__main__":
    main()
