"""MobileNets: Howard, Zhu, Chen, Kalenichenko, Wang, Weyand, Andreetto and Adam, 2017, arXiv:1704.04861.

"MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications".

Differs from the paper: the last depthwise convolution has stride 1, where table 1 prints 2 but keeps the size. Any
image size.
"""

from torch import Tensor, nn

from gradscape.models.backbones.substitutes import NumberedLayers
from gradscape.models.sites import AttendedBlock
from gradscape.models.staged import FeaturesNetwork

__all__ = ["MobileNetV1"]


class _SeparableBlock(AttendedBlock):
    """A depthwise 3×3 and a 1×1 convolution: all of it is the branch, since no shortcut leads around it."""

    def __init__(self, channels: int, filters: int, *, stride: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, stride, padding=1, groups=channels, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.pointwise = nn.Conv2d(channels, filters, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.depthwise(x)))
        out = self.relu(self.bn2(self.pointwise(out)))
        return self.attend_output(self.attend_branch(out, x))


# Channels and stride of the thirteen blocks.
_BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (1024, 2),
    (1024, 1),
)


class MobileNetV1(FeaturesNetwork, NumberedLayers):
    """A 3×3 convolution (layer 1) and thirteen depthwise separable blocks (layers 2 to 14).

    Source: Howard et al., table 1; section 3.3 for `width`.

    Args:
        num_classes: Number of classes.
        width: Factor on the channels of all layers: 1, 0.75, 0.5 and 0.25 in the paper.

    Raises:
        ValueError: If `width` leaves the first layer no channel.
    """

    def __init__(self, *, num_classes: int = 1000, width: float = 1.0) -> None:
        super().__init__()
        channels = int(32 * width)
        if channels < 1:
            raise ValueError(f"`width` of a MobileNet must be at least 1/32, got {width}")
        layers: list[nn.Module] = [
            nn.Sequential(nn.Conv2d(3, channels, 3, 2, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU())
        ]
        replaceable = []
        for base_filters, stride in _BLOCKS:
            filters = int(base_filters * width)
            layers.append(_SeparableBlock(channels, filters, stride=stride))
            if channels == filters and stride == 1:
                replaceable.append(len(layers))
            channels = filters
        self.features = nn.Sequential(*layers)
        self.replaceable_layers = tuple(replaceable)
        self.classifier = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @property
    def stages(self) -> nn.ModuleList:
        """The last layer of each of the five sizes: layers 2, 4, 6, 12 and 14."""
        return nn.ModuleList([self.features[number - 1] for number in (2, 4, 6, 12, 14)])
