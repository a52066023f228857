"""Training of a detector: the sum of its losses, average precision in test pictures, and boxes mirrored with them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.data import Dataset, default_collate

from gradscape._average_precision import measure_average_precision
from gradscape.training import Recipe, TrainingRun, train_model
from gradscape.training.augmentation import AugmentedImages

SIDE = 12
RECIPE = Recipe(
    epochs=60,
    batch_size=5,
    optimizer="adam",
    learning_rate=0.02,
    weight_decay=0.0,
    crop_padding=0,
    loss="detection_loss",
)


class OneSquare(nn.Module):
    """Finds the one bright square of a picture: learns where its middle is, and whether it is red or blue."""

    def __init__(self) -> None:
        super().__init__()
        self.bright = nn.Conv2d(3, 1, 1)
        self.color = nn.Linear(3, 2)

    def _answers(self, images: Tensor) -> tuple[Tensor, Tensor]:
        shares = self.bright(images).flatten(1).mul(4).softmax(1).view(-1, SIDE, SIDE)
        places = torch.arange(SIDE) + 0.5
        middle = torch.stack([(shares.sum(1) * places).sum(1), (shares.sum(2) * places).sum(1)], 1)
        return middle, self.color((images * shares[:, None]).sum((2, 3)))

    def losses(self, images: Tensor, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        middle, logits = self._answers(images)
        boxes, classes = targets["boxes"][:, 0], targets["classes"][:, 0]
        wanted = (boxes[:, :2] + boxes[:, 2:]) / 2
        named = nn.functional.cross_entropy(logits, classes, reduction="none")
        return {"loss_box_reg": (middle - wanted).square().mean(1), "loss_classifier": named}

    def forward(self, images: Tensor) -> list[dict[str, Tensor]]:
        middle, logits = self._answers(images)
        boxes, chances = torch.cat([middle - 2, middle + 2], 1), logits.softmax(1)
        return [
            {"boxes": box[None], "classes": chance.argmax()[None], "scores": chance.max()[None]}
            for box, chance in zip(boxes, chances, strict=True)
        ]


class Squares(Dataset[tuple[Tensor, dict[str, Tensor]]]):
    """Pictures of one square of 4 pixels, with an empty place beside its box."""

    def __init__(self, count: int) -> None:
        generator = torch.Generator().manual_seed(count)
        self.images = torch.rand(count, 3, SIDE, SIDE, generator=generator) / 5
        self.classes = torch.randint(0, 2, (count,), generator=generator)
        self.corners = torch.randint(0, SIDE - 4, (count, 2), generator=generator)
        for image, kind, (x, y) in zip(self.images, self.classes.tolist(), self.corners.tolist(), strict=True):
            image[1, y : y + 4, x : x + 4] = 0.8
            image[2 * kind, y : y + 4, x : x + 4] = 0.9

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        corner = self.corners[index].float()
        box = torch.cat([corner, corner + 4])
        return self.images[index], {
            "boxes": torch.stack([box, torch.zeros(4)]),
            "classes": torch.tensor([int(self.classes[index]), -1]),
            "crowd": torch.zeros(2, dtype=torch.bool),
            "area": torch.tensor([16.0, 0.0]),
            "scale": torch.tensor(1.0),
        }


def batches() -> list[Any]:
    data = Squares(9)
    return [default_collate([data[k] for k in part]) for part in (range(4), range(4, 9))]


def save(path: Path, network: nn.Module, scores: Any) -> None:
    save_file(dict(network.state_dict()), path)


def trained(folder: Path, **options: Any) -> TrainingRun:
    torch.manual_seed(0)
    return train_model(
        OneSquare(),
        Squares(20),
        batches(),
        mean=[0.5] * 3,
        std=[0.25] * 3,
        output=folder,
        progress=False,
        **{"recipe": RECIPE, "save": save, **options},
    )


def test_a_detector_learns_and_its_best_epoch_is_that_of_the_highest_precision(tmp_path: Path) -> None:
    run = trained(tmp_path)
    assert run.score == "test_ap50"
    assert run.metrics["test_ap50"][0] < 0.5
    assert run.final_accuracy > 0.95
    assert run.best_accuracy == run.metrics["test_ap50"].max() >= run.metrics["test_ap"].max()


def test_a_stopped_training_of_a_detector_ends_in_the_same_bits(tmp_path: Path) -> None:
    def stop_in_the_third(path: Path, network: nn.Module, scores: Any) -> None:
        if scores["epoch"] == 3:
            raise KeyboardInterrupt
        save(path, network, scores)

    short = Recipe(**{**vars(RECIPE), "epochs": 4})
    whole = trained(tmp_path / "whole", recipe=short)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "halved", recipe=short, save=stop_in_the_third)
    resumed = trained(tmp_path / "halved", recipe=short)
    assert resumed.checkpoint.read_bytes() == whole.checkpoint.read_bytes()
    assert resumed.metrics["test_loss"].tolist() == whole.metrics["test_loss"].tolist()


def test_scores_are_the_summed_losses_and_the_precision_of_the_test_pictures(tmp_path: Path) -> None:
    frozen = Recipe(**{**vars(RECIPE), "epochs": 1, "learning_rate": 1e-12, "schedule": "constant"})
    run = trained(tmp_path, recipe=frozen)
    torch.manual_seed(0)
    net = OneSquare().eval()
    with torch.no_grad():
        shown = [((images - 0.5) / 0.25, targets) for images, targets in batches()]
        losses = [sum(net.losses(images, targets).values()) for images, targets in shown]
        found = [(net(images), targets) for images, targets in shown]
    expected = torch.cat([torch.as_tensor(one) for one in losses]).double().mean()
    assert run.metrics["test_loss"][0] == pytest.approx(float(expected), rel=1e-5)
    precision = measure_average_precision(found, classes=["red", "blue"])
    assert run.metrics["test_ap"][0] == pytest.approx(precision.ap)
    assert run.metrics["test_ap50"][0] == pytest.approx(precision.ap50)


def test_boxes_and_masks_are_mirrored_with_their_picture() -> None:
    class Masked(Squares):
        def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Tensor]]:
            image, target = super().__getitem__(index)
            masks = torch.zeros(2, SIDE, SIDE, dtype=torch.bool)
            x1, y1, x2, y2 = target["boxes"][0].int().tolist()
            masks[0, y1:y2, x1:x2] = True
            return image, {**target, "masks": masks}

    data, mirrored = Masked(6), 0
    taken = AugmentedImages(data, RECIPE)
    for seed in range(16):
        image, target = taken[2, seed]
        mirrored += not torch.equal(image, data[2][0])
        x1, y1, x2, y2 = target["boxes"][0].int().tolist()
        assert (image[1, y1:y2, x1:x2] == 0.8).all()
        assert (image[1] > 0.5).sum() == 16
        assert torch.equal(target["masks"][0].nonzero().amin(0), torch.tensor([y1, x1]))
        assert torch.equal(target["boxes"][1], torch.zeros(4))
        assert {type(one) for one in target.values()} == {Tensor}
    assert 0 < mirrored < 16
