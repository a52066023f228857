"""From a model, data and directions to a surface or a line."""

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, final

import numpy as np
from jaxtyping import Float
from torch import nn

from gradscape._left_as_before import left_as_before
from gradscape._model_state import model_device
from gradscape._profile import spent_on
from gradscape.landscape.axis import checked_axis
from gradscape.landscape.batch_norm import settled_directions
from gradscape.landscape.directions import Direction
from gradscape.landscape.engine import (
    BLOCK_IMAGES,
    Block,
    Blocks,
    ChosenPlan,
    Evaluator,
    ExecutionPlan,
    KnownGraphs,
    Limits,
    Recalibration,
    Result,
    Run,
    Task,
    Work,
    Workers,
    block_images,
    check_directions,
    check_followed,
    check_handles,
    check_labels,
    check_model,
    check_premade,
    check_same_plan,
    check_stored_run,
    choose_plan,
    count_images,
    cut_blocks,
    evaluable,
    evaluate_stored_ends,
    ignored_label,
    in_mean_weight,
    moving_names,
    named_tensors,
    ready_network,
    running_statistics,
    seconds_an_image,
    specimen,
    whole_plan,
)
from gradscape.landscape.estimator import Levels, grid_levels
from gradscape.landscape.files import load_landscape
from gradscape.landscape.line import Line
from gradscape.landscape.measured import Measured
from gradscape.landscape.options import Estimator, Options, options_as_keywords
from gradscape.landscape.surface import Surface
from gradscape.landscape.variances import warn_of_negative_variances

__all__ = ["GridEstimate", "estimate_grid", "estimate_seconds", "evaluate_grid", "evaluate_line", "evaluate_surface"]


@final
@dataclass(frozen=True)
class GridEstimate:
    """How long an evaluation will take.

    Attributes:
        planning: Seconds until the first point: checks of model and functions, tracing, trials.
        each: Seconds for an image at a point.
        seconds: Seconds for all images at all points; NaN if the batches do not say how many images they hold.
        plan: How the numbers are computed.
    """

    planning: float
    each: float
    seconds: float
    plan: ExecutionPlan


_SIDE_FOR_LEVELS, _IMAGES_FOR_LEVELS = 13, 1024  # from which on the regression estimator pays

PointsByAxis = Mapping[str, Sequence[float] | np.ndarray]


@options_as_keywords
def evaluate_surface(
    model: nn.Module,
    batches: Iterable[Any],
    directions: Sequence[Direction],
    alphas: Sequence[float] | np.ndarray,
    betas: Sequence[float] | np.ndarray,
    options: Options,
) -> Surface:
    """Evaluate L(θ + alpha·d_alpha + beta·d_beta) at every point of a grid, and at the origin.

    A few images are evaluated at every point, a coarse grid first; then round by round as many again, or, where
    `estimator` takes regression, more of them at few points. The model
    is evaluated in `eval()` where it is and is the same to the bit afterwards, also after an exception.

    Args:
        model: Any module. Its hooks may be called with torch.export's stand-ins for tensors.
        batches: Pairs (inputs, labels), in the same order at every iteration. Images are regrouped into
            blocks of 32 (16 by regression); the batches' own sizes do not matter.
        directions: (d_alpha, d_beta), as `random_directions` gives them.
        alphas: Coordinates along the first direction, (A,), of any bounds, rising or falling.
        betas: Coordinates along the second direction, (B,).
        options: The fields of `Options`, as keyword arguments.

    Returns:
        The surface; with `path` also in the file.

    Raises:
        TypeError: `batches` or `directions` are of another kind.
        ValueError: The loss is a scalar, loss or metric do not fit output and labels, images differ in shape, axes
            are not in order, the model is random or depends on the batch, or `path` holds another run.

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
    axes = {"alphas": alphas, "betas": betas}
    return evaluate_grid(Surface, model, batches, directions, axes=axes, options=options)


@options_as_keywords
def evaluate_line(
    model: nn.Module,
    batches: Iterable[Any],
    direction: Direction,
    alphas: Sequence[float] | np.ndarray,
    options: Options,
) -> Line:
    """Evaluate L(θ + alpha·d) at every alpha, and at the origin.

    Args:
        model: Any module.
        batches: Pairs (inputs, labels), in the same order at every iteration.
        direction: A random direction, or the way to another network (`difference_direction`).
        alphas: Coordinates along the direction, (A,).
        options: The fields of `Options`, as keyword arguments.

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
    return evaluate_grid(Line, model, batches, [direction], axes={"alphas": alphas}, options=options)


