"""Whether the places of a volume's or signal's features lie in the order of what they are drawn over."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gradscape.explain.explainable import call_model, explainable, images_for
from gradscape.explain.features import listening

__all__ = ["check_order"]

_APART = 0.02  # of a side: nearer to each other, the first and the last place do not tell the side's order


def check_order(model: nn.Module, images: Tensor, layers: Mapping[str, nn.Module]) -> None:
    """Refuse layers whose first and last places, along any side, do not answer to the input in this order.

    So channels that stand last, as in a transformer's tokens, are not taken for places. One more run tells: what the
    features at a place owe to the input, as the squared gradient, has its center nearer to the end it is drawn at.
    Nothing is said of a model without gradients.

    Args:
        model: Any module.
        images: (N, C, L) or (N, C, D, H, W).
        layers: Modules by name, whose outputs have as many dimensions.

    Raises:
        ValueError: If a layer's places lie otherwise.
    """
    seen: dict[str, Tensor] = {}
    with explainable(model):
        own = images_for(model, images).requires_grad_()
        with listening(layers, lambda name, output: seen.update({name: output})):
            call_model(model, own.clone())
        for name, features in seen.items():
            if not features.requires_grad or features.ndim != own.ndim:
                continue
            for side in range(2, own.ndim):
                if features.shape[side] > 1 and not _in_order(features, own, side):
                    raise ValueError(
                        f"`target_layer` must give maps (N, C{', d, h, w' if own.ndim == 5 else ', l'}) with channels "
                        f"first, whose places lie as those of the input do; those of {name}, "
                        f"{tuple(features.shape)}, do not along dimension {side}: choose another layer"
                    )


def _in_order(features: Tensor, images: Tensor, side: int) -> bool:
    first, last = (_center(features.select(side, place), images, side) for place in (0, -1))
    return last - first > _APART


def _center(answers: Tensor, images: Tensor, side: int) -> float:
    """Where along a side of the input, from 0 to 1, what these features answer to lies."""
    signs = torch.arange(answers.numel(), device=answers.device).cos().view_as(answers)
    (gradient,) = torch.autograd.grad((answers * signs).sum(), images, retain_graph=True)
    energy = gradient.square().movedim(side, 0).flatten(1).sum(1)
    places = torch.linspace(0, 1, len(energy), device=energy.device)
    return float((energy * places).sum() / energy.sum().clamp(min=torch.finfo(energy.dtype).tiny))
