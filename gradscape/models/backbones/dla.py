"""DLA for CIFAR: Yu, Wang, Shelhamer and Darrell, "Deep Layer Aggregation", 2017, arXiv:1707.06484.

The versions for small images that UPANets compares itself with: DLA, and a simple one whose trees are binary.

Differs from the paper: DLA-34 with 3×3 convolutions in the stem and no stride before the stage with 128 channels, made
for 32 pixels. A root does not see the previous stage: a tree of two levels has one more block on its input instead,
whose output goes to the root. The simple one aggregates two by two (the paper's figure 2, d), neither reentrant (e) nor
with merged roots (f).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape.models.sites import AttendedBlock
from gradscape.models.staged import StagedNetwork

__all__ = ["CifarDLA"]


class _DLABlock(AttendedBlock):
    """Two 3×3 convolutions around which a shortcut leads."""

    spatial_convolution = "conv1,bn1"

    def __init__(self, channels: int, filters: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, filters, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels != filters:
            self.shortcut = nn.Sequential(nn.Conv2d(channels, filters, 1, stride, bias=False), nn.BatchNorm2d(filters))

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.attend_branch(self.bn2(self.conv2(out)), x)
        return self.attend_output(F.relu(out + self.shortcut(x)))


class _Root(nn.Module):
    """A normalized 1×1 convolution over what all nodes of a tree yield."""

    def __init__(self, nodes: int, filters: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(nodes * filters, filters, 1, bias=False)
        self.bn = nn.BatchNorm2d(filters)

    def forward(self, nodes: list[Tensor]) -> Tensor:
        return F.relu(self.bn(self.conv(torch.cat(nodes, 1))))


class _BinaryTree(nn.Module):
    """Two nodes, one after the other, and a root; nodes are blocks, or one level further up such trees."""

    def __init__(self, channels: int, filters: int, *, levels: int, stride: int) -> None:
        super().__init__()
        if levels == 1:
            self.left: nn.Module = _DLABlock(channels, filters, stride=stride)
            self.right: nn.Module = _DLABlock(filters, filters, stride=1)
        else:
            self.left = _BinaryTree(channels, filters, levels=levels - 1, stride=stride)
            self.right = _BinaryTree(filters, filters, levels=levels - 1, stride=1)
        self.root = _Root(2, filters)

    def forward(self, x: Tensor) -> Tensor:
        left = self.left(x)
        return self.root([left, self.right(left)])


class _MergedTree(nn.Module):
    """Two levels with one root: a subtree, two blocks that go on from it, and a block beside them."""

    def __init__(self, channels: int, filters: int, *, stride: int) -> None:
        super().__init__()
        self.beside = _DLABlock(channels, filters, stride=stride)
        self.subtree = _BinaryTree(channels, filters, levels=1, stride=stride)
        self.left = _DLABlock(filters, filters, stride=1)
        self.right = _DLABlock(filters, filters, stride=1)
        self.root = _Root(4, filters)

    def forward(self, x: Tensor) -> Tensor:
        subtree = self.subtree(x)
        left = self.left(subtree)
        return self.root([self.beside(x), subtree, left, self.right(left)])


def _convolution(channels: int, filters: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, filters, 3, padding=1, bias=False), nn.BatchNorm2d(filters), nn.ReLU(inplace=True)
    )


class CifarDLA(StagedNetwork):
    """Deep layer aggregation for small images: four stages, each a tree of residual blocks.

    Source: Yu et al., section 3.2 and figure 2; table 1 for the widths and levels of DLA-34.

    Args:
        num_classes: Number of classes.
        simple: Whether the trees of two levels are binary, with a root for every two nodes.
    """

    def __init__(self, *, num_classes: int = 10, simple: bool = False) -> None:
        super().__init__()

        def two_levels(channels: int, filters: int) -> nn.Module:
            if simple:
                return _BinaryTree(channels, filters, levels=2, stride=2)
            return _MergedTree(channels, filters, stride=2)

        self.stem = nn.Sequential(_convolution(3, 16), _convolution(16, 16), _convolution(16, 32))
        self.stages = nn.ModuleList(
            [  # full size, 1/2, 1/4, 1/8
                _BinaryTree(32, 64, levels=1, stride=1),
                two_levels(64, 128),
                two_levels(128, 256),
                _BinaryTree(256, 512, levels=1, stride=2),
            ]
        )
        self.head = nn.Linear(512, num_classes)
