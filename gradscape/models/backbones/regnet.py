"""RegNetY-400MF for CIFAR, of torchvision's blocks: Radosavovic, Kosaraju, Girshick, He and Dollár, 2020.

"Designing Network Design Spaces", arXiv:2003.13678. The version for small images that UPANets compares itself with.

Differs from the paper: the widths and depths are those of RegNetX-400MF, with the squeeze-and-excitation that makes it
a RegNetY, since so is the network that UPANets compares itself with. It is made for 32 pixels: the stem has 64 channels
and no stride, and neither has the first stage and the second.
"""

from typing import Any

from torch import Tensor, nn
from torchvision.models.regnet import BlockParams, RegNet, ResBottleneckBlock
from torchvision.ops.misc import Conv2dNormActivation

from gradscape.models.backbones.tapped_squeeze_excitation import TappedSqueezeExcitation
from gradscape.models.sites import AttendedBlock
from gradscape.models.staged import StagedNetwork

__all__ = ["CifarRegNetY400MF"]


class _RegNetBlock(ResBottleneckBlock, AttendedBlock):
    """Torchvision's block, with places for attention."""

    proj: nn.Module | None
    f: nn.Sequential
    activation: nn.Module

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        squeeze = self.f.get_submodule("se.fc1")
        assert isinstance(squeeze, nn.Conv2d)
        self.f.se = TappedSqueezeExcitation(squeeze.in_channels, squeeze.out_channels)  # the same, with taps

    def forward(self, x: Tensor) -> Tensor:
        branch = self.attend_branch(self.f(x), x)
        shortcut = x if self.proj is None else self.proj(x)
        return self.attend_output(self.activation(shortcut + branch))


def _stem(channels: int, filters: int, norm_layer: Any, activation_layer: Any) -> Conv2dNormActivation:
    return Conv2dNormActivation(channels, filters, 3, norm_layer=norm_layer, activation_layer=activation_layer)


class CifarRegNetY400MF(StagedNetwork, RegNet):
    """RegNetY-400MF for small images, with places for attention.

    Source: Radosavovic et al., figure 4 for the block; section 5 for squeeze-and-excitation, whose inner width is a
    quarter of the block's input.

    Args:
        num_classes: Number of classes.
    """

    def __init__(self, *, num_classes: int = 10) -> None:
        stages = BlockParams(
            depths=[1, 2, 7, 12],
            widths=[32, 64, 160, 384],
            group_widths=[16] * 4,
            bottleneck_multipliers=[1.0] * 4,
            strides=[1, 1, 2, 2],
            se_ratio=0.25,
        )
        super().__init__(stages, num_classes, stem_width=64, stem_type=_stem, block_type=_RegNetBlock)

    @property
    def stages(self) -> nn.ModuleList:
        """The four stages."""
        return nn.ModuleList(self.trunk_output)

    @property
    def head(self) -> nn.Module:
        """The classifier, from `forward_features` to logits."""
        return self.fc

    def _last_map(self, images: Tensor) -> Tensor:
        x = self.stem(images)  # 64 channels at full size
        x = self.trunk_output(x)  # 32 and 64 at full size, 160 at 1/2, 384 at 1/4
        return self.avgpool(x)  # one pixel
