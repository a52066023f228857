"""The public functions of detectors and segmenters, with networks around the one that is watched."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork

from gradscape import explain, studies
from gradscape._checkpoint import Classifier
from gradscape.data import Pictures
from tests.aborts.networks import CLASSES
from tests.aborts.trip import Trip

__all__ = ["PLACES"]

Job = Callable[[nn.Module, Trip], object]

_SIDE, _COUNT, _SLOTS = 8, 4, 2
_NAMES = tuple(str(number) for number in range(CLASSES))
with torch.random.fork_rng(devices=[]):
    _PYRAMID = FeaturePyramidNetwork([3], CLASSES)


class _Finder(nn.Module):
    """Finds two boxes in every picture, as sure as the network's first logits are high."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.fpn = inner, _PYRAMID

    def forward(self, images: Tensor) -> list[dict[str, Tensor]]:
        level = self.fpn(OrderedDict(finest=images.float()))["finest"].mean((2, 3))
        scores = (self.inner(images).float() + level)[:, :_SLOTS].sigmoid()
        boxes = torch.tensor([[1.0, 1, 4, 4], [2, 2, 7, 7]])
        return [{"boxes": boxes, "classes": torch.arange(_SLOTS), "scores": one} for one in scores]


class _Painter(nn.Module):
    """Gives every pixel the network's logits."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, images: Tensor) -> Tensor:
        return self.inner(images)[:, :, None, None] + images.mean(1, keepdim=True)


class _Split:
    """Pictures with boxes, or with a class for each pixel."""

    name, split, classes, held_out = "scenes", "test", _NAMES, None
    num_images = population = batch_size = _COUNT
    image_size = _SIDE

    def __init__(self, model: nn.Module, trip: Trip, *, pixels: bool = False) -> None:
        self._images, self._trip, self._pixels = _images(model), trip, pixels

    def __iter__(self) -> Iterator[tuple[Tensor, Any]]:
        self._trip.met("data")
        labels = torch.arange(_SIDE).expand(_COUNT, _SIDE, _SIDE) % CLASSES
        yield self._images, labels if self._pixels else _targets()


def _images(model: nn.Module) -> Tensor:
    dtype = next(model.parameters()).dtype
    return torch.rand(_COUNT, 3, _SIDE, _SIDE, generator=torch.Generator().manual_seed(1)).to(dtype)


def _targets() -> dict[str, Tensor]:
    return {
        "boxes": torch.tensor([[1.0, 1, 5, 5], [0, 0, 0, 0]]).expand(_COUNT, _SLOTS, 4),
        "classes": torch.tensor([0, -1]).expand(_COUNT, _SLOTS),
        "crowd": torch.zeros(_COUNT, _SLOTS, dtype=torch.bool),
        "area": torch.tensor([16.0, 0]).expand(_COUNT, _SLOTS),
        "scale": torch.ones(_COUNT),
    }


def _classifier(network: nn.Module) -> Classifier:
    about = {"name": "net", "num_classes": CLASSES, "image_size": _SIDE, "labels": None}
    return Classifier(network, {**about, "mean": [0.5] * 3, "std": [0.25] * 3})


def _pictures(model: nn.Module) -> Pictures:
    return Pictures(_images(model)[:1], ("one",))


def _detected(model: nn.Module, trip: Trip) -> object:
    return studies.evaluate_detector(_Finder(model), _Split(model, trip), report=lambda *_: trip.met("report"))


def _segmented(model: nn.Module, trip: Trip) -> object:
    split = _Split(model, trip, pixels=True)
    return studies.evaluate_segmenter(_Painter(model), split, report=lambda *_: trip.met("report"))


def _explained_box(model: nn.Module, _trip: Trip) -> object:
    return explain.explain_detection(_Finder(model), _images(model)[:1])


def _explained_pixels(model: nn.Module, _trip: Trip) -> object:
    return explain.explain_pixels(
        _Painter(model), _images(model), class_index=1, region=(0, 0, 4, 4), target_layer="inner.mixed"
    )


def _explained_boxes(model: nn.Module, _trip: Trip) -> object:
    return studies.explain_boxes({"net": _classifier(_Finder(model))}, _pictures(model))


PLACES: dict[str, tuple[str, Job, float]] = {
    "detector": ("studies.evaluate_detector", _detected, 0.1),
    "segmenter": ("studies.evaluate_segmenter", _segmented, 0.2),
    "box": ("explain.explain_detection", _explained_box, 0.5),
    "pixels": ("explain.explain_pixels", _explained_pixels, 0.5),
    "boxes of pictures": ("studies.explain_boxes", _explained_boxes, 0.2),
}