@options_as_keywords
def estimate_seconds(
    model: nn.Module,
    batches: Iterable[Any],
    directions: Sequence[Direction],
    alphas: Sequence[float] | np.ndarray,
    betas: Sequence[float] | np.ndarray,
    options: Options,
) -> tuple[float, ExecutionPlan]:
    """Estimate how long `evaluate_surface` would take with the same arguments, and make its plan.

    Few points are evaluated on the first images, some of them several times; nothing is written.

    Args:
        model: As in `evaluate_surface`.
        batches: As in `evaluate_surface`.
        directions: As in `evaluate_surface`.
        alphas: As in `evaluate_surface`.
        betas: As in `evaluate_surface`.
        options: The fields of `Options`, as keyword arguments.

    Returns:
        Seconds for all images at all points (NaN if `batches` do not say how many images they hold), and the plan.
    """
    found = estimate_grid(model, batches, directions, axes={"alphas": alphas, "betas": betas}, options=options)
    return found.seconds, found.plan


@left_as_before
def evaluate_grid(
    kind: type[Result],
    model: nn.Module,
    batches: Iterable[Any],
    directions: Sequence[Direction],
    *,
    axes: PointsByAxis,
    options: Options,
    graphs: KnownGraphs | None = None,
    positions: Float[np.ndarray, "points directions"] | None = None,
) -> Result:
    """Evaluate what a result of a kind needs on the grid of its axes.

    Args:
        kind: `Surface` or `Line`.
        model: As in `evaluate_surface`.
        batches: As in `evaluate_surface`.
        directions: One for each axis.
        axes: The kind's coordinates by name, in the order of the directions.
        options: How.
        graphs: Graphs traced before, for evaluations of the same models one after the other; new ones are added.
        positions: Where each point of a line lies in the plane of two directions, if the line follows a curve: its
            axis then tells how far along the curve a point is.
    """
    began = time.monotonic()
    limits = Limits(options.tolerance, None if options.seconds is None else began + options.seconds)
    meta = _checked_meta(options.meta or {})
    grid = _checked_grid(axes, directions if positions is None else directions[:1])
    stored = kind.load(options.path) if options.path and Path(options.path).exists() else None
    if stored:
        check_stored_run(stored, "path")
    followed = _followed_plan(options)
    with evaluable(model):
        with spent_on("planning"):
            earlier = followed or (whole_plan(stored.meta, "path") if stored else None)
            estimator = _estimator(options, batches, grid, positions, stored)
            work, blocks = _prepare(
                model,
                batches,
                directions,
                grid=grid,
                positions=positions,
                options=replace(options, estimator=estimator),
                earlier=earlier,
            )
            if positions is None:  # between the ends of a curve variances are positive
                warn_of_negative_variances(model, work.directions, grid)
            if graphs is not None:
                work = replace(work, graphs=graphs)
            chosen = _choose_plan(work, options, followed=followed, stored=stored.meta if stored else None)
            run = Run(kind, grid, work, chosen, meta)
            if stored:
                run.resume(stored, allow_plan_change=options.allow_plan_change)
        with chosen.plan.own_threads(), _workers(work, chosen, options.ray) as workers:
            run.evaluate(workers, blocks, limits, path=options.path, report=options.report, preview=options.preview)
        if work.recalibration is not None and not isinstance(batches, Iterator):
            again = cut_blocks(batches, chosen.plan.block_size, ignored=ignored_label(options.loss))
            ends = _ends(model, directions, grid)
            if found := evaluate_stored_ends(work, directions, again, run.digests, ends=ends):
                run.add_stored_ends(found, options.path)
    return run.result()


