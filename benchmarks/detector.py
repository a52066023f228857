"""Train a detector from nothing on small pictures of shapes, and test it on others: AP50 and time, epoch by epoch.

    python -m benchmarks.detector [--model faster_rcnn:resnet18+spa_a] [--epochs 60] [--threads 2] [-o FOLDER]

Run it from the project's folder, whose tests draw the pictures: 40 to train with and 40 others, 1 to 4 shapes of three
kinds each, in COCO's format. It uses one recipe for all: Adam, batches of 4, a cosine, pictures mirrored.
"""

import argparse
import time
from pathlib import Path

import torch

from gradscape.data import load_annotated
from gradscape.models import create_model, save_checkpoint
from gradscape.training import Recipe, train_model
from tests.shapes import CLASSES, draw_pictures, write_coco

_PICTURES = 40
_NORMALIZATION = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def main() -> None:
    """Draw, train and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="faster_rcnn:resnet18+spa_a")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("-o", "--output", type=Path, default=Path("detector"))
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    for split, seed in (("train2017", 0), ("val2017", 1)):
        write_coco(asked.output / "shapes", draw_pictures(_PICTURES, seed=seed), split=split)
    train, test = (
        load_annotated(f"coco:{asked.output / 'shapes'}", split, image_size=asked.image_size)
        for split in ("train", "test")
    )
    torch.manual_seed(0)
    about = {"num_classes": len(CLASSES), "image_size": asked.image_size}
    network = create_model(asked.model, **about)
    recipe = Recipe(
        epochs=asked.epochs,
        batch_size=4,
        optimizer="adam",
        learning_rate=asked.learning_rate,
        weight_decay=0.0,
        crop_padding=0,
        loss="detection_loss",
        warmup_epochs=2,
    )
    began = time.monotonic(), time.process_time()

    def save(path: Path, trained: torch.nn.Module, scores: dict[str, float]) -> None:
        save_checkpoint(path, trained, name=asked.model, labels=CLASSES, **about, **_NORMALIZATION, scores=scores)

    run = train_model(
        network, train.dataset, test, recipe=recipe, **_NORMALIZATION, output=asked.output, save=save, progress=False
    )
    spent = time.monotonic() - began[0], time.process_time() - began[1]
    for epoch, (loss, ap50) in enumerate(zip(run.metrics["test_loss"], run.metrics["test_ap50"], strict=True), 1):
        if epoch % 5 == 0 or epoch == asked.epochs:
            print(f"epoch {epoch}: test loss {loss:.3f}, AP50 {ap50:.3f}")
    print(f"{asked.model}: AP50 {run.final_accuracy:.3f} after {spent[0]:.0f} s ({spent[1]:.0f} s of the processor)")


if __name__ == "__main__":
    main()
