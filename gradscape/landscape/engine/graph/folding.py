"""Batch norms with fixed statistics, folded into the convolution or linear layer before them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

__all__ = ["Fold", "FoldedGraph", "arguments", "fold_batch_norms"]

_ATEN = torch.ops.aten
_FOLDABLE = {_ATEN.conv1d.default, _ATEN.conv2d.default, _ATEN.conv3d.default, _ATEN.linear.default}


@dataclass(frozen=True)
class Fold:
    """How a layer's weight and bias follow from its own and from those of the batch norm after it.

    With s = γ/√(σ² + ε): W' = s·W and b' = s·(b − μ) + β. Every name may be None where there is no such tensor.

    Attributes:
        weight: Name of W, (out, …).
        bias: Name of b, (out,).
        gamma: Name of γ, (out,).
        beta: Name of β, (out,).
        mean: Name of μ, (out,).
        variance: Name of σ², (out,).
        eps: ε.

    Source: Jacob et al. 2018 (arXiv:1712.05877), section 3.2.
    """

    weight: str
    bias: str | None
    gamma: str | None
    beta: str | None
    mean: str
    variance: str
    eps: float

    def names(self) -> list[str]:
        """The tensors that W' and b' follow from."""
        names = (self.weight, self.bias, self.gamma, self.beta, self.mean, self.variance)
        return [name for name in names if name is not None]

    def linear_in(self, names: set[str]) -> bool:
        """Whether W' and b' are linear in the named tensors: as long as the batch norm itself stays."""
        return names.isdisjoint({self.gamma, self.mean, self.variance} - {None})

    def folded(self, tensors: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """W' and b' from the tensors by name."""
        scale = self._scale(tensors)
        bias = -tensors[self.mean] if self.bias is None else tensors[self.bias] - tensors[self.mean]
        shift = 0.0 if self.beta is None else tensors[self.beta]
        return _times(tensors[self.weight], scale), bias * scale + shift

    def change(self, tensors: Mapping[str, Tensor], direction: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """By how much W' and b' change per unit of a direction in which they are linear."""
        scale = self._scale(tensors)
        still = torch.zeros_like(scale)
        bias = still if self.bias is None else direction.get(self.bias, still) * scale
        shift = still if self.beta is None else direction.get(self.beta, still)
        weight = direction.get(self.weight)
        return _times(torch.zeros_like(tensors[self.weight]) if weight is None else weight, scale), bias + shift

    def _scale(self, tensors: Mapping[str, Tensor]) -> Tensor:
        deviation = torch.sqrt(tensors[self.variance] + self.eps)
        return 1 / deviation if self.gamma is None else tensors[self.gamma] / deviation


@dataclass(frozen=True, eq=False)
class FoldedGraph:
    """A graph without the batch norms that could be folded.

    Attributes:
        module: The graph; its buffers hold placeholders where folded tensors go.
        sources: Name of the model's tensor behind a buffer of the graph.
        folds: Of a pair of buffers, the folded weight and bias, how they follow from the model's tensors.
        batch_norms: How many there were.
    """

    module: fx.GraphModule
    sources: Mapping[str, str]
    folds: Mapping[tuple[str, str], Fold]
    batch_norms: int


def fold_batch_norms(module: fx.GraphModule) -> FoldedGraph:
    """Fold every batch norm whose only input is a layer that nobody else listens to.

    Those that lead (pre-activation networks, DenseNet) stay, as do layer and group norms.

    Args:
        module: From `trace`; it is changed.
    """
    graph = module.graph
    folds: dict[tuple[str, str], Fold] = {}
    # A layer that feeds something else as well would hand it scaled maps: only one with a single listener can fold.
    norms = list(graph.find_nodes(op="call_function", target=_ATEN.batch_norm.default))
    for norm in norms:
        layer = _layer_before(norm)
        rule = layer and _rule(layer, norm)
        if layer is not None and rule:
            # Names of its own even for a weight that several layers share: each has another batch norm behind it.
            names = f"folded_{len(folds)}_weight", f"folded_{len(folds)}_bias"
            folds[names] = rule
            _replace_weights(module, layer, names, mean=arguments(norm)["running_mean"])
            norm.replace_all_uses_with(arguments(norm)["input"])
            graph.erase_node(norm)
    graph.eliminate_dead_code()
    module.recompile()
    sources = {str(node.target): node.meta["source"] for node in graph.find_nodes(op="get_attr") if _source(node)}
    return FoldedGraph(module, sources, folds, len(norms))


def arguments(node: fx.Node) -> dict[str, Any]:
    """An operator's arguments by name, defaults included."""
    # torch.export writes down what the call gave, by position or by name, and leaves out what it did not give.
    operator: Any = node.target
    schema = operator._schema.arguments
    values = {argument.name: argument.default_value for argument in schema if argument.has_default_value()}
    return {**values, **dict(zip((argument.name for argument in schema), node.args, strict=False)), **node.kwargs}


