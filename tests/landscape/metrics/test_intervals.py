from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from gradscape.landscape import random_directions
from gradscape.landscape.engine.moving import moving
from gradscape.landscape.engine.network import evaluable
from gradscape.landscape.statistics import BlockStatistics

_POINTS = [(-0.5, -0.25), (0.1, 0.0), (0.2, 0.12), (0.5, 0.0), (-0.5, 1.0)]
_BLOCK = 64


@pytest.fixture(scope="module")
def losses(test_data: Path) -> np.ndarray:
    """Loss of each of 4,000 real images at the trained network and at five points around it, (points, images)."""
    from gradscape.models import create_model
    from gradscape.models.foreign_state import foreign_state

    net = create_model("resnet20", num_classes=10, image_size=32)
    net.load_state_dict(foreign_state(test_data / "checkpoints" / "akamaster-resnet20-12fca82f.th", net))
    arrays = np.load(test_data / "cifar10" / "cifar10_train4000_lossless.npz")
    pixels = torch.from_numpy(arrays["images"]).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    images, labels = (pixels - mean) / std, torch.from_numpy(arrays["labels"])
    found = []
    with evaluable(net), moving(net, random_directions(net, seed=0)) as move_to:
        for point in [(0.0, 0.0), *_POINTS]:
            move_to(point)
            outputs = torch.cat([net(part) for part in images.split(100)])
            found.append(F.cross_entropy(outputs, labels, reduction="none").numpy())
    return np.array(found, dtype=float)


def _statistics(drawn: np.ndarray, population: int) -> BlockStatistics:
    """What the engine would have stored for these losses, (points, images)."""
    blocks = [drawn[:, start : start + _BLOCK] for start in range(0, drawn.shape[1], _BLOCK)]
    shape = (len(blocks), len(drawn))
    return BlockStatistics(
        count=np.array([[block.shape[1]] * len(drawn) for block in blocks]),
        mean=np.array([block.mean(axis=1) for block in blocks]),
        m2=np.array([block.var(axis=1) * block.shape[1] for block in blocks]),
        right=np.zeros(shape),
        nonfinite=np.zeros(shape, dtype=int),
        population=population,
    )


@pytest.mark.slow
@pytest.mark.parametrize("images", [128, 512])
def test_intervals_cover_the_full_datas_loss_wherever_they_are_not_marked(losses: np.ndarray, images: int) -> None:
    generator = np.random.default_rng(0)
    truth = losses.mean(axis=1)
    covered, trusted = [], []
    for _ in range(400):
        drawn = losses[:, generator.choice(losses.shape[1], images, replace=False)]
        statistics = _statistics(drawn, losses.shape[1])
        low, high = statistics.interval(0.95)
        covered.append((low <= truth) & (truth <= high))
        trusted.append(statistics.reliable)
    often = np.mean(trusted, axis=0) >= 0.05
    coverage = (np.array(covered) & trusted).sum(axis=0) / np.maximum(np.sum(trusted, axis=0), 1)
    assert not often[0]  # at the minimum a handful of images carry the loss
    assert often.sum() >= 2
    assert (coverage[often] >= 0.9).all(), (coverage, np.mean(trusted, axis=0))


@pytest.mark.slow
def test_unmarked_or_not_the_interval_at_the_minimum_is_too_narrow(losses: np.ndarray) -> None:
    """Why there is a mark at all: without it, 95 % would be claimed where far less is held."""
    generator = np.random.default_rng(0)
    covered = []
    for _ in range(400):
        low, high = _statistics(losses[:, generator.choice(4000, 128, replace=False)], 4000).interval(0.95)
        covered.append(low[0] <= losses[0].mean() <= high[0])
    assert np.mean(covered) < 0.85
