"""From a module to the graph of its operators, by `torch.export`."""

import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import torch
from torch import Tensor, fx, nn

from gradscape._journal import undone
from gradscape.landscape.engine.blocks import map_tensors
from gradscape.landscape.engine.moving import named_tensors

__all__ = ["TracingError", "silenced", "trace"]

_TALKATIVE = ("torch.export", "torch.__trace", "torch.fx.experimental.symbolic_shapes", "torch.utils.cpp_extension")


class TracingError(Exception):
    """The model cannot be written as one graph of operators; the message says why."""


class _Adapted(nn.Module):
    """The model behind its adapter, as a module of its own."""

    def __init__(self, model: nn.Module, forward: Callable[[nn.Module, Any], Any]) -> None:
        super().__init__()
        self.model = model
        self.adapters = (forward,)  # not a submodule, even if it is a module

    def forward(self, inputs: Any) -> Any:
        return self.adapters[0](self.model, inputs)


def trace(model: nn.Module, inputs: Any, forward: Callable[[nn.Module, Any], Any]) -> fx.GraphModule:
    """Write the operators that a forward pass calls into a graph, for any number of images.

    What Python decides on the way (branches, loops, hooks) is decided once, so that the graph has to be
    compared with the model before it is trusted.

    Args:
        model: In `eval()`.
        inputs: At least two images, as the model's adapter takes them.
        forward: (model, inputs) -> output.

    Returns:
        The graph, over the model's own tensors, whose names its nodes have in their `meta` as "source".

    Raises:
        TracingError: The model cannot be traced.
    """
    adapted = _Adapted(model, forward)
    adapted.training = False  # this flag alone: `eval()` would go through the caller's own modules too
    # Any number of images from two on; torch.export takes a length of one for a constant.
    shapes = map_tensors(lambda tensor: {0: torch.export.Dim.AUTO}, inputs)  # type: ignore[arg-type, return-value]
    try:
        with silenced():
            program = torch.export.export(adapted, (inputs,), dynamic_shapes=(shapes,))
            # Guards would check at every call what the comparison with the model checks once.
            module = program.module(check_guards=False)
    except Exception as problem:  # whatever a model's Python or torch.export may raise
        raise TracingError(_first_line(problem)) from problem
    # torch.export puts what runs within a context into a submodule of its own, into which no rewriting here looks.
    if any(isinstance(child, fx.GraphModule) for child in module.children()):
        raise TracingError("its forward pass opens a context of its own, such as autocast")
    # The graph has copies of what moves: a buffer that a pass changes would drift away from the model's, and make a
    # point's loss depend on the points before.
    if any(_changes_a_tensor_of_the_model(node) for node in module.graph.nodes):
        raise TracingError("its forward pass changes buffers")
    for node in module.graph.find_nodes(op="call_function", target=torch.ops.aten.view.default):
        node.target = torch.ops.aten.reshape.default  # also of maps that lie in another memory format
    return _with_sources(module, adapted)


def _changes_a_tensor_of_the_model(node: fx.Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    if schema is None or not schema.is_mutable:
        return False
    changed = [
        given
        for argument, given in zip(schema.arguments, node.args, strict=False)
        if argument.alias_info is not None and argument.alias_info.is_write
    ]
    return any(isinstance(one, fx.Node) and one.op == "get_attr" for one in changed)


@contextmanager
def silenced() -> Iterator[None]:
    """No word from torch's compilers: no warnings, no graphs printed, and no trace, which costs more than the work."""
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    states = [(logger, logger.disabled) for logger in loggers]

    def put_back() -> None:
        for logger, disabled in states:
            logger.disabled = disabled

    with undone(put_back):
        for logger in loggers:
            logger.disabled = True
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield


def _attribute(module: nn.Module, path: str) -> Any:
    for name in path.split("."):
        module = getattr(module, name)
    return module


def _with_sources(traced: fx.GraphModule, adapted: _Adapted) -> fx.GraphModule:
    """The same graph over the model's own tensors; each node that reads one knows its first name as "source"."""
    # Tensors are told apart by identity, as the keys of a dict are: weights that layers share are one tensor in the
    # graph too, and move together. Reversed, so that of several names the first one is kept.
    names = {tensor: name for name, tensor in reversed(named_tensors(adapted.model).items())}
    held: dict[Tensor, str] = {}
    for node in traced.graph.find_nodes(op="get_attr"):
        try:
            tensor = _attribute(adapted, str(node.target))
        except AttributeError:  # a constant that torch.export found in the code
            tensor = _attribute(traced, str(node.target))
        if isinstance(tensor, Tensor):
            node.target = held.setdefault(tensor, f"tensor_{len(held)}")
            node.meta["source"] = names.get(tensor)
    return fx.GraphModule({name: tensor.detach() for tensor, name in held.items()}, traced.graph)


def _first_line(problem: Exception) -> str:
    lines = [line.strip() for line in str(problem).splitlines() if line.strip()]
    return f"{type(problem).__name__}: {lines[0]}" if lines else type(problem).__name__
