"""Average precision of detections, counted as COCO does, with intervals over images."""

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import final, get_args

import numpy as np
from jaxtyping import Float64, Int64

from gradscape._detections import Detections, Iou, Outputs, Targets
from gradscape._intervals import ConfidenceInterval, resampled_share

__all__ = ["AveragePrecision", "average_precision", "measure_average_precision", "precision_by_image"]

_MOST = 100  # detections of a class in an image
_AREAS = ("all", "small", "medium", "large")
_HALF, _THREE_QUARTERS = 0, 5  # of the thresholds .50, .55 … .95


@final
@dataclass(frozen=True, eq=False)
class AveragePrecision:
    """How well a detector finds what is annotated, in [0, 1]; NaN where nothing is annotated that counts.

    Attributes:
        ap: Average precision, the mean of those at overlaps (IoU) of .50, .55 … .95 and of all classes annotated.
        ap50: That at .50 alone.
        ap75: That at .75 alone.
        ap_small: As `ap`, of what is annotated with an area up to 32² pixels of the original picture.
        ap_medium: Of 32² to 96².
        ap_large: Of 96² and more.
        class_ap: As `ap`, of each class.
        class_boxes: How many boxes of each class are annotated, regions of many left out.
        classes: Names of the classes.
        images: How many images these are of.
        crowds: How many regions of many are annotated: what is found in them is neither right nor wrong.
        not_finite: How many detections were none, since a number of theirs is not finite.
        iou: What had to overlap.
        intervals: Of "ap", "ap50" and "ap75" over images; empty where none were asked for.
    """

    ap: float
    ap50: float
    ap75: float
    ap_small: float
    ap_medium: float
    ap_large: float
    class_ap: Float64[np.ndarray, "classes"]
    class_boxes: Int64[np.ndarray, "classes"]
    classes: tuple[str, ...]
    images: int
    crowds: int
    not_finite: int
    iou: Iou
    intervals: Mapping[str, ConfidenceInterval] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not len(self.class_ap) == len(self.class_boxes) == len(self.classes):
            raise ValueError(
                f"`class_ap` and `class_boxes` must have one entry for each of the {len(self.classes)} classes, got "
                f"{len(self.class_ap)} and {len(self.class_boxes)}"
            )

    @property
    def boxes(self) -> int:
        """How many boxes are annotated, regions of many left out."""
        return int(self.class_boxes.sum())

    @property
    def by_class(self) -> dict[str, float]:
        """Name of a class -> its average precision."""
        return dict(zip(self.classes, self.class_ap.tolist(), strict=True))


def measure_average_precision(
    batches: Iterable[tuple[Outputs, Targets]],
    *,
    classes: Sequence[str],
    iou: Iou = "box",
    resamples: int = 0,
    confidence: float = 0.95,
    seed: int = 0,
) -> AveragePrecision:
    """Measure the average precision of what a detector found.

    Boxes and areas are scaled back to the pixels of the original pictures, in which COCO's sizes are. Masks overlap as
    they lie on the canvases, which COCO's own program would scale back too. Detections of which a number is not finite
    count as none, and are told.

    Args:
        batches: (outputs, targets): a list with a dict for each image, and a dict of tensors.
        classes: Names of the classes.
        iou: "box", or "mask" where both hold masks.
        resamples: How often images are drawn anew for the intervals; 0 for none. 200 give the standard error.
        confidence: Coverage of each interval.
        seed: Of the drawing.

    Raises:
        ValueError: There are no images, or outputs and targets are none of each other.

    Source: Lin et al. 2014 (COCO), as its evaluation program counts; Efron 1979 for standard error and bias.

    Example:
        >>> import torch
        >>> boxes = torch.tensor([[[8.0, 8.0, 40.0, 30.0], [0.0, 0.0, 0.0, 0.0]]])
        >>> targets = {"boxes": boxes, "classes": torch.tensor([[0, -1]]), "scale": torch.ones(1)}
        >>> targets |= {"crowd": torch.zeros(1, 2, dtype=torch.bool), "area": torch.tensor([[700.0, 0.0]])}
        >>> outputs = [{"boxes": boxes[0, :1], "classes": torch.tensor([0]), "scores": torch.tensor([0.9])}]
        >>> measure_average_precision([(outputs, targets)], classes=["cat"]).ap
        1.0
    """
    if iou not in get_args(Iou):
        raise ValueError(f"`iou` must be one of {', '.join(get_args(Iou))}, got {iou!r}")
    collected = Detections(classes, masks=iou == "mask")
    for outputs, targets in batches:
        collected.add(outputs, targets)
    return average_precision(collected, iou=iou, resamples=resamples, confidence=confidence, seed=seed)


