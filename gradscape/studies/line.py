"""Loss and error along a random direction, or from one network to another."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from gradscape._digest import digest_model
from gradscape._left_as_before import left_as_before
from gradscape._provenance import CHANCE
from gradscape._recipe_record import OTHER_RECIPE, recorded_recipe
from gradscape._schema import fitting
from gradscape.data.named_batches import NamedBatches
from gradscape.landscape import (
    Barrier,
    Direction,
    Line,
    Options,
    Progress,
    difference_direction,
    random_directions,
    top1,
)
from gradscape.landscape.axis import checked_axis
from gradscape.landscape.engine import KnownGraphs, MetricFunction, evaluable, tensors_in
from gradscape.landscape.engine.moving import moving
from gradscape.landscape.evaluate import evaluate_grid
from gradscape.landscape.variances import negative_variances
from gradscape.models import Classifier
from gradscape.models.detection import Detector
from gradscape.studies.alignment import ALIGNMENT
from gradscape.studies.chance import models_at_chance
from gradscape.studies.networks import check_classes, check_same_classes, measured_entries
from gradscape.studies.recalibration import calibration_names

__all__ = ["LinePath", "make_path"]

_log = logging.getLogger(__name__)

_COMPARED = 4  # images that tell whether the line ends at the other network
_TOLERANCE = 1e-3  # of the largest output
_LEAST_SECONDS = 1e-3  # when the time is up: every point still gets its first images
_SAME = 1e-9  # of alpha: as near as rounding brings a point of an even grid to a network


@dataclass(frozen=True, eq=False)
class LinePath:
    """Where a line goes.

    Attributes:
        model: The network at alpha = 0.
        direction: One unit of alpha.
        alphas: (A,) coordinates.
        meta: Provenance.
        graphs: Of the model, which is traced once for the line and what is looked at beside it.
    """

    model: Classifier
    direction: Direction
    alphas: np.ndarray
    meta: Mapping[str, Any]
    graphs: KnownGraphs = field(default_factory=dict, repr=False)

    def evaluate(
        self,
        split: NamedBatches,
        path: Path,
        *,
        until: float | None = None,
        report: Callable[[str, Progress], None],
        options: Options,
    ) -> Line:
        """Evaluate the line into an `.h5` file; `options` say how, as far as the arguments before do not.

        Between two networks the file also tells the barrier, where both ends have a loss.

        Args:
            split: The images.
            path: The file.
            until: Moment on the monotonic clock at which to stop, s.
            report: Called with the line's title and its progress.
            options: How.
        """
        seconds = options.seconds if until is None else max(until - time.monotonic(), _LEAST_SECONDS)
        own = replace(
            options,
            path=path,
            meta={**self.meta, **calibration_names(options), **self._negative(options)},
            seconds=seconds,
            report=partial(report, self.meta["title"]),
        )
        axes = {"alphas": self.alphas}
        line = evaluate_grid(Line, self.model, split, [self.direction], axes=axes, options=own, graphs=self.graphs)
        if "other" in self.meta and (barrier := _barrier(line)):
            line = replace(line, meta={**line.meta, "barrier": _finite(asdict(barrier))})
            line.save(path)
        return line

    def _negative(self, options: Options) -> dict[str, Any]:
        """Where running variances that move along are negative, between two networks and beyond them."""
        if "other" not in self.meta or options.batch_norm not in (None, "moving"):
            return {}
        negative = self.alphas[negative_variances(self.model, [self.direction], {"alphas": self.alphas})]
        return {"negative_variances": negative.tolist()} if len(negative) else {}


@left_as_before
def make_path(
    models: Mapping[str, Classifier],
    split: NamedBatches,
    *,
    span: float,
    steps: int,
    seed: int,
    alphas: np.ndarray | None = None,
    space: str | None = None,
    metric: MetricFunction | None = top1,
    **making: Any,
) -> LinePath:
    """From one model along a random direction, or from the first of two models to the second.

    Between two models the mean and deviation by which each normalizes its images move along, so that both ends are the
    models themselves; whether the line ends at the second is measured on a few images. Both networks, at 0 and 1, are
    points of the line whatever is asked for; along a random direction 0 is one where it lies in the range.

    Args:
        models: One or two, by name.
        split: The images.
        span: Half-width along a random direction.
        steps: Number of points; the networks themselves come on top where these miss them.
        seed: Of the random direction.
        alphas: (A,) coordinates instead of span and steps.
        space: "weights" or "states"; None takes states between two networks, else weights.
        metric: What the evaluation will count as right.
        **making: More options of `random_directions`; None takes filters and ignores biases and norms.

    Raises:
        ValueError: The models take images of different sizes, have classes of other names or in another order, or
            other tensors; or the second computes something else than the first would with its tensors.
    """
    check_classes(models, split)
    (name, model), *others = models.items()
    meta = measured_entries(name, model, split)
    if guessing := models_at_chance(models, split, data=split.name, metric=metric):
        meta[CHANCE] = guessing
    if others:
        ((other_name, other),) = others
        check_same_classes(models)
        direction = difference_direction(model, other, space=space or "states")  # type: ignore[arg-type]
        if space != "weights":
            _check_end(models, direction, split)
        if "mean" in direction or "std" in direction:
            _log.warning(
                "%s and %s normalize images differently: between them mean and std move in a straight line, too",
                name,
                other_name,
            )
        along = _with_points(np.linspace(0, 1, steps) if alphas is None else alphas, (0.0, 1.0))
        meta |= {"other": other_name, "other_weights": digest_model(other), "space": space or "states"}
        meta |= {"other_checkpoint": other.path} if other.path else {}
        meta |= {OTHER_RECIPE: dict(recipe)} if (recipe := recorded_recipe(other.meta)) else {}
        aligned = fitting(other.meta, ALIGNMENT, dict[str, Any]) or {}  # perhaps with quite another network
        meta |= {ALIGNMENT: aligned} if aligned.get("weights") == digest_model(model) else {}
        return LinePath(model, direction, along, meta)
    chosen = {name: one for name, one in making.items() if one is not None}
    making = {"normalize": "filter", "ignore": "biasbn", **chosen, "space": space or "weights"}
    direction, _ = random_directions(model, seed=seed, **making)
    along = np.linspace(-span, span, steps) if alphas is None else alphas
    along = _with_points(along, (0.0,) if along.min() < 0 < along.max() else ())
    return LinePath(model, direction, along, {**meta, "seed": seed, "span": float(np.abs(along).max()), **making})


def _barrier(line: Line) -> Barrier | None:
    """The barrier of a line between two networks; None where an end is missing or its loss is not finite."""
    try:
        return line.barrier()
    except ValueError:
        return None


def _finite(numbers: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of a barrier: JSON has no infinite numbers and no NaN."""
    known = {name: _finite(one) if isinstance(one, Mapping) else one for name, one in numbers.items()}
    return {name: one for name, one in known.items() if isinstance(one, Mapping) or np.isfinite(one)}


