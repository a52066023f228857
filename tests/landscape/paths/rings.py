"""A landscape of two parameters whose best curves are known: (x² + y² − 1)²."""

import torch
from torch import Tensor, nn

RING_BATCHES = [(torch.zeros(2, 1), torch.zeros(2, dtype=torch.int64))]


class Ring(nn.Module):
    """Its "loss" of every image is (x² + y² − 1)² of its two parameters."""

    def __init__(self, x: float, y: float) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.tensor([x, y], dtype=torch.float64))

    def forward(self, images: Tensor) -> Tensor:
        return ((self.place.square().sum() - 1) ** 2).expand(len(images))


def ring_loss(output: Tensor, labels: Tensor) -> Tensor:
    """What the ring gives."""
    return output
