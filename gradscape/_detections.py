"""What a detector found in pictures beside what is annotated there: in the pictures' own pixels, and in COCO's form."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, final

import numpy as np
import torch
from torch import Tensor

__all__ = ["Detections", "Iou", "Outputs", "Targets"]

Iou = Literal["box", "mask"]
"""What must overlap: boxes or masks."""

Outputs = Sequence[Mapping[str, Tensor]]
"""A detector's: of each image `boxes` (K, 4), `classes` (K,), `scores` (K,), and of some `masks` (K, S, S)."""

Targets = Mapping[str, Tensor]
"""Annotations of N images: `boxes` (N, M, 4), `classes` and `crowd` and `area` (N, M), `scale` (N,), maybe `masks`."""

_LIKELY = 0.5  # pixels above it are the object's, as in torchvision's references


@final
class Detections:
    """Detections and annotations of images, collected batch by batch.

    A detection of which a number is not finite counts as none: what it may stand for was not found. Masks are kept as
    run lengths.

    Args:
        classes: Names of the classes, which both detections and annotations count from 0.
        masks: Whether masks are collected too.

    Attributes:
        annotated: Annotations as COCO's files hold them.
        detected: Detections in the same way, with the area of box and of mask.
        not_finite: Of each image how many detections were left out.
    """

    def __init__(self, classes: Sequence[str], *, masks: bool = False) -> None:
        if not classes:
            raise ValueError("`classes` must name at least one class, got none; give the names of the data's classes")
        self.classes = tuple(classes)
        self.masks = masks
        self.annotated: list[dict[str, Any]] = []
        self.detected: list[dict[str, Any]] = []
        self.not_finite: list[int] = []
        self._sides: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return len(self.not_finite)

    @torch.no_grad()
    def add(self, outputs: Outputs, targets: Targets) -> None:
        """Add a batch.

        Args:
            outputs: What was found, in pixels of the canvases.
            targets: What is annotated, in the same pixels, with its area in the pictures' own.

        Raises:
            ValueError: They are not of as many images, lack something, or hold what is no box, class or scale.
        """
        found, known = ["boxes", "classes", "scores"], ["boxes", "classes", "crowd", "area", "scale"]
        if self.masks:
            found, known = [*found, "masks"], [*known, "masks"]
        _check_complete("targets", targets, known)
        if len(outputs) != len(targets["boxes"]):
            raise ValueError(
                f"`outputs` must hold a dict for each of the {len(targets['boxes'])} images of `targets`, got "
                f"{len(outputs)}; give the detector the same images"
            )
        for number, output in enumerate(outputs):
            _check_complete("outputs", output, found)
            target = {name: targets[name][number].cpu() for name in known}
            scale = float(target["scale"])
            if not 0 < scale < np.inf:
                raise ValueError(
                    f"`targets` must say with how many pixels of the canvas a picture's pixel is drawn, got the scale "
                    f"{scale:g}; it is the canvas's longer side over the picture's"
                )
            self._annotate({name: target[name] for name in known if name != "scale"}, scale)
            self._detect({name: output[name].cpu() for name in found}, scale)

    def in_coco_form(self, iou: Iou) -> tuple[dict[str, Any], dict[str, Any]]:
        """Annotations and detections as the contents of COCO's files.

        Args:
            iou: What the area of a detection is that of.

        Raises:
            ValueError: Masks are asked for and were not collected.
        """
        if iou == "mask" and not self.masks:
            raise ValueError("`iou` must be 'box' where masks were not collected, got 'mask'; collect with masks=True")
        about = {
            "images": [{"id": image, "height": high, "width": wide} for image, (high, wide) in enumerate(self._sides)],
            "categories": [{"id": number, "name": name} for number, name in enumerate(self.classes)],
        }
        annotated = [dict(one) for one in self.annotated]  # who evaluates writes into them
        detected = [{**one, "area": one[f"{iou}_area"]} for one in self.detected]
        return {**about, "annotations": annotated}, {**about, "annotations": detected}

    def _annotate(self, target: Mapping[str, Tensor], scale: float) -> None:
        there = target["classes"] >= 0
        target = {name: tensor[there] for name, tensor in target.items()}
        shapes = self._shapes("targets", target, scale)
        self._sides.append((target["masks"].shape[1], target["masks"].shape[2]) if self.masks else (0, 0))
        for shape, crowd, area in zip(shapes, target["crowd"].tolist(), target["area"].tolist(), strict=True):
            about = {"id": len(self.annotated) + 1, "image_id": len(self)}  # COCO's matches take 0 for none
            self.annotated.append({**about, **shape, "iscrowd": int(crowd), "area": area})

    def _detect(self, output: Mapping[str, Tensor], scale: float) -> None:
        finite = torch.stack([torch.isfinite(one).all(1) for one in _columns(output)]).all(0)
        output = {name: tensor[finite] for name, tensor in output.items()}
        for shape, score in zip(self._shapes("outputs", output, scale), output["scores"].tolist(), strict=True):
            about = {"id": len(self.detected) + 1, "image_id": len(self)}
            self.detected.append({**about, **shape, "score": score, "iscrowd": 0})
        self.not_finite.append(int((~finite).sum()))

    def _shapes(self, argument: str, held: Mapping[str, Tensor], scale: float) -> list[dict[str, Any]]:
        """Class, box and mask of each, with their areas, in the picture's pixels."""
        boxes, classes = held["boxes"].double() / scale, held["classes"]
        if len(classes) and not 0 <= int(classes.min()) <= int(classes.max()) < len(self.classes):
            raise ValueError(
                f"`{argument}` must hold classes from 0 to {len(self.classes) - 1}, got {int(classes.min())} to "
                f"{int(classes.max())}; count them as `classes` does"
            )
        sides = boxes[:, 2:] - boxes[:, :2]
        if not bool((sides >= 0).all()):
            raise ValueError(
                f"`{argument}` must hold boxes as x1, y1, x2, y2 with x1 ≤ x2 and y1 ≤ y2, got "
                f"{boxes[(sides < 0).any(1) | sides.isnan().any(1)][0].tolist()}; give corners, not sizes"
            )
        placed = torch.cat([boxes[:, :2], sides], dim=1).tolist()
        shapes: list[dict[str, Any]] = [
            {"category_id": number, "bbox": box, "box_area": box[2] * box[3]}
            for number, box in zip(classes.tolist(), placed, strict=True)
        ]
        if self.masks:
            masks = held["masks"] > _LIKELY if held["masks"].is_floating_point() else held["masks"]
            for shape, mask, pixels in zip(shapes, _run_lengths(masks), masks.sum((1, 2)).tolist(), strict=True):
                shape.update(segmentation=mask, mask_area=pixels / scale**2)
        return shapes


def _columns(output: Mapping[str, Tensor]) -> list[Tensor]:
    """What of a detector's output may be not finite, a row for each detection."""
    counts = {name: len(tensor) for name, tensor in output.items()}
    if len(set(counts.values())) > 1:
        raise ValueError(
            f"`outputs` must hold as many {', '.join(counts)} of an image, got {', '.join(map(str, counts.values()))}; "
            "leave a detection out of all or of none"
        )
    return [output[name][:, None].flatten(1) for name in ("boxes", "scores", "masks") if name in output]


def _check_complete(argument: str, held: Mapping[str, Tensor], needed: Sequence[str]) -> None:
    if lacking := [name for name in needed if name not in held]:
        raise ValueError(
            f"`{argument}` must hold {', '.join(needed)}, but lacks {', '.join(lacking)}; it holds {', '.join(held)}"
        )


def _run_lengths(masks: Tensor) -> list[dict[str, Any]]:
    from faster_coco_eval import mask  # only who measures masks waits for it

    return mask.encode(np.asfortranarray(masks.permute(1, 2, 0).numpy().astype(np.uint8))) if len(masks) else []
