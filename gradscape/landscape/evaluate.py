"""From a model, data and directions to a surface or a line."""

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, TypedDict, Unpack

import numpy as np
from torch import nn

from gradscape._model_state import model_device
from gradscape.landscape.directions import Direction
from gradscape.landscape.engine.blocks import Block, cut_blocks, join_blocks, tensors_in
from gradscape.landscape.engine.graph import FoldedGraph, TracingError
from gradscape.landscape.engine.moving import check_directions, named_tensors
from gradscape.landscape.engine.network import ready_network
from gradscape.landscape.engine.plan import ExecutionPlan, Precision, block_images
from gradscape.landscape.engine.rounds import Limits, Report
from gradscape.landscape.engine.run import Result, Run
from gradscape.landscape.engine.task import Forward, Loss, Metric, Task, call, check_model, cross_entropy, top1
from gradscape.landscape.engine.trials import Planned, Work, make_plan, timed
from gradscape.landscape.engine.unchanged import evaluating
from gradscape.landscape.engine.workers import Evaluator, Job, Workers
from gradscape.landscape.line import Line
from gradscape.landscape.surface import Surface

__all__ = [
    "EvaluationOptions",
    "Options",
    "Preview",
    "estimate_seconds",
    "evaluate",
    "evaluate_line",
    "evaluate_surface",
]

Preview = Callable[[Any], None]


def evaluate_surface(
    model: nn.Module,
    batches: Iterable[Any],
    directions: Sequence[Direction],
    alphas: Sequence[float] | np.ndarray,
    betas: Sequence[float] | np.ndarray,
    *,
    loss: Loss = cross_entropy,
    metric: Metric | None = top1,
    forward: Forward = call,
    precision: Precision = "auto",
    batch_size: int | None = None,
    tolerance: float | None = None,
    seconds: float | None = None,
    population: int | None = None,
    path: str | os.PathLike[str] | None = None,
    allow_plan_change: bool = False,
    ray: str | None = None,
    meta: Mapping[str, Any] | None = None,
    report: Report | None = None,
    preview: Callable[[Surface], None] | None = None,
) -> Surface:
    """Evaluate L(θ + alpha·d_alpha + beta·d_beta) at every point of a grid, and at the origin.

    A few images are evaluated at every point, a coarse grid first; then round by round as many again. The model
    is evaluated in `eval()` where it is and is the same to the bit afterwards, also after an exception.

    Args:
        model: Any module. Its hooks may be called with torch.export's stand-ins for tensors.
        batches: Pairs (inputs, labels), in the same order at every iteration. Images are regrouped into
            blocks of 32; the batches' own sizes do not matter.
        directions: (d_alpha, d_beta), as `random_directions` gives them.
        alphas: Coordinates along the first direction, (A,), of any bounds.
        betas: Coordinates along the second direction, (B,).
        loss: (output, labels) -> one number per image; cross-entropy in nats by default.
        metric: (output, labels) -> right or wrong per image; top-1 by default, None where there is none.
        forward: (model, inputs) -> output, where the model does not take a tensor or give one.
        precision: "fp32" is exact to 1e-5; "bf16" takes bfloat16 products; "auto" takes bf16 only where it is
            faster and its measured error stays below a quarter of the final standard error.
        batch_size: Images in a forward pass; by default the smallest that is about as fast as any.
        tolerance: Stop when the median standard error is at most this share of the range of the loss.
        seconds: Stop so many seconds after the call, at the latest when every point has seen the first images.
        population: Number of images that those in `batches` were drawn from; by default what `batches` says in
            an attribute `population`, or their own number. Standard errors are about the mean over these.
        path: An `.h5` file that is kept up to date while the evaluation runs. If it exists, what it
            already holds is not evaluated again.
        allow_plan_change: Go on with a file although device, threads or versions have changed.
        ray: Evaluate in other processes by Ray (`pip install "gradscape[ray]"`): "local" takes all GPUs or cores of
            this machine, "auto" or an address a cluster that runs.
        meta: More provenance to store, such as model, data and seed.
        report: Called with the progress, about twice a second.
        preview: Called now and then with the surface so far: NaN where no image was evaluated yet, else every
            point on the same images.

    Returns:
        The surface; with `path` also in the file.

    Raises:
        TypeError: `batches` or `directions` are of another kind.
        ValueError: The loss is a scalar, the model is random or depends on the batch, or `path` holds another run.

    Example:
        >>> import torch
        >>> from gradscape.landscape import random_directions
        >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, 10))
        >>> batches = [(torch.rand(64, 3, 8, 8), torch.arange(64) % 10)]  # or a DataLoader that does not shuffle
        >>> directions = random_directions(net, seed=0)
        >>> surface = evaluate_surface(net, batches, directions, alphas=[-1.0, 0.0, 1.0], betas=[-0.5, 0.5])
        >>> surface.loss.shape, int(surface.count.min())
        ((2, 3), 64)
    """
    if len(directions) != 2:
        raise ValueError(f"`directions` must be a pair for a surface, got {len(directions)}")
    axes = {"alphas": _axis(alphas, "alphas"), "betas": _axis(betas, "betas")}
    options = Options(
        loss=loss,
        metric=metric,
        forward=forward,
        precision=precision,
        batch_size=batch_size,
        tolerance=tolerance,
        seconds=seconds,
        population=population,
        path=path,
        allow_plan_change=allow_plan_change,
        ray=ray,
        meta=meta,
        report=report,
        preview=preview,
    )
    return evaluate(Surface, axes, model, batches, directions, options=options)


