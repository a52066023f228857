"""ResNets for CIFAR: He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", 2015, arXiv:1512.03385.

With the variants whose loss landscapes Li, Xu, Taylor, Studer and Goldstein, "Visualizing the Loss Landscape of Neural
Nets", 2018, arXiv:1712.09913, show: projections where the shape changes, and no shortcuts at all.

Differs from the papers: any number of classes and any image size, by a global average pooling.
"""

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from gradscape.models.sites import AttendedBlock
from gradscape.models.staged import StagedNetwork

__all__ = ["CifarResNet", "ShortcutKind"]

ShortcutKind = Literal["padding", "projection", "none"]


class _PaddingShortcut(nn.Module):
    """Every second pixel, with zeros for the new channels, half of them on each side (option A of the paper)."""

    def __init__(self, new_channels: int) -> None:
        super().__init__()
        self.margins = (0, 0, 0, 0, new_channels // 2, new_channels - new_channels // 2)

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, ::2, ::2], self.margins)


class _CifarResidualBlock(AttendedBlock):
    """Two 3×3 convolutions around which a shortcut leads, if there is one."""

    spatial_convolution = "conv1,bn1"

    def __init__(self, channels: int, filters: int, *, stride: int, shortcut: nn.Module | None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, filters, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.attend_branch(self.bn2(self.conv2(out)), x)
        return self.attend_output(F.relu(out if self.shortcut is None else out + self.shortcut(x)))


def _shortcut(kind: ShortcutKind, channels: int, filters: int) -> nn.Module | None:
    if kind == "none":
        return None
    if channels == filters:
        return nn.Identity()
    if kind == "padding":
        return _PaddingShortcut(filters - channels)
    return nn.Sequential(nn.Conv2d(channels, filters, 1, stride=2, bias=False), nn.BatchNorm2d(filters))


class CifarResNet(StagedNetwork):
    """He's residual network for small images: three stages of basic blocks with 16, 32 and 64 channels.

    Source: He et al., section 4.2; Li et al., section 4, for the projections and for the network without shortcuts.

    Args:
        depth: Number of weighted layers, 6n + 2 for n blocks a stage: 20, 32, 44, 56 and 110 in the paper.
        num_classes: Number of classes.
        shortcut: What leads around the blocks that change the shape: `"padding"` (subsampling and zero channels, option
            A), `"projection"` (1×1 convolution and batch normalization, option B); or `"none"` around no block.
    """

    def __init__(self, depth: int, *, num_classes: int = 10, shortcut: ShortcutKind = "padding") -> None:
        super().__init__()
        blocks = (depth - 2) // 6

        def stage(channels: int, filters: int) -> nn.Sequential:
            stride = 1 if channels == filters else 2
            first = _CifarResidualBlock(
                channels, filters, stride=stride, shortcut=_shortcut(shortcut, channels, filters)
            )
            others = [
                _CifarResidualBlock(filters, filters, stride=1, shortcut=_shortcut(shortcut, filters, filters))
                for _ in range(blocks - 1)
            ]
            return nn.Sequential(first, *others)

        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU()
        self.layer1 = stage(16, 16)
        self.layer2 = stage(16, 32)
        self.layer3 = stage(32, 64)
        self.linear = nn.Linear(64, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    @property
    def stem(self) -> nn.Module:
        """The module whose output is the stem's."""
        return self.relu

    @property
    def stages(self) -> nn.ModuleList:
        """The three layers."""
        return nn.ModuleList([self.layer1, self.layer2, self.layer3])

    @property
    def head(self) -> nn.Module:
        """The classifier, from `forward_features` to logits."""
        return self.linear

    def _stem_map(self, images: Tensor) -> Tensor:
        return self.relu(self.bn1(self.conv1(images)))  # 16 channels at full size

    def _last_map(self, images: Tensor) -> Tensor:
        x = self._stem_map(images)
        x = self.layer1(x)  # 16, full size
        x = self.layer2(x)  # 32, 1/2
        return self.layer3(x)  # 64, 1/4
