"""Lokesh, Ojha and Tiwari, "Residual Attention Network for Image Classification", 2021: networks for small images.

A replication report (without arXiv number) of Wang, Jiang, Qian, Yang, Li, Zhang, Wang and Tang, "Residual Attention
Network for Image Classification", 2017, arXiv:1704.06904, below "the paper".

Differs from the report:

- Shortcuts are identities where the shapes match, as both texts say. The printed sizes have a projection in every
  residual unit, from a comparison of shapes that an old TensorFlow found unequal for any batch: `shortcut="always"`.
- Attention-92 has one, two and three modules of one width in its stages, as both texts say. What the report ran has
  one effective module in stage 2 (the first one's output is never used), and stage 3's second and third module are as
  wide as the units after them: `as_reported=True`.
- Strided 3×3 convolutions and poolings are padded on both sides, as is usual in torch; `padding="tensorflow"` pads as
  the report did. It changes the outputs of trained weights by a tenth of their range.
- The tail has three residual units, as in the report's code and in the paper; the report's figure 5 draws four.
- Spatial attention normalizes the channels of each pixel, as in the report's code; both texts describe a normalization
  of each channel's map. Channel attention is in both texts but not in the report's code.
- Any image size: masks are upsampled to the sizes that were pooled, and the last map is averaged as a whole.

Differs from the paper: all that the report changed for images of 32 pixels; and Attention-92 has the report's one, two
and three modules where the paper has m in each stage of the network with 36m + 20 layers, so two. Attention-128 and
164, which the report has not, have three and four in each.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape._taps import Tap
from gradscape.models.staged import StagedNetwork

__all__ = ["AttentionModule", "ResidualAttentionNetwork", "ResidualUnit", "SoftMask", "UnitStyle", "create_tail"]

Activation = Literal["mixed", "spatial", "channel"]
Learning = Literal["arl", "nal"]
Padding = Literal["symmetric", "tensorflow"]
Shortcut = Literal["identity", "always"]

MODULES = {56: (1, 1, 1), 92: (1, 2, 3), 128: (3, 3, 3), 164: (4, 4, 4)}
WIDTHS = (64, 128, 256)
# The widths of the modules that took part when the report was made.
REPORTED_WIDTHS = {56: ((64,), (128,), (256,)), 92: ((64,), (128,), (256, 512, 512))}
TAIL_WIDTH = 512
KERAS_EPS = 1e-3


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
        padding: Of strided 3×3 convolutions.
        pool_padding: Of 3×3 poolings.
        upsampling: Of the mask; bilinear aligns the corners.
    """

    bias: bool = True
    eps: float = KERAS_EPS
    momentum: float = 0.01
    shortcut: Shortcut = "identity"
    activated: bool = False
    padding: Padding = "symmetric"
    pool_padding: Padding = "symmetric"
    upsampling: Literal["nearest", "bilinear"] = "nearest"

    def activate(self, channels: int) -> list[nn.Module]:
        """Return a batch normalization and a rectifier."""
        return [nn.BatchNorm2d(channels, eps=self.eps, momentum=self.momentum), nn.ReLU()]

    def mix(self, channels: int, filters: int, *, stride: int = 1) -> nn.Conv2d:
        """Return a 1×1 convolution."""
        return nn.Conv2d(channels, filters, 1, stride, bias=self.bias)

    def look_around(self, channels: int, *, stride: int) -> nn.Conv2d:
        """Return a 3×3 convolution."""
        if stride == 2 and self.padding == "tensorflow":
            return _TensorflowConv2d(channels, channels, 3, stride, bias=self.bias)
        return nn.Conv2d(channels, channels, 3, stride, padding=1, bias=self.bias)

    def pool(self) -> nn.Module:
        """Return a 3×3 max pooling with stride 2."""
        return _TensorflowMaxPool2d() if self.pool_padding == "tensorflow" else nn.MaxPool2d(3, 2, padding=1)


class _TensorflowConv2d(nn.Conv2d):
    """A 3×3 convolution with stride 2, of which an even size is padded at its end alone."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, (x.shape[3] % 2, 1, x.shape[2] % 2, 1)))


class _TensorflowMaxPool2d(nn.Module):
    """A 3×3 max pooling with stride 2, of which an even size is padded at its end alone."""

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, 3, 2, padding=(x.shape[2] % 2, x.shape[3] % 2), ceil_mode=True)


class _ChannelLayerNorm(nn.LayerNorm):
    """Layer normalization over the channels of every pixel."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class _ChannelNormalize(nn.Module):
    """Division of every pixel's channels by their L2 norm."""

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(x, dim=1)


