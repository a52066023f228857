"""What is measured: a network with images and directions."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from gradscape.landscape import random_directions
from gradscape.landscape.directions import Direction
from gradscape.models import create_model
from gradscape.models.foreign_state import foreign_state

IMAGE_SIZE, CLASSES = 32, 10
TRAINED = "resnet56_projection"  # the network that the test data have a checkpoint of


@dataclass(frozen=True, eq=False)
class Subject:
    """What all contestants measure.

    Attributes:
        name: The network's name.
        net: In `eval()`, of normalized images.
        images: (N, 3, H, W), normalized; 32 pixels on a side if not asked for otherwise.
        labels: (N,).
        directions: (d_alpha, d_beta), filter-normalized.
        description: Which images and weights these are.
    """

    name: str
    net: nn.Module
    images: Tensor
    labels: Tensor
    directions: tuple[Direction, Direction]
    description: str


def load_subject(name: str, count: int, *, image_size: int = IMAGE_SIZE) -> Subject:
    """Real images and the trained ResNet-56 where GRADSCAPE_TEST_DATA says where they are; else random ones."""
    folder = os.environ.get("GRADSCAPE_TEST_DATA") if image_size == IMAGE_SIZE else None
    torch.manual_seed(0)
    net = create_model(name, num_classes=CLASSES, image_size=image_size)
    images, labels = _real_images(Path(folder), count) if folder else _random_images(count, image_size)
    trained = bool(folder) and name == TRAINED
    if trained:
        net.load_state_dict(foreign_state(Path(str(folder), "checkpoints", "tomgoldstein-resnet56-model_300.t7"), net))
    else:
        _estimate_statistics(net, images)
    return Subject(
        name,
        net.eval(),
        images,
        labels,
        random_directions(net, seed=0),
        f"{name}, {'trained' if trained else 'fresh'} weights, {count} {'real' if folder else 'random'} images",
    )


def _real_images(folder: Path, count: int) -> tuple[Tensor, Tensor]:
    """The first training images of CIFAR-10, normalized as the ResNet-56 was trained."""
    with np.load(folder / "cifar10" / "cifar10_train4000_lossless.npz") as arrays:
        pixels, labels = arrays["images"][:count], arrays["labels"][:count]
    if len(pixels) < count:
        raise ValueError(f"`count` must be at most {len(pixels)}, the number of real images, got {count}")
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in ([125.3, 123.0, 113.9], [63.0, 62.1, 66.7]))
    images = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() - mean) / std
    return images.contiguous(), torch.from_numpy(labels)


def _random_images(count: int, size: int) -> tuple[Tensor, Tensor]:
    return torch.randn(count, 3, size, size), torch.randint(CLASSES, (count,))


def _estimate_statistics(net: nn.Module, images: Tensor) -> None:
    """Give batch norms the statistics of some images: fresh ones let the activations of deep networks explode."""
    net.train()
    with torch.no_grad():
        for _ in range(3):
            net(images[:128])
