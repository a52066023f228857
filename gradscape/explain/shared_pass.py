"""One forward pass and one differentiation, from which every method at every layer makes its map."""

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from gradscape.explain.blindness import raise_why_blind
from gradscape.explain.explainable import call_model, explainable, images_for
from gradscape.explain.explained import Explained
from gradscape.explain.inputs import Inputs, check_finite, input_count, inputs_for, is_pictured
from gradscape.explain.target_layer import layer_names

__all__ = ["SharedPass", "run_shared_pass"]


@dataclass(frozen=True, eq=False)
class SharedPass:
    """What one pass over a batch saw.

    Attributes:
        features: For each layer what it gave, detached and not overwritten by what came after.
        gradients: For each layer the gradients of the scores with respect to these; empty where none were asked for.
        runs: For each layer how often it ran.
        explained_runs: For each layer the run that is explained, from 1 on: the last that depends on the images,
            where it is not the same for all, as where a network compares them with others; else the last.
        explained: The scores, detached.
    """

    features: dict[str, Tensor]
    gradients: dict[str, Tensor]
    runs: dict[str, int]
    explained_runs: dict[str, int]
    explained: Explained


def run_shared_pass(
    model: nn.Module,
    images: Inputs,
    layers: Mapping[str, nn.Module],
    pick: Callable[[Any], Explained],
    *,
    differentiate: bool = True,
) -> SharedPass:
    """Run the model once, and differentiate the scores once with respect to what the layers gave.

    Only what comes after the first of the layers is differentiated. The model is left as it was.

    Args:
        model: Any module.
        images: What the model takes.
        layers: Modules of the model, by the names that the results shall have.
        pick: From the model's output to what is explained.
        differentiate: Whether gradients are wanted.

    Raises:
        TypeError: A layer does not give one float tensor.
        ValueError: A layer does not run, or the scores do not depend on it or are not finite, or no gradients lead
            through the model.
    """
    listener = _Listener({})
    passed = _passed(model, images, layers, pick, listener, differentiate=differentiate)
    if is_pictured(images) and any(count > 1 for count in passed.runs.values()):
        seen = _dependent_runs(model, images, {name: layers[name] for name, count in passed.runs.items() if count > 1})
        if any(run < passed.runs[name] for name, run in seen.items()):
            return _passed(model, images, layers, pick, _Listener(seen), differentiate=differentiate)
    return passed


class _Listener:
    """Keeps what layers gave in the run that is wanted of each, by default the last."""

    def __init__(self, wanted: Mapping[str, int]) -> None:
        self.wanted = wanted
        self.features: dict[str, Tensor] = {}
        self.runs: Counter[str] = Counter()
        self.closed = False  # the backward pass of a checkpointed block runs it again

    def hook(self, name: str) -> Callable[..., Tensor | None]:
        """A hook that keeps what a layer gave, and lets a copy go on, which may be overwritten."""

        def listen(_module: nn.Module, _inputs: Any, output: Any) -> Tensor | None:
            if not isinstance(output, Tensor) or not (output.is_floating_point() or output.is_quantized):
                raise TypeError(f"`target_layer` {name} must give one float tensor, got {_described(output)}")
            self.runs[name] += not self.closed
            wanted = self.wanted.get(name, self.runs[name]) == self.runs[name] and not self.closed
            if output.is_quantized:
                self.features[name] = output.dequantize()
                return None
            kept = output.clone() if output.requires_grad else output.detach().clone().requires_grad_()
            if wanted:
                self.features[name] = kept
            return kept.clone()

        return listen


def _passed(
    model: nn.Module,
    images: Inputs,
    layers: Mapping[str, nn.Module],
    pick: Callable[[Any], Explained],
    listener: _Listener,
    *,
    differentiate: bool,
) -> SharedPass:
    with explainable(model), ExitStack() as hooks:
        for name, layer in layers.items():
            hooks.callback(layer.register_forward_hook(listener.hook(name)).remove)
        own = inputs_for(model, images)
        check_finite(own)
        count = input_count(own)
        explained = pick(call_model(model, own))
        listener.closed = True
        idle = [name for name in layers if not listener.runs[name]]
        if idle:
            raise_why_blind(model, images, layer_names(model))
            raise ValueError(f"`target_layer` {idle[0]} does not run in a forward pass; choose a layer that does")
        if len(explained.scores) != count:
            raise ValueError(
                f"`model` must give a score for each of the {count} images, got {len(explained.scores)}; say with "
                "`score` what is explained of each image"
            )
        _check_scores(explained.scores, model)
        try:
            gradients = _differentiated(explained.scores, listener.features) if differentiate else {}
        except (RuntimeError, ValueError) as error:
            raise_why_blind(model, images, layer_names(model), error)
            raise
    runs = {name: listener.runs[name] for name in layers}
    return SharedPass(
        {name: listener.features[name].detach() for name in layers},
        gradients,
        runs,
        {name: listener.wanted.get(name, count) for name, count in runs.items()},
        replace(explained, scores=explained.scores.detach()),
    )


def _dependent_runs(model: nn.Module, images: Tensor, layers: Mapping[str, nn.Module]) -> dict[str, int]:
    """For each layer the last run whose output depends on the images; the last of all where none does."""
    depends: dict[str, list[bool]] = {name: [] for name in layers}

    def hook(name: str) -> Callable[..., None]:
        def listen(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
            depends[name].append(output.requires_grad)

        return listen

    with explainable(model), ExitStack() as hooks:
        for name, layer in layers.items():
            hooks.callback(layer.register_forward_hook(hook(name)).remove)
        call_model(model, images_for(model, images).requires_grad_().clone())
    return {
        name: max((run for run, one in enumerate(ran, 1) if one), default=len(ran)) for name, ran in depends.items()
    }


def _described(output: Any) -> str:
    return f"a {output.dtype} tensor" if isinstance(output, Tensor) else type(output).__name__


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
