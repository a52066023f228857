"""Train ResNet-20 on digits by SGD, Adam and SAM from one start, in the same order of images, and keep every epoch.

    python docs/optimizers.py runs

Then all three lie in one plane:

    gradscape landscape runs/sgd/model.safetensors --data digits --directions pca:runs/sgd,runs/adam,runs/sam \
        --batch-norm recalibrated -o plane
"""

import math
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from gradscape.data import load_split
from gradscape.models import create_model, save_checkpoint

EPOCHS, BATCH, RADIUS, DECAY = 20, 100, 0.1, 5e-4
SHAPE = {"num_classes": 10, "image_size": 8}


def images_and_labels(split: str, mean: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
    """All images of a split, normalized, and their labels."""
    images, labels = (torch.cat(parts) for parts in zip(*load_split("digits", split, image_size=8), strict=True))
    return (images - mean.view(3, 1, 1)) / std.view(3, 1, 1), labels


def sharpness_aware(network: nn.Module, loss: Callable[[], Tensor]) -> None:
    """Leave the gradient at the worst point nearby, to first order (Foret et al. 2021, equation 3)."""
    loss().backward()
    weights = list(network.parameters())
    before = [one.detach().clone() for one in weights]
    slopes = [one.grad for one in weights]
    length = torch.stack([one.norm() for one in slopes]).norm()
    with torch.no_grad():
        for one, slope in zip(weights, slopes, strict=True):
            one.add_(RADIUS / length * slope)
    network.zero_grad()
    loss().backward()
    with torch.no_grad():
        for one, old in zip(weights, before, strict=True):
            one.copy_(old)


def train(name: str, output: Path) -> None:
    """Train one network, and write it as it was after every epoch."""
    split = load_split("digits", "train", image_size=8)
    mean, std = (torch.tensor(values) for values in split.channel_statistics())
    images, labels = images_and_labels("train", mean, std)
    tested, answers = images_and_labels("test", mean, std)
    torch.manual_seed(0)
    network = create_model("resnet20", **SHAPE)
    if name == "adam":
        optimizer = torch.optim.Adam(network.parameters(), 0.001, weight_decay=DECAY)
    else:
        optimizer = torch.optim.SGD(network.parameters(), 0.05, momentum=0.9, weight_decay=DECAY)
    steps = EPOCHS * (len(images) // BATCH)
    rate = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5 + 0.5 * math.cos(math.pi * step / steps))
    about = {"name": "resnet20", **SHAPE, "mean": mean.tolist(), "std": std.tolist(), "optimizer": name}
    kept = output / name / "kept"
    kept.mkdir(parents=True, exist_ok=True)
    for epoch in range(EPOCHS + 1):
        order = torch.randperm(len(images)).split(BATCH)[: len(images) // BATCH if epoch else 0]
        for chosen in order:
            network.train().zero_grad()

            def loss(chosen: Tensor = chosen) -> Tensor:
                return cross_entropy(network(images[chosen]), labels[chosen])

            if name == "sam":
                sharpness_aware(network, loss)
            else:
                loss().backward()
            optimizer.step()
            rate.step()
        save_checkpoint(kept / f"epoch{epoch:04d}.safetensors", network, **about)
    with torch.no_grad():
        right = (network.eval()(tested).argmax(1) == answers).double().mean()
    shutil.copy(kept / f"epoch{EPOCHS:04d}.safetensors", output / name / "model.safetensors")
    sys.stdout.write(f"{name}: {100 * right:.2f} % of the test images right\n")


for optimizer_name in ("sgd", "adam", "sam"):
    train(optimizer_name, Path(sys.argv[1]))
