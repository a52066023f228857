"""One forward pass and one differentiation, from which every method at every layer makes its map."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from gradscape.explain.explainable import call_model, check_finite, explainable, images_for
from gradscape.explain.explained import Explained

__all__ = ["SharedPass", "run_shared_pass"]


@dataclass(frozen=True, eq=False)
class SharedPass:
    """What one pass over a batch saw.

    Attributes:
        features: For each layer what it gave, detached and not overwritten by what came after.
        gradients: For each layer the gradients of the scores with respect to these; empty where none were asked for.
        runs: For each layer how often it ran; where more than once, the last run is the one seen.
        explained: The scores, detached.
    """

    features: dict[str, Tensor]
    gradients: dict[str, Tensor]
    runs: dict[str, int]
    explained: Explained


def run_shared_pass(
    model: nn.Module,
    images: Tensor,
    layers: Mapping[str, nn.Module],
    pick: Callable[[Any], Explained],
    *,
    differentiate: bool = True,
) -> SharedPass:
    """Run the model once, and differentiate the scores once with respect to what the layers gave.

    Only what comes after the first of the layers is differentiated. The model is left as it was.

    Args:
        model: Any module.
        images: (N, C, H, W).
        layers: Modules of the model, by the names that the results shall have.
        pick: From the model's output to what is explained.
        differentiate: Whether gradients are wanted.

    Raises:
        TypeError: A layer does not give one float tensor.
        ValueError: A layer does not run, or the scores do not depend on it or are not finite.
    """
    features: dict[str, Tensor] = {}
    runs = dict.fromkeys(layers, 0)
    with explainable(model), ExitStack() as hooks:
        for name, layer in layers.items():
            hooks.callback(layer.register_forward_hook(_listener(name, features, runs)).remove)
        own = images_for(model, images)
        check_finite(own)
        explained = pick(call_model(model, own))
        idle = [name for name, count in runs.items() if not count]
        if idle:
            raise ValueError(f"`target_layer` {idle[0]} does not run in a forward pass; choose a layer that does")
        _check_scores(explained.scores, model)
        gradients = _differentiated(explained.scores, features) if differentiate else {}
    return SharedPass(
        {name: tensor.detach() for name, tensor in features.items()},
        gradients,
        runs,
        replace(explained, scores=explained.scores.detach()),
    )


def _listener(name: str, features: dict[str, Tensor], runs: dict[str, int]) -> Callable[..., Tensor]:
    """A hook that keeps what a layer gave, and lets a copy go on, which may be overwritten."""

    def listen(_module: nn.Module, _inputs: Any, output: Any) -> Tensor:
        if not isinstance(output, Tensor) or not output.is_floating_point():
            raise TypeError(f"`target_layer` {name} must give one float tensor, got {type(output).__name__}")
        kept = output.clone() if output.requires_grad else output.detach().clone().requires_grad_()
        features[name] = kept
        runs[name] += 1
        return kept.clone()

    return listen


def _differentiated(scores: Tensor, features: dict[str, Tensor]) -> dict[str, Tensor]:
    found: tuple[Tensor | None, ...] = (None,) * len(features)
    if scores.requires_grad:
        found = torch.autograd.grad(scores.sum(), list(features.values()), allow_unused=True)
    gradients = {}
    for name, gradient in zip(features, found, strict=True):
        if gradient is None:
            raise ValueError(
                f"`target_layer` {name} does not lead to the explained score, so that no gradient arrives; "
                "choose a layer before it, or a `score` that depends on it and is not detached"
            )
        gradients[name] = gradient
    return gradients


def _check_scores(scores: Tensor, model: nn.Module) -> None:
    bad = (~scores.isfinite()).nonzero()[:, 0].tolist()
    if not bad:
        return
    broken = [name for name, one in model.named_parameters() if not one.isfinite().all()]
    cause = f"its weights {broken[0]} are not finite" if broken else "its weights are, so it overflows on the way"
    raise ValueError(f"`model` must give finite scores, and does not for image {bad[0]}; {cause}")
