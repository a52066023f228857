"""Guided backpropagation: Springenberg, Dosovitskiy, Brox, Riedmiller, "Striving for Simplicity", 2015.

arXiv:1412.6806.

Differs from the paper:

- It speaks of ReLU alone. Other activations of its kind (ReLU6, leaky ReLU, PReLU, ELU, SELU, CELU, GELU, SiLU, Mish,
  Hardswish, softplus) are treated alike: of the gradient that arrives at their output only what is positive goes on,
  times the activation's own derivative, which for ReLU is the paper's rule. Gates (sigmoid, tanh, softmax) are left
  alone.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from gradscape._left_as_before import left_as_before
from gradscape._taps import check_images_apart
from gradscape.explain.blindness import raise_why_blind
from gradscape.explain.cam import heatmaps
from gradscape.explain.explainable import (
    ForwardFunction,
    call_model,
    called_by,
    explainable,
    images_for,
    uncompiled,
)
from gradscape.explain.explained import ClassIndex, Score, pick_scores
from gradscape.explain.heatmap import Heatmaps
from gradscape.explain.inputs import check_finite
from gradscape.explain.layout import MapLayout
from gradscape.explain.target_layer import layer_names

__all__ = ["guided_backprop", "guided_gradcam"]

_RECTIFIERS: frozenset[Callable[..., Any]] = frozenset(
    {
        *(F.relu, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_, F.relu6),
        *(F.leaky_relu, F.leaky_relu_, F.prelu, torch.prelu, Tensor.prelu, F.elu, F.elu_, F.selu, F.celu),
        *(F.gelu, F.silu, F.mish, F.hardswish, F.softplus),
    }
)


class _Guided(TorchFunctionMode):
    """Meanwhile the gradient that arrives at a rectifier's output loses what is negative.

    Watching the functions rather than the modules covers those without a module, a module used twice, and those that
    work in place, and changes nothing in the model.
    """

    def __init__(self) -> None:
        super().__init__()
        self.met = 0

    def __torch_function__(
        self, func: Any, types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if (func in _RECTIFIERS or _is_relu6(func, kwargs or {})) and result.requires_grad:
            result.register_hook(lambda gradient: gradient.clamp(min=0))
            self.met += 1
        return result


def _is_relu6(func: Any, options: Mapping[str, Any]) -> bool:
    """Whether this is how `nn.ReLU6` runs: a hard tanh that begins at 0."""
    return func is F.hardtanh and options.get("min_val") == 0


@left_as_before
def guided_backprop(
    model: nn.Module,
    images: Float[Tensor, "batch channels *size"],
    *,
    class_index: ClassIndex | None = None,
    score: Score | None = None,
    forward: ForwardFunction | None = None,
) -> np.ndarray:
    """Return how the images would have to change to raise the score, through excited paths alone.

    At each ReLU with input x and arriving gradient g, the gradient that goes on is::

        g · [x > 0] · [g > 0]

    Args:
        model: Any classifier, or a model of another kind with a `score`.
        images: As the model takes them.
        class_index: A class by number or name, for all images or one for each; None for the predicted one.
        score: From the model's output to a number for each image, (N,).
        forward: (model, images) -> output, where the model takes more than images.

    Returns:
        Of the images' shape, float32, signed, in units of the score per unit of the images.

    Raises:
        TypeError: If `images`, a class or what `score` gives is of the wrong kind.
        ValueError: If no ReLU (or activation of its kind) ran: these would be plain gradients; if the score does not
            depend on the images; or as `pick_scores` says.

    Source: Springenberg et al. 2015, section 3.4 and figure 1.
    """
    model = called_by(model, forward)
    check_images_apart(model)
    with explainable(model):
        pixels = images_for(model, images)
        check_finite(pixels)
        pixels.requires_grad_()
        with _Guided() as guided:
            output = call_model(model, pixels.clone())  # which may be overwritten
        scores = pick_scores(
            output, class_index=class_index, score=score, labels=getattr(uncompiled(model), "labels", None)
        ).scores
        if not guided.met:
            raise_why_blind(model, images, layer_names(model))
            raise ValueError(
                "`model` must run ReLU or an activation of its kind for guided backpropagation, but none was met "
                "between the images and its output: only plain gradients would be left"
            )
        if not scores.requires_grad:
            raise_why_blind(model, images, layer_names(model))
            raise ValueError("`score` must depend on the images, but its result has no gradient; use torch operations")
        if not scores.isfinite().all():
            raise ValueError("`model` must give finite scores, but some are NaN or infinite; check its weights")
        (gradient,) = torch.autograd.grad(scores.sum(), pixels)
    return gradient.float().cpu().numpy()


@left_as_before
def guided_gradcam(
    model: nn.Module,
    images: Float[Tensor, "batch channels *size"],
    *,
    class_index: ClassIndex | None = None,
    score: Score | None = None,
    target_layer: str | nn.Module | None = None,
    layout: MapLayout | None = None,
    forward: ForwardFunction | None = None,
) -> np.ndarray:
    """Return guided backpropagation times the Grad-CAM heatmap: fine detail, of the class alone.

    Args:
        model: Any classifier, or a model of another kind with a `score`.
        images: As the model takes them.
        class_index: A class by number or name, for all images or one for each; None for the predicted one.
        score: From the model's output to a number for each image, (N,).
        target_layer: Layer of the heatmap, by name or module; None for the automatic one.
        layout: How that layer gives its places, as `heatmaps` takes it; None to have it measured.
        forward: (model, images) -> output, where the model takes more than images.

    Returns:
        Of the images' shape, float32: `guided_backprop` times the heatmap as displayed, between 0 and 1.

    Raises:
        TypeError: As `guided_backprop`.
        ValueError: As `guided_backprop` and `heatmaps`.

    Source: Selvaraju et al. 2017, arXiv:1610.02391, section 3.2.
    """
    model = called_by(model, forward)
    maps = heatmaps(
        model,
        images,
        method="gradcam",
        target_layer=target_layer,
        class_index=class_index,
        score=score,
        layout=layout,
    )
    assert isinstance(maps, Heatmaps)
    return guided_backprop(model, images, class_index=class_index, score=score) * maps.display[:, None]
