"""From a model, data and directions to a surface or a line."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypedDict, TypeVar, Unpack

import numpy as np
from torch import nn

from gradscape import __version__
from gradscape._digest import digest_tensors
from gradscape.landscape.directions import Direction
from gradscape.landscape.engine import Report, evaluate_points
from gradscape.landscape.ledger import Ledger
from gradscape.landscape.line import Line
from gradscape.landscape.plan import DEFAULT_BATCH_SIZE, ExecutionPlan, Precision, make_plan
from gradscape.landscape.surface import Surface
from gradscape.landscape.task import Forward, Loss, Metric, Task, call, cross_entropy, top1

Result = TypeVar("Result", Surface, Line)


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
    batch_size: int = DEFAULT_BATCH_SIZE,
    population: int | None = None,
    path: str | os.PathLike[str] | None = None,
    allow_plan_change: bool = False,
    meta: Mapping[str, Any] | None = None,
    report: Report | None = None,
) -> Surface:
    """Evaluate L(θ + alpha·d_alpha + beta·d_beta) at every point of a grid, and at the origin.

    The model is evaluated in `eval()` where it is (its device and memory format) and is the same to the bit
    afterwards, also after an exception.

    Args:
        model: Any module.
        batches: Pairs (inputs, labels), in the same order at every iteration. Images are regrouped into
            blocks of `batch_size`; the batches' own sizes do not matter.
        directions: (d_alpha, d_beta), as `random_directions` gives them.
        alphas: Coordinates along the first direction, (A,), of any bounds.
        betas: Coordinates along the second direction, (B,).
        loss: (output, labels) -> one number per image; cross-entropy in nats by default.
        metric: (output, labels) -> right or wrong per image; top-1 by default, None where there is none.
        forward: (model, inputs) -> output, where the model does not take a tensor or give one.
        precision: "auto" and "fp32" compute in fp32; "bf16" takes bfloat16 products.
        batch_size: Images in a forward pass.
        population: Number of images that those in `batches` were drawn from; by default what `batches` says in
            an attribute `population`, or their own number. Standard errors are about the mean over these.
        path: An `.h5` file that is kept up to date while the evaluation runs. If it exists, what it
            already holds is not evaluated again.
        allow_plan_change: Go on with a file although device, threads or versions have changed.
        meta: More provenance to store, such as model, data and seed.
        report: Called with the progress, about twice a second.

    Returns:
        The surface; with `path` also in the file.

    Raises:
        TypeError: `batches` or `directions` are of another kind.
        ValueError: The loss is a scalar, the model is random or depends on the batch, or `path` holds another run.
    """
    if len(directions) != 2:
        raise ValueError(f"`directions` must be a pair for a surface, got {len(directions)}")
    axes = {"alphas": _axis(alphas, "alphas"), "betas": _axis(betas, "betas")}
    return _evaluate(
        Surface,
        axes,
        model,
        batches,
        directions,
        loss=loss,
        metric=metric,
        forward=forward,
        precision=precision,
        batch_size=batch_size,
        population=population,
        path=path,
        allow_plan_change=allow_plan_change,
        meta=meta,
        report=report,
    )


class EvaluationOptions(TypedDict, total=False):
    """The keyword arguments of `evaluate_surface`, which documents them."""

    loss: Loss
    metric: Metric | None
    forward: Forward
    precision: Precision
    batch_size: int
    population: int | None
    path: str | os.PathLike[str] | None
    allow_plan_change: bool
    meta: Mapping[str, Any] | None
    report: Report | None


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
    """
    return _evaluate(Line, {"alphas": _axis(alphas, "alphas")}, model, batches, [direction], **options)


