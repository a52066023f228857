"""Segmenters evaluated on a split: overlaps as torchmetrics counts them, by class, by image, with intervals."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchmetrics.classification import MulticlassJaccardIndex

from gradscape.data.split import HeldOut
from gradscape.models import Classifier
from gradscape.studies.segmentation_evaluation import (
    PixelCounts,
    SegmentationEvaluation,
    evaluate_segmenter,
    score_pixels,
)
from gradscape.studies.segmentation_files import (
    OVERLAP_HEADINGS,
    describe_segmentations,
    save_segmentations,
    tabulate_overlaps,
)

SIDE = 9
CLASSES = ("background", "cat", "dog", "hen", "emu")  # an emu is neither annotated nor found


@dataclass(frozen=True)
class Pictured:
    """A split of noise whose labels say in part what is brightest, and in part something else."""

    num_images: int = 7
    name: str = "pictured"
    split: str = "val"
    population: int = 20
    batch_size: int = 3
    image_size: int = SIDE
    classes: tuple[str, ...] = CLASSES
    held_out: HeldOut | None = None

    @property
    def images(self) -> Tensor:
        return torch.rand(self.num_images, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))

    @property
    def labels(self) -> Tensor:
        draws = torch.Generator().manual_seed(1)
        right = self.images.argmax(1)
        other = torch.randint(0, 4, right.shape, generator=draws)
        labels = torch.where(torch.rand(right.shape, generator=draws) < 0.6, right, other)
        labels[:, 5:, ::2] = -100
        labels[2] = -100  # nothing counts in this image
        return labels

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        yield from zip(self.images.split(self.batch_size), self.labels.split(self.batch_size), strict=True)


class Brightest(nn.Module):
    """The channels as logits of the first classes."""

    def __init__(self, classes: int = len(CLASSES)) -> None:
        super().__init__()
        self.classes = classes
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, images: Tensor) -> Tensor:
        assert not self.training
        rest = torch.full((len(images), self.classes - 3, *images.shape[2:]), -9.0)
        return self.scale * torch.cat([images, rest], dim=1)


@pytest.fixture(scope="module")
def evaluation() -> SegmentationEvaluation:
    return evaluate_segmenter(Brightest(), Pictured(), seed=4)


def test_overlaps_are_torchmetrics_own(evaluation: SegmentationEvaluation) -> None:
    split = Pictured()
    found = split.images.argmax(1)
    mean = MulticlassJaccardIndex(len(CLASSES), ignore_index=-100)(found, split.labels)
    each = MulticlassJaccardIndex(len(CLASSES), ignore_index=-100, average="none")(found, split.labels)
    assert evaluation.scores["iou"].value == pytest.approx(float(mean), rel=1e-6)
    np.testing.assert_allclose(evaluation.class_iou[:4], each[:4].numpy(), rtol=1e-6)
    assert np.isnan(evaluation.class_iou[4])
    counted = split.labels != -100
    assert evaluation.scores["pixel_accuracy"].value == pytest.approx(
        float((found == split.labels)[counted].double().mean())
    )


def test_each_image_has_its_own_overlap(evaluation: SegmentationEvaluation) -> None:
    split, counts = Pictured(), evaluation.counts
    assert counts.pixels.tolist() == (split.labels != -100).flatten(1).sum(1).tolist()
    for number in (0, 1, 6):
        image, labels = split.images[number : number + 1], split.labels[number : number + 1]
        mean = MulticlassJaccardIndex(len(CLASSES), ignore_index=-100)(image.argmax(1), labels)
        assert counts.image_iou[number] == pytest.approx(float(mean), rel=1e-6)
    assert np.isnan([counts.image_iou[2], counts.image_accuracy[2]]).all()


def test_pixels_without_finite_logits_are_wrong_and_told() -> None:
    class Broken(Brightest):
        def forward(self, images: Tensor) -> Tensor:
            logits = super().forward(images)
            logits[:, 1, :2] = torch.nan
            return logits

    split = Pictured()
    found = evaluate_segmenter(Broken(), split)
    right = (split.images.argmax(1) == split.labels) & (split.labels != -100)
    right[:, :2] = False
    assert found.scores["pixel_accuracy"].value == pytest.approx(int(right.sum()) / int((split.labels != -100).sum()))
    counted = int((split.labels[:, :2] != -100).sum())
    assert f"pixels whose logits are not finite, and count as wrong: {counted} by net" in describe_segmentations(
        {"net": found}
    )


def test_intervals_of_equal_images_have_no_width_and_of_one_image_there_are_none() -> None:
    def counts(images: int) -> PixelCounts:
        annotated, right = np.tile([[4, 6]], (images, 1)), np.tile([[3, 3]], (images, 1))
        return PixelCounts(annotated, annotated[:, ::-1].copy(), right, np.zeros(images, dtype=np.int64))

    scores = score_pixels(counts(5))
    assert scores["pixel_accuracy"].value == pytest.approx(0.6)
    assert scores["iou"].value == pytest.approx(3 / 7)
    for one in scores.values():
        assert [one.low, one.high] == pytest.approx([one.value] * 2)
    assert all(np.isnan(one.low) for one in score_pixels(counts(1)).values())


def test_intervals_hold_the_truth_of_many_images_about_as_often_as_they_say() -> None:
    draws = np.random.default_rng(0)

    def made(images: int) -> PixelCounts:
        annotated = draws.integers(0, 60, (images, 3))
        shares = draws.beta(4, 2, (images, 3))
        right = (annotated * shares).astype(np.int64)
        found = right + draws.integers(0, 20, (images, 3))
        return PixelCounts(annotated, found, right, np.zeros(images, dtype=np.int64))

    truth = score_pixels(made(20_000))
    held = dict.fromkeys(truth, 0)
    for seed in range(200):
        for name, one in score_pixels(made(60), seed=seed).items():
            held[name] += one.low <= truth[name].value <= one.high
    assert all(0.88 <= count / 200 <= 0.99 for count in held.values()), held


def test_the_model_is_as_before_and_told_of_progress() -> None:
    seen: list[tuple[int, int]] = []
    model = Brightest().train()
    evaluate_segmenter(model, Pictured(), report=lambda done, all_of: seen.append((done, all_of)))
    assert model.training
    assert seen == [(3, 7), (6, 7), (7, 7)]


def test_what_gives_no_logits_of_pixels_or_knows_other_classes_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must give logits \(3, 5, 9, 9\) of each pixel's class, got \(3, 3, 1, 1\)"):
        evaluate_segmenter(nn.AdaptiveAvgPool2d(1), Pictured())
    about = {"name": "own", "num_classes": 4, "labels": None, "image_size": SIDE, "mean": (0.0,) * 3, "std": (1.0,) * 3}
    with pytest.raises(ValueError, match="of the 4 classes that the network tells apart, but pictured has 5"):
        evaluate_segmenter(Classifier(Brightest(4), about), Pictured())
    with pytest.raises(ValueError, match="`split` must hold at least one image, got none in pictured"):
        evaluate_segmenter(Brightest(), _Empty())


class _Empty(Pictured):
    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return iter(())


def test_files_and_tables_hold_the_numbers(evaluation: SegmentationEvaluation, tmp_path: Path) -> None:
    both = {"a": evaluation, "b": evaluation}
    written = {path.relative_to(tmp_path).as_posix() for path in save_segmentations(both, tmp_path)}
    assert written == {
        "a/images.csv", "b/images.csv", "evaluation.csv", "evaluation_classes.csv", "evaluation.json",
    }  # fmt: skip
    rows = _read(tmp_path / "evaluation.csv")
    assert [(row["network"], row["score"]) for row in rows[:2]] == [("a", "iou"), ("a", "pixel_accuracy")]
    for row in rows:
        assert float(row["value"]) == evaluation.scores[row["score"]].value
        assert float(row["low"]) == evaluation.scores[row["score"]].low
    classes = _read(tmp_path / "evaluation_classes.csv")
    assert [row["class"] for row in classes[:5]] == list(CLASSES)
    np.testing.assert_array_equal([float(row["iou"]) for row in classes[:5]], evaluation.class_iou)
    images = _read(tmp_path / "a" / "images.csv")
    np.testing.assert_array_equal([float(row["iou"]) for row in images], evaluation.counts.image_iou)
    told = json.loads((tmp_path / "evaluation.json").read_text())
    assert told["networks"]["b"]["classes"][4]["iou"] is None
    assert told["remarks"][0] == "7 of 20 images of pictured (val)"
    ((name, iou, interval, accuracy, _, pixels),) = tabulate_overlaps({"net": evaluation})
    found = evaluation.scores["iou"]
    assert len(OVERLAP_HEADINGS) == 6
    assert (name, iou, interval) == (
        "net", f"{100 * found.value:.2f}", f"{100 * found.low:.2f} to {100 * found.high:.2f}",
    )  # fmt: skip
    assert (accuracy, pixels) == (
        f"{100 * evaluation.scores['pixel_accuracy'].value:.2f}",
        f"{int(evaluation.counts.pixels.sum())}",
    )


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
