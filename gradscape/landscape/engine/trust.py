"""Whether a traced network may stand in for the module: both are asked the same and compared."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, final

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from gradscape._model_state import model_device
from gradscape.landscape.engine.blocks import Batch, Block
from gradscape.landscape.engine.followed import needs_refreshing
from gradscape.landscape.engine.graph import FoldedGraph, TracingError, fold_batch_norms, silenced, trace
from gradscape.landscape.engine.moving import moving, moving_names, named_tensors
from gradscape.landscape.engine.network import ready_network
from gradscape.landscape.engine.plan import ExecutionPlan, plain_plan
from gradscape.landscape.engine.recalibration import moving_recalibrated
from gradscape.landscape.engine.task import call, judged_by_role, same_output
from gradscape.landscape.engine.work import Work

__all__ = ["best_format", "check_handles", "explained", "known_graph", "reads_network", "specimen", "trusted_graph"]

_GRAPH_TOLERANCE = 1e-3  # of the largest output or loss: what folding and fusing may change far from the origin
_READ_IMAGES = 4
_SAME_OUTPUT = 1e-5  # of the largest loss, where loss and metric are given the very same output


@dataclass(frozen=True, eq=False)
class _Expected:
    """What the module itself gave for some images at a position."""

    position: list[float]
    images: Block
    output: Any
    judged: Mapping[str, Tensor]


@contextmanager
def explained() -> Iterator[None]:
    """Whatever goes wrong in operators and compilers not written for this model is a reason not to use them.

    Said once, in the error: torch.fx would print the code of a graph that fails.
    """
    try:
        with silenced():
            yield
    except TracingError:
        raise
    except Exception as problem:
        raise TracingError(f"{type(problem).__name__}: {problem}") from problem


def known_graph(work: Work, *, images: int | None = None) -> FoldedGraph:
    """The trusted graph, as `trusted_graph`; a model that cannot be traced is not traced again."""
    if isinstance(known := work.graphs.get(work.model), TracingError):
        raise known
    try:
        work.graphs[work.model] = graph = trusted_graph(work, images=images)
    except TracingError as problem:
        work.graphs[work.model] = problem
        raise
    return graph


def trusted_graph(work: Work, *, images: int | None = None) -> FoldedGraph:
    """The folded graph, compared with the model: outputs, losses and metrics at the work's probes.

    Args:
        work: What is to be done.
        images: On how many of the first images they are compared, at least two; None for all.

    Raises:
        TracingError: It cannot be traced, or something of it is other than with the module.
    """
    # Each comparison uncovers a value that tracing may have frozen: a number of images by fewer of them, a weight by a
    # point away from the origin.
    whole = work.first if images is None else work.first.part(0, images)
    half = whole.part(0, -(-whole.count // 2))
    if needs_refreshing(work.model, work.directions, half.inputs, work.task.forward):
        raise TracingError("its own train() or eval() merges or caches weights that move")
    positions = work.coordinates[work.probes()].tolist()
    asked = [(position, whole) for position in positions] + [(positions[0], half)]
    # The module is asked first, and is back in its place when the traced network copies the origin from it.
    with moving_recalibrated(work.model, work.directions, work.recalibration) as move_to:
        answers = [_ask(work, position, images, move_to) for position, images in asked]
    plain = plain_plan(work.model, precision="fp32", batch_size=work.first.count)
    with explained():
        known = work.graphs.get(work.model)
        if isinstance(known, FoldedGraph):
            graph = known
        else:
            graph = fold_batch_norms(trace(work.model, work.first.inputs, work.task.forward))
        plan = replace(plain, traced=True, memory_format=best_format(graph, plain))
        with ready_network(
            work.model, work.directions, work.task.forward, plan, graph, recalibration=work.recalibration
        ) as network:
            for answer in answers:
                network.move_to([answer.position])
                batch = Batch(answer.images.inputs, answer.images.labels, 0, answer.images.count)
                laid_out = batch.to(model_device(work.model), memory_format=plan.memory_format)
                _compare(work, answer, network.outputs(laid_out.inputs)[0])
    return graph


def best_format(graph: FoldedGraph, plan: ExecutionPlan) -> str:
    """The memory format that a graph is evaluated in: channels_last where there are convolutions of images."""
    convolutions = graph.module.graph.find_nodes(op="call_function", target=torch.ops.aten.conv2d.default)
    return "channels_last" if len(convolutions) else plan.memory_format


def reads_network(work: Work) -> bool:
    """Whether loss or metric depend on where the module is, beside its output: then it must be at the point itself.

    They do if they call torch with one of the tensors that move, or give something else for the same output once the
    module is elsewhere.
    """
    with moving(work.model, work.directions) as move_to:
        watch = _Watch(_moving_tensors(work))
        for position in work.coordinates[work.probes()[1:]].tolist():
            here = _ask(work, position, work.first, move_to)
            move_to([0.0] * len(position))
            with watch:
                there = _judged(work, here.output, work.first)
            if watch.seen or any(not same_output(here.judged[role], values, 0.0) for role, values in there.items()):
                return True
    return False


def specimen(work: Work) -> dict[str, Tensor]:
    """What the module itself gives for the first images at the farthest point, to be compared across processes."""
    with moving(work.model, work.directions) as move_to:
        farthest = work.coordinates[work.probes()[:2][-1]].tolist()
        return {role: values.cpu() for role, values in _ask(work, farthest, work.first, move_to).judged.items()}


def check_handles(work: Work) -> None:
    """Refuse functions of the user's that read the weights through their old memory, which does not move.

    Raises:
        ValueError: They call torch with what `.data` or `.detach()` of a weight gave before.
    """
    still, task = _Watch(_moving_tensors(work)), work.task
    images = work.first.part(0, min(work.first.count, _READ_IMAGES))
    with moving(work.model, work.directions) as move_to:
        move_to(work.coordinates[work.probes()[:2][-1]].tolist())
        with still if task.forward is not call else nullcontext():
            output = task.forward(work.model, images.inputs)
        role = "forward" if still.seen else "loss` or `metric"
        with still:
            _judged(work, output, images)
    if still.seen:
        raise ValueError(
            f"`{role}` reads weights of the network through `.data` or `.detach()` of them that was taken before, and "
            "these do not move: read the parameters themselves, or call the network"
        )


@final
class _Watch(TorchFunctionMode):
    """Sees whether torch is called with certain tensors, also with views of them or lists.

    Args:
        tensors: It is their present memory that counts.
    """

    def __init__(self, tensors: Iterable[Tensor]) -> None:
        super().__init__()
        self.seen = False
        self._ranges = [(tensor.data_ptr(), tensor.data_ptr() + tensor.nbytes) for tensor in tensors]

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Look at what a function of torch is called with, and call it."""
        self.seen = self.seen or self._holds((args, kwargs))
        return function(*args, **(kwargs or {}))

    def _holds(self, given: Any) -> bool:
        if isinstance(given, Tensor):
            try:
                address = given.data_ptr()
            except (RuntimeError, NotImplementedError):  # of torch.func's wrappers, or without memory of its own
                return False
            return any(start <= address < stop for start, stop in self._ranges)
        if isinstance(given, Mapping):
            return any(map(self._holds, given.values()))
        return isinstance(given, (tuple, list)) and any(map(self._holds, given))