def _activation(kind: Activation, channels: int) -> nn.Module:
    if kind == "spatial":
        return nn.Sequential(_ChannelLayerNorm(channels, eps=KERAS_EPS), nn.Sigmoid())
    return _ChannelNormalize() if kind == "channel" else nn.Sigmoid()


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


class _Hourglass(nn.Module):
    """Down to half the size, through a smaller hourglass beside a skip connection, and up to the size it came from."""

    def __init__(self, channels: int, *, poolings: int, lowest_units: int, style: UnitStyle) -> None:
        super().__init__()
        self.upsampling, self.align_corners = style.upsampling, True if style.upsampling == "bilinear" else None
        self.down = nn.Sequential(style.pool(), ResidualUnit(channels, channels, style=style))
        self.skip: nn.Module | None = None
        if poolings > 1:
            self.skip = ResidualUnit(channels, channels, style=style)
            self.deeper = _Hourglass(channels, poolings=poolings - 1, lowest_units=lowest_units, style=style)
        units = 1 if poolings > 1 else lowest_units - 1
        self.out = nn.Sequential(*(ResidualUnit(channels, channels, style=style) for _ in range(units)))

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[2:]
        x = self.down(x)
        if self.skip is not None:
            x = self.skip(x) + self.deeper(x)
        return F.interpolate(self.out(x), size=size, mode=self.upsampling, align_corners=self.align_corners)


class SoftMask(nn.Module):
    """The mask of an attention module: an hourglass of poolings and upsamplings, two 1×1 convolutions, an activation.

    With x_ic the channels c of pixel i, the activations of the paper's equations 4 to 6 are::

        mixed: 1 / (1 + exp(-x_ic))        channel: x_ic / ||x_i||        spatial: 1 / (1 + exp(-z_ic))

    where z is the z-value of x over the channels of its pixel, with a learned scale and offset for each channel, as in
    the report's code; both texts have it over the pixels of its channel.

    Source: the paper's figure 2 and section 3.2; the report's section 2.1.

    Args:
        channels: Channels of the input and of the mask.
        poolings: How often the size is halved.
        lowest_units: Number of residual units at the lowest size.
        activation: Kind of the activation.
        style: How the units, poolings and upsamplings are made.
    """

    def __init__(
        self,
        channels: int,
        *,
        poolings: int,
        lowest_units: int = 2,
        activation: Activation = "mixed",
        style: UnitStyle,
    ) -> None:
        super().__init__()
        self.hourglass = _Hourglass(channels, poolings=poolings, lowest_units=lowest_units, style=style)
        self.mix = nn.Sequential()
        for _ in range(2):
            self.mix.extend([*(style.activate(channels) if style.activated else []), style.mix(channels, channels)])
        self.activation = _activation(activation, channels)

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        """Return the mask: in (0, 1) where it is mixed or spatial, in [-1, 1] where it is channel attention."""
        return self.activation(self.mix(self.hourglass(x)))


class AttentionModule(nn.Module):
    """A residual unit, two more as the trunk T beside the soft mask M, their product, and a residual unit.

    The product is one of::

        result = (1 + M) ⊙ T   attention residual learning (arl)
        result = M ⊙ T         naive attention learning (nal)

    Its taps are `before` (T), `mask` (M) and `result`.

    Source: the paper's equations 1 and 3, figure 2, with p = 1, t = 2 and r = 1; the report's section 2.1.

    Args:
        channels: Channels of the input.
        filters: Channels of everything else.
        poolings: How often the mask's size is halved.
        lowest_units: Number of residual units at the mask's lowest size.
        learning: What becomes of trunk and mask.
        activation: Kind of the mask's activation.
        style: How the units and the mask are made.
    """

    def __init__(
        self,
        channels: int,
        filters: int,
        *,
        poolings: int,
        lowest_units: int = 2,
        learning: Learning = "arl",
        activation: Activation = "mixed",
        style: UnitStyle,
    ) -> None:
        super().__init__()
        self.residual = learning == "arl"
        self.first = ResidualUnit(channels, filters, style=style)
        self.trunk = nn.Sequential(*(ResidualUnit(filters, filters, style=style) for _ in range(2)))
        self.soft_mask = SoftMask(
            filters, poolings=poolings, lowest_units=lowest_units, activation=activation, style=style
        )
        self.last = ResidualUnit(filters, filters, style=style)
        self.before, self.mask, self.result = Tap("before", word="trunk"), Tap("mask", word="mask"), Tap("result")

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch filters height width"]:
        """Run the module; see the class."""
        x = self.first(x)
        trunk = self.before(self.trunk(x))
        attended = trunk * self.mask(self.soft_mask(x))
        return self.last(self.result(trunk + attended if self.residual else attended))


