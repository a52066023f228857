"""VGG-16 for CIFAR: Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", 2014.

arXiv:1409.1556. The version for small images that SPANet and UPANets use.

Differs from the paper: batch normalization after each convolution, and one linear layer instead of three, behind a
global average pooling that lets it take any size from 32 pixels on.
"""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape.models.bottleneck import BottleneckChoice
from gradscape.models.sites import AttendedBlock
from gradscape.models.staged import StagedNetwork

__all__ = ["CifarVGG16"]


class _Unit(AttendedBlock):
    """A 3×3 convolution, normalized and activated: all of it is the branch, since no shortcut leads around it."""

    spatial_convolution = "conv,bn"

    def __init__(self, channels: int, filters: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, filters, 3, padding=1)
        self.bn = nn.BatchNorm2d(filters)

    def forward(self, x: Tensor) -> Tensor:
        return self.attend_output(self.attend_branch(F.relu(self.bn(self.conv(x))), x))


class CifarVGG16(StagedNetwork):
    """Thirteen 3×3 convolutions in five stages, each stage followed by a max pooling, and a linear classifier.

    Source: Simonyan and Zisserman, table 1, column D.

    Args:
        num_classes: Number of classes.
    """

    attention_bottleneck = BottleneckChoice(bias=False)

    def __init__(self, *, num_classes: int = 10) -> None:
        super().__init__()
        self.stages = nn.ModuleList()
        channels = 3
        for filters, units in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
            stage = nn.Sequential(_Unit(channels, filters), *(_Unit(filters, filters) for _ in range(units - 1)))
            self.stages.append(stage)
            channels = filters
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @property
    def stem(self) -> nn.Module:
        """The first convolution with its normalization and activation."""
        return self.get_submodule("stages.0.0")

    def feature_maps(self, images: Float[Tensor, "batch 3 height width"]) -> list[Tensor]:
        """Return the maps that lead to the classifier; see `StagedNetwork.feature_maps`."""
        maps = [self.stem(images)]
        x = images
        for stage in self.stages:
            maps.append(stage(x))
            x = self.pool(maps[-1])
        return [*maps, x]

    def _last_map(self, images: Tensor) -> Tensor:
        x = images
        for stage in self.stages:  # 64 channels at full size, 128 at 1/2, 256 at 1/4, 512 at 1/8, 512 at 1/16
            x = self.pool(stage(x))
        return x
