"""Traced networks, with the tensors that their graphs need."""

from collections.abc import Mapping

import torch
from torch import Tensor, fx, nn

from gradscape.landscape.engine.graph import FoldedGraph, fold_batch_norms, trace
from gradscape.landscape.engine.moving import named_tensors


def traced(model: nn.Module, inputs: Tensor) -> fx.GraphModule:
    """The model's graph, not folded."""
    with torch.no_grad():
        return trace(model, inputs, lambda module, given: module(given))


def folded(model: nn.Module, inputs: Tensor) -> FoldedGraph:
    """The model's folded graph, with the folded tensors of where the model is."""
    graph = fold_batch_norms(traced(model, inputs))
    fill(graph, named_tensors(model))
    return graph


def fill(graph: FoldedGraph, tensors: Mapping[str, Tensor]) -> None:
    """Give the graph the folded tensors that follow from the model's."""
    for names, fold in graph.folds.items():
        for name, tensor in zip(names, fold.folded(tensors), strict=True):
            setattr(graph.module, name, tensor.detach())


def operators(module: fx.GraphModule) -> list[str]:
    """The names of the operators in the graph."""
    return [str(node.target) for node in module.graph.nodes if node.op == "call_function"]


def uneven(model: nn.Module) -> nn.Module:
    """The model in eval() with batch norms whose statistics, scales and shifts are all different."""
    generator = torch.Generator().manual_seed(5)
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)):
            shape = module.running_mean.shape  # type: ignore[union-attr]
            module.running_mean = torch.randn(shape, generator=generator)
            module.running_var = torch.rand(shape, generator=generator) + 0.3
            if module.affine:
                module.weight.data = torch.randn(shape, generator=generator)
                module.bias.data = torch.randn(shape, generator=generator)
    return model.eval()