def _with_points(alphas: np.ndarray, places: Sequence[float]) -> np.ndarray:
    """The coordinates with certain ones among them, in the order in which they rise or fall."""
    alphas = checked_axis(alphas, "alphas")
    missed = [place for place in places if not (np.abs(alphas - place) < _SAME).any()]
    exact = alphas.copy()
    for place in places:
        exact[np.abs(alphas - place) < _SAME] = place
    along = np.sort(np.concatenate([exact, missed]))
    return along if alphas[0] <= alphas[-1] else along[::-1]


def _check_end(models: Mapping[str, Classifier], direction: Direction, split: NamedBatches) -> None:
    """Compare the outputs at alpha = 1 with the other network's own: what is no tensor does not move."""
    (name, model), (other_name, other) = models.items()
    images = next(tensors_in(next(iter(split))[0]))[:_COMPARED].to(model.mean.device)
    with evaluable(other):
        own = list(tensors_in(_compared_output(other, images)))
    with evaluable(model), moving(model, [direction]) as move:
        move([1.0])
        reached = [tensor.clone() for tensor in tensors_in(_compared_output(model, images))]
    for there, here in zip(own, reached, strict=True):
        if there.isfinite().all() and not (here - there).abs().max() <= _TOLERANCE * there.abs().max():
            raise ValueError(
                f"no line leads from {name} to {other_name}: with the tensors of the second, the first computes "
                "something else; give two networks with one `--model` name and the same options"
            )


def _compared_output(model: Classifier, images: Tensor) -> Any:
    """What a network gives; of a detector its maps, since rounding may change how many boxes it finds."""
    if isinstance(model.network, Detector):
        return model.network.detector.backbone((images - model.mean) / model.std)
    return model(images)
