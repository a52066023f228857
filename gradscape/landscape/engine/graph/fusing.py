"""Operators that do in one pass over memory what several would, on a CPU with oneDNN."""

import copy
from collections.abc import Collection
from typing import Any

import torch
from torch import fx

from gradscape.landscape.engine.graph.folding import arguments

__all__ = ["FusedActivation", "can_fuse", "fuse_operators", "leaking"]

_ATEN = torch.ops.aten

FusedActivation = tuple[str, list[float], str]  # oneDNN's name, its numbers, its algorithm

# Those that hand NaN and infinities on as torch's own do: oneDNN's ReLU turns NaN into 0 and would hide where a network
# breaks down, and so does its hardtanh. These two work in place instead, or leak (`leaking`).
_ACTIVATIONS: dict[Any, FusedActivation] = {
    _ATEN.hardswish.default: ("hardswish", [], ""),
    _ATEN.hardswish_.default: ("hardswish", [], ""),
    _ATEN.silu.default: ("swish", [], ""),
    _ATEN.silu_.default: ("swish", [], ""),
    _ATEN.sigmoid.default: ("sigmoid", [], ""),
}
_IN_PLACE: dict[Any, Any] = {
    _ATEN.relu.default: _ATEN.relu_.default,
    _ATEN.hardtanh.default: _ATEN.hardtanh_.default,
}
_RECTIFIERS = {_ATEN.relu.default, _ATEN.relu_.default}
_LEAKING: FusedActivation = ("leaky_relu", [1e-30], "")  # hands NaN on; the leak is lost in every sum
_CONVOLUTION_AND_SUM = torch.ops.mkldnn._convolution_pointwise.binary
_FRESH = {  # operators whose results share memory with nothing
    _ATEN.conv2d.default,
    _ATEN.linear.default,
    _ATEN.add.Tensor,
    _ATEN.batch_norm.default,
    _CONVOLUTION_AND_SUM,
    torch.ops.mkldnn._convolution_pointwise.default,
    torch.ops.mkldnn._linear_pointwise.default,
}
_PRODUCTS = {
    _ATEN.conv2d.default,
    _ATEN.linear.default,
    _CONVOLUTION_AND_SUM,
    torch.ops.mkldnn._convolution_pointwise_.binary,
    torch.ops.mkldnn._convolution_pointwise.default,
    torch.ops.mkldnn._linear_pointwise.default,
}
_ADDITIONS = {_ATEN.add.Tensor, _ATEN.add_.Tensor}


def can_fuse(module: fx.GraphModule) -> bool:
    """Whether the graph computes where oneDNN does: on a CPU, in fp32 or bf16."""
    tensors = [tensor for tensor in module.buffers() if tensor.is_floating_point()]
    return torch.backends.mkldnn.is_available() and all(
        tensor.device.type == "cpu" and tensor.dtype in (torch.float32, torch.bfloat16) for tensor in tensors
    )


def fuse_operators(module: fx.GraphModule) -> None:
    """Let layers take the addition or the activation after them; what cannot go in works in place.

    Args:
        module: A graph; it is changed.
    """
    # Layers take what they can first: only what is then left may work in place, once it is settled who reads whom.
    for node in list(module.graph.find_nodes(op="call_function", target=_ATEN.conv2d.default)):
        _fuse_convolution(node)
    for node in list(module.graph.find_nodes(op="call_function", target=_ATEN.linear.default)):
        _fuse_linear(node)
    for node in [node for node in module.graph.nodes if node.target in _IN_PLACE]:
        _activate_in_place(node)
    for node in module.graph.find_nodes(op="call_function", target=_CONVOLUTION_AND_SUM):
        _add_in_place(node)
    module.graph.lint()
    module.recompile()


def leaking(module: fx.GraphModule) -> fx.GraphModule | None:
    """The graph with rectifiers inside the convolutions before them: faster, and as good where its outputs are finite.

    The rectifiers let 1e-30 of what is negative through, because oneDNN has no other that hands NaN on. Only
    convolutions and linear layers may read that. Minus infinity passes too, where a rectifier gives 0: what is
    not finite has to be computed again by the graph itself. Activations beyond 1e20 would leak noticeably: a network
    that far gone, whose gates still give finite outputs, is not told apart here.

    Args:
        module: A graph; it stays as it is.

    Returns:
        A graph with the same tensors; None if no rectifier can go in.
    """
    graph = copy.deepcopy(module.graph)
    rectifiers = [node for node in graph.nodes if node.target in _RECTIFIERS and _PRODUCTS.issuperset(_readers(node))]
    runs = [(before, node) for node in rectifiers if (before := _convolution_before(node)) is not None]
    for convolution, rectifier in runs:
        inputs = (convolution.args[0], *_layer(convolution), *_LEAKING)
        _replace([convolution, rectifier], torch.ops.mkldnn._convolution_pointwise.default, inputs)
    graph.lint()
    return fx.GraphModule(module, graph) if runs else None


