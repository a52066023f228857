"""The units that residual attention networks are made of, three kinds of them, and how they are made.

Wang, Jiang, Qian, Yang, Li, Zhang, Wang and Tang, "Residual Attention Network for Image Classification", 2017,
arXiv:1704.06904, section 4.2: the paper's networks have pre-activation residual units, AttentionNeXt those of ResNeXt,
and AttentionInception those of Inception.

Differs from the paper: it draws only the pre-activation unit. ResNeXt's unit follows the authors' published network
description of AttentionNeXt-56; of the Inception unit none is published, so the choices are ours (see `InceptionUnit`).
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = [
    "KERAS_EPS",
    "AggregatedUnit",
    "InceptionUnit",
    "ResidualUnit",
    "TensorflowConv2d",
    "UnitKind",
    "UnitStyle",
    "create_unit",
]

Padding = Literal["symmetric", "tensorflow"]
Shortcut = Literal["identity", "always"]
UnitKind = Literal["residual", "aggregated", "inception"]

KERAS_EPS = 1e-3
_CARDINALITY = 32


@dataclass(frozen=True)
class UnitStyle:
    """How the units and masks of one published network are made; the defaults are the report's.

    Attributes:
        bias: Whether the convolutions have biases.
        eps: Added to the variances.
        momentum: Weight of a new batch in the running statistics.
        shortcut: `"identity"` projects where the shape changes, `"always"` everywhere.
        activated: Whether the 1×1 convolutions beside the residual branches (projections, and the mask's last two) see
            normalized and rectified features, or raw ones.
        padding: Of strided convolutions.
        pool_padding: Of 3×3 poolings.
        upsampling: Of the mask; bilinear aligns the corners.
        kind: Which units: `"residual"` normalizes and rectifies before its convolutions, `"aggregated"` and
            `"inception"` after them.
    """

    bias: bool = True
    eps: float = KERAS_EPS
    momentum: float = 0.01
    shortcut: Shortcut = "identity"
    activated: bool = False
    padding: Padding = "symmetric"
    pool_padding: Padding = "symmetric"
    upsampling: Literal["nearest", "bilinear"] = "nearest"
    kind: UnitKind = "residual"

    def normalize(self, channels: int) -> nn.Module:
        """Return a batch normalization."""
        return nn.BatchNorm2d(channels, eps=self.eps, momentum=self.momentum)

    def activate(self, channels: int) -> list[nn.Module]:
        """Return a batch normalization and a rectifier."""
        return [self.normalize(channels), nn.ReLU()]

    def mix(self, channels: int, filters: int, *, stride: int = 1) -> nn.Conv2d:
        """Return a 1×1 convolution."""
        return nn.Conv2d(channels, filters, 1, stride, bias=self.bias)

    def look_around(self, channels: int, *, stride: int = 1, groups: int = 1) -> nn.Conv2d:
        """Return a 3×3 convolution that keeps the channels."""
        if stride == 2 and self.padding == "tensorflow":
            return TensorflowConv2d(channels, channels, 3, stride, groups=groups, bias=self.bias)
        return nn.Conv2d(channels, channels, 3, stride, padding=1, groups=groups, bias=self.bias)

    def pool(self) -> nn.Module:
        """Return a 3×3 max pooling with stride 2."""
        return _TensorflowMaxPool2d() if self.pool_padding == "tensorflow" else nn.MaxPool2d(3, 2, padding=1)

    def mix_mask(self, channels: int) -> nn.Sequential:
        """Return a mask's two 1×1 convolutions, with the normalizations that such units have."""
        first, second = self.mix(channels, channels), self.mix(channels, channels)
        if self.kind != "residual":
            return nn.Sequential(first, *self.activate(channels), second)
        before = [self.activate(channels) if self.activated else [] for _ in range(2)]
        return nn.Sequential(*before[0], first, *before[1], second)

    def finish(self, channels: int) -> list[nn.Module]:
        """Return what comes after the last unit: units that rectify before their convolutions leave it to do."""
        return self.activate(channels) if self.kind == "residual" else []


class TensorflowConv2d(nn.Conv2d):
    """A convolution of odd size with stride 2 that pads by itself: an even size by one pixel more at its end."""

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch filters rows columns"]:
        """Convolve; see the class."""
        margin = self.kernel_size[0] // 2
        before = [margin - 1 + size % 2 for size in x.shape[2:]]
        return super().forward(F.pad(x, (before[1], margin, before[0], margin)))


class _TensorflowMaxPool2d(nn.Module):
    """A 3×3 max pooling with stride 2, of which an even size is padded at its end alone."""

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, 3, 2, padding=(x.shape[2] % 2, x.shape[3] % 2), ceil_mode=True)


