"""Which tokens a transformer's output reads after its last block."""

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from gradscape.explain.attention_calls import AttentionCall, watching_attention
from gradscape.explain.explainable import call_model, explainable, images_for
from gradscape.explain.logits import logits_in, tensors_in

__all__ = ["tokens_read"]


def tokens_read(
    model: nn.Module, images: Tensor, layers: Mapping[str, nn.Module], *, last: int
) -> tuple[int, ...] | None:
    """Return which queries of a model's last attention the output depends on: those with a gradient, of one image.

    What comes after the last attention mixes no tokens any more, except for the head, which takes some and leaves
    others. What the last layer with weights takes in counts too, since a head may still be zero.

    Args:
        model: Any transformer.
        images: What it takes; the first is followed.
        layers: Its modules by name.
        last: How many times something attends in a run.

    Returns:
        Numbers of the queries; None where no gradient arrives, as of a model that switches gradients off.
    """
    calls: list[AttentionCall] = []
    leaves: list[Tensor] = []
    taken: list[Any] = []

    def see(call: AttentionCall) -> Tensor | None:
        calls.append(call)
        if len(calls) != last:
            return None
        leaves.append(call.output.detach().requires_grad_())
        return leaves[0]

    def take(_module: nn.Module, inputs: Any) -> None:
        taken[:] = inputs[:1]

    with ExitStack() as hooks:
        for module in layers.values():
            if not any(True for _ in module.children()) and any(True for _ in module.parameters()):
                hooks.callback(module.register_forward_pre_hook(take).remove)
        hooks.enter_context(explainable(model))
        hooks.enter_context(watching_attention(layers, see))
        output = logits_in(call_model(model, images_for(model, images[:1])))
        for result in (output, taken):
            gradient = _gradient([one for one in tensors_in(result) if one.requires_grad], leaves)
            if gradient is not None and gradient.any():
                by_query = gradient.movedim(calls[last - 1].query_dim, 0).flatten(1)
                return tuple(by_query.any(1).nonzero()[:, 0].tolist())
    return None


def _gradient(results: list[Tensor], leaves: list[Tensor]) -> Tensor | None:
    """Of the results, weighed unevenly, since a normalized one has a constant sum."""
    if not results or not leaves:
        return None
    uneven = [(one.flatten() * torch.arange(one.numel(), device=one.device).cos()).sum() for one in results]
    return torch.autograd.grad(torch.stack(uneven).sum(), leaves, retain_graph=True, allow_unused=True)[0]
