"""SENet-18 for CIFAR: Hu, Shen, Albanie, Sun and Wu, "Squeeze-and-Excitation Networks", 2017, arXiv:1709.01507.

The version for small images that UPANets compares itself with.

Differs from the paper: pre-activation blocks (He, Zhang, Ren and Sun, 2016, arXiv:1603.05027) as deep as ResNet-18's,
behind a 3×3 stem without pooling, made for 32 pixels. No normalization comes after the last block, as in the network
that UPANets compares itself with, whose 11.26 million parameters its tables print as 1.34.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from gradscape.models.attentions.squeeze_excitation import SqueezeExcitation
from gradscape.models.sites import AttendedBlock
from gradscape.models.staged import StagedNetwork

__all__ = ["CifarSENet18"]


class _PreactBlock(AttendedBlock):
    """Two normalized 3×3 convolutions and squeeze-and-excitation, around which a shortcut leads."""

    spatial_convolution = "conv1,bn2"

    def __init__(self, channels: int, filters: int, *, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, filters, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, padding=1, bias=False)
        self.se = SqueezeExcitation(filters)
        changes = stride != 1 or channels != filters
        self.shortcut = nn.Conv2d(channels, filters, 1, stride, bias=False) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(x))
        shortcut = x if self.shortcut is None else self.shortcut(out)
        out = self.conv2(F.relu(self.bn2(self.conv1(out))))
        out = self.attend_branch(self.se(out), x)
        return self.attend_output(out + shortcut)


class CifarSENet18(StagedNetwork):
    """A residual network of eight pre-activation blocks with squeeze-and-excitation, for small images.

    Source: Hu et al., section 3.3; the reduction is their 16.

    Args:
        num_classes: Number of classes.
    """

    def __init__(self, *, num_classes: int = 10) -> None:
        super().__init__()

        def stage(channels: int, filters: int, stride: int) -> nn.Sequential:
            return nn.Sequential(
                _PreactBlock(channels, filters, stride=stride), _PreactBlock(filters, filters, stride=1)
            )

        self.stem = nn.Sequential(nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU())
        # full size, 1/2, 1/4, 1/8
        self.stages = nn.ModuleList([stage(64, 64, 1), stage(64, 128, 2), stage(128, 256, 2), stage(256, 512, 2)])
        self.head = nn.Linear(512, num_classes)
