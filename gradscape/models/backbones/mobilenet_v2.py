"""MobileNetV2: Sandler, Howard, Zhu, Zhmoginov and Chen, 2018, arXiv:1801.04381.

"MobileNetV2: Inverted Residuals and Linear Bottlenecks". The network for ImageNet has torchvision's keys, so that its
weights load; the one for small images is that of SPANet and of UPANets' tables.

Differs from the paper: dropout of 0.2 before the classifier, as in torchvision. For small images: stride 1 in the stem
and in the second stage, ReLU instead of ReLU6, an expanding convolution in the first block too, and a projection where
a block of stride 1 changes the channels, which has no shortcut in the paper.
"""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.mobilenetv2 import InvertedResidual
from torchvision.models.mobilenetv2 import MobileNetV2 as TorchvisionMobileNetV2

from gradscape.models.backbones.substitutes import NumberedLayers
from gradscape.models.bottleneck import BottleneckChoice
from gradscape.models.sites import AttendedBlock
from gradscape.models.staged import FeaturesNetwork, StagedNetwork

__all__ = ["CifarMobileNetV2", "MobileNetV2"]


class _InvertedResidual(InvertedResidual, AttendedBlock):
    """Torchvision's block of 1×1, depthwise 3×3 and 1×1 convolutions, with places for attention."""

    conv: nn.Sequential

    def forward(self, x: Tensor) -> Tensor:
        out = self.attend_branch(self.conv(x), x)
        return self.attend_output(x + out if self.use_res_connect else out)


class MobileNetV2(FeaturesNetwork, TorchvisionMobileNetV2, NumberedLayers):
    """Torchvision's network: a convolution (layer 1), seventeen blocks (2 to 18), and a 1×1 convolution (19).

    Source: Sandler et al., table 2.

    Args:
        num_classes: Number of classes.
        width: Factor on the channels, rounded to multiples of 8.
    """

    attention_bottleneck = BottleneckChoice(reduction=8)

    def __init__(self, *, num_classes: int = 1000, width: float = 1.0) -> None:
        super().__init__(num_classes=num_classes, width_mult=width, block=_InvertedResidual)
        self.replaceable_layers = tuple(
            number
            for number, layer in self.layers.items()
            if isinstance(layer, InvertedResidual) and layer.use_res_connect
        )

    @property
    def stages(self) -> nn.ModuleList:
        """The last block of each line of the paper's table: layers 2, 4, 7, 11, 14, 17 and 18."""
        return nn.ModuleList([self.features[number - 1] for number in (2, 4, 7, 11, 14, 17, 18)])


class _CifarBlock(AttendedBlock):
    """Convolutions 1×1, depthwise 3×3 and 1×1, and a shortcut wherever the size stays."""

    def __init__(self, channels: int, filters: int, *, expansion: int, stride: int) -> None:
        super().__init__()
        width = expansion * channels
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, groups=width, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, filters, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(filters)
        self.shortcut: nn.Module | None = None
        if stride == 1:
            projection = nn.Sequential(nn.Conv2d(channels, filters, 1, bias=False), nn.BatchNorm2d(filters))
            self.shortcut = nn.Identity() if channels == filters else projection

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        out = self.attend_branch(self.bn3(self.conv3(out)), x)
        return self.attend_output(out if self.shortcut is None else out + self.shortcut(x))


# Expansion, channels, number of blocks and first stride of the seven stages.
_CIFAR_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 1),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class CifarMobileNetV2(StagedNetwork):
    """MobileNetV2 for small images, an eighth of whose size the last map has.

    Source: Sandler et al., table 2, with the strides above.

    Args:
        num_classes: Number of classes.
    """

    attention_bottleneck = BottleneckChoice(bias=False)

    def __init__(self, *, num_classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU())
        self.stages = nn.ModuleList()
        channels = 32
        for expansion, filters, blocks, first_stride in _CIFAR_STAGES:
            stage = nn.Sequential()
            for i in range(blocks):
                stride = first_stride if i == 0 else 1
                stage.append(_CifarBlock(channels, filters, expansion=expansion, stride=stride))
                channels = filters
            self.stages.append(stage)
        self.widening = nn.Sequential(nn.Conv2d(channels, 1280, 1, bias=False), nn.BatchNorm2d(1280), nn.ReLU())
        self.head = nn.Linear(1280, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def feature_maps(self, images: Float[Tensor, "batch 3 height width"]) -> list[Tensor]:
        """Return the maps that lead to the classifier; see `StagedNetwork.feature_maps`."""
        maps = super().feature_maps(images)
        return [*maps, self.widening(maps[-1])]

    def _last_map(self, images: Tensor) -> Tensor:
        x = super()._last_map(images)  # 16, 24, full size; 32, 1/2; 64, 96, 1/4; 160, 320, 1/8
        return self.widening(x)
