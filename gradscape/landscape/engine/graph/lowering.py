"""A graph in bfloat16: from the first convolution or linear layer up to the head, which stays in fp32."""

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, fx

from gradscape.landscape.engine.graph.folding import arguments

__all__ = ["lower_to_bf16"]

_ATEN = torch.ops.aten
_PRODUCTS = {
    _ATEN.conv1d.default,
    _ATEN.conv2d.default,
    _ATEN.conv3d.default,
    _ATEN.conv_transpose2d.input,
    _ATEN.linear.default,
    _ATEN.matmul.default,
    _ATEN.scaled_dot_product_attention.default,
}
_BEFORE_HEAD = {  # what lies between the last map and the head: cheap, so that it may be exact
    _ATEN.mean.dim,
    _ATEN.adaptive_avg_pool2d.default,
    _ATEN.avg_pool2d.default,
    _ATEN.flatten.using_ints,
    _ATEN.view.default,
    _ATEN.reshape.default,
    _ATEN.squeeze.dim,
    _ATEN.squeeze.dims,
    _ATEN.dropout.default,
}


def lower_to_bf16(module: fx.GraphModule) -> None:
    """Let products be taken in bfloat16, and what follows them until the head; norms keep fp32 statistics.

    Args:
        module: A graph whose tensors are fp32; it is changed.
    """
    graph = module.graph
    head = _head(graph)
    # Everything after the head stays exact: logits enter the loss as they are, and no sum over many terms evens their
    # rounding out, while the head is a small share of the work.
    low: set[fx.Node] = set()
    exact: set[fx.Node] = set()
    for node in list(graph.nodes):
        if node.op != "call_function":
            continue
        inputs = {one for one in node.all_input_nodes if _is_float(one)}
        if node is head or inputs & exact:
            _cast(node, inputs & low, torch.float32)
            exact.add(node)
        # Bf16 begins at a product and spreads to all that read it. Operators take inputs of one type, so that what
        # comes from elsewhere (the images, a bias, a map before the first product) is cast.
        elif _is_float(node) and (node.target in _PRODUCTS or inputs & low):
            _cast(node, inputs - low - _statistics(node), torch.bfloat16)
            low.add(node)
    graph.lint()
    # The same tensor may be read at several nodes: it is settled by name, when all of them are known.
    for name in {str(node.target) for node in graph.find_nodes(op="get_attr")}:
        _settle(module, name)
    module.recompile()


def _head(graph: fx.Graph) -> fx.Node | None:
    """Where fp32 begins again: the last product if it is a linear layer, or the pooling right before it."""
    products = [node for node in graph.nodes if node.target in _PRODUCTS]
    if not products or products[-1].target != _ATEN.linear.default:
        return None
    node = products[-1]
    # Pooling in fp32 averages before it rounds. A second reader would want the map in bf16: there the walk ends.
    while (before := node.args[0]).target in _BEFORE_HEAD and len(before.users) == 1:
        node = before
    return node


def _statistics(node: fx.Node) -> set[fx.Node]:
    """Inputs of a batch norm that stay in fp32."""
    if node.target != _ATEN.batch_norm.default:
        return set()
    # torch normalizes bf16 maps with fp32 statistics. Rounded, these would be off by up to one part in 500, alike for
    # all images, so that it would not average out.
    given = arguments(node)
    roles = ("weight", "bias", "running_mean", "running_var")
    return {given[role] for role in roles if isinstance(given[role], fx.Node)}


def _cast(node: fx.Node, inputs: Collection[fx.Node], dtype: torch.dtype) -> None:
    for one in [one for one in node.all_input_nodes if one in inputs]:
        with node.graph.inserting_before(node):
            cast = node.graph.call_function(_ATEN.to.dtype, (one, dtype))
        # Fusing, and the next casts, ask the nodes what type and shape they have.
        cast.meta["val"] = one.meta["val"].to(dtype)
        node.replace_input_with(one, cast)


def _settle(module: fx.GraphModule, name: str) -> None:
    """Hold a tensor that is only read in bf16 in bf16, instead of casting it at every pass."""
    readers = [node for node in module.graph.find_nodes(op="get_attr") if node.target == name]
    casts = [user for reader in readers for user in reader.users]
    if not casts or not all(cast.target == _ATEN.to.dtype and cast.args[1] == torch.bfloat16 for cast in casts):
        return
    setattr(module, name, getattr(module, name).to(torch.bfloat16))
    for cast in casts:
        source = cast.args[0]
        cast.replace_all_uses_with(source)
        module.graph.erase_node(cast)


def _is_float(node: fx.Node) -> bool:
    value: Any = node.meta.get("val")
    return isinstance(value, Tensor) and value.is_floating_point()
