"""DenseNets for CIFAR: Huang, Liu, van der Maaten and Weinberger, "Densely Connected Convolutional Networks", 2016.

arXiv:1608.06993. The versions for small images that UPANets and SPANet (121 and 201 layers) and BA2M (100 layers) use.

Differs from the paper: 121 and 201 layers, made for ImageNet, stand behind a 3×3 stem without pooling, made for 32
pixels. Global average pooling takes any size that the transitions can halve.
"""

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape.models.bottleneck import BottleneckChoice
from gradscape.models.sites import AttendedBlock
from gradscape.models.staged import StagedNetwork

__all__ = ["CifarDenseNet", "DenseNet100", "DenseNet121", "DenseNet201"]


class _DenseLayer(AttendedBlock):
    """Normalized 1×1 and 3×3 convolutions, the branch, whose output comes in front of their input."""

    spatial_convolution = "conv2"

    def __init__(self, channels: int, growth_rate: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, 4 * growth_rate, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(4 * growth_rate)
        self.conv2 = nn.Conv2d(4 * growth_rate, growth_rate, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv1(F.relu(self.bn1(x)))
        out = self.attend_branch(self.conv2(F.relu(self.bn2(out))), x)
        return self.attend_output(torch.cat([out, x], 1))


class _Transition(nn.Module):
    """Half the channels at half the size."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, channels // 2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(self.conv(F.relu(self.bn(x))), 2)


class CifarDenseNet(StagedNetwork):
    """DenseNet-BC for small images: dense blocks, and a transition to half the channels and size between two of them.

    Source: Huang et al., section 3 and table 1.

    Args:
        blocks_per_stage: Number of layers of each dense block; each has two convolutions.
        num_classes: Number of classes.
        growth_rate: Channels that every layer adds (k in the paper): 32, or 12 or 16 in smaller versions.

    Raises:
        ValueError: If `growth_rate` is not positive.
    """

    attention_bottleneck = BottleneckChoice(reduction=3, bias=False, wider=True)  # for layers as narrow as these

    def __init__(self, blocks_per_stage: tuple[int, ...], *, num_classes: int = 10, growth_rate: int = 32) -> None:
        super().__init__()
        if growth_rate < 1:
            raise ValueError(f"`growth_rate` must be positive, got {growth_rate}")
        channels = 2 * growth_rate
        self.conv1 = nn.Conv2d(3, channels, 3, padding=1, bias=False)
        stages, transitions = [], []
        for number, layers in enumerate(blocks_per_stage, 1):
            dense = [_DenseLayer(channels + i * growth_rate, growth_rate) for i in range(layers)]
            stages.append(nn.Sequential(*dense))
            channels += layers * growth_rate
            if number < len(blocks_per_stage):
                transitions.append(_Transition(channels))
                channels //= 2
        for number, stage in enumerate(stages, 1):
            self.add_module(f"dense{number}", stage)
        for number, transition in enumerate(transitions, 1):
            self.add_module(f"trans{number}", transition)
        self.blocks = len(stages)
        self.bn = nn.BatchNorm2d(channels)
        self.linear = nn.Linear(channels, num_classes)

    @property
    def stem(self) -> nn.Module:
        """The first convolution."""
        return self.conv1

    @property
    def stages(self) -> nn.ModuleList:
        """The dense blocks."""
        return nn.ModuleList([self.get_submodule(f"dense{number}") for number in range(1, self.blocks + 1)])

    @property
    def head(self) -> nn.Module:
        """The classifier, from `forward_features` to logits."""
        return self.linear

    def feature_maps(self, images: Float[Tensor, "batch 3 height width"]) -> list[Tensor]:
        """Return the maps that lead to the classifier; see `StagedNetwork.feature_maps`."""
        maps = [self.conv1(images)]
        for number in range(1, self.blocks + 1):
            before = maps[-1] if number == 1 else self.get_submodule(f"trans{number - 1}")(maps[-1])
            maps.append(self.get_submodule(f"dense{number}")(before))
        return [*maps, F.relu(self.bn(maps[-1]))]

    def _last_map(self, images: Tensor) -> Tensor:
        x = self.conv1(images)  # 2k channels at full size
        for number in range(1, self.blocks):  # half the size with each transition
            x = self.get_submodule(f"dense{number}")(x)
            x = self.get_submodule(f"trans{number}")(x)
        x = self.get_submodule(f"dense{self.blocks}")(x)
        return F.relu(self.bn(x))


DenseNet121 = partial(CifarDenseNet, (6, 12, 24, 16))
DenseNet201 = partial(CifarDenseNet, (6, 12, 48, 32))
# DenseNet-BC with L = 100 and k = 12, which has three blocks for small images.
DenseNet100 = partial(CifarDenseNet, (16, 16, 16), growth_rate=12)