def _moving_tensors(work: Work) -> list[Tensor]:
    names = moving_names(work.directions)
    return [tensor for name, tensor in named_tensors(work.model).items() if name in names]


def _ask(work: Work, position: list[float], images: Block, move_to: Callable[[Sequence[float]], None]) -> _Expected:
    move_to(position)
    output = work.task.forward(work.model, images.inputs)
    return _Expected(position, images, output, _judged(work, output, images))


def _judged(work: Work, output: Any, images: Block) -> dict[str, Tensor]:
    return judged_by_role(output, images.labels, images.count, work.task)


def _compare(work: Work, answer: _Expected, output: Any) -> None:
    """Compare what the traced network gives with what the module gave, while both are at the position.

    Raises:
        TracingError: Something is other.
    """
    if not same_output(answer.output, output, _GRAPH_TOLERANCE):
        raise TracingError("its graph gives other outputs than the module")
    # Given the very same output, they can only differ by what they read beside it, such as what the module's own
    # forward pass has left somewhere: the graph leaves nothing.
    again = _judged(work, answer.output, answer.images)
    traced = _judged(work, output, answer.images)
    for role, values in answer.judged.items():
        if not same_output(values, again[role], _SAME_OUTPUT):
            raise TracingError(f"`{role}` reads something that only the module's own forward pass leaves behind")
        if not same_output(values, traced[role], _GRAPH_TOLERANCE):
            raise TracingError(f"`{role}` gives something else with its graph than with the module")