def _evaluate(
    kind: type[Result],
    axes: Mapping[str, np.ndarray],
    model: nn.Module,
    batches: Iterable[Any],
    directions: Sequence[Direction],
    *,
    loss: Loss = cross_entropy,
    metric: Metric | None = top1,
    forward: Forward = call,
    precision: Precision = "auto",
    batch_size: int = DEFAULT_BATCH_SIZE,
    population: int | None = None,
    path: str | os.PathLike[str] | None = None,
    allow_plan_change: bool = False,
    meta: Mapping[str, Any] | None = None,
    report: Report | None = None,
) -> Result:
    task = Task(loss, metric, forward)
    plan = make_plan(model, precision=precision, batch_size=batch_size)
    mesh = np.meshgrid(*axes.values())
    points = np.stack([axis.ravel() for axis in mesh], axis=1)
    provenance = {**_checked_meta(meta or {}), **_provenance(model, directions, task, plan)}
    drawn_from = population or getattr(batches, "population", None)
    ledger = Ledger(1 + len(points), drawn_from)
    if path and Path(path).exists():
        now = {**provenance, "population": drawn_from}
        provenance |= _resume(ledger, kind.load(path), axes, now, allow_plan_change=allow_plan_change)

    def result() -> Result:
        statistics = ledger.statistics()
        extent = {"images": int(statistics.images.max(initial=0)), "population": statistics.population}
        return kind(
            **axes,
            blocks=statistics.points(slice(1, None)).reshape(mesh[0].shape),
            origin=statistics.points(0),
            meta={**provenance, **extent, "blocks": list(ledger.digests)},
        )

    evaluate_points(
        model,
        batches,
        directions,
        np.concatenate([np.zeros((1, len(axes))), points]),
        task=task,
        plan=plan,
        ledger=ledger,
        images=getattr(batches, "num_images", None),
        save=(lambda: result().save(path)) if path else None,
        report=report,
    )
    return result()


def _provenance(model: nn.Module, directions: Sequence[Direction], task: Task, plan: ExecutionPlan) -> dict[str, Any]:
    return {
        "gradscape": __version__,
        "plan": asdict(plan),
        "weights": digest_tensors((*model.named_parameters(), *model.named_buffers())),
        "directions": [digest_tensors(direction.items()) for direction in directions],
        **task.names(),
        "functions": task.identities(),
    }


def _resume(
    ledger: Ledger,
    stored: Surface | Line,
    axes: Mapping[str, np.ndarray],
    now: Mapping[str, Any],
    *,
    allow_plan_change: bool,
) -> dict[str, Any]:
    """Take over what a file holds, if it is of the same model, directions, grid, task and plan.

    Returns:
        The plans that parts of it were evaluated under before, for the provenance.
    """
    differing = [name for name, values in axes.items() if not np.array_equal(values, getattr(stored, name))]
    differing += [name for name in ("weights", "directions") if stored.meta.get(name) != now[name]]
    functions = stored.meta.get("functions", {})
    differing += [role for role, identity in now["functions"].items() if functions.get(role) != identity]
    if differing:
        raise ValueError(f"`path` holds another run (other {', '.join(differing)}): choose another output or delete it")
    if (population := now["population"]) and stored.blocks.population != population:
        raise ValueError(
            f"`path` holds images drawn from {stored.blocks.population}, not from {population}: choose another output"
        )
    then = stored.meta["plan"]
    changes = [f"{name}: {then.get(name)} → {value}" for name, value in now["plan"].items() if then.get(name) != value]
    mixed = [name for name in ("precision", "batch_size", "memory_format") if then.get(name) != now["plan"][name]]
    if mixed or (changes and not allow_plan_change):
        fix = f"a surface never mixes {' or '.join(mixed)}" if mixed else "or allow the change of plan"
        raise ValueError(f"`path` was begun under another plan ({'; '.join(changes)}): choose another output; {fix}")
    points = stored.blocks.reshape((-1,))
    ledger.restore(stored.origin.reshape((1,)).join(points), stored.meta["blocks"])
    earlier = [*stored.meta.get("earlier_plans", []), *([then] if changes else [])]
    return {"earlier_plans": earlier} if earlier else {}


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