def _layer_before(norm: fx.Node) -> fx.Node | None:
    """The layer that a batch norm alone listens to, and whose output channels it counts as its own."""
    node, listener, channels = arguments(norm)["input"], norm, 1
    # A linear layer on tokens (images, tokens, channels) has its channels brought to axis 1 for the norm, which counts
    # them there: after a permutation that axis is the layer's axis `dims[1]`.
    if node.target == _ATEN.permute.default and list(node.users) == [norm]:
        given = arguments(node)
        node, listener, channels = given["self"], node, given["dims"][1]
    if node.target not in _FOLDABLE or list(node.users) != [listener]:
        return None
    # Folding scales what the layer puts out, channel by channel. A norm over any other axis, such as one over tokens,
    # has an equal number of factors only by chance.
    axes = node.meta["val"].dim()
    own = axes - 1 if node.target == _ATEN.linear.default else 1
    return node if channels % axes == own else None


def _rule(layer: fx.Node, norm: fx.Node) -> Fold | None:
    """How a batch norm is folded into a layer; None where a tensor is not one of the model's own."""
    own, given = arguments(layer), arguments(norm)
    nodes = [own["weight"], own["bias"], given["weight"], given["bias"], given["running_mean"], given["running_var"]]
    names = [_source(node) for node in nodes]
    # A tensor that the forward pass computes (weight standardization, a parametrization) has no name in a direction and
    # would stay where it is, while the norm that it were folded with moves.
    if given["training"] or any(name is None for node, name in zip(nodes, names, strict=True) if node is not None):
        return None
    weight, bias, gamma, beta, mean, variance = names
    return Fold(weight, bias, gamma, beta, mean, variance, given["eps"]) if weight and mean and variance else None


def _replace_weights(module: fx.GraphModule, layer: fx.Node, names: tuple[str, str], *, mean: fx.Node) -> None:
    """Let a layer read its weight and bias under new names."""
    own = arguments(layer)
    weight = getattr(module, own["weight"].target)
    tensors = weight, weight.new_empty(len(weight))  # placeholders, whose values are never read
    nodes = []
    with layer.graph.inserting_before(layer):
        for name, tensor, like in zip(names, tensors, (own["weight"], mean), strict=True):
            module.register_buffer(name, tensor, persistent=False)
            nodes.append(layer.graph.get_attr(name))
            nodes[-1].meta["val"] = like.meta["val"]
    # Convolutions and linear layers alike begin with input, weight and bias.
    layer.args = (own["input"], *nodes, *layer.args[3:])


def _source(node: Any) -> str | None:
    return node.meta.get("source") if isinstance(node, fx.Node) and node.op == "get_attr" else None


def _times(weight: Tensor, scale: Tensor) -> Tensor:
    return weight * scale.view(-1, *[1] * (weight.dim() - 1))