def average_precision(
    collected: Detections, *, iou: Iou = "box", resamples: int = 0, confidence: float = 0.95, seed: int = 0
) -> AveragePrecision:
    """Measure the average precision of what was collected; as `measure_average_precision`."""
    matches = _Matches(collected, iou)
    values = matches.precisions()
    crowd = np.array([one["iscrowd"] for one in collected.annotated], dtype=bool)
    numbers = np.array([one["category_id"] for one in collected.annotated], dtype=np.int64)
    by_area = {f"ap_{area}": _mean(values[..., number]) for number, area in enumerate(_AREAS) if number}
    return AveragePrecision(
        **_headlines(values[..., 0]),
        **by_area,
        class_ap=np.array([_mean(one) for one in np.moveaxis(values[..., 0], 2, 0)]),
        class_boxes=np.bincount(numbers[~crowd], minlength=len(collected.classes)).astype(np.int64),
        classes=collected.classes,
        images=len(collected),
        crowds=int(crowd.sum()),
        not_finite=sum(collected.not_finite),
        iou=iou,
        intervals=_intervals(matches, values[..., 0], resamples=resamples, confidence=confidence, seed=seed),
    )


def precision_by_image(collected: Detections, *, iou: Iou = "box") -> Float64[np.ndarray, "images"]:
    """The average precision at an overlap of .50 of each image by itself, over the classes that are annotated in it."""
    matches = _Matches(collected, iou)
    return np.array([_mean(matches.precisions([image])[_HALF, :, :, 0]) for image in range(len(collected))])


@final
class _Matches:
    """Which detections meet which annotations, image by image: found once, and counted for any choice of images."""

    def __init__(self, collected: Detections, iou: Iou) -> None:
        from faster_coco_eval import COCO, COCOeval_faster  # only who measures waits for it

        if not len(collected):
            raise ValueError("`batches` must hold at least one image, got none")
        files = []
        for contents in collected.in_coco_form(iou):
            file = COCO()
            file.dataset = contents
            file.createIndex()
            files.append(file)
        self._program = COCOeval_faster(*files, iouType={"box": "bbox", "mask": "segm"}[iou], separate_eval=True)
        self._program.params.maxDets = [_MOST]
        self._program.evaluate()
        self._all_params, self._images = self._program._paramsEval, len(collected)
        shape = len(collected.classes), len(_AREAS), self._images
        # The program tells nothing of its matches, but counts any list of them that is in its order.
        self._found = np.empty(shape, dtype=object)
        self._found.reshape(-1)[:] = self._program._evalImgs_cpp

    def precisions(self, chosen: Sequence[int] | None = None, areas: int = len(_AREAS)) -> np.ndarray:
        """Precision by overlap, recall, class and area; -1 of classes and areas without an annotation.

        Args:
            chosen: Numbers of the images, one as often as it shall count; by default each once.
            areas: How many of the areas.
        """
        images = np.arange(self._images) if chosen is None else np.asarray(chosen)
        params = copy.copy(self._all_params)
        params.imgIds, params.areaRng, params.areaRngLbl = images.tolist(), params.areaRng[:areas], list(_AREAS[:areas])
        self._program._paramsEval = params
        self._program._evalImgs_cpp = self._found[:, :areas, images].reshape(-1).tolist()
        self._program.accumulate()
        return np.asarray(self._program.eval["precision"])[..., 0]


def _mean(precision: np.ndarray) -> float:
    known = precision[precision > -1]
    return float(known.mean()) if known.size else np.nan


def _headlines(precision: np.ndarray) -> dict[str, float]:
    """The three first numbers of precision by overlap, recall and class."""
    return {"ap": _mean(precision), "ap50": _mean(precision[_HALF]), "ap75": _mean(precision[_THREE_QUARTERS])}


def _intervals(
    matches: _Matches, precision: np.ndarray, *, resamples: int, confidence: float, seed: int
) -> dict[str, ConfidenceInterval]:
    if not resamples:
        return {}
    draws, count = np.random.default_rng(seed), matches._images
    drawn = [
        _headlines(matches.precisions(draws.integers(count, size=count).tolist(), areas=1)[..., 0])
        for _ in range(resamples)
    ]
    # Average precision is higher of fewer images and of repeated ones. Of 40 to 800 images drawn from 3000 made-up
    # ones, 95 % intervals of quantiles held the truth in 45 to 63 %, normal ones in 77 to 85 %, these in 91 to 98.
    return {
        name: resampled_share(value, [one[name] for one in drawn] if count > 1 else [], confidence=confidence)
        for name, value in _headlines(precision).items()
    }