class EvaluationOptions(TypedDict, total=False):
    """The keyword arguments of `evaluate_surface`, which documents them."""

    loss: Loss
    metric: Metric | None
    forward: Forward
    precision: Precision
    batch_size: int | None
    tolerance: float | None
    seconds: float | None
    population: int | None
    path: str | os.PathLike[str] | None
    allow_plan_change: bool
    ray: str | None
    meta: Mapping[str, Any] | None
    report: Report | None
    preview: Preview | None


def evaluate_line(
    model: nn.Module,
    batches: Iterable[Any],
    direction: Direction,
    alphas: Sequence[float] | np.ndarray,
    **options: Unpack[EvaluationOptions],
) -> Line:
    """Evaluate L(θ + alpha·d) at every alpha, and at the origin.

    Args:
        model: Any module.
        batches: Pairs (inputs, labels), in the same order at every iteration.
        direction: A random direction, or the way to another network (`difference_direction`).
        alphas: Coordinates along the direction, (A,).
        **options: Those of `evaluate_surface`.

    Returns:
        The line; with `path` also in the file.

    Example:
        >>> import torch
        >>> from gradscape.landscape import difference_direction
        >>> first, second = torch.nn.Linear(4, 3), torch.nn.Linear(4, 3)
        >>> batches = [(torch.randn(64, 4), torch.arange(64) % 3)]
        >>> line = evaluate_line(first, batches, difference_direction(first, second), [0.0, 0.5, 1.0])
        >>> line.loss.shape
        (3,)
    """
    axes = {"alphas": _axis(alphas, "alphas")}
    return evaluate(Line, axes, model, batches, [direction], options=Options(**options))


@dataclass(frozen=True, eq=False)
class Options:
    """The options of `evaluate_surface`, with their defaults, and graphs of models that were traced before."""

    loss: Loss = cross_entropy
    metric: Metric | None = top1
    forward: Forward = call
    precision: Precision = "auto"
    batch_size: int | None = None
    tolerance: float | None = None
    seconds: float | None = None
    population: int | None = None
    path: str | os.PathLike[str] | None = None
    allow_plan_change: bool = False
    ray: str | None = None
    meta: Mapping[str, Any] | None = None
    report: Report | None = None
    preview: Preview | None = None
    graphs: dict[nn.Module, FoldedGraph | TracingError] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("tolerance", "seconds"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"`{name}` must be positive, got {value}")
        if self.batch_size is not None and self.batch_size < 1:
            raise ValueError(f"`batch_size` must be at least 1, got {self.batch_size}")


def evaluate(
    kind: type[Result],
    axes: Mapping[str, np.ndarray],
    model: nn.Module,
    batches: Iterable[Any],
    directions: Sequence[Direction],
    *,
    options: Options,
) -> Result:
    """Evaluate what a result of a kind needs on the grid of its axes."""
    began = time.monotonic()
    limits = Limits(options.tolerance, None if options.seconds is None else began + options.seconds)
    meta = _checked_meta(options.meta or {})
    stored = kind.load(options.path) if options.path and Path(options.path).exists() else None
    with evaluating(model):
        work, planned, blocks = _prepare(
            model, batches, directions, axes, options=options, stored=stored.meta if stored else None
        )
        run = Run(kind, axes, work, planned, meta)
        if stored:
            run.resume(stored, allow_plan_change=options.allow_plan_change)
        with _workers(work, planned, options.ray) as workers:
            run.evaluate(workers, blocks, limits, path=options.path, report=options.report, preview=options.preview)
    return run.result()