def create_tail(channels: int, filters: int, *, stride: int, style: UnitStyle) -> nn.Sequential:
    """Return what stands between the last attention module and the averages: three units, normalized and rectified.

    Source: the paper's table 2.

    Args:
        channels: Channels of the input.
        filters: Channels of the output.
        stride: Stride of the first unit.
        style: How the units are made.
    """
    return nn.Sequential(
        ResidualUnit(channels, filters, stride=stride, style=style),
        ResidualUnit(filters, filters, style=style),
        ResidualUnit(filters, filters, style=style),
        *style.activate(filters),
    )


class ResidualAttentionNetwork(StagedNetwork):
    """The report's network: stem, three stages of a residual unit and attention modules, a tail of residual units.

    Source: the report's figure 5 and its published code; the paper's section 4.1 for the depths.

    Args:
        depth: Weighted layers along the trunk: 56 or 92 as in the report, 128 or 164 as in the paper.
        num_classes: Number of classes.
        learning: `"arl"` (attention residual learning) or `"nal"` (naive attention learning).
        activation: Kind of the masks' activation; see `SoftMask`.
        shortcut: Whether units project where the shape changes (`"identity"`) or everywhere (`"always"`).
        padding: Of strided 3×3 convolutions and poolings: `"symmetric"`, or `"tensorflow"`, where an even size is
            padded at its end alone.
        as_reported: Whether to build what the report really ran. It overrules `shortcut` and `padding`.

    Raises:
        ValueError: If the depth is not one of these, or if `as_reported` asks for one that the report did not run.
    """

    def __init__(
        self,
        depth: int,
        *,
        num_classes: int = 10,
        learning: Learning = "arl",
        activation: Activation = "mixed",
        shortcut: Shortcut = "identity",
        padding: Padding = "symmetric",
        as_reported: bool = False,
    ) -> None:
        super().__init__()
        widths = _module_widths(depth, as_reported=as_reported)
        if as_reported:
            shortcut, padding = "always", "tensorflow"
        style = UnitStyle(shortcut=shortcut, padding=padding, pool_padding=padding)

        def stage(index: int, channels: int) -> nn.Sequential:
            first = ResidualUnit(channels, WIDTHS[index], stride=1 if index == 0 else 2, style=style)
            modules = (
                AttentionModule(
                    before,
                    after,
                    poolings=3 - index,
                    lowest_units=1 if index == 2 else 2,
                    learning=learning,
                    activation=activation,
                    style=style,
                )
                for before, after in pairwise((WIDTHS[index], *widths[index]))
            )
            return nn.Sequential(first, *modules)

        self.stem = nn.Sequential(nn.Conv2d(3, 64, 5, padding=2), nn.MaxPool2d(2, ceil_mode=True))
        self.stages = nn.ModuleList([stage(0, 64), stage(1, widths[0][-1]), stage(2, widths[1][-1])])
        self.tail = create_tail(widths[2][-1], TAIL_WIDTH, stride=1, style=style)
        self.head = nn.Linear(TAIL_WIDTH, num_classes)
        self.apply(_initialize)

    def _last_map(self, images: Tensor) -> Tensor:
        x = super()._last_map(images)  # 64 channels, 1/2; 128, 1/4; 256, 1/8
        return self.tail(x)  # 512, 1/8


def _initialize(module: nn.Module) -> None:
    """As Keras does, whose defaults the report took."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.get_parameter("bias"))


def _module_widths(depth: int, *, as_reported: bool) -> tuple[tuple[int, ...], ...]:
    """For every stage the widths of its modules."""
    if depth not in MODULES:
        known = ", ".join(map(str, MODULES))
        raise ValueError(f"`depth` of a residual attention network must be one of {known}, got {depth}")
    if as_reported:
        if depth not in REPORTED_WIDTHS:
            raise ValueError(f"`as_reported` needs a `depth` that the report ran, 56 or 92, got {depth}")
        return REPORTED_WIDTHS[depth]
    return tuple((width,) * count for width, count in zip(WIDTHS, MODULES[depth], strict=True))
