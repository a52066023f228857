"""How a surface is best evaluated: form of the network, precision and batch size, found by short trials."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from gradscape._allocator import freed_memory_is_kept
from gradscape._model_state import model_device
from gradscape.landscape.directions import Direction
from gradscape.landscape.engine.blocks import Batch, Block, map_tensors
from gradscape.landscape.engine.graph import FoldedGraph, TracingError, fold_batch_norms, trace
from gradscape.landscape.engine.moving import moving
from gradscape.landscape.engine.network import TracedNetwork
from gradscape.landscape.engine.plan import ExecutionPlan, Precision, plain_plan
from gradscape.landscape.engine.task import Task, same_output
from gradscape.landscape.engine.workers import Evaluator, Job
from gradscape.landscape.rounding import MOST_ROUNDING, Rounding, measure_rounding, probe_points
from gradscape.landscape.statistics import UNKNOWN_POPULATION

__all__ = ["FORM", "ChosenPlan", "KnownGraphs", "Work", "choose_plan", "timed", "trusted_graph"]

_WORTH_TRACING = 200  # forward passes of a block: tracing takes a second or two
_WORTH_COMPILING = 300.0  # s: compiling takes up to half a minute, and rarely wins more than a third
_GRAPH_TOLERANCE = 1e-3  # of the largest output: what folding and fusing may change far from the origin
_LARGER_BATCH = 1.02  # a larger batch has to be so much faster: memory grows with it
_OTHER_FORM = 1.15  # another form of the network has to be so much faster
_LARGEST_BATCH = {"cpu": 256, "cuda": 4096}
_SIDE_BY_SIDE = 16  # points
_TINY = 0.002  # s for a forward pass: there most of the time goes into calling operators

KnownGraphs = dict[nn.Module, FoldedGraph | TracingError]

# The parts of a plan that decide the bits on one machine: a surface never mixes two of them, whatever is allowed.
FORM = ("precision", "block_size", "batch_size", "memory_format", "traced", "compiled", "points_per_forward")


@dataclass(frozen=True, eq=False)
class Work:
    """What is to be evaluated, as far as a plan depends on it.

    Attributes:
        model: In `eval()`.
        directions: One for each axis.
        coordinates: Position of each point, (points, axes); the first is the origin.
        shape: Points on each axis, without the origin.
        task: What is measured.
        first: The first block of images.
        images: How many there will be; None if unknown.
        population: Of how many they are said to be drawn; None for as many as there are.
        seconds: How long it may take; None if as long as it takes.
        graphs: Graphs of models that were traced before, or why they cannot be; new ones are added.
    """

    model: nn.Module
    directions: Sequence[Direction]
    coordinates: np.ndarray
    shape: Sequence[int]
    task: Task
    first: Block
    images: int | None
    population: int | None
    seconds: float | None
    graphs: KnownGraphs = field(default_factory=dict)


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
    work: Work, *, precision: Precision, batch_size: int | None, stored: Mapping[str, Any] | None = None
) -> ChosenPlan:
    """Decide how to evaluate.

    Little work is done by the module as it is. Else its graph is traced and folded, and trials on the first
    images choose precision, batch size, and whether several points go through the network side by side.

    Args:
        work: What is to be done.
        precision: "auto" takes bf16 where it is faster and its error, measured at probe points, stays below a
            quarter of the standard error that the run will end with.
        batch_size: Images in a forward pass; None for the smallest that is about as fast as any.
        stored: Provenance of the run that is to be resumed: its plan is followed where nothing else was asked for.

    Raises:
        ValueError: bf16 is asked for and does not run, or the run to be resumed would no longer choose it.
    """
    wanted = {} if stored is None else {name: stored.get("plan", {}).get(name) for name in FORM}
    size = batch_size or wanted.get("batch_size")
    chosen = wanted.get("precision", "fp32") if precision == "auto" else precision
    plain = plain_plan(work.model, precision=chosen, batch_size=size or 64)
    notes: dict[str, Any] = {"freed memory": "kept" if freed_memory_is_kept() else "returned"}
    passes = len(work.coordinates) * (work.images or np.inf) / plain.block_size
    # A run to be resumed keeps its form, even if trials would choose another one today. A single image is never traced:
    # torch.export takes a length of one for a constant.
    if not wanted.get("traced", passes >= _WORTH_TRACING and work.first.count > 1):
        return ChosenPlan(plain, None, {**notes, "graph": "the module itself"})
    try:
        graph = _known_graph(work)
        notes["graph"] = f"{len(graph.folds)} of {graph.batch_norms} batch norms folded"
        trial = _PlanTrial(work, graph, replace(plain, traced=True, memory_format=_best_format(graph, plain)))
        if stored and wanted["traced"]:
            notes = _checked_notes(stored.get("plan_notes", {}), work, plain, free=precision == "auto")
            form = {name: wanted[name] for name in ("compiled", "points_per_forward", "memory_format")}
            return ChosenPlan(replace(trial.plan, **form), graph, notes)
        if precision != "fp32":
            trial, found = _best_precision(trial, free=precision == "auto")
            notes |= found
        plan, notes["form"] = _best_form(trial, batch_size=size or _best_batch(trial))
    except TracingError as problem:
        # Graphs only make an evaluation faster. The module itself is always right, so that nothing is lost but time.
        return ChosenPlan(
            plain, None, {**notes, "graph": f"the module itself, since the graph cannot be used: {problem}"}
        )
    return ChosenPlan(plan, graph, notes)


class _PlanTrial:
    """A network in the form of a plan, with the first images, to be timed and asked.

    Raises:
        TracingError: The graph does not run in this form; also when it is timed or asked.
    """

    def __init__(self, work: Work, graph: FoldedGraph, plan: ExecutionPlan) -> None:
        self.work, self.graph, self.plan = work, graph, plan
        with _explained():
            network = TracedNetwork(graph, work.model, work.directions, plan)
            device = model_device(work.model)
            self._evaluator = Evaluator(network, work.coordinates, work.task, plan, device=device)
        # An operator that does not exist for these types and shapes fails at its first call: here, where another form
        # can still be taken.
        self.losses([0])

    def otherwise(self, **changes: Any) -> "_PlanTrial":
        """The same under another plan."""
        plan = replace(self.plan, **changes)
        return self if plan == self.plan else _PlanTrial(self.work, self.graph, plan)

    def losses(self, points: Sequence[int]) -> np.ndarray:
        """Losses of the first images at each point."""
        self._load(self.work.first.count)
        with _explained():
            return np.stack([self._evaluator.measure_one(Job((point,), (0,)))[0].losses for point in points])

    def seconds(self, images: int) -> float:
        """Time for an image at a point with so many images in a batch, the best of five."""
        self._load(images)
        job = Job((0,) * self.plan.points_per_forward, (0,))
        with _explained():
            # The best and not the mean: whatever else the machine does can only add time.
            best = min(timed(lambda: self._evaluator.measure_one(job)) for _ in range(5))
        return best / images / len(job.points)  # so that forms with different numbers of points can be compared

    def _load(self, images: int) -> None:
        # The first images over and over: more have not been loaded yet, and what they show does not change the time.
        block = self.work.first
        repeats = -(-images // block.count)
        inputs, labels = map_tensors(
            lambda tensor: torch.cat([tensor] * repeats)[:images], (block.inputs, block.labels)
        )
        self._evaluator.load([Batch(inputs, labels, 0, images)])


@contextmanager
def _explained() -> Iterator[None]:
    """Whatever goes wrong in operators and compilers not written for this model is a reason not to use them."""
    try:
        yield
    except TracingError:
        raise
    except Exception as problem:
        raise TracingError(f"{type(problem).__name__}: {problem}") from problem


def _known_graph(work: Work) -> FoldedGraph:
    """The trusted graph; a model that cannot be traced is not traced again."""
    if isinstance(known := work.graphs.get(work.model), TracingError):
        raise known
    try:
        work.graphs[work.model] = graph = trusted_graph(work)
    except TracingError as problem:
        work.graphs[work.model] = problem
        raise
    return graph


def trusted_graph(work: Work) -> FoldedGraph:
    """The folded graph, compared with the model: at the origin, with fewer images, and at the first corner.

    Raises:
        TracingError: It cannot be traced, or its outputs are others.
    """
    # Each comparison uncovers a value that tracing may have frozen: a number of images by fewer of them, a weight by a
    # point away from the origin. The first point of the grid is a corner, as far away as any.
    inputs, half = work.first.inputs, work.first.part(0, -(-work.first.count // 2)).inputs
    asked = [(position, given) for position in work.coordinates[:2].tolist() for given in (inputs, half)]
    expected = []
    # The module is asked first, and is back in its place when the traced network copies the origin from it.
    with moving(work.model, work.directions) as move_to:
        for position, given in asked:
            move_to(position)
            expected.append(work.task.forward(work.model, given))
    plan = replace(plain_plan(work.model, precision="fp32", batch_size=work.first.count), traced=True)
    with _explained():
        known = work.graphs.get(work.model)
        if isinstance(known, FoldedGraph):
            graph = known
        else:
            graph = fold_batch_norms(trace(work.model, inputs, work.task.forward))
        network = TracedNetwork(graph, work.model, work.directions, plan)
        for (position, given), output in zip(asked, expected, strict=True):
            network.move_to([position])
            if not same_output(output, network.outputs(given)[0], _GRAPH_TOLERANCE):
                raise TracingError("its graph gives other outputs than the module")
    return graph


def _best_format(graph: FoldedGraph, plan: ExecutionPlan) -> str:
    convolutions = graph.module.graph.find_nodes(op="call_function", target=torch.ops.aten.conv2d.default)
    return "channels_last" if len(convolutions) else plan.memory_format


def _best_precision(trial: _PlanTrial, *, free: bool) -> tuple[_PlanTrial, dict[str, Any]]:
    """bf16 where it is faster and near enough, or where there is no choice; and what was measured."""
    work, size = trial.work, trial.work.first.count
    population = work.population or work.images or UNKNOWN_POPULATION
    if free and work.seconds is None and (work.images or population) == population:
        return trial, {"precision": "fp32, since all images are evaluated: no standard error is left"}
    try:
        exact, coarse = (trial.otherwise(precision=precision) for precision in ("fp32", "bf16"))
    except TracingError as problem:
        if not free:
            raise ValueError(f"`precision` bf16 does not run with this model: {problem}") from problem
        return trial, {"precision": f"fp32, since bf16 does not run: {problem}"}
    # Time first: it takes ten passes, the errors two at every probe point.
    seconds = coarse.seconds(size)
    ratio = exact.seconds(size) / seconds
    if free and ratio < _OTHER_FORM:
        return exact, {"precision": f"fp32, since bf16 is only {ratio:.2f} times as fast"}
    points = [0, *(1 + point for point in probe_points(work.shape))]  # the origin stands before the grid's points
    rounding = measure_rounding(exact.losses(points), coarse.losses(points))
    images = _expected_images(work, seconds)
    share = rounding.share(images, population)
    near = rounding.same_mask and share <= MOST_ROUNDING
    said = f"bf16 is {ratio:.2f} times as fast, its error {share:.2g} standard errors at {images} images"
    return (coarse if near or not free else exact), {"precision": said, "rounding": asdict(rounding)}


def _checked_notes(notes: Mapping[str, Any], work: Work, plan: ExecutionPlan, *, free: bool) -> dict[str, Any]:
    """The notes of a run to be resumed, unless its choice of bf16 would no longer be made with so many images."""
    # What sampling leaves open shrinks as images are added, the mean of the rounding errors stays.
    if free and plan.precision == "bf16" and "rounding" in notes:
        images = work.images or UNKNOWN_POPULATION
        share = Rounding(**notes["rounding"]).share(images, work.population or images)
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


def _best_batch(trial: _PlanTrial) -> int:
    """The smallest batch, from a block on, whose double is hardly faster."""
    best, device = trial.plan.block_size, trial.plan.device.split()[0]
    most = min(trial.work.images or UNKNOWN_POPULATION, _LARGEST_BATCH.get(device, best))
    seconds = trial.seconds(best) if 2 * best <= most else 0.0
    while 2 * best <= most and seconds / (doubled := trial.seconds(2 * best)) >= _LARGER_BATCH:
        best, seconds = 2 * best, doubled
    return best


def _best_form(trial: _PlanTrial, *, batch_size: int) -> tuple[ExecutionPlan, str]:
    """Several points side by side for tiny networks, code by `torch.compile` for long runs: if they are faster."""
    plan, points = replace(trial.plan, batch_size=batch_size), len(trial.work.coordinates)
    seconds = trial.seconds(batch_size)
    if seconds * batch_size < _TINY and points > _SIDE_BY_SIDE:
        # torch.func has no rules for stacked convolutions in channels_last.
        other = replace(plan, points_per_forward=_SIDE_BY_SIDE, memory_format="contiguous")
        name = f"{_SIDE_BY_SIDE} points side by side"
    elif seconds * _expected_images(trial.work, seconds) * points > _WORTH_COMPILING:
        other, name = replace(plan, compiled=True), "compiled code"
    else:
        return plan, "one point at a time"
    try:
        faster = seconds / _PlanTrial(trial.work, trial.graph, other).seconds(batch_size)
    except TracingError as problem:
        return plan, f"one point at a time, since {name} cannot be had: {problem}"
    chosen = other if faster > _OTHER_FORM else plan
    return chosen, f"{name} would be {faster:.2f} times as fast as one point at a time in operators"


def timed(function: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began
