"""Heatmaps the slow way: one image at a time through another network, and the methods' equations in loops."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tests.explain.plain_cams import PLAIN
from tests.wild.subject import Subject

__all__ = ["METHODS", "PlainMap", "plain_heatmaps"]

METHODS = ["gradcam", "gradcam++", "hirescam", "layercam", "xgradcam"]
_SHARE = 1e-3  # of the largest value
_SHAKEN = 1e-5  # share by which features and gradients are rounded to see how well a map is conditioned


@dataclass(frozen=True)
class PlainMap:
    """A map (h, w), by how much another one may differ, and what was explained."""

    values: np.ndarray
    tolerance: float
    class_index: int


def plain_heatmaps(model: nn.Module, subject: Subject, layer: str, images: Tensor) -> list[dict[str, PlainMap]]:
    """For each image the maps by method.

    Args:
        model: Another one of the same weights, in `eval()`.
        subject: Says where the places are, and what is explained.
        layer: Name of the layer.
        images: (N, C, H, W).
    """
    return [_one_image(model, subject, layer, image[None]) for image in images]


def _one_image(model: nn.Module, subject: Subject, layer: str, image: Tensor) -> dict[str, PlainMap]:
    assert subject.places is not None
    seen: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        seen.append(output.detach().clone().requires_grad_())
        return seen[-1] * 1

    handle = model.get_submodule(layer).register_forward_hook(keep)
    try:
        output = model(image.clone())
    finally:
        handle.remove()
    class_index = int(output[0].argmax()) if subject.score is None else -1
    score = output[0, class_index] if subject.score is None else subject.score(output)[0]
    (gradient,) = torch.autograd.grad(score, seen[-1])
    size = (image.shape[-2], image.shape[-1])
    features, gradients = (
        subject.places.maps(one[0].detach().double().numpy(), layer, size) for one in (seen[-1], gradient)
    )
    noise = np.random.default_rng(0)
    shaken = [one * (1 + _SHAKEN * noise.choice([-1, 1], one.shape)) for one in (features, gradients)]
    maps = {}
    for method in METHODS:
        values = PLAIN[method](features, gradients)
        moved = np.abs(PLAIN[method](shaken[0], shaken[1]) - values).max()
        maps[method] = PlainMap(values, float(3 * moved + _SHARE * np.abs(values).max()), class_index)
    return maps
