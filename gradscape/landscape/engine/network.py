"""A network that can be put at many positions, and what a forward pass there gives."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, final

import torch
from torch import Tensor, fx, nn

from gradscape._model_state import model_device, unchanged
from gradscape.landscape.directions import Direction
from gradscape.landscape.engine.blocks import map_tensors, tensors_in
from gradscape.landscape.engine.graph import (
    Fold,
    FoldedGraph,
    can_fuse,
    fuse_operators,
    leaking,
    lower_to_bf16,
    silenced,
)
from gradscape.landscape.engine.moving import MovingTensors, Positions, moving_names, named_tensors
from gradscape.landscape.engine.plan import ExecutionPlan
from gradscape.landscape.engine.recalibration import Recalibration, moving_recalibrated, running_statistics
from gradscape.landscape.engine.task import ForwardFunction

__all__ = ["AccompaniedNetwork", "Network", "PlainNetwork", "TracedNetwork", "evaluable", "ready_network"]


class Network(ABC):
    """What the engine moves and asks."""

    @abstractmethod
    def move_to(self, positions: Positions) -> None:
        """Go to as many positions as the plan has points in a forward pass."""

    @abstractmethod
    def outputs(self, inputs: Any) -> list[Any]:
        """The output at each position for a batch, in fp32 or more."""


@final
class PlainNetwork(Network):
    """The user's module itself, within `moving`.

    Args:
        model: In `eval()`.
        forward: (model, inputs) -> output.
        plan: Gives the arithmetic.
        move_to: From `moving`.
    """

    def __init__(
        self,
        model: nn.Module,
        forward: ForwardFunction,
        plan: ExecutionPlan,
        move_to: Callable[[Sequence[float]], None],
    ) -> None:
        self._model, self._forward, self._plan, self._move_to = model, forward, plan, move_to

    def move_to(self, positions: Positions) -> None:
        """Go to the one position."""
        (position,) = positions
        self._move_to(position)

    def outputs(self, inputs: Any) -> list[Any]:
        """The output there."""
        with self._plan.arithmetic():
            return [_at_least_fp32(self._forward(self._model, inputs))]


@final
class TracedNetwork(Network):
    """A folded graph with tensors of its own; the user's module is not touched.

    Args:
        graph: From `fold_batch_norms`.
        model: What the graph was traced from: gives the origin.
        directions: One for each coordinate.
        plan: Precision, memory format, number of positions side by side, and whether it is compiled.
        recalibrated: Whether the module has other running statistics at every position, which the graph then takes
            over: the module has to be there first.
    """

    def __init__(
        self,
        graph: FoldedGraph,
        model: nn.Module,
        directions: Sequence[Direction],
        plan: ExecutionPlan,
        *,
        recalibrated: bool = False,
    ) -> None:
        self._points, self._batch_size = plan.points_per_forward, plan.batch_size
        tensors = {name: tensor.detach() for name, tensor in named_tensors(model).items()}
        module = copy.deepcopy(graph.module)  # trials rewrite one graph for several plans
        # Before fusing, whose operators of oneDNN lowering would not recognize as products.
        if plan.precision == "bf16":
            lower_to_bf16(module)
        fused = self._points == 1 and not plan.compiled and can_fuse(module)  # the compiler fuses by itself
        if fused:
            fuse_operators(module)
        layout = torch.channels_last if plan.memory_format == "channels_last" else torch.contiguous_format
        live = {name: named_tensors(model)[name] for name in running_statistics(model)} if recalibrated else {}
        self._weights = _Weights(
            graph, tensors, directions, module=module, layout=layout, points=self._points, live=live
        )
        self._module = module
        self._leaking = leaking(module) if fused else None  # made last: it shares the tensors
        mode = "reduce-overhead" if plan.device.startswith("cuda") else "default"  # the former records CUDA graphs
        self._compiled = torch.compile(module, dynamic=False, mode=mode) if plan.compiled else None
        self._made = False  # the code, which the first call makes

    def move_to(self, positions: Positions) -> None:
        """Go to the positions."""
        self._weights.move_to(positions)

    def outputs(self, inputs: Any) -> list[Any]:
        """The output at each position."""
        if self._points == 1:
            return [_at_least_fp32(self._output(inputs))]
        moved = self._weights.moved

        # One call of every operator for all positions: in tiny networks the calls take longer than the arithmetic.
        def at_one(tensors: Mapping[str, Tensor]) -> Any:
            return torch.func.functional_call(self._module, dict(tensors), (inputs,))

        stacked = _at_least_fp32(torch.func.vmap(at_one)(moved))
        return [map_tensors(lambda tensor, k=k: tensor[k], stacked) for k in range(self._points)]

    def _output(self, inputs: Any) -> Any:
        # The faster graph is right wherever its outputs are finite (see `leaking`). Where they are not, which is rare
        # but the very thing that is to be counted, the exact one has the last word.
        if self._leaking is not None and _all_finite(output := self._leaking(inputs)):
            return output
        if (
            self._compiled is None or len(next(tensors_in(inputs))) != self._batch_size
        ):  # code is made for one batch size
            return self._module(inputs)
        with nullcontext() if self._made else silenced():
            output = self._compiled(inputs)
        self._made = True
        return output


@final
class AccompaniedNetwork(Network):
    """A traced network whose module goes along, for losses and metrics that look into it.

    Args:
        network: Evaluates one point at a time.
        move_module: From `moving`.
    """

    def __init__(self, network: Network, move_module: Callable[[Sequence[float]], None]) -> None:
        self._network, self._move_module = network, move_module

    def move_to(self, positions: Positions) -> None:
        """Go to the one position, both of them."""
        (position,) = positions
        self._move_module(position)  # first: the graph takes running statistics over that were measured there
        self._network.move_to(positions)

    def outputs(self, inputs: Any) -> list[Any]:
        """The traced network's output there."""
        return self._network.outputs(inputs)


