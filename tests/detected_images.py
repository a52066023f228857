"""Made-up pictures with boxes and what a detector finds in them, on canvases and in the pictures' own pixels."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["annotations_of", "make_detected", "targets_of"]

CLASSES = ("cat", "dog", "bird", "fish")
_CANVAS = 64.0


def targets_of(
    boxes: list[list[float]],
    classes: list[int],
    *,
    scale: float = 1.0,
    crowd: list[bool] | None = None,
    area: list[float] | None = None,
    slots: int | None = None,
) -> dict[str, Tensor]:
    """Annotations of one image: boxes on the canvas; without `area` that of the boxes in the original."""
    count = len(boxes)
    slots = slots or max(count, 1)
    measured = [(box[2] - box[0]) * (box[3] - box[1]) / scale**2 for box in boxes]
    targets = {
        "boxes": torch.zeros(1, slots, 4),
        "classes": torch.full((1, slots), -1),
        "crowd": torch.zeros(1, slots, dtype=torch.bool),
        "area": torch.zeros(1, slots),
        "scale": torch.tensor([scale]),
    }
    if count:
        targets["boxes"][0, :count] = torch.tensor(boxes)
        targets["classes"][0, :count] = torch.tensor(classes)
        targets["crowd"][0, :count] = torch.tensor(crowd or [False] * count)
        targets["area"][0, :count] = torch.tensor(area or measured)
    return targets


def make_detected(images: int = 12, *, seed: int = 0) -> list[tuple[list[dict[str, Tensor]], dict[str, Tensor]]]:
    """Batches of one image each: boxes of all sizes, some of them crowds, found more or less well, and much else."""
    random = np.random.default_rng(seed)
    batches = []
    for image in range(images):
        count = int(random.integers(0, 6)) if image else 4
        scale = float(np.float32(_CANVAS / random.integers(150, 700)))
        boxes = _random_boxes(random, count)
        classes = random.integers(len(CLASSES) - 1, size=count)  # nothing of the last class is annotated
        crowd = random.random(count) < 0.2
        area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) / scale**2 * random.uniform(0.4, 1, count)
        told = targets_of(
            boxes.tolist(), classes.tolist(), scale=scale, crowd=crowd.tolist(), area=area.tolist(), slots=7
        )
        near = boxes.repeat(3, axis=0) + random.normal(size=(3 * count, 4)) * 0.8
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 0.5)
        found = np.concatenate([near, _random_boxes(random, 6)])
        numbers = np.concatenate([classes.repeat(3), random.integers(len(CLASSES), size=6)])
        numbers = np.where(random.random(len(numbers)) < 0.1, (numbers + 1) % len(CLASSES), numbers)
        output = {
            "boxes": torch.tensor(found, dtype=torch.float32),
            "classes": torch.tensor(numbers),
            "scores": torch.tensor(random.random(len(found)), dtype=torch.float32),
        }
        batches.append(([output], told))
    return batches


def annotations_of(
    batches: list[tuple[list[dict[str, Tensor]], dict[str, Tensor]]],
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What is annotated and what is found, one row each, in the pixels of the originals."""
    annotated: list[dict[str, Any]] = []
    detected: list[dict[str, Any]] = []
    for image, ([output], targets) in enumerate(batches):
        scale = targets["scale"].double()
        for slot in range(targets["classes"].shape[1]):
            if (number := int(targets["classes"][0, slot])) >= 0:
                box = (targets["boxes"][0, slot].double() / scale).tolist()
                about = {"crowd": bool(targets["crowd"][0, slot]), "area": float(targets["area"][0, slot])}
                annotated.append({"image": image, "number": number, "box": box, **about})
        for row in range(len(output["scores"])):
            box = (output["boxes"][row].double() / scale).tolist()
            about = {"number": int(output["classes"][row]), "score": float(output["scores"][row])}
            detected.append({"image": image, "box": box, **about})
    return annotated, detected


def _random_boxes(random: np.random.Generator, count: int) -> np.ndarray:
    sides = np.exp(random.uniform(np.log(2), np.log(36), size=(count, 2)))
    corners = random.uniform(0, 1, size=(count, 2)) * (_CANVAS - sides)
    return np.concatenate([corners, corners + sides], axis=1)
