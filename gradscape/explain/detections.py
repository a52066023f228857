"""Where in a picture features speak for a box that a detector found there."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork

from gradscape._left_as_before import left_as_before
from gradscape.explain.cam import heatmaps
from gradscape.explain.explainable import call_model, explainable, images_for
from gradscape.explain.explained import NothingFoundError, own_class
from gradscape.explain.heatmap import Heatmaps
from gradscape.explain.target_layer import layer_names
from gradscape.explain.weightings import check_weighting

__all__ = ["ExplainedDetection", "explain_detection"]

_LEAST = 1e-6  # a score of 0 or 1 has no finite logit


@final
@dataclass(frozen=True, eq=False)
class ExplainedDetection:
    """A box that was found in a picture, and what speaks for it.

    Attributes:
        box: (4,) float32: x1, y1, x2, y2 in pixels.
        class_index: Its class.
        score: How sure the detector is of it, in [0, 1].
        heatmaps: Method -> map of this one picture, at the level of the feature pyramid that the box comes from, which
            `target_layer` names.
    """

    box: np.ndarray
    class_index: int
    score: float
    heatmaps: Mapping[str, Heatmaps]


@left_as_before
def explain_detection(
    model: nn.Module,
    image: Float[Tensor, "1 channels height width"],
    *,
    method: Sequence[str] = ("hirescam",),
    detection: int = 0,
    class_index: int | str | None = None,
) -> ExplainedDetection:
    """Explain one of the boxes that a detector finds in a picture, by the logit of its score.

    A box comes from one level of the feature pyramid: the one that its score has a gradient at, which is measured, and
    named in the result. HiResCAM weighs each place by its own gradient, and so stays with the box; Grad-CAM, which
    averages gradients over the whole map, also lights up what looks alike elsewhere.

    Args:
        model: A detector with a feature pyramid of torchvision's: gives for each image a dict of `boxes`, `scores` and
            `classes` (or torchvision's `labels`), the surest first.
        image: One picture, as the model takes it.
        method: Names of methods that come from one shared pass, see `list_methods`.
        detection: Which box, from 0, the surest.
        class_index: Only boxes of this class are counted; a name too, where the model is a loaded checkpoint.

    Raises:
        NothingFoundError: So many boxes, a kind of `ValueError`.
        ValueError: A method or class is unknown, there is no feature pyramid, or no level leads to the score.

    Source: Draelos and Carin, 2020 (arXiv 2011.08891), for HiResCAM; Lin et al., 2017 (arXiv 1612.03144), for levels.

    Example:
        >>> import torch
        >>> from gradscape.models import create_model
        >>> net = create_model("fcos:resnet18", num_classes=3, image_size=64).eval()
        >>> net.detector.score_thresh = 0.0  # before training it is sure of nothing
        >>> explained = explain_detection(net, torch.rand(1, 3, 64, 64))
        >>> explained.box.shape, "fpn.layer_blocks" in explained.heatmaps["hirescam"].target_layer
        ((4,), True)
    """
    for name in method:
        check_weighting(name)
    if detection < 0:
        raise ValueError(f"`detection` must be a number from 0, the surest, got {detection}")
    pick = _Pick(detection, own_class(model, class_index))
    level, found = _level_of(model, image, pick)
    maps = heatmaps(model, image, method=list(method), target_layer=level, score=pick)
    number, score = np.array([found.class_index]), np.array([found.score], np.float32)
    return replace(
        found, heatmaps={name: replace(one, class_index=number, probability=score) for name, one in maps.items()}
    )


@final
class _Pick:
    """From a detector's output for one picture to the logit of one box's score, (1,).

    Args:
        detection: Which, from the surest.
        class_index: Of which class; None for any.
    """

    def __init__(self, detection: int, class_index: int | None) -> None:
        self._detection, self._class_index = detection, class_index

    def __call__(self, output: Any) -> Tensor:
        found = _one_picture(output)
        return torch.logit(found["scores"][self.place(found)], _LEAST)[None]

    def place(self, found: Mapping[str, Tensor]) -> int:
        """Which of the boxes it is.

        Raises:
            NothingFoundError: There are not so many.
        """
        classes = found["classes"] if "classes" in found else found["labels"]
        order = found["scores"].argsort(descending=True, stable=True).tolist()
        counted = [one for one in order if self._class_index is None or int(classes[one]) == self._class_index]
        if self._detection >= len(counted):
            kind = "" if self._class_index is None else f" of class {self._class_index}"
            raise NothingFoundError(
                f"`detection` must be one of the boxes{kind} that are found in the picture, from 0, but these are "
                f"{len(counted)}, got {self._detection}"
            )
        return counted[self._detection]

    def named(self, output: Any) -> ExplainedDetection:
        """The box, before it is explained."""
        found = _one_picture(output)
        place = self.place(found)
        classes = found["classes"] if "classes" in found else found["labels"]
        box = found["boxes"][place].detach().float().cpu().numpy()
        return ExplainedDetection(box, int(classes[place]), float(found["scores"][place].detach()), {})


def _one_picture(output: Any) -> Mapping[str, Tensor]:
    if not isinstance(output, list | tuple) or len(output) != 1 or not isinstance(output[0], Mapping):
        raise ValueError(
            "`model` must be a detector, which gives a dict of boxes, scores and classes for each picture, got "
            f"{type(output).__name__}"
        )
    return output[0]


def _level_of(model: nn.Module, image: Tensor, pick: _Pick) -> tuple[str, ExplainedDetection]:
    """The level that a box comes from, and the box."""
    levels = _levels(model)
    seen: dict[str, Tensor] = {}

    def hook(name: str) -> Callable[..., Tensor]:
        def listen(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
            seen[name] = output if output.requires_grad else output.detach().requires_grad_()
            return seen[name]

        return listen

    with explainable(model), ExitStack() as hooks:
        for name, module in levels.items():
            hooks.callback(module.register_forward_hook(hook(name)).remove)
        output = call_model(model, images_for(model, image))
        gradients: tuple[Tensor | None, ...] = torch.autograd.grad(
            pick(output).sum(), list(seen.values()), allow_unused=True
        )
    reached = [name for name, one in zip(seen, gradients, strict=True) if one is not None and one.any()]
    if not reached:
        raise ValueError("`model` must lead from its feature pyramid to the score of the box, but no gradient arrives")
    return reached[-1], pick.named(output)  # coarser levels are made of finer ones, which then have a gradient too


def _levels(model: nn.Module) -> dict[str, nn.Module]:
    """The modules that give the levels of the feature pyramid, by name."""
    pyramids = [module for module in model.modules() if isinstance(module, FeaturePyramidNetwork)]
    if len(pyramids) != 1:
        raise ValueError(
            f"`model` must have one feature pyramid of torchvision's, which boxes come from, got {len(pyramids)}"
        )
    extra = pyramids[0].extra_blocks
    wanted = {id(module) for module in (*pyramids[0].layer_blocks, *(extra.children() if extra else ()))}
    return {name: module for name, module in layer_names(model).items() if id(module) in wanted}
