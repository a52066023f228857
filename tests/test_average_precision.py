"""Average precision: as COCO counts it, of the original pictures' sizes, and with intervals that hold."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torchmetrics.detection import MeanAveragePrecision

from gradscape._average_precision import AveragePrecision, measure_average_precision, precision_by_image
from gradscape._detections import Detections
from tests.coco_slowly import THRESHOLDS, precision_slowly
from tests.detected_images import CLASSES, annotations_of, make_detected, targets_of

SIZES = {"ap_small": (0, 32.0**2), "ap_medium": (32.0**2, 96.0**2), "ap_large": (96.0**2, 1e10)}
BOX = [4.0, 6.0, 44.0, 36.0]


def _found(boxes: list[list[float]], classes: list[int], scores: list[float]) -> list[dict[str, Tensor]]:
    told = {"boxes": torch.tensor(boxes).reshape(-1, 4), "classes": torch.tensor(classes, dtype=torch.int64)}
    return [{**told, "scores": torch.tensor(scores)}]


def test_every_number_is_that_of_a_slow_count() -> None:
    batches = make_detected()
    annotated, detected = annotations_of(batches)
    measured = measure_average_precision(batches, classes=CLASSES)
    every = range(len(CLASSES))
    table = np.array(
        [[precision_slowly(annotated, detected, number, threshold=one) for one in THRESHOLDS] for number in every]
    )
    np.testing.assert_allclose(measured.class_ap, table.mean(1), rtol=0, atol=1e-9)
    assert measured.ap == pytest.approx(np.nanmean(table), abs=1e-9)
    assert measured.ap50 == pytest.approx(np.nanmean(table[:, 0]), abs=1e-9)
    assert measured.ap75 == pytest.approx(np.nanmean(table[:, 5]), abs=1e-9)
    for name, sizes in SIZES.items():
        of_size = [
            [precision_slowly(annotated, detected, number, threshold=one, sizes=sizes) for one in THRESHOLDS]
            for number in every
        ]
        assert getattr(measured, name) == pytest.approx(np.nanmean(of_size), abs=1e-9)
    assert 0.2 < measured.ap < 0.9
    assert (measured.images, measured.crowds) == (12, sum(one["crowd"] for one in annotated))
    assert measured.boxes == len(annotated) - measured.crowds


def test_torchmetrics_own_example_gives_its_printed_numbers() -> None:
    outputs = _found([[258.0, 41.0, 606.0, 285.0]], [0], [0.536])
    targets = targets_of([[214.0, 41.0, 562.0, 285.0]], [0])
    measured = measure_average_precision([(outputs, targets)], classes=["thing"])
    assert measured.ap == pytest.approx(0.6, abs=1e-9)
    assert (measured.ap50, measured.ap75, measured.ap_large) == pytest.approx((1, 1, 0.6), abs=1e-9)
    assert np.isnan([measured.ap_small, measured.ap_medium]).all()


def test_torchmetrics_gives_the_same_in_single_precision() -> None:
    batches = make_detected(seed=3)
    metric = MeanAveragePrecision(backend="faster_coco_eval", class_metrics=True)
    for [output], targets in batches:
        there, scale = targets["classes"][0] >= 0, targets["scale"]
        metric.update(
            [{"boxes": output["boxes"] / scale, "labels": output["classes"], "scores": output["scores"]}],
            [
                {
                    "boxes": targets["boxes"][0][there] / scale,
                    "labels": targets["classes"][0][there],
                    "iscrowd": targets["crowd"][0][there].int(),
                    "area": targets["area"][0][there],
                }
            ],
        )
    theirs, measured = metric.compute(), measure_average_precision(batches, classes=CLASSES)
    for name, ours in {"map": "ap", "map_50": "ap50", "map_75": "ap75", "map_small": "ap_small"}.items():
        assert float(theirs[name]) == pytest.approx(getattr(measured, ours), abs=1e-7)
    known = np.where(theirs["map_per_class"].numpy() < 0, np.nan, theirs["map_per_class"].numpy())
    np.testing.assert_allclose(measured.class_ap, known, rtol=0, atol=1e-7)


def test_perfect_detections_have_an_average_precision_of_one() -> None:
    boxes = [BOX, [50.0, 2.0, 60.0, 12.0]]
    measured = measure_average_precision(
        [(_found(boxes, [0, 2], [0.9, 0.1]), targets_of(boxes, [0, 2]))], classes=CLASSES
    )
    assert (measured.ap, measured.ap50, measured.ap75) == (1, 1, 1)
    assert measured.by_class == pytest.approx({"cat": 1, "dog": np.nan, "bird": 1, "fish": np.nan}, nan_ok=True)


def test_a_box_of_the_wrong_class_is_missed_in_the_right_one_and_costs_nothing_where_none_is_annotated() -> None:
    boxes = [BOX, [50.0, 2.0, 60.0, 12.0]]
    measured = measure_average_precision(
        [(_found(boxes, [0, 3], [0.9, 0.8]), targets_of(boxes, [0, 2]))], classes=CLASSES
    )
    assert measured.ap == 0.5
    assert (measured.by_class["cat"], measured.by_class["bird"]) == (1, 0)


def test_a_false_box_above_the_right_one_halves_precision() -> None:
    outputs = _found([[50.0, 50.0, 60.0, 60.0], BOX], [0, 0], [0.9, 0.8])
    assert measure_average_precision([(outputs, targets_of([BOX], [0]))], classes=CLASSES).ap == 0.5


def test_what_is_found_in_a_crowd_is_neither_right_nor_wrong() -> None:
    crowd = [48.0, 0.0, 64.0, 64.0]
    outputs = _found([[50.0, 10.0, 60.0, 20.0], BOX], [0, 0], [0.9, 0.8])
    targets = targets_of([BOX, crowd], [0, 0], crowd=[False, True])
    measured = measure_average_precision([(outputs, targets)], classes=CLASSES)
    assert (measured.ap, measured.boxes, measured.crowds) == (1, 1, 1)


@pytest.mark.parametrize(("scale", "name"), [(1.0, "ap_small"), (0.5, "ap_medium"), (0.1, "ap_large")])
def test_sizes_are_those_of_the_original_picture_and_not_of_the_canvas(scale: float, name: str) -> None:
    box = [10.0, 10.0, 34.0, 40.0]  # 720 pixels of the canvas
    measured = measure_average_precision(
        [(_found([box], [1], [0.7]), targets_of([box], [1], scale=scale))], classes=CLASSES
    )
    assert {one: getattr(measured, one) for one in SIZES} == pytest.approx(
        {one: 1.0 if one == name else np.nan for one in SIZES}, nan_ok=True
    )


def test_an_annotated_area_decides_over_that_of_the_box() -> None:
    targets = targets_of([BOX], [0], area=[500.0])  # the box has 1200
    measured = measure_average_precision([(_found([BOX], [0], [0.7]), targets)], classes=CLASSES)
    assert measured.ap_small == 1
    assert np.isnan(measured.ap_medium)


def test_detections_that_are_not_finite_count_as_none_and_are_told() -> None:
    boxes = [BOX, [50.0, 2.0, 60.0, 12.0], BOX]
    targets = targets_of(boxes[:2], [0, 0])
    outputs = _found(boxes, [0, 0, 0], [0.9, float("nan"), 0.5])
    outputs[0]["boxes"][2, 0] = float("inf")
    measured = measure_average_precision([(outputs, targets)], classes=CLASSES)
    assert measured.not_finite == 2
    assert measured.ap == measure_average_precision([(_found([BOX], [0], [0.9]), targets)], classes=CLASSES).ap


def test_an_image_where_nothing_is_annotated_counts_by_what_is_found_there() -> None:
    alone = [(_found([BOX], [0], [0.8]), targets_of([BOX], [0]))]
    empty = (_found([BOX], [0], [0.9]), targets_of([], []))
    assert measure_average_precision([*alone, empty], classes=CLASSES).ap == 0.5
    assert measure_average_precision([*alone, (_found([], [], []), targets_of([], []))], classes=CLASSES).ap == 1
    assert np.isnan(measure_average_precision([empty], classes=CLASSES).ap)


def test_masks_overlap_by_their_pixels_and_not_by_their_boxes() -> None:
    box = [8.0, 8.0, 40.0, 40.0]
    whole = torch.zeros(1, 64, 64, dtype=torch.bool)
    whole[0, 8:40, 8:40] = True
    part = whole.float() * 0.9
    part[0, 8:16] = 0.4  # three quarters are left
    targets = {**targets_of([box], [0]), "masks": whole[None]}
    outputs = [{**_found([box], [0], [0.9])[0], "masks": part}]
    by_box, by_mask = (
        measure_average_precision([(outputs, targets)], classes=CLASSES, iou=iou) for iou in ("box", "mask")
    )
    assert [by_box.ap, by_mask.ap] == pytest.approx([1, 0.6])  # .50 to .75 of ten thresholds
    assert by_mask.iou == "mask"


def test_the_sizes_of_masks_are_those_of_the_original_picture() -> None:
    box, mask = [8.0, 8.0, 40.0, 40.0], torch.zeros(1, 64, 64)
    mask[0, 8:40, 8:40] = 1
    targets = {**targets_of([[50.0, 50.0, 60.0, 60.0]], [0], scale=0.25), "masks": torch.zeros(1, 1, 64, 64)}
    targets["masks"][0, 0, 50:60, 50:60] = 1
    outputs = [{**_found([box], [0], [0.9])[0], "masks": mask}]
    right = [{**_found([[50.0, 50.0, 60.0, 60.0]], [0], [0.8])[0], "masks": targets["masks"][0]}]
    both = [{name: torch.cat([outputs[0][name], right[0][name]]) for name in outputs[0]}]
    measured = measure_average_precision([(both, targets)], classes=CLASSES, iou="mask")
    assert (measured.ap, measured.ap_medium) == (0.5, 1)  # 1600 pixels; the wrong one has 16384


def test_intervals_are_those_of_plainly_drawn_images() -> None:
    batches = make_detected(8)
    measured = measure_average_precision(batches, classes=CLASSES, resamples=20, seed=5)
    draws = np.random.default_rng(5)
    drawn = [
        measure_average_precision([batches[image] for image in draws.integers(8, size=8)], classes=CLASSES).ap
        for _ in range(20)
    ]
    found = measured.intervals["ap"]
    half = 1.959963984540054 * np.std(drawn, ddof=1)
    middle = 2 * measured.ap - np.mean(drawn)
    assert found.value == measured.ap
    assert (found.low, found.high) == pytest.approx((max(0, middle - half), min(1, middle + half)), abs=1e-9)
    assert measure_average_precision(batches, classes=CLASSES).intervals == {}
    alone = measure_average_precision(batches[:1], classes=CLASSES, resamples=3)
    assert np.isnan(alone.intervals["ap"].low)


def test_an_image_by_itself_has_the_precision_that_it_has_alone() -> None:
    batches, collected = make_detected(6), Detections(CLASSES)
    for batch in batches:
        collected.add(*batch)
    alone = [measure_average_precision([batch], classes=CLASSES).ap50 for batch in batches]
    np.testing.assert_allclose(precision_by_image(collected), alone, rtol=0, atol=1e-12)


def test_batches_of_several_images_are_the_same_as_single_ones() -> None:
    batches = make_detected(4)
    outputs = [output for one, _ in batches for output in one]
    targets = {name: torch.cat([told[name] for _, told in batches]) for name in batches[0][1]}
    together = measure_average_precision([(outputs, targets)], classes=CLASSES)
    assert together.ap == measure_average_precision(batches, classes=CLASSES).ap


def test_what_is_no_output_or_annotation_is_refused() -> None:
    outputs, targets = _found([BOX], [0], [0.9]), targets_of([BOX], [0])

    def refused(match: str, outputs: list[dict[str, Tensor]] = outputs, targets: dict[str, Tensor] = targets) -> None:
        with pytest.raises(ValueError, match=match):
            measure_average_precision([(outputs, targets)], classes=CLASSES)

    refused("`outputs` must hold a dict for each of the 1 images of `targets`, got 2", outputs * 2)
    unscored = [{name: one for name, one in outputs[0].items() if name != "scores"}]
    refused("`outputs` must hold boxes, classes, scores, but lacks scores", unscored)
    refused("`outputs` must hold classes from 0 to 3, got 4 to 4", _found([BOX], [4], [0.9]))
    refused("`outputs` must hold as many boxes, classes, scores of an image, got 1, 1, 2", _found([BOX], [0], [0.9, 1]))
    refused("with x1 ≤ x2 and y1 ≤ y2, got .*; give corners", _found([[40.0, 30.0, 8.0, 9.0]], [0], [0.9]))
    refused("`targets` must hold classes from 0 to 3, got 7 to 7", targets={**targets, "classes": torch.tensor([[7]])})
    refused("`targets` must say .* got the scale 0", targets={**targets, "scale": torch.zeros(1)})
    with pytest.raises(ValueError, match="`batches` must hold at least one image, got none"):
        measure_average_precision([], classes=CLASSES)
    with pytest.raises(ValueError, match="`classes` must name at least one class"):
        measure_average_precision([(outputs, targets)], classes=[])
    with pytest.raises(ValueError, match="`outputs` must hold boxes, classes, scores, masks, but lacks masks"):
        measure_average_precision(
            [(outputs, {**targets, "masks": torch.zeros(1, 1, 8, 8)})], classes=CLASSES, iou="mask"
        )


def test_numbers_of_other_classes_are_refused() -> None:
    measured: AveragePrecision = measure_average_precision(make_detected(2), classes=CLASSES)
    with pytest.raises(ValueError, match="`class_ap` and `class_boxes` must have one entry for each of the 2 classes"):
        replace(measured, classes=("cat", "dog"))
