"""How many images each level is to see."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

__all__ = ["allocate"]

_STEPS = 60  # of the bisection


def allocate(
    variances: Float[np.ndarray, " levels"],
    points: Sequence[int],
    *,
    seen: Int[np.ndarray, " levels"],
    least: int,
    most: int,
    population: int,
    target: float | None,
    budget: float | None,
) -> Int[np.ndarray, " levels"]:
    """Numbers of images, falling from coarse to fine: those of the least cost for a variance, or the least variance.

    A level's part of the variance is v/n·(1 − n/N), and its cost A·n for A points: the best numbers are as √(v/A).

    Args:
        variances: v of each level, coarse to fine.
        points: A of each.
        seen: Images that each has seen.
        least: Images below which the finest level cannot tell how well it is predicted.
        most: Images that there are to see.
        population: N, of which these were drawn.
        target: Variance of the estimate to reach.
        budget: Points times images that can be paid, those seen not counted.

    Source: Giles, Multilevel Monte Carlo methods (2015), section 1.3.
    """
    sizes = np.asarray(points, dtype=float)
    ratios = np.sqrt(np.maximum(variances, 0.0) / sizes)
    ratios = np.maximum.accumulate(ratios[::-1])[::-1]
    ratios = ratios / ratios[0] if ratios[0] > 0 else np.ones_like(ratios)

    def numbers(scale: float) -> np.ndarray:
        found = np.clip(scale * ratios, np.maximum(seen, min(least, most)), most)
        return np.maximum.accumulate(found[::-1])[::-1]

    def is_enough(scale: float) -> bool:
        found = numbers(scale)
        reached = target is not None and (variances * (1 / found - 1 / population)).sum() <= target
        spent = budget is not None and (sizes * (found - seen)).sum() >= budget
        return bool(reached or spent)

    low, high = 1.0, most / max(ratios.min(), 1 / most)
    if not is_enough(high):
        return np.full(len(sizes), most)
    for _ in range(_STEPS):
        middle = np.sqrt(low * high)
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return np.floor(numbers(high)).astype(int)
