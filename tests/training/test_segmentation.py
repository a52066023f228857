"""Training of a segmenter: torch's own loss of pixels, overlaps of classes, and mirrored labels."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from gradscape.training import Recipe, train_model
from gradscape.training.augmentation import AugmentedImages

RECIPE = Recipe(
    epochs=12, batch_size=5, learning_rate=1.0, crop_padding=0, loss="pixel_cross_entropy", schedule="constant"
)


class Halves(Dataset[tuple[Tensor, Tensor]]):
    """Images whose red and blue pixels are of two classes, and an ignored row."""

    def __init__(self, count: int) -> None:
        generator = torch.Generator().manual_seed(count)
        self.labels = torch.randint(0, 2, (count, 6, 9), generator=generator)
        self.images = torch.rand(count, 3, 6, 9, generator=generator) / 4
        self.images[:, 0] += self.labels / 2
        self.images[:, 2] += (1 - self.labels) / 2
        self.labels[:, 0] = -100

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.images[index], self.labels[index]


def trained(folder: Path, **options: Any) -> Any:
    torch.manual_seed(0)
    test = Halves(7)
    return train_model(
        nn.Conv2d(3, 2, 1),
        Halves(20),
        [(test.images[:4], test.labels[:4]), (test.images[4:], test.labels[4:])],
        mean=[0.5] * 3,
        std=[0.5] * 3,
        output=folder,
        save=lambda path, network, scores: save_file(dict(network.state_dict()), path),
        progress=False,
        **{"recipe": RECIPE, **options},
    )


def test_a_segmenter_learns_and_its_best_epoch_is_that_of_the_highest_overlap(tmp_path: Path) -> None:
    run = trained(tmp_path)
    assert run.score == "test_iou"
    assert run.metrics["train_loss"][-1] < run.metrics["train_loss"][0]
    assert run.final_accuracy > 0.95
    assert run.best_accuracy == run.metrics["test_iou"].max()
    assert "test_accuracy" not in run.metrics


def test_the_losses_of_an_epoch_are_torchs_of_each_image(tmp_path: Path) -> None:
    frozen = Recipe(
        epochs=1,
        batch_size=5,
        learning_rate=1e-12,
        momentum=0.0,
        weight_decay=0.0,
        crop_padding=0,
        loss="pixel_cross_entropy",
        schedule="constant",
    )
    run = trained(tmp_path, recipe=frozen)
    torch.manual_seed(0)
    net, test = nn.Conv2d(3, 2, 1), Halves(7)
    with torch.no_grad():
        logits = net((test.images - 0.5) / 0.5)
    losses = [F.cross_entropy(logits[k : k + 1], test.labels[k : k + 1]) for k in range(7)]
    assert run.metrics["test_loss"][0] == pytest.approx(float(torch.stack(losses).mean()), rel=1e-5)
    found, counted = logits.argmax(1)[:, 1:], test.labels[:, 1:]
    overlaps = [
        ((found == one) & (counted == one)).sum() / ((found == one) | (counted == one)).sum() for one in range(2)
    ]
    assert run.metrics["test_iou"][0] == pytest.approx(float(torch.stack(overlaps).mean()), rel=1e-5)


def test_pixels_are_mirrored_with_their_image() -> None:
    data = Halves(4)
    taken = AugmentedImages(data, RECIPE)
    mirrored = 0
    for seed in range(12):
        image, labels = taken[1, seed]
        plain = torch.equal(image, data.images[1])
        assert torch.equal(labels, data.labels[1] if plain else data.labels[1].flip(-1))
        assert plain or torch.equal(image, data.images[1].flip(-1))
        assert type(labels) is Tensor
        mirrored += not plain
    assert 0 < mirrored < 12


@pytest.mark.parametrize(
    ("name", "value"),
    [("crop_padding", 4), ("shift", 0.1), ("resized_crop", True), ("early_stopping_metric", "train_accuracy")],
)
def test_what_displaces_images_is_refused_where_places_count(name: str, value: Any) -> None:
    options = {"epochs": 1, "crop_padding": 0, "loss": "pixel_cross_entropy", name: value}
    with pytest.raises(
        ValueError, match=f"`{name}` must be .* for the loss pixel_cross_entropy, which needs what lies where"
    ):
        Recipe(**options)