def estimate_seconds(
    model: nn.Module,
    batches: Iterable[Any],
    directions: Sequence[Direction],
    alphas: Sequence[float] | np.ndarray,
    betas: Sequence[float] | np.ndarray,
    **options: Unpack[EvaluationOptions],
) -> tuple[float, ExecutionPlan]:
    """Estimate how long `evaluate_surface` would take with the same arguments, and make its plan.

    Two points are evaluated on the first images, some of them several times; nothing is written.

    Returns:
        Seconds for all images at all points (NaN if `batches` do not say how many images they hold), and the plan.
    """
    axes = {"alphas": _axis(alphas, "alphas"), "betas": _axis(betas, "betas")}
    with evaluating(model):
        work, planned, _ = _prepare(model, batches, directions, axes, options=Options(**options), stored=None)
        with _evaluator(work, planned) as workers:
            workers.load(join_blocks([work.first], 0, 1))
            side_by_side = planned.plan.points_per_forward
            job = Job((0,) * (side_by_side - 1) + (1,), (0,))
            seconds = min(timed(lambda: workers.measure_one(job)) for _ in range(3))
    each = seconds / side_by_side / work.first.count
    return each * len(work.coordinates) * (work.images or float("nan")), planned.plan


def _prepare(
    model: nn.Module,
    batches: Iterable[Any],
    directions: Sequence[Direction],
    axes: Mapping[str, np.ndarray],
    *,
    options: Options,
    stored: Mapping[str, Any] | None,
) -> tuple[Work, Planned, Iterable[Block]]:
    """What is to be done, how, and on which images; a model that cannot be judged is refused."""
    check_directions(directions, named_tensors(model))
    earlier = stored.get("plan", {}) if stored else {}
    blocks = cut_blocks(batches, block_images(options.batch_size or earlier.get("batch_size")))
    first = next(blocks)
    work = _work(model, batches, directions, axes, first=first.to(model_device(model)), options=options)
    check_model(model, work.first, work.task)
    planned = make_plan(work, precision=options.precision, batch_size=options.batch_size, stored=stored)
    return work, planned, chain([first], blocks)


def _workers(work: Work, planned: Planned, ray: str | None) -> AbstractContextManager[Workers]:
    if ray is None:
        return _evaluator(work, planned)
    from gradscape.landscape.cluster.pool import Cluster

    return Cluster(ray, work, planned.plan)


@contextmanager
def _evaluator(work: Work, planned: Planned) -> Iterator[Evaluator]:
    with ready_network(work.model, work.directions, work.task.forward, planned.plan, planned.graph) as network:
        yield Evaluator(network, work.coordinates, work.task, planned.plan, device=model_device(work.model))


def _work(
    model: nn.Module,
    batches: Iterable[Any],
    directions: Sequence[Direction],
    axes: Mapping[str, np.ndarray],
    *,
    first: Block,
    options: Options,
) -> Work:
    points = np.stack([axis.ravel() for axis in np.meshgrid(*axes.values())], axis=1)
    images = getattr(batches, "num_images", None)
    if images is None and isinstance(batches, (list, tuple)):
        images = sum(len(next(tensors_in(labels))) for _, labels in batches)
    return Work(
        model=model,
        directions=directions,
        coordinates=np.concatenate([np.zeros((1, len(axes))), points]),
        shape=[len(axis) for axis in reversed(list(axes.values()))],
        task=Task(options.loss, options.metric, options.forward),
        first=first,
        images=images,
        population=options.population or getattr(batches, "population", None),
        seconds=options.seconds,
        graphs=options.graphs,
    )


def _checked_meta(meta: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return json.loads(json.dumps(dict(meta)))
    except TypeError as problem:
        raise TypeError(f"`meta` must hold what JSON can: {problem}") from problem


def _axis(values: Sequence[float] | np.ndarray, name: str) -> np.ndarray:
    axis = np.asarray(values, dtype=float)
    if axis.ndim != 1 or len(axis) == 0 or not np.isfinite(axis).all():
        raise ValueError(f"`{name}` must be a list of finite numbers, got {values!r}")
    return axis
