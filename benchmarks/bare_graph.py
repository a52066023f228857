"""Any network as a graph with its batch norms folded and its activations fused, with weights that are set rarely."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Node

_ATEN = torch.ops.aten
_CONVOLUTION, _LINEAR = _ATEN.conv2d.default, _ATEN.linear.default
_RECTIFIERS = (_ATEN.relu.default, _ATEN.relu_.default)
_CLAMPS = (_ATEN.hardtanh.default, _ATEN.hardtanh_.default)
_SUMS = (_ATEN.add.Tensor, _ATEN.add_.Tensor)


@dataclass
class _Layer:
    """A convolution or linear layer of the graph, with the batch norm that is folded into it.

    Attributes:
        node: Where it stands; a fusion replaces it.
        names: Its weight and bias in the state dict; no bias is None.
        geometry: Padding, stride, dilation and groups of a convolution; empty for a linear layer.
        sides: Height and width of a convolution's input.
        norm: Names of the batch norm's scale, shift, mean and variance in the state dict, if there is one.
        epsilon: The batch norm's.
    """

    node: Node
    names: tuple[str, str | None]
    geometry: tuple[Any, ...]
    sides: tuple[int, ...]
    norm: tuple[str, ...] = ()
    epsilon: float = 0.0

    def folded(self, state: Mapping[str, Tensor]) -> tuple[Tensor, Tensor | None]:
        """Weight and bias with the batch norm in them."""
        weight, bias = state[self.names[0]], None if self.names[1] is None else state[self.names[1]]
        if not self.norm:
            return weight, bias
        scale, shift, mean, variance = (state[name] for name in self.norm)
        scale = scale * torch.rsqrt(variance + self.epsilon)
        bias = shift + scale * (-mean if bias is None else bias - mean)
        return weight * scale.view(-1, *[1] * (weight.dim() - 1)), bias

    def packed(self, weight: Tensor, count: int) -> Tensor:
        """A convolution's weight in the layout that oneDNN wants for batches of so many images."""
        if not self.geometry:
            return weight
        given = [count, weight.shape[1] * self.geometry[-1], *self.sides]
        return torch.ops.mkldnn._reorder_convolution_weight(weight, *self.geometry, given)