@left_as_before
@spent_on("planning")
def estimate_grid(
    model: nn.Module, batches: Iterable[Any], directions: Sequence[Direction], *, axes: PointsByAxis, options: Options
) -> GridEstimate:
    """Estimate how long `evaluate_grid` would take, arguments as there; nothing is written."""
    began = time.perf_counter()
    grid = _checked_grid(axes, directions)
    with evaluable(model):
        followed = _followed_plan(options)
        estimator = _estimator(options, batches, grid, None, None)
        asked = replace(options, estimator=estimator)
        work, _ = _prepare(model, batches, directions, grid=grid, options=asked, earlier=followed)
        chosen = _choose_plan(work, options, followed=followed)
        planning = time.perf_counter() - began
        with chosen.plan.own_threads(), _evaluator(work, chosen) as workers:
            each = seconds_an_image(workers, work, chosen.plan)
    points, calibrating = len(work.coordinates), work.recalibration.seconds if work.recalibration else 0.0
    passes = points * (work.images or float("nan"))
    return GridEstimate(planning, each, each * passes + calibrating * points, chosen.plan)


def _prepare(
    model: nn.Module,
    batches: Iterable[Any],
    directions: Sequence[Direction],
    *,
    grid: Mapping[str, np.ndarray],
    options: Options,
    earlier: Mapping[str, Any] | None,
    positions: Float[np.ndarray, "points directions"] | None = None,
) -> tuple[Work, Iterable[Block]]:
    """What is to be done, and on which images; a model that cannot be judged is refused."""
    check_directions(directions, named_tensors(model))
    batch_norm, directions = settled_directions(model, directions, options.batch_norm)
    calibration = None if options.calibration is None else Recalibration(model, options.calibration, options.forward)
    levels = _levels(options, grid, positions)
    size = block_images(options.batch_size or (earlier or {}).get("batch_size"))
    if options.plan is not None or (levels is not None and size == BLOCK_IMAGES):
        # By levels, few images are to be enough blocks.
        size = (earlier or {}).get("block_size") or (BLOCK_IMAGES if levels is None else BLOCK_IMAGES // 2)
    ignored = ignored_label(options.loss)
    cut = partial(cut_blocks, batches, size, ignored=ignored)
    blocks = cut()
    first = next(blocks)
    points = (
        np.stack([axis.ravel() for axis in np.meshgrid(*grid.values())], axis=1) if positions is None else positions
    )
    work = Work(
        model=model,
        directions=directions,
        coordinates=np.concatenate([np.zeros((1, len(directions))), points]),
        shape=[len(axis) for axis in reversed(list(grid.values()))],
        task=in_mean_weight(Task(options.loss, options.metric, options.forward), batches),
        first=first.to(model_device(model)),
        block_size=size,
        images=count_images(batches, ignored=ignored),
        population=options.population or getattr(batches, "population", None),
        seconds=options.seconds,
        tolerance=options.tolerance,
        levels=levels,
        batch_norm=batch_norm,
        recalibration=calibration,
    )
    if work.levels is not None and work.images is None:
        raise ValueError(
            '`estimator` "regression" has to know how many images `batches` hold: give a list or a data set, or "mean"'
        )
    check_premade(model, work.first, work.task.forward)
    labels = check_labels(model, work.first, work.task)
    check_model(model, work.first, work.task)
    check_handles(work)
    check_followed(model, directions, work.first, work.task.forward)
    begun = chain([first], labels.within(blocks))
    return work, begun if isinstance(batches, Iterator) else Blocks(begun, lambda: labels.within(cut()))


def _estimator(
    options: Options,
    batches: Iterable[Any],
    grid: Mapping[str, np.ndarray],
    positions: Float[np.ndarray, "points directions"] | None,
    stored: Measured | None,
) -> Estimator:
    """The estimator that was asked for, or that of a run to go on with, or the one that pays."""
    if options.estimator != "auto":
        return options.estimator
    if stored is not None:
        return "mean" if stored.sample is None else "regression"
    limited = options.tolerance is not None or options.seconds is not None
    surface = len(grid) == 2 and positions is None and options.calibration is None
    if not (limited and surface) or min(map(len, grid.values())) < _SIDE_FOR_LEVELS:
        return "mean"
    images = count_images(batches, ignored=ignored_label(options.loss))
    return "regression" if images is not None and images >= _IMAGES_FOR_LEVELS else "mean"


def _levels(
    options: Options, grid: Mapping[str, np.ndarray], positions: Float[np.ndarray, "points directions"] | None
) -> Levels | None:
    if options.estimator != "regression":
        return None
    if len(grid) < 2 or positions is not None:
        raise ValueError('`estimator` "regression" is for surfaces: the points of a line are few, take "mean"')
    return grid_levels([*grid.values()][::-1])


def _followed_plan(options: Options) -> Mapping[str, Any] | None:
    """The plan of the file that is named as `plan`; what is asked for besides has to be the same."""
    if options.plan is None:
        return None
    plan = whole_plan(load_landscape(options.plan).meta, "plan")
    if plan is None:
        raise ValueError(f"`plan` must be a surface or a line that gradscape evaluated, but {options.plan} has no plan")
    for name, asked in (("precision", options.precision), ("batch_size", options.batch_size)):
        if asked not in (None, "auto", plan.get(name)):
            raise ValueError(f"`{name}` must be that of `plan`, {plan.get(name)}, got {asked}: leave one of them out")
    return plan


def _choose_plan(
    work: Work, options: Options, *, followed: Mapping[str, Any] | None, stored: Mapping[str, Any] | None = None
) -> ChosenPlan:
    chosen = choose_plan(
        work,
        precision=options.precision,
        batch_size=options.batch_size,
        stored=stored,
        followed=followed,
        free_threads=options.allow_plan_change,
    )
    chosen = replace(chosen, plan=replace(chosen.plan, block_size=work.block_size))
    if followed is not None:
        check_same_plan(followed, chosen.plan, allow_change=options.allow_plan_change)
    return chosen


def _workers(work: Work, chosen: ChosenPlan, ray: str | None) -> AbstractContextManager[Workers]:
    if ray is None:
        return _evaluator(work, chosen)
    from gradscape.landscape.cluster import Cluster

    return Cluster(ray, work, chosen.plan, expected=specimen(work))


@contextmanager
def _evaluator(work: Work, chosen: ChosenPlan) -> Iterator[Evaluator]:
    ready = ready_network(
        work.model,
        work.directions,
        work.task.forward,
        chosen.plan,
        chosen.graph,
        recalibration=work.recalibration,
    )
    with ready as network:
        yield Evaluator(network, work.coordinates, work.task, chosen.plan, device=model_device(work.model))


def _ends(model: nn.Module, directions: Sequence[Direction], grid: Mapping[str, np.ndarray]) -> list[float]:
    """Where networks are: at 0, and at 1 where a line leads to another one, statistics and all."""
    (alphas, *others), statistics = grid.values(), running_statistics(model)
    leads = not others and not moving_names(directions).isdisjoint(statistics)
    return [0.0, 1.0] if leads and 1 in alphas else [0.0]


def _checked_meta(meta: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return json.loads(json.dumps(dict(meta)))
    except TypeError as problem:
        raise TypeError(f"`meta` must hold what JSON can: {problem}") from problem


def _checked_grid(axes: PointsByAxis, directions: Sequence[Direction]) -> dict[str, np.ndarray]:
    if len(directions) != len(axes):
        raise ValueError(f"`directions` must be a pair for a surface, got {len(directions)}")
    return {name: checked_axis(values, name) for name, values in axes.items()}
