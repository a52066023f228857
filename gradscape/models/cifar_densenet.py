"""DenseNet-121 for CIFAR: Huang, Liu, van der Maaten and Weinberger, "Densely Connected Convolutional Networks", 2016.

arXiv:1608.06993. The version for small images that UPANets compares itself with.

Differs from the paper: the ImageNet depth (6, 12, 24 and 16 layers a block) behind a 3×3 stem without pooling, made for
32 pixels; global average pooling lets it take any other size from 8 pixels on.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["DenseNet121"]


class _DenseLayer(nn.Module):
    """Normalized 1×1 and 3×3 convolutions whose output comes in front of their input."""

    def __init__(self, channels: int, growth_rate: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, 4 * growth_rate, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(4 * growth_rate)
        self.conv2 = nn.Conv2d(4 * growth_rate, growth_rate, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv1(F.relu(self.bn1(x)))
        out = self.conv2(F.relu(self.bn2(out)))
        return torch.cat([out, x], 1)


class _Transition(nn.Module):
    """Half the channels at half the size."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, channels // 2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(self.conv(F.relu(self.bn(x))), 2)


class DenseNet121(nn.Module):
    """DenseNet-BC with 121 weighted layers for small images.

    Source: Huang et al., section 3 and table 1.

    Args:
        num_classes: Number of classes.
        growth_rate: Channels that every layer adds (k in the paper): 32, or 12 or 16 in smaller versions.

    Raises:
        ValueError: If `growth_rate` is not positive.
    """

    def __init__(self, *, num_classes: int = 10, growth_rate: int = 32) -> None:
        super().__init__()
        if growth_rate < 1:
            raise ValueError(f"`growth_rate` must be positive, got {growth_rate}")
        channels = 2 * growth_rate
        self.conv1 = nn.Conv2d(3, channels, 3, padding=1, bias=False)
        stages, transitions = [], []
        for number, layers in enumerate((6, 12, 24, 16), 1):
            dense = [_DenseLayer(channels + i * growth_rate, growth_rate) for i in range(layers)]
            stages.append(nn.Sequential(*dense))
            channels += layers * growth_rate
            if number < 4:
                transitions.append(_Transition(channels))
                channels //= 2
        self.dense1, self.dense2, self.dense3, self.dense4 = stages
        self.trans1, self.trans2, self.trans3 = transitions
        self.bn = nn.BatchNorm2d(channels)
        self.linear = nn.Linear(channels, num_classes)

    @property
    def stem(self) -> nn.Module:
        """The first convolution."""
        return self.conv1

    @property
    def stages(self) -> nn.ModuleList:
        """The four dense blocks."""
        return nn.ModuleList([self.dense1, self.dense2, self.dense3, self.dense4])

    @property
    def head(self) -> nn.Module:
        """The classifier, from `forward_features` to logits."""
        return self.linear

    def forward_features(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch features"]:
        """Return what the classifier sees: the averages of the last map, normalized.

        Args:
            images: Normalized images.
        """
        x = self.conv1(images)  # 2k channels at full size
        x = self.trans1(self.dense1(x))  # 4k, 1/2
        x = self.trans2(self.dense2(x))  # 8k, 1/4
        x = self.trans3(self.dense3(x))  # 16k, 1/8
        x = self.dense4(x)  # 32k, 1/8
        return F.relu(self.bn(x)).mean((2, 3))

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch classes"]:
        """Return logits.

        Args:
            images: Normalized images.
        """
        return self.head(self.forward_features(images))
