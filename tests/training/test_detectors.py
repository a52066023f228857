"""A real detector learns: it finds what it was shown, in pictures of shapes.

After 22 epochs of 25 its AP is 0.78 and its AP50 1, after these 12 they are 0.64 and 0.97.
"""

from pathlib import Path

import pytest
import torch
from torch.utils.data import ConcatDataset

from gradscape.data import load_annotated
from gradscape.models import create_model
from gradscape.training import Recipe, train_model
from tests.shapes import draw_pictures, write_coco

SIDE, EPOCHS, PASSES = 96, 12, 10


@pytest.mark.slow
def test_a_detector_finds_all_that_it_was_trained_with(tmp_path: Path) -> None:
    file = write_coco(tmp_path, draw_pictures(8, seed=0))
    split = load_annotated(f"coco:{file}", "train", image_size=SIDE, batch_size=8)
    torch.manual_seed(0)
    detector = create_model("fcos:resnet18", num_classes=len(split.classes), image_size=SIDE)
    recipe = Recipe(
        epochs=EPOCHS, batch_size=8, optimizer="adam", learning_rate=1e-3, weight_decay=0.0, crop_padding=0,
        horizontal_flip=False, loss="detection_loss",
    )  # fmt: skip
    mean, std = split.channel_statistics()
    run = train_model(
        detector,
        ConcatDataset([split.dataset] * PASSES),
        split,
        recipe=recipe,
        mean=mean,
        std=std,
        output=tmp_path / "run",
        save=lambda path, network, scores: path.write_bytes(b""),
        device="cpu",
        progress=False,
    )
    assert run.metrics["test_ap"][-1] > 0.5
    assert run.final_accuracy > 0.9
