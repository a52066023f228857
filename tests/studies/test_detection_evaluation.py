"""Detectors evaluated on a split: what is measured, what is refused, and what lies in the folder."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gradscape._average_precision import measure_average_precision
from gradscape._digest import digest_model, digest_tensors
from gradscape.data.split import HeldOut
from gradscape.models import Classifier
from gradscape.studies.detection_evaluation import DetectionEvaluation, evaluate_detector
from gradscape.studies.detection_files import (
    PRECISION_HEADINGS,
    describe_detections,
    save_detections,
    tabulate_precision,
)
from tests.detected_images import CLASSES, make_detected, targets_of

SIDE = 64


@dataclass(frozen=True)
class MadeUp:
    """A split whose images say by their first pixel which they are."""

    annotated: list[dict[str, Tensor]]
    name: str = "made_up"
    split: str = "val"
    population: int = 100
    batch_size: int = 3
    image_size: int = SIDE
    classes: tuple[str, ...] = CLASSES
    held_out: HeldOut | None = None

    @property
    def num_images(self) -> int:
        return len(self.annotated)

    @property
    def images(self) -> Tensor:
        return torch.stack([torch.full((3, SIDE, SIDE), number / 256) for number in range(self.num_images)])

    def __iter__(self) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
        for start in range(0, self.num_images, self.batch_size):
            part = self.annotated[start : start + self.batch_size]
            batch = {name: torch.cat([one[name] for one in part]) for name in part[0]}
            yield self.images[start : start + self.batch_size], batch


class Knowing(nn.Module):
    """Gives for each image what it was told, and only in `eval()`."""

    def __init__(self, outputs: list[dict[str, Tensor]]) -> None:
        super().__init__()
        self.outputs = outputs
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, images: Tensor) -> Any:
        assert not self.training
        assert not torch.is_grad_enabled()
        return [self.outputs[round(float(image[0, 0, 0]) * 256)] for image in images]


@pytest.fixture(scope="module")
def batches() -> list[tuple[list[dict[str, Tensor]], dict[str, Tensor]]]:
    return make_detected(8, seed=2)


@pytest.fixture(scope="module")
def split(batches: list[tuple[list[dict[str, Tensor]], dict[str, Tensor]]]) -> MadeUp:
    return MadeUp([targets for _, targets in batches])


@pytest.fixture(scope="module")
def model(batches: list[tuple[list[dict[str, Tensor]], dict[str, Tensor]]]) -> Knowing:
    return Knowing([output for [output], _ in batches])


@pytest.fixture(scope="module")
def evaluation(model: Knowing, split: MadeUp) -> DetectionEvaluation:
    return evaluate_detector(model, split, seed=4)


def test_the_precision_is_that_of_what_the_model_gives(
    batches: list[tuple[list[dict[str, Tensor]], dict[str, Tensor]]], evaluation: DetectionEvaluation
) -> None:
    measured = measure_average_precision(batches, classes=CLASSES, resamples=200, seed=4)
    found = evaluation.precision["box"]
    assert list(evaluation.precision) == ["box"]
    assert (found.ap, found.ap50, found.intervals["ap"]) == (measured.ap, measured.ap50, measured.intervals["ap"])
    assert found.intervals["ap"].low < found.ap < found.intervals["ap"].high + 0.1


def test_each_image_says_what_was_found_in_it(
    batches: list[tuple[list[dict[str, Tensor]], dict[str, Tensor]]], evaluation: DetectionEvaluation
) -> None:
    assert [one.image for one in evaluation.images] == list(range(8))
    for one, ([output], targets) in zip(evaluation.images, batches, strict=True):
        there, crowd = targets["classes"] >= 0, targets["crowd"]
        assert (one.boxes, one.crowds) == (int((there & ~crowd).sum()), int((there & crowd).sum()))
        assert (one.detections, one.not_finite) == (len(output["scores"]), 0)
        alone = measure_average_precision([([output], targets)], classes=CLASSES).ap50
        assert one.ap50 == pytest.approx(alone, nan_ok=True)


def test_it_says_which_network_and_images_it_is_of(
    model: Knowing, split: MadeUp, evaluation: DetectionEvaluation
) -> None:
    meta = evaluation.meta
    assert (meta["weights"], meta["image_digest"]) == (
        digest_model(model),
        digest_tensors([("images", split.images)]),
    )
    assert (meta["data"], meta["split"], meta["images"], meta["population"]) == ("made_up", "val", 8, 100)
    assert meta["test"] == {"name": "made_up", "split": "val", "images": 8, "population": 100}
    assert (meta["seed"], meta["batch_size"], meta["resamples"]) == (4, 3, 200)
    assert {"torchvision", "faster-coco-eval"} <= meta["versions"].keys()


def test_the_model_is_as_before_and_told_of_progress(model: Knowing, split: MadeUp) -> None:
    seen: list[tuple[int, int]] = []
    model.train()
    evaluate_detector(model, split, report=lambda done, all_of: seen.append((done, all_of)))
    assert model.training
    assert seen == [(3, 8), (6, 8), (8, 8)]


def test_masks_are_measured_where_both_have_them() -> None:
    box = [8.0, 8.0, 40.0, 40.0]
    mask = torch.zeros(1, SIDE, SIDE)
    mask[0, 8:40, 8:40] = 1
    about = {"boxes": torch.tensor([box]), "classes": torch.tensor([1]), "scores": torch.tensor([0.9])}
    targets, model = targets_of([box], [1]), Knowing([{**about, "masks": mask}])
    both = evaluate_detector(model, MadeUp([{**targets, "masks": mask[None].bool()}]))
    assert {iou: found.ap for iou, found in both.precision.items()} == {"box": 1, "mask": 1}
    assert list(evaluate_detector(model, MadeUp([targets])).precision) == ["box"]


def test_what_is_no_detector_or_of_other_classes_is_refused(model: Knowing, split: MadeUp) -> None:
    with pytest.raises(ValueError, match=r"`model` must give a list with a dict .* for each of 3 images, got Tensor"):
        evaluate_detector(nn.AdaptiveAvgPool2d(1), split)
    with pytest.raises(ValueError, match="`split` must hold at least one image, got none in made_up"):
        evaluate_detector(model, MadeUp([]))
    with pytest.raises(ValueError, match="of the 3 classes that the network tells apart, but made_up has 4"):
        evaluate_detector(_known(model, CLASSES[:3]), split)
    with pytest.raises(ValueError, match="`split` must count its classes as the network does"):
        evaluate_detector(_known(model, CLASSES[::-1]), split)


def test_classes_of_other_names_are_told(model: Knowing, split: MadeUp, caplog: pytest.LogCaptureFixture) -> None:
    found = evaluate_detector(_known(model, ("cat", "hound", "bird", "fish")), split)
    assert "classes of made_up have other names, such as 'dog' for 'hound'" in caplog.text
    assert found.meta["model"] == "knowing"


def test_files_hold_every_number(evaluation: DetectionEvaluation, tmp_path: Path) -> None:
    both = {"a": evaluation, "b": evaluation}
    written = {path.relative_to(tmp_path).as_posix() for path in save_detections(both, tmp_path)}
    own = {f"{name}/{file}.csv" for name in both for file in ("detections", "images")}
    assert written == own | {"evaluation.csv", "evaluation_classes.csv", "evaluation.json"}
    rows, found = _read(tmp_path / "evaluation.csv"), evaluation.precision["box"]
    assert [row["score"] for row in rows[:6]] == ["ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large"]
    for row in rows:
        assert float(row["value"]) == pytest.approx(getattr(found, row["score"]), nan_ok=True)
    assert float(rows[0]["low"]) == found.intervals["ap"].low
    assert rows[3]["low"] == ""
    classes = _read(tmp_path / "evaluation_classes.csv")
    assert [(row["class"], int(row["boxes"])) for row in classes[:4]] == list(
        zip(CLASSES, found.class_boxes.tolist(), strict=True)
    )
    told = json.loads((tmp_path / "evaluation.json").read_text())
    assert told["networks"]["b"]["provenance"]["data"] == "made_up"
    assert told["networks"]["a"]["classes"][3] == {
        "network": "a", "iou": "box", "class": "fish", "ap": None, "boxes": 0,
    }  # fmt: skip
    assert [float(row["ap50"]) for row in _read(tmp_path / "a" / "images.csv")] == pytest.approx(
        [one.ap50 for one in evaluation.images], nan_ok=True
    )


def test_detections_in_files_are_in_the_pixels_of_the_original_pictures(
    batches: list[tuple[list[dict[str, Tensor]], dict[str, Tensor]]], evaluation: DetectionEvaluation, tmp_path: Path
) -> None:
    save_detections({"a": evaluation}, tmp_path)
    rows = [row for row in _read(tmp_path / "detections.csv") if row["image"] == "5"]
    [output], targets = batches[5]
    corners = np.array([[float(row[name]) for name in ("x1", "y1", "x2", "y2")] for row in rows])
    np.testing.assert_allclose(corners, (output["boxes"] / targets["scale"]).numpy(), rtol=1e-6)
    assert [row["class"] for row in rows] == [CLASSES[number] for number in output["classes"]]


def test_the_table_is_in_percent(evaluation: DetectionEvaluation) -> None:
    ((name, of, ap, interval, *others),) = tabulate_precision({"net": evaluation})
    found = evaluation.precision["box"]
    assert len(PRECISION_HEADINGS) == 4 + len(others)
    assert (name, of, ap) == ("net", "boxes", f"{100 * found.ap:.2f}")
    assert interval == f"{100 * found.intervals['ap'].low:.2f} to {100 * found.intervals['ap'].high:.2f}"
    assert others[-1] == f"{found.boxes}"


def test_what_must_be_known_is_told(split: MadeUp, evaluation: DetectionEvaluation) -> None:
    lines = describe_detections({"net": evaluation})
    assert lines[0] == "8 of 100 images of made_up (val)"
    assert f"what is found in {evaluation.precision['box'].crowds} regions of many is neither right nor wrong" in lines
    broken = [{"boxes": torch.full((2, 4), torch.nan), "classes": torch.zeros(2).long(), "scores": torch.ones(2)}] * 8
    seen = evaluate_detector(
        _known(Knowing(broken), CLASSES, data={"name": "made_up"}), MadeUp(split.annotated, split="train")
    )
    told = describe_detections({"net": seen})
    assert "detections that are not finite, and count as none: 16 by net" in told
    assert "no test of net, trained with these images or some of them" in told


def test_evaluations_of_other_images_are_not_saved_together(
    model: Knowing, split: MadeUp, evaluation: DetectionEvaluation, tmp_path: Path
) -> None:
    other = evaluate_detector(model, MadeUp(split.annotated[:4]))
    with pytest.raises(ValueError, match="`evaluations` must be one or more on the same images"):
        save_detections({"a": evaluation, "b": other}, tmp_path)
    assert list(tmp_path.iterdir()) == []


def _known(network: nn.Module, labels: tuple[str, ...], **more: object) -> Classifier:
    about = {"name": "knowing", "num_classes": len(labels), "labels": list(labels), "image_size": SIDE, **more}
    return Classifier(network, {**about, "mean": (0.0,) * 3, "std": (1.0,) * 3})


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
