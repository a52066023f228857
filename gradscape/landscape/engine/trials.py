"""How a surface is best evaluated: form of the network, precision and batch size, found by short trials."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from gradscape._allocator import freed_memory_is_kept
from gradscape.landscape.engine.budget import Budget
from gradscape.landscape.engine.graph import FoldedGraph, TracingError
from gradscape.landscape.engine.plan import FORM, ExecutionPlan, Precision, plain_plan
from gradscape.landscape.engine.plan_trial import CALLS, PlanTrial, module_losses, module_seconds
from gradscape.landscape.engine.trust import best_format, known_graph, reads_network
from gradscape.landscape.engine.work import Work
from gradscape.landscape.rounding import MOST_ROUNDING, measure_rounding, probe_points, recorded_rounding
from gradscape.landscape.statistics import UNKNOWN_POPULATION

__all__ = ["RATE", "ChosenPlan", "choose_plan"]

RATE = "images_per_second"  # the note of how fast the plan was in its trial, points times images

_WORTH_COMPILING = 300.0  # s: compiling takes up to half a minute, and rarely wins more than a third
_LARGER_BATCH = 1.02  # a larger batch has to be so much faster: memory grows with it
_OTHER_FORM = 1.15  # another form of the network has to be so much faster
_LARGEST_BATCH = {"cpu": 256, "cuda": 4096}
_SIDE_BY_SIDE = 16  # points
_ASKED = 6  # forward passes beside those that are timed: a first one, and losses at two points in two forms
_TINY = 0.002  # s for a forward pass: there most of the time goes into calling operators
_USUAL_BATCH = {"cpu": 64, "cuda": 512}  # what no clock has a say in
_BY_CLOCK = 5e-7  # of a point's loss or its deviation: what a choice by time may change, so that two differ by 1e-6


@dataclass(frozen=True, eq=False)
class ChosenPlan:
    """A plan, with what it was made from.

    Attributes:
        plan: How the numbers are computed.
        graph: The folded graph, where the plan is to trace.
        notes: What was found on the way, for the provenance.
    """

    plan: ExecutionPlan
    graph: FoldedGraph | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)


def choose_plan(
    work: Work,
    *,
    precision: Precision,
    batch_size: int | None,
    stored: Mapping[str, Any] | None = None,
    followed: Mapping[str, Any] | None = None,
    free_threads: bool = False,
) -> ChosenPlan:
    """Decide how to evaluate.

    Where tracing would take longer than it saves, the module is evaluated as it is; a pass is timed for that, so that
    near the limit the same run may be traced another day, to another rounding. Else its graph is traced and folded. As
    far as they stay short beside the run, trials on the first images choose one thread or all, batch size, and whether
    several points go through the network side by side. What they choose by the clock gives the losses of the form that
    a rule gives, to 5e-7, or that form is taken.

    Args:
        work: What is to be done.
        precision: "auto" takes that of a plan to be followed, else fp32.
        batch_size: Images in a forward pass; None for the smallest that is about as fast as any.
        stored: Provenance of the run that is to be resumed: its plan is followed where nothing else was asked for.
        followed: A plan, as its file holds it, to be followed to the letter.
        free_threads: Take all of torch's threads, also where the run or plan that is followed had a single one.

    Raises:
        ValueError: The run to be resumed would no longer choose bf16, or the plan cannot be followed.
    """
    resumed = None if stored is None else stored.get("plan", {})
    given = followed if followed is not None else resumed
    wanted: dict[str, Any] = {} if given is None else {name: given.get(name) for name in FORM}
    size = batch_size or wanted.get("batch_size")
    chosen = (wanted.get("precision") or "fp32") if precision == "auto" else precision
    plain = plain_plan(work.model, precision=chosen, batch_size=size or _USUAL_BATCH["cpu"])
    if (given or {}).get("threads") == 1 and not free_threads:  # which every machine can do
        plain = replace(plain, threads=1)
    notes: dict[str, Any] = {"freed memory": "kept" if freed_memory_is_kept() else "returned"}
    if stored is not None:
        notes = _checked_notes(stored.get("plan_notes", {}), work, plain, free=precision == "auto")
    # A run to be resumed keeps its form, even if another one would be chosen today. A single image is never traced:
    # torch.export takes a length of one for a constant.
    if not wanted.get("traced", True) or work.first.count < 2:
        return _module_itself(work, plain, notes)
    budget = Budget(work, module_seconds(work, plain))
    if not wanted and not budget.pays:
        return _module_itself(work, plain, notes, why=", since tracing it would take longer than it saves")
    try:
        images = budget.compared()
        graph = known_graph(work, images=images)
        folded = f"{len(graph.folds)} of {graph.batch_norms} batch norms folded, compared on {images} images"
        found = {**notes, "graph": folded}
        plan = replace(plain, traced=True, memory_format=best_format(graph, plain))
        if chosen == "bf16" and "rounding" not in notes:
            trial = PlanTrial(work, graph, plan)
            found |= _measured_rounding(work, trial.otherwise(precision="fp32").losses, trial.losses)
        if wanted:
            PlanTrial(work, graph, plan)  # finds out what cannot be had here
            plan = replace(plan, **{name: wanted[name] for name in ("compiled", "points_per_forward", "memory_format")})
            _check_side_by_side(work, plan, "path" if followed is None else "plan")
        else:
            plan, tried = _best_form(work, graph, plan, batch_size=size, budget=budget)
            found |= tried
    except TracingError as problem:
        # Graphs only make an evaluation faster. The module itself is always right, so that nothing is lost but time.
        return _module_itself(work, plain, notes, why=f", since the graph cannot be used: {problem}")
    return ChosenPlan(plan, graph, found)


def _module_itself(work: Work, plan: ExecutionPlan, notes: Mapping[str, Any], *, why: str = "") -> ChosenPlan:
    found = {**notes, "graph": f"the module itself{why}"}
    if plan.precision == "bf16" and "rounding" not in notes and work.first.count > 1:  # one image has no deviation
        exact = partial(module_losses, work, replace(plan, precision="fp32"))
        found |= _measured_rounding(work, exact, partial(module_losses, work, plan))
    return ChosenPlan(plan, None, found)


def _measured_rounding(
    work: Work, exact: Callable[[Sequence[int]], np.ndarray], coarse: Callable[[Sequence[int]], np.ndarray]
) -> dict[str, Any]:
    """How far bf16, which was asked for, is from fp32; both give the losses at points."""
    points = [0, *(1 + point for point in probe_points(work.shape))]  # the origin stands before the grid's points
    rounding = measure_rounding(exact(points), coarse(points))
    images = work.images or work.population or UNKNOWN_POPULATION
    share = rounding.share(images, work.population or images)
    standard = "deviations of the image losses, with no standard error left"
    said = f"{share:.2g} standard errors" if np.isfinite(share) else f"{rounding.bound(images):.2g} {standard}"
    return {"precision": f"bf16, as asked for: its error is at most {said}", "rounding": asdict(rounding)}


def _check_side_by_side(work: Work, plan: ExecutionPlan, role: str) -> None:
    if plan.points_per_forward > 1 and reads_network(work):
        raise ValueError(
            f"`{role}` evaluates several points at once, but `loss` or `metric` reads the network, which can only be "
            "at one: give another file, or none"
        )


def _checked_notes(notes: Mapping[str, Any], work: Work, plan: ExecutionPlan, *, free: bool) -> dict[str, Any]:
    """The notes of a run to be resumed, unless it is in bf16 and its error would count with so many images."""
    # What sampling leaves open shrinks as images are added, the mean of the rounding errors stays.
    found = recorded_rounding({"plan_notes": notes})
    if free and plan.precision == "bf16" and found:
        images = work.images or UNKNOWN_POPULATION
        share = found.share(images, work.population or images)
        if work.seconds is None and share > MOST_ROUNDING:
            raise ValueError(
                f"`path` holds a bf16 surface, whose error would be {share:.2g} standard errors with {images} images: "
                "choose another output, fewer images, or ask for bf16"
            )
    return dict(notes)


def _expected_images(work: Work, seconds: float) -> int:
    """How many images the run will end with, if an image takes so long at a point."""
    most = work.images or work.population or UNKNOWN_POPULATION
    if work.seconds is None:
        return most
    return min(most, max(work.first.count, int(work.seconds / seconds / len(work.coordinates))))


def _best_batch(trial: PlanTrial, budget: Budget) -> tuple[int, float]:
    """The smallest batch, from a block on, whose double is hardly faster, and its time for an image."""
    best, device = trial.plan.block_size, trial.plan.device.split()[0]
    most = min(trial.work.images or UNKNOWN_POPULATION, _LARGEST_BATCH.get(device, best))
    seconds = trial.seconds(best)
    while 2 * best <= most and budget.take(CALLS * 2 * best * seconds):
        doubled = trial.seconds(2 * best)
        if seconds / doubled < _LARGER_BATCH:
            break
        best, seconds = 2 * best, doubled
    return best, seconds


def _best_form(
    work: Work, graph: FoldedGraph, plan: ExecutionPlan, *, batch_size: int | None, budget: Budget
) -> tuple[ExecutionPlan, dict[str, Any]]:
    """The fastest form whose losses are those of the one that a rule gives, and what was found on the way."""
    rule = replace(plan, batch_size=batch_size or _usual_batch(work, plan))
    if not budget.take(budget.seconds * (CALLS + _ASKED)):
        return rule, {"form": "by rule, since trials would take too long beside the run"}
    notes: dict[str, Any] = {}
    trial = _best_threads(PlanTrial(work, graph, plan), notes, budget)
    # Where a run stops at a standard error, batches decide after how many images that is looked at.
    if batch_size is None and work.tolerance is None:
        size, seconds = _best_batch(trial, budget)
    else:
        size = rule.batch_size
        seconds = trial.seconds(size)
    plan = replace(trial.plan, batch_size=size)
    other = _faster_form(trial, plan, seconds, notes)
    notes[RATE] = 1 / seconds
    if other is None and plan == rule:
        return rule, notes
    probes = work.probes()[:2]
    expected = trial.otherwise(threads=rule.threads).losses(probes, images=rule.batch_size)
    for form, chosen in [*([(other, other.plan)] if other else []), (trial, plan)]:
        with suppress(TracingError):
            if _agree(expected, form.losses(probes, images=chosen.batch_size)):
                return chosen, notes
    taken = f"; taken is what no clock chooses, since other losses come out by more than {_BY_CLOCK:g}"
    return rule, {**notes, "form": notes["form"] + taken}


def _best_threads(trial: PlanTrial, notes: dict[str, Any], budget: Budget) -> PlanTrial:
    """With one thread, where that is faster: all of them only wait for each other in small networks."""
    if trial.plan.threads == 1 or trial.plan.device != "cpu" or not budget.take(2 * CALLS * budget.seconds):
        return trial
    single, images = trial.otherwise(threads=1), trial.plan.block_size
    faster = trial.seconds(images) / single.seconds(images)
    notes["threads"] = f"one would be {faster:.2f} times as fast as {trial.plan.threads}"
    return single if faster > _OTHER_FORM else trial


def _usual_batch(work: Work, plan: ExecutionPlan) -> int:
    """Images in a batch that no clock has chosen: whole blocks, not many more than there are."""
    block, most = plan.block_size, _USUAL_BATCH.get(plan.device.split()[0], _USUAL_BATCH["cpu"])
    return max(block, min(most, work.images or most) // block * block)


def _agree(expected: np.ndarray, found: np.ndarray) -> bool:
    """Whether the mean losses at each point are the same but for rounding."""
    with np.errstate(invalid="ignore", over="ignore"):
        scale = np.hypot(expected.mean(axis=1), expected.std(axis=1))
        gap = np.abs(found.mean(axis=1) - expected.mean(axis=1))
    broken = np.array_equal(np.isfinite(expected), np.isfinite(found))
    return broken and bool(np.all((gap <= _BY_CLOCK * scale) | ~np.isfinite(scale)))


def _faster_form(trial: PlanTrial, plan: ExecutionPlan, seconds: float, notes: dict[str, Any]) -> PlanTrial | None:
    """Several points side by side for tiny networks, code by `torch.compile` for long runs: if they are faster."""
    points, notes["form"] = len(trial.work.coordinates), "one point at a time"
    if seconds * plan.batch_size < _TINY and points > _SIDE_BY_SIDE:
        if reads_network(trial.work):
            notes["form"] += ", since `loss` or `metric` reads the network"
            return None
        # torch.func has no rules for stacked convolutions in channels_last.
        other = replace(plan, points_per_forward=_SIDE_BY_SIDE, memory_format="contiguous")
        name = f"{_SIDE_BY_SIDE} points side by side"
    elif seconds * _expected_images(trial.work, seconds) * points > _WORTH_COMPILING:
        other, name = replace(plan, compiled=True), "compiled code"
    else:
        return None
    try:
        found = PlanTrial(trial.work, trial.graph, other)
        faster = seconds / found.seconds(plan.batch_size)
    except TracingError as problem:
        notes["form"] += f", since {name} cannot be had: {problem}"
        return None
    notes["form"] = f"{name} would be {faster:.2f} times as fast as one point at a time in operators"
    return found if faster > _OTHER_FORM else None