def _readers(node: fx.Node) -> set[Any]:
    return {user.target for user in node.users}


def _convolution_before(node: fx.Node) -> fx.Node | None:
    (before,) = node.all_input_nodes
    return before if before.target == _ATEN.conv2d.default and len(before.users) == 1 else None


def _layer(convolution: fx.Node) -> tuple[Any, ...]:
    given = arguments(convolution)
    return tuple(given[name] for name in ("weight", "bias", "padding", "stride", "dilation", "groups"))


def _fuse_convolution(node: fx.Node) -> None:
    given, layer = arguments(node), _layer(node)
    addition = _only_user(node, _ADDITIONS)
    other = _other_term(addition, node) if addition else None
    if addition is None or other is None:
        run, activation = _with_activation([node])
        if len(run) > 1:
            _replace(run, torch.ops.mkldnn._convolution_pointwise.default, (given["input"], *layer, *activation))
        return
    # The activation behind the sum stays outside: oneDNN takes only its ReLU there, the one that hides NaN.
    inputs: tuple[Any, ...] = (given["input"], other, *layer, "add", 1.0, None, [], None)
    _replace([node, addition], _CONVOLUTION_AND_SUM, inputs)


def _fuse_linear(node: fx.Node) -> None:
    given = arguments(node)
    run, activation = _with_activation([node])
    inputs = (given["input"], given["weight"], given["bias"], *activation)
    _replace(run, torch.ops.mkldnn._linear_pointwise.default, inputs)


def _with_activation(run: list[fx.Node]) -> tuple[list[fx.Node], FusedActivation]:
    """The run with the activation that alone listens to its end, if there is one, and what oneDNN calls it."""
    user = _only_user(run[-1], _ACTIVATIONS)
    return (run, ("none", [], "")) if user is None else ([*run, user], _ACTIVATIONS[user.target])


def _only_user(node: fx.Node, targets: Collection[Any]) -> fx.Node | None:
    user = next(iter(node.users), None)
    return user if user is not None and len(node.users) == 1 and user.target in targets else None


def _other_term(addition: fx.Node, node: fx.Node) -> fx.Node | None:
    """What an addition adds to a node, if it is a tensor of the same shape that stays as it is."""
    given = arguments(addition)
    other = given["other"] if given["self"] is node else given["self"]
    if not isinstance(other, fx.Node) or other is node or given["alpha"] != 1:
        return None
    # In place, the sum stands in the other term's memory, which views of that term may read later.
    if addition.target == _ATEN.add_.Tensor and given["self"] is other:
        return None
    return other if other.meta["val"].shape == node.meta["val"].shape else None


def _activate_in_place(node: fx.Node) -> None:
    # Whether a result may be overwritten depends on all that can see its memory: the operator must have made it anew,
    # not handed on a view, and nobody else may read it. The model's input and weights fail the first test.
    before = node.args[0]
    if isinstance(before, fx.Node) and before.target in _FRESH and len(before.users) == 1:
        node.target = _IN_PLACE[node.target]


def _add_in_place(node: fx.Node) -> None:
    """Let the sum take the place of the term that nobody reads afterwards."""
    maps, other, *layer = node.args
    if isinstance(other, fx.Node) and maps is not other and _owns_its_memory(other) and _is_last_reader(node, other):
        node.args = (other, maps, *layer)  # the operator in place wants the term that it overwrites first
        node.target = torch.ops.mkldnn._convolution_pointwise_.binary


def _owns_its_memory(node: fx.Node) -> bool:
    # A result in place is its input's memory: what counts is who made that, and who else reads it.
    if node.target in _IN_PLACE.values():
        return all(before.target in _FRESH and len(before.users) == 1 for before in node.all_input_nodes)
    return node.target in _FRESH


def _is_last_reader(node: fx.Node, read: fx.Node) -> bool:
    """Whether all others that read a node come before, and none of them hands its memory on."""
    earlier = set()
    for one in node.graph.nodes:
        if one is node:
            break
        earlier.add(one)
    others = [user for user in read.users if user is not node]
    return all(user in earlier and user.target in _FRESH for user in others)


def _replace(run: list[fx.Node], target: Any, inputs: tuple[Any, ...]) -> None:
    """Put one operator in the place of a run of them."""
    graph = run[-1].graph
    with graph.inserting_before(run[-1]):
        fused = graph.call_function(target, inputs)
    fused.meta["val"] = run[-1].meta["val"]  # later rewriting asks for its shape
    run[-1].replace_all_uses_with(fused)
    for node in reversed(run):  # from the end: only a node without readers can be erased
        graph.erase_node(node)
