"""Small models whose landscapes are known."""

import torch
from torch import Tensor, nn


class Coordinates(nn.Module):
    """Two scalars as parameters; its 'loss' of every image is any function of them."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.zeros(1, 1))
        self.second = nn.Parameter(torch.zeros(1, 1))

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([self.first, self.second], dim=1).expand(len(images), 2)


class Quadratic(nn.Module):
    """Gives θ; with the loss ½ θᵀHθ its landscape is a parabola."""

    def __init__(self, theta: Tensor) -> None:
        super().__init__()
        self.theta = nn.Parameter(theta)

    def forward(self, images: Tensor) -> Tensor:
        return self.theta.expand(len(images), -1)


def small_net(*, classes: int = 5, seed: int = 0) -> nn.Sequential:
    """Convolution, batch norm with uneven statistics, a grouped transposed convolution, a linear head."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.ConvTranspose2d(6, 4, 3, groups=2),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4, classes),
        )
        net.train()(torch.randn(20, 3, 5, 7))
    return net.eval()


def images_and_labels(count: int = 23, *, classes: int = 5, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Random images of 5×7 pixels."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(count, 3, 5, 7, generator=generator)
    return images, torch.randint(0, classes, (count,), generator=generator)
