"""Whether the places of a volume's or signal's features lie in the order of what they are drawn over."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gradscape.explain.explainable import call_model, explainable, images_for
from gradscape.explain.features import listening
from gradscape.explain.remembered import remembered

__all__ = ["check_order", "in_order"]

_APART = 0.1  # of a side: nearer to each other, the first and the last half of the places do not tell the side's order
_DRAWS = 4  # of signs: one may cancel what a place answers to


def check_order(model: nn.Module, images: Tensor, layers: Mapping[str, nn.Module]) -> None:
    """Refuse layers whose first and last half, along any side, do not answer to the input in this order.

    So channels that stand last, as in a transformer's tokens, are not taken for places. One more run tells, once for a
    model and size: what the features of a half owe to the input, as the squared gradient, has its center nearer to the
    end it is drawn at. Nothing is said of a model without gradients, and of a half that answers to nothing.

    Args:
        model: Any module.
        images: (N, C, L) or (N, C, D, H, W).
        layers: Modules by name, whose outputs have as many dimensions.

    Raises:
        ValueError: If a layer's places lie otherwise.
    """
    remembered(model, ("order", *layers, tuple(images.shape[1:])), lambda: _check(model, images, layers))


def _check(model: nn.Module, images: Tensor, layers: Mapping[str, nn.Module]) -> None:
    seen: dict[str, Tensor] = {}
    with explainable(model):
        own = images_for(model, images).requires_grad_()
        with listening(layers, lambda name, output: seen.update({name: output})):
            call_model(model, own.clone())
        for name, features in seen.items():
            if not features.requires_grad or features.ndim != own.ndim:
                continue
            for side in range(2, own.ndim):
                if features.shape[side] > 1 and not in_order(features, own, side):
                    raise ValueError(
                        f"`target_layer` must give maps (N, C{', d, h, w' if own.ndim == 5 else ', l'}) with channels "
                        f"first, whose places lie as those of the input do; those of {name}, "
                        f"{tuple(features.shape)}, do not along dimension {side}: choose another layer"
                    )


def in_order(
    features: Tensor, images: Tensor, side: int, *, input_side: int | None = None, apart: float = _APART
) -> bool:
    """Whether the first half of features along a side answers to what comes earlier in the input than the last half's.

    Args:
        features: What a layer gave.
        images: A leaf that they were made from.
        side: Their dimension.
        input_side: The leaf's; None for the same.
        apart: How far the centers of what the halves answer to must be apart, as a share of the input's side.
    """
    half, other = features.shape[side] // 2, side if input_side is None else input_side
    first, last = (
        _center(features.narrow(side, start, half), images, other) for start in (0, features.shape[side] - half)
    )
    return first is None or last is None or last - first > apart


def _center(answers: Tensor, images: Tensor, side: int) -> float | None:
    """Where along a side of the input, from 0 to 1, what these features answer to lies; None for nothing."""
    generator = torch.Generator().manual_seed(0)
    energy = torch.zeros(images.shape[side], device=images.device)
    for _ in range(_DRAWS):
        signs = 2 * torch.randint(0, 2, answers.shape, generator=generator).to(answers) - 1
        (gradient,) = torch.autograd.grad((answers * signs).sum(), images, retain_graph=True)
        energy += gradient.float().square().movedim(side, 0).flatten(1).sum(1)
    if not energy.any():
        return None
    places = torch.linspace(0, 1, len(energy), device=energy.device)
    return float((energy * places).sum() / energy.sum())