class ResidualUnit(nn.Module):
    """A bottleneck of 1×1, 3×3 and 1×1 convolutions, each after normalization and rectifier, beside a shortcut.

    Source: the report's figure 5; the paper's table 2.

    Args:
        channels: Channels of the input.
        filters: Channels of the output, four times those of the 3×3 convolution.
        stride: Stride of the 3×3 convolution and of the projection.
        style: How the convolutions, normalizations and shortcut are made.
    """

    def __init__(self, channels: int, filters: int, *, stride: int = 1, style: UnitStyle) -> None:
        super().__init__()
        narrow = filters // 4
        projects = style.shortcut == "always" or stride != 1 or channels != filters
        self.activate = nn.Sequential(*style.activate(channels))
        self.branch = nn.Sequential(
            style.mix(channels, narrow),
            *style.activate(narrow),
            style.look_around(narrow, stride=stride),
            *style.activate(narrow),
            style.mix(narrow, filters),
        )
        self.shortcut = style.mix(channels, filters, stride=stride) if projects else nn.Identity()
        self.projects_activated = projects and style.activated

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch filters out_height out_width"]:
        """Run the unit; see the class."""
        activated = self.activate(x)
        return self.shortcut(activated if self.projects_activated else x) + self.branch(activated)


class AggregatedUnit(nn.Module):
    """ResNeXt's unit: convolutions 1×1, 3×3 in 32 groups and 1×1, each normalized, beside a shortcut; then a rectifier.

    Source: Xie, Girshick, Dollár, Tu and He, "Aggregated Residual Transformations for Deep Neural Networks", 2016,
    arXiv:1611.05431, figure 3c; the published network description of AttentionNeXt-56.

    Args:
        channels: Channels of the input.
        filters: Channels of the output, twice those of the 3×3 convolution.
        stride: Stride of the 3×3 convolution and of the projection.
        style: How the convolutions and normalizations are made.
    """

    def __init__(self, channels: int, filters: int, *, stride: int = 1, style: UnitStyle) -> None:
        super().__init__()
        width = filters // 2
        self.branch = nn.Sequential(
            style.mix(channels, width),
            *style.activate(width),
            style.look_around(width, stride=stride, groups=_CARDINALITY),
            *style.activate(width),
            style.mix(width, filters),
            style.normalize(filters),
        )
        self.shortcut = _normalized_projection(channels, filters, stride=stride, style=style)

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch filters out_height out_width"]:
        """Run the unit; see the class."""
        return F.relu(self.shortcut(x) + self.branch(x))


class InceptionUnit(nn.Module):
    """An Inception unit with a shortcut: three paths of none, one and two 3×3 convolutions, mixed to the output.

    Every path begins with a 1×1 convolution and is an eighth as wide as the output; each convolution is normalized, all
    but the last rectified, and so is the sum with the shortcut.

    Source: Szegedy, Ioffe, Vanhoucke and Alemi, "Inception-v4, Inception-ResNet and the Impact of Residual Connections
    on Learning", 2016, arXiv:1602.07261, the block Inception-ResNet-A, which has these widths at 256 channels.

    Differs from it: at every size of the map the unit is this one; the mixing convolution is normalized, in place of
    its bias. Strides, which that unit has none of, are in the last convolution of each path.

    Args:
        channels: Channels of the input.
        filters: Channels of the output, eight times those of each path.
        stride: Stride of the unit.
        style: How the convolutions and normalizations are made.
    """

    def __init__(self, channels: int, filters: int, *, stride: int = 1, style: UnitStyle) -> None:
        super().__init__()
        width = filters // 8

        def path(neighborhoods: int) -> nn.Sequential:
            first = style.mix(channels, width, stride=1 if neighborhoods else stride)
            layers = [first, *style.activate(width)]
            for number in range(1, neighborhoods + 1):
                layers.append(style.look_around(width, stride=stride if number == neighborhoods else 1))
                layers.extend(style.activate(width))
            return nn.Sequential(*layers)

        self.paths = nn.ModuleList(path(neighborhoods) for neighborhoods in range(3))
        self.mix = nn.Sequential(style.mix(3 * width, filters), style.normalize(filters))
        self.shortcut = _normalized_projection(channels, filters, stride=stride, style=style)

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch filters out_height out_width"]:
        """Run the unit; see the class."""
        mixed = self.mix(torch.cat([path(x) for path in self.paths], 1))
        return F.relu(self.shortcut(x) + mixed)


def _normalized_projection(channels: int, filters: int, *, stride: int, style: UnitStyle) -> nn.Module:
    """What leads around a unit that rectifies last."""
    if style.shortcut == "identity" and stride == 1 and channels == filters:
        return nn.Identity()
    return nn.Sequential(style.mix(channels, filters, stride=stride), style.normalize(filters))


_UNITS = {"residual": ResidualUnit, "aggregated": AggregatedUnit, "inception": InceptionUnit}


def create_unit(channels: int, filters: int, *, stride: int = 1, style: UnitStyle) -> nn.Module:
    """Return a unit of the style's kind.

    Args:
        channels: Channels of the input.
        filters: Channels of the output.
        stride: Stride of the unit.
        style: How it is made.
    """
    return _UNITS[style.kind](channels, filters, stride=stride, style=style)