@contextmanager
def evaluable(model: nn.Module) -> Iterator[None]:
    """Inside, a model can be evaluated; afterwards it is as before (`unchanged`), its parameters too.

    To that promise it adds what an evaluation needs: `eval()`, no gradients, and no autocast of the caller's.
    """
    with unchanged(model, parameters=True), torch.no_grad(), torch.autocast(model_device(model).type, enabled=False):
        with suppress(NotImplementedError):  # what torch.export has made keeps the mode that it was made in
            model.eval()
        yield


@contextmanager
def ready_network(
    model: nn.Module,
    directions: Sequence[Direction],
    forward: ForwardFunction,
    plan: ExecutionPlan,
    graph: FoldedGraph | None,
    *,
    recalibration: Recalibration | None = None,
) -> Iterator[Network]:
    """The network in the form that a plan asks for; afterwards the module is as before.

    The module itself is at the point too, whatever computes the outputs: a loss may read its weights or call it. Only
    of several points side by side it can be at none.

    Args:
        model: In `eval()`.
        directions: One for each coordinate.
        forward: (model, inputs) -> output.
        plan: How.
        graph: From `fold_batch_norms`, where the plan is to trace.
        recalibration: Gives batch norms their statistics at every position, if there is one.
    """
    # Made before the module moves, since it takes the origin from it.
    recalibrated = recalibration is not None
    traced = TracedNetwork(graph, model, directions, plan, recalibrated=recalibrated) if graph is not None else None
    if traced is not None and plan.points_per_forward > 1:
        yield traced
        return
    with moving_recalibrated(model, directions, recalibration) as move_to:
        yield AccompaniedNetwork(traced, move_to) if traced else PlainNetwork(model, forward, plan, move_to)


class _Weights:
    """The graph's tensors as functions of the position.

    Folded tensors move linearly as long as the batch norms themselves stay; else they are folded anew at
    every position. `live` are running statistics that something else changes, by name, to be read at every position.
    """

    def __init__(
        self,
        graph: FoldedGraph,
        tensors: Mapping[str, Tensor],
        directions: Sequence[Direction],
        *,
        module: fx.GraphModule,
        layout: torch.memory_format,
        points: int,
        live: Mapping[str, Tensor],
    ) -> None:
        names = moving_names(directions) | live.keys()
        self._folds = {} if all(fold.linear_in(names) for fold in graph.folds.values()) else graph.folds
        self._tensors, self._live = tensors, live
        if (self._folds or live) and points > 1:
            raise ValueError("`points` must be 1 where batch norms are folded anew at every position")
        origins = {name: tensors[source] for name, source in graph.sources.items()}
        changes = [_renamed(direction, graph.sources) for direction in directions]
        # W' and b' have a factor of γ/√(σ² + ε). As long as that stays, they move on straight lines as all other
        # tensors do, and folding once will do for all positions.
        for names_, fold in graph.folds.items():
            origins |= dict(zip(names_, _folded_exactly(fold, tensors), strict=True))
            if not self._folds:
                for direction, change in zip(directions, changes, strict=True):
                    change |= dict(zip(names_, fold.change(tensors, direction), strict=True))
        origins = {name: _laid_out(tensor, layout) for name, tensor in origins.items()}
        # Lowering has decided what is held in bf16; the placeholders that it left tell.
        dtypes = {name: getattr(module, name).dtype for name in origins}
        for name, tensor in origins.items():
            setattr(module, name, tensor.to(dtypes[name], copy=graph.sources.get(name) in live))
        self._unfolded = {name: source for name, source in graph.sources.items() if source in live}
        self._module = module
        self._moving = MovingTensors(origins, changes, dtypes=dtypes, points=points)
        self.moved = self._moving.tensors
        # The graph reads the views themselves, so that moving a buffer is all there is to do. Several positions go in
        # by `functional_call` instead, since a module has no axis for them.
        if points == 1:
            for name, view in self.moved.items():
                setattr(module, name, view)
        self._folded = {name: getattr(module, name) for pair in self._folds for name in pair}
        self._sources = MovingTensors(tensors, directions) if self._folds else None

    def move_to(self, positions: Positions) -> None:
        self._moving.move_to(positions)
        for name, source in self._unfolded.items():
            getattr(self._module, name).copy_(self._live[source])
        if self._sources is not None:
            self._sources.move_to(positions)
            tensors = {**self._tensors, **self._sources.tensors, **self._live}
            for names, fold in self._folds.items():
                for name, tensor in zip(names, fold.folded(tensors), strict=True):
                    self._folded[name].copy_(tensor)


def _folded_exactly(fold: Fold, tensors: Mapping[str, Tensor]) -> list[Tensor]:
    # In double: what is rounded here is part of the origin, and would be wrong alike at every point.
    weight = tensors[fold.weight]
    doubles = {name: tensors[name].double() for name in fold.names()}
    return [tensor.to(weight.dtype) for tensor in fold.folded(doubles)]


def _renamed(direction: Direction, sources: Mapping[str, str]) -> dict[str, Tensor]:
    return {name: direction[source] for name, source in sources.items() if source in direction}


def _laid_out(tensor: Tensor, layout: torch.memory_format) -> Tensor:
    return tensor.contiguous(memory_format=layout) if tensor.dim() == 4 else tensor


def _all_finite(output: Any) -> bool:
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors_in(output) if tensor.is_floating_point())


def _at_least_fp32(output: Any) -> Any:
    return map_tensors(
        lambda tensor: tensor.float() if tensor.is_floating_point() and tensor.element_size() < 4 else tensor, output
    )
