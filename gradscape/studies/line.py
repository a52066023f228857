"""Loss and error along a random direction, or from one network to another."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gradscape.data import Split
from gradscape.landscape import Direction, Line, Options, Progress, difference_direction, random_directions
from gradscape.landscape.evaluate import evaluate_grid
from gradscape.models import Classifier
from gradscape.studies.networks import check_classes

__all__ = ["LinePath", "make_path"]

_BEYOND = 0.25  # how far a line between networks goes past each of them


@dataclass(frozen=True, eq=False)
class LinePath:
    """Where a line goes.

    Attributes:
        model: The network at alpha = 0.
        direction: One unit of alpha.
        alphas: (A,) coordinates.
        meta: Provenance.
    """

    model: Classifier
    direction: Direction
    alphas: np.ndarray
    meta: Mapping[str, Any]

    def evaluate(self, split: Split, path: Path, *, report: Callable[[str, Progress], None], options: Options) -> Line:
        """Evaluate the line into an `.h5` file; `options` say how, as far as the arguments before do not."""
        told = partial(report, self.meta["title"])
        own = replace(options, path=path, meta=self.meta, report=told)
        return evaluate_grid(Line, self.model, split, [self.direction], axes={"alphas": self.alphas}, options=own)


def make_path(
    models: Mapping[str, Classifier],
    split: Split,
    *,
    span: float,
    steps: int,
    seed: int,
    space: str | None = None,
    **making: Any,
) -> LinePath:
    """From one model along a random direction, or from the first of two models to the second and a bit beyond.

    Args:
        models: One or two, by name.
        split: The images, for the provenance.
        span: Half-width along a random direction.
        steps: Number of points.
        seed: Of the random direction.
        space: "weights" or "states"; None takes states between two networks, else weights.
        **making: More options of `random_directions`.
    """
    check_classes(models, split)
    (name, model), *others = models.items()
    meta = {"model": model.meta["name"], "title": name, "data": split.name, "split": split.split}
    if others:
        ((other_name, other),) = others
        direction = difference_direction(model, other, space=space or "states")  # type: ignore[arg-type]
        alphas = np.linspace(-_BEYOND, 1 + _BEYOND, steps)
        return LinePath(model, direction, alphas, {**meta, "other": other_name, "space": space or "states"})
    making = {**making, "space": space or "weights"}
    direction, _ = random_directions(model, seed=seed, **making)
    return LinePath(model, direction, np.linspace(-span, span, steps), {**meta, "seed": seed, "span": span, **making})
