"""ShuffleNetV2 as torchvision has it: Ma, Zhang, Zheng and Sun, 2018, arXiv:1807.11164.

"ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design". Keys are torchvision's, so that its weights
load.

Differs from the paper: for small images the stem has neither stride nor pooling.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models.shufflenetv2 import InvertedResidual, channel_shuffle
from torchvision.models.shufflenetv2 import ShuffleNetV2 as TorchvisionShuffleNetV2

from gradscape.models.sites import AttendedBlock
from gradscape.models.staged import StagedNetwork

__all__ = ["ShuffleNetV2"]


class _ShuffleUnit(InvertedResidual, AttendedBlock):
    """Torchvision's block, with places for attention.

    Its residual branch is the one with three convolutions; the other is the shortcut, which is put beside it and not
    added.
    """

    stride: int
    branch1: nn.Sequential
    branch2: nn.Sequential

    def forward(self, x: Tensor) -> Tensor:
        shortcut, kept = (self.branch1(x), x) if self.stride > 1 else x.chunk(2, dim=1)
        branch = self.attend_branch(self.branch2(kept), x)
        return self.attend_output(channel_shuffle(torch.cat([shortcut, branch], 1), 2))


class ShuffleNetV2(StagedNetwork, TorchvisionShuffleNetV2):
    """Torchvision's ShuffleNetV2 1×, with places for attention.

    Source: Ma et al., table 5 and figure 3, c and d.

    Args:
        num_classes: Number of classes.
        small_images: Whether the stem keeps the size, as images of 32 pixels need it.
    """

    def __init__(self, *, num_classes: int = 1000, small_images: bool = False) -> None:
        super().__init__([4, 8, 4], [24, 116, 232, 464, 1024], num_classes, _ShuffleUnit)
        if small_images:
            self.conv1[0].stride = (1, 1)
            self.maxpool = nn.Identity()

    @property
    def stem(self) -> nn.Module:
        """The module whose output is the stem's."""
        return self.maxpool

    @property
    def stages(self) -> nn.ModuleList:
        """The paper's stages 2, 3 and 4."""
        return nn.ModuleList([self.stage2, self.stage3, self.stage4])

    @property
    def head(self) -> nn.Module:
        """The classifier, from `forward_features` to logits."""
        return self.fc

    def feature_maps(self, images: Float[Tensor, "batch 3 height width"]) -> list[Tensor]:
        """Return the maps that lead to the classifier; see `StagedNetwork.feature_maps`."""
        maps = super().feature_maps(images)
        return [*maps, self.conv5(maps[-1])]

    def _stem_map(self, images: Tensor) -> Tensor:
        return self.maxpool(self.conv1(images))  # 24 channels, 1/4 (small images: full size)

    def _last_map(self, images: Tensor) -> Tensor:
        x = self._stem_map(images)
        x = self.stage2(x)  # 116, 1/8
        x = self.stage3(x)  # 232, 1/16
        x = self.stage4(x)  # 464, 1/32
        return self.conv5(x)  # 1024, 1/32