class FoldedGraph:
    """A network's graph, whose convolutions are oneDNN's and take what follows along.

    Args:
        net: Any classifier that `torch.export` can trace with a free number of images, in `eval()`.
        images: A few of its images.

    Attributes:
        folded: Number of batch norms that are folded.
        norms: Number of batch norms that the network had.
    """

    def __init__(self, net: nn.Module, images: Tensor) -> None:
        free = ({0: torch.export.Dim("batch")},)
        with warnings.catch_warnings(action="ignore"):
            self._module = torch.export.export(net, (images,), dynamic_shapes=free).module()
        graph = self._module.graph
        _drop_what_only_checks_or_trains(graph)
        self._layers = [_layer(node) for node in graph.nodes if _has_named_weights(node)]
        norms = graph.find_nodes(op="call_function", target=_ATEN.batch_norm.default)
        self.norms, self.folded = len(norms), sum(_fold(norm, self._layers) for norm in norms)
        for number, layer in enumerate(self._layers):
            _read_own_weights(layer.node, number, self._module)
            if layer.geometry:
                _fuse(layer)
        graph.eliminate_dead_code()
        self._module.recompile()

    def place(self, state: Mapping[str, Tensor], shape: torch.Size, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
        """The network with these weights, for images of this shape and type, until it is placed elsewhere."""
        for node in self._module.graph.find_nodes(op="get_attr"):
            name = str(node.target)
            if name in state:
                self._set(name, state[name].to(dtype))
        for number, layer in enumerate(self._layers):
            weight, bias = layer.folded(state)
            self._set(f"weight{number}", layer.packed(weight.to(dtype), shape[0]))
            self._set(f"bias{number}", None if bias is None else bias.to(dtype))
        return self._module

    def _set(self, path: str, value: Tensor | None) -> None:
        """Parameters cannot hold oneDNN's layouts: what is set becomes a plain attribute."""
        owner, _, name = path.rpartition(".")
        module = self._module.get_submodule(owner)
        module._parameters.pop(name, None)
        module._buffers.pop(name, None)
        setattr(module, name, value)


def _drop_what_only_checks_or_trains(graph: torch.fx.Graph) -> None:
    for node in graph.find_nodes(op="call_module", target="_guards_fn"):
        graph.erase_node(node)
    for node in graph.find_nodes(op="call_function", target=_ATEN.dropout.default):
        node.replace_all_uses_with(node.args[0])
        graph.erase_node(node)


def _has_named_weights(node: Node) -> bool:
    given = node.args[1:3] if node.target in (_CONVOLUTION, _LINEAR) else ()
    return bool(given) and all(weight is None or getattr(weight, "op", "") == "get_attr" for weight in given)


def _layer(node: Node) -> _Layer:
    given: list[Any] = [*node.args, *[None] * (3 - len(node.args))]
    x, weight, bias = given[:3]
    names = weight.target, None if bias is None else bias.target
    if node.target is _LINEAR:
        return _Layer(node, names, (), ())
    usual: list[Any] = [[1, 1], [0, 0], [1, 1], 1]
    stride, padding, dilation, groups = given[3:] + usual[len(given) - 3 :]
    return _Layer(node, names, (padding, stride, dilation, groups), tuple(map(int, x.meta["val"].shape[2:])))


def _fold(norm: Node, layers: list[_Layer]) -> bool:
    """Take a batch norm out of the graph if it alone reads a layer, also through a move of the channels."""
    source: Any = norm.args[0]
    origin = source
    if source.target is _ATEN.permute.default and source.args[1][1] == len(source.args[1]) - 1:
        origin = source.args[0]
    layer = next((layer for layer in layers if layer.node is origin), None)
    if layer is None or len(origin.users) > 1 or len(source.users) > 1 or None in norm.args[1:5]:
        return False
    channels_last = not layer.geometry and origin.meta["val"].dim() > 2
    if channels_last != (origin is not source):
        return False
    layer.norm = tuple(str(argument.target) for argument in norm.args[1:5])  # type: ignore[union-attr]
    layer.epsilon = float(norm.args[7])  # type: ignore[arg-type]
    norm.replace_all_uses_with(source)
    norm.graph.erase_node(norm)
    return True


def _read_own_weights(node: Node, number: int, module: GraphModule) -> None:
    """Let a layer read attributes of its own, which `place` sets."""
    names = [f"{kind}{number}" for kind in ("weight", "bias")]
    for name in names:
        module.register_buffer(name, torch.empty(0))
    with node.graph.inserting_before(node):
        own = [node.graph.get_attr(name) for name in names]
    node.args = (node.args[0], *own, *node.args[3:])


def _fuse(layer: _Layer) -> None:
    """Let a convolution take the addition or the activation behind it, or both, along."""
    x, weight, bias = layer.node.args[:3]
    taken = [layer.node]
    then = _sole_user(layer.node)
    other = _other_summand(then, layer.node) if then and then.target in _SUMS else None
    if then and other:
        taken.append(then)
        after = _sole_user(then)
        rectifies = after is not None and after.target in _RECTIFIERS
        taken += [after] if after and rectifies else []
        target: Any = torch.ops.mkldnn._convolution_pointwise.binary
        behind: tuple[Any, ...] = "add", 1.0, "relu" if rectifies else None, [], None
        given: tuple[Any, ...] = x, other, weight, bias
    else:
        activation, bounds = _activation(then)
        taken += [then] if then and activation != "none" else []
        target, behind, given = (
            torch.ops.mkldnn._convolution_pointwise.default,
            (activation, bounds, ""),
            (x, weight, bias),
        )
    graph = layer.node.graph
    with graph.inserting_before(taken[-1]):
        fused = graph.call_function(target, (*given, *layer.geometry, *behind))
    fused.meta["val"] = taken[-1].meta["val"]
    taken[-1].replace_all_uses_with(fused)
    for node in reversed(taken):
        graph.erase_node(node)
    layer.node = fused


def _sole_user(node: Node) -> Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None


def _other_summand(total: Node, summand: Node) -> Node | None:
    """What is added, if it has the same shape."""
    others = [node for node in total.args if node is not summand]
    if len(total.args) != 2 or total.kwargs or len(others) != 1 or not isinstance(others[0], Node):
        return None
    shapes = {str(node.meta["val"].shape) for node in (others[0], summand)}
    return others[0] if len(shapes) == 1 else None


def _activation(node: Node | None) -> tuple[str, list[float]]:
    if node is not None and node.target in _RECTIFIERS:
        return "relu", []
    if node is not None and node.target in _CLAMPS:
        return "hardtanh", [float(bound) for bound in (*node.args[1:], *(-1.0, 1.0)[len(node.args) - 1 :])]  # type: ignore[arg-type]
    return "none", []
