"""Where a picture's features speak for a class at some of its pixels, as a segmenter sees them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from gradscape._left_as_before import left_as_before
from gradscape.explain.cam import heatmaps
from gradscape.explain.explained import NothingFoundError, own_class
from gradscape.explain.heatmap import Heatmaps
from gradscape.explain.layout import MapLayout
from gradscape.explain.weightings import check_weighting

__all__ = ["explain_pixels"]


@left_as_before
def explain_pixels(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    *,
    class_index: int | str,
    region: Sequence[int] | None = None,
    shown: tuple[int, int] | None = None,
    method: Sequence[str] = ("hirescam",),
    target_layer: str | None = None,
    layout: MapLayout | None = None,
) -> dict[str, Heatmaps]:
    """Explain the mean logit of a class over the pixels that a segmenter predicts as it, or over those of a region.

    `probability` of the maps is the class's mean probability over these pixels.

    Args:
        model: From images to logits (images, classes, height, width), of the images' size.
        images: As the model takes them.
        class_index: The class; a name too, where the model is a loaded checkpoint.
        region: x1, y1, x2, y2 in pixels, the last ones not in it; None for the pixels that are predicted as the class.
        shown: (columns, rows) from the upper left corner that count: the rest of a canvas shows no picture. None for
            all.
        method: Names of methods that come from one shared pass, see `list_methods`.
        target_layer: As `heatmaps` takes it.
        layout: As `heatmaps` takes it.

    Returns:
        Method -> maps.

    Raises:
        NothingFoundError: No pixel of an image is predicted as the class, a kind of `ValueError`.
        ValueError: The output is no such logits, a class or method is unknown, or the region holds no pixel.

    Source: Vinogradova, Dibrov and Myers, 2020 (arXiv 2002.11434), who take the sum and Grad-CAM.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 4, 1))
        >>> found = explain_pixels(net, torch.rand(2, 3, 12, 16), class_index=1, region=(2, 3, 9, 8), target_layer="0")
        >>> found["hirescam"].display.shape
        (2, 12, 16)
    """
    for name in method:
        check_weighting(name)
    index = own_class(model, class_index)
    assert index is not None
    score = _PixelScore(index, region, shown)
    maps = heatmaps(model, images, method=list(method), target_layer=target_layer, score=score, layout=layout)
    numbers = np.full(len(images), index, np.int64)
    return {name: replace(one, class_index=numbers, probability=score.probability) for name, one in maps.items()}


@final
class _PixelScore:
    """From logits of pixels to the mean of one class's over some of them, (N,).

    Attributes:
        probability: (N,) float32, its mean probability over the same ones, of the last logits.
    """

    def __init__(self, index: int, region: Sequence[int] | None, shown: tuple[int, int] | None) -> None:
        self._index, self._region, self._shown = index, region, shown
        self.probability = np.empty(0, np.float32)

    def __call__(self, output: Any) -> Tensor:
        if not isinstance(output, Tensor) or output.ndim != 4:
            kind = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise ValueError(f"`model` must give logits (images, classes, height, width), got {kind}")
        if not self._index < output.shape[1]:
            raise ValueError(
                f"`class_index` must be in 0 … {output.shape[1] - 1}, as the model has it, got {self._index}"
            )
        weights = self._pixels(output.detach()).to(output)
        weights /= weights.sum(dim=(1, 2), keepdim=True)
        self.probability = self._mean(output.detach().softmax(1), weights).float().cpu().numpy()
        return self._mean(output, weights)

    def _mean(self, values: Tensor, weights: Tensor) -> Tensor:
        return (values[:, self._index] * weights).sum(dim=(1, 2))

    def _pixels(self, logits: Tensor) -> Tensor:
        """Which are explained, bool (N, height, width)."""
        count, _, height, width = logits.shape
        columns, rows = self._shown or (width, height)
        if self._region is None:
            chosen = logits.argmax(1) == self._index
        else:
            left, top, right, bottom = self._region
            if not (0 <= left < right <= columns and 0 <= top < bottom <= rows):
                raise ValueError(
                    f"`region` must be x1, y1, x2, y2 with 0 ≤ x1 < x2 ≤ {columns} and 0 ≤ y1 < y2 ≤ {rows}, got "
                    f"{', '.join(map(str, self._region))}"
                )
            chosen = torch.zeros(count, height, width, dtype=torch.bool, device=logits.device)
            chosen[:, top:bottom, left:right] = True
        chosen[:, rows:] = False
        chosen[:, :, columns:] = False
        if missing := [str(number) for number, one in enumerate(chosen) if not one.any()]:
            raise NothingFoundError(
                f"`class_index` must be a class that is predicted at some pixel of each picture, but class "
                f"{self._index} is not in picture {', '.join(missing)}; give a `region`, or leave the picture out"
            )
        return chosen
