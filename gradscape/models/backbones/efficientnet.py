"""EfficientNet-B0 as torchvision has it: Tan and Le, 2019, arXiv:1905.11946.

"EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks". Keys are torchvision's, so that its weights
load.

Differs from the paper: for small images, as in the network that UPANets compares itself with, the stem has no stride
and the last 1×1 convolution is left out. That network also counts 1,088 parameters of an expansion in the first block
which no image passes through; they are not here.
"""

from functools import partial

from torch import Tensor, nn
from torchvision.models.efficientnet import EfficientNet, MBConv, MBConvConfig

from gradscape.models.backbones.tapped_squeeze_excitation import TappedSqueezeExcitation
from gradscape.models.sites import AttendedBlock
from gradscape.models.staged import FeaturesNetwork

__all__ = ["EfficientNetB0"]


class _MBConv(MBConv, AttendedBlock):
    """Torchvision's block, with places for attention; what has no shortcut has a branch all the same."""

    use_res_connect: bool
    block: nn.Sequential
    stochastic_depth: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        branch = self.attend_branch(self.block(x), x)
        return self.attend_output(x + self.stochastic_depth(branch) if self.use_res_connect else branch)


# Expansion, kernel, stride, channels in and out, and blocks of each stage.
_STAGES = [
    (1, 3, 1, 32, 16, 1),
    (6, 3, 2, 16, 24, 2),
    (6, 5, 2, 24, 40, 2),
    (6, 3, 2, 40, 80, 3),
    (6, 5, 1, 80, 112, 3),
    (6, 5, 2, 112, 192, 4),
    (6, 3, 1, 192, 320, 1),
]


class EfficientNetB0(FeaturesNetwork, EfficientNet):
    """Torchvision's EfficientNet-B0, with places for attention.

    Source: Tan and Le, table 1; section 5.2 for dropout 0.2 and stochastic depth 0.2.

    Args:
        num_classes: Number of classes.
        small_images: Whether the stem keeps the size, as images of 32 pixels need it, and the classifier sees the
            320 channels of the last block.
    """

    def __init__(self, *, num_classes: int = 1000, small_images: bool = False) -> None:
        block = partial(_MBConv, se_layer=TappedSqueezeExcitation)  # type: ignore[call-arg]
        settings = [MBConvConfig(*setting, block=block) for setting in _STAGES]
        super().__init__(settings, dropout=0.2, stochastic_depth_prob=0.2, num_classes=num_classes)
        if small_images:
            self.features[0][0].stride = (1, 1)
            del self.features[-1]
            self.classifier[1] = nn.Linear(320, num_classes)

    @property
    def stages(self) -> nn.ModuleList:
        """The paper's stages 2 to 8."""
        return nn.ModuleList(self.features[1 : 1 + len(_STAGES)])

    def _last_map(self, images: Tensor) -> Tensor:
        x = self.features(images)  # 1280 channels, 1/32 (small images: 320, 1/16)
        return self.avgpool(x)  # one pixel
