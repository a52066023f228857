"""A task small enough to train in a blink, in a module of its own so that killed processes can import it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.data import Dataset

from gradscape.training import Recipe, TrainingRun, train_model

CLASSES, HEIGHT, WIDTH = 4, 8, 6
MEAN, STD = (0.3, 0.4, 0.5), (0.2, 0.25, 0.3)


class ToyImages(Dataset[tuple[Tensor, int]]):
    """Noise around a color that belongs to the class."""

    def __init__(self, count: int, *, seed: int, noise: float = 0.4) -> None:
        generator = torch.Generator().manual_seed(seed)
        colors = torch.rand(CLASSES, 3, 1, 1, generator=torch.Generator().manual_seed(99))
        self.labels = torch.arange(count) % CLASSES
        spread = torch.rand(count, 3, HEIGHT, WIDTH, generator=generator)
        self.images = (1 - noise) * colors[self.labels] + noise * spread

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.images[index], int(self.labels[index])


def toy_batches(count: int = 23, *, seed: int = 1, batch_size: int = 9) -> list[tuple[Tensor, Tensor]]:
    data = ToyImages(count, seed=seed)
    return list(zip(data.images.split(batch_size), data.labels.split(batch_size), strict=True))


def toy_network(seed: int = 0, *, dropout: float = 0.2) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(3, 5, 3, padding=1),
            nn.BatchNorm2d(5),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(5, CLASSES),
        )


def save_weights(path: Path, network: nn.Module, scores: dict[str, float]) -> None:
    save_file(network.state_dict(), path, metadata={name: repr(value) for name, value in scores.items()})


def toy_recipe(**changes: Any) -> Recipe:
    return Recipe(**{"epochs": 3, "batch_size": 7, "learning_rate": 0.05, "crop_padding": 1, **changes})


def train_toy(output: Path, network: nn.Module | None = None, **options: Any) -> TrainingRun:
    train: Dataset[Any] = options.pop("train", ToyImages(40, seed=0))
    test: Iterable[Any] = options.pop("test", toy_batches())
    settings: dict[str, Any] = {
        "recipe": toy_recipe(),
        "mean": MEAN,
        "std": STD,
        "save": save_weights,
        "progress": False,
        "device": "cpu",
    }
    return train_model(network or toy_network(), train, test, output=output, **(settings | options))
