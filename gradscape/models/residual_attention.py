"""Lokesh, Ojha and Tiwari, "Residual Attention Network for Image Classification", 2021: networks for small images.

A replication report (without arXiv number) of Wang, Jiang, Qian, Yang, Li, Zhang, Wang and Tang, "Residual Attention
Network for Image Classification", 2017, arXiv:1704.06904, below "the paper".

Differs from the report:

- Shortcuts are identities where the shapes match, as both texts say. The printed sizes have a projection in every
  residual unit, from a comparison of shapes that an old TensorFlow found unequal for any batch: `shortcut="always"`.
- Attention-92 has one, two and three modules of one width in its stages, as both texts say. What the report ran has
  one effective module in stage 2 (the first one's output is never used), and stage 3's second and third module are as
  wide as the units after them: `as_reported=True`.
- Strided convolutions and poolings are padded on both sides, as is usual in torch; `padding="tensorflow"` pads as the
  report did. It changes the outputs of trained weights by a tenth of their range.
- The tail has three residual units, as in the report's code and in the paper; the report's figure 5 draws four:
  `tail=4`.
- Spatial attention normalizes the channels of each pixel, as in the report's code; both texts describe a normalization
  of each channel's map: `activation="spatial_map"`, with a learned scale and offset as in the report's code. Channel
  attention is in both texts but not in the report's code.
- More than one preprocessing unit (`p`) follow each other, as both texts say; in the report's code each starts from the
  module's input, so that the last alone counts. Neither text names more than one unit after the product; there is one.
- The stem and the regularization that the report gave up are told in a sentence each (section 7.3), without numbers.
  `stem="strided"` lets its 5×5 convolution take the stride of the pooling that came in its stead; `dropout` stands
  behind stage 3, on single values, with a batch normalization after it.
- Any image size: masks are upsampled to the sizes that were pooled, and the last map is averaged as a whole.

Differs from the paper: all that the report changed for images of 32 pixels; and Attention-92 has the report's one, two
and three modules where the paper has m in each stage of the network with 36m + 20 layers, so two. Attention-128 and
164, which the report has not, have three and four in each.
"""

from functools import partial
from itertools import pairwise
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape._taps import Tap
from gradscape.models.residual_units import KERAS_EPS, Padding, Shortcut, TensorflowConv2d, UnitStyle, create_unit
from gradscape.models.staged import StagedNetwork

__all__ = ["AttentionModule", "ResidualAttentionNetwork", "SoftMask", "create_tail"]

Activation = Literal["mixed", "spatial", "spatial_map", "channel"]
Learning = Literal["arl", "nal"]

MODULES = {56: (1, 1, 1), 92: (1, 2, 3), 128: (3, 3, 3), 164: (4, 4, 4)}
WIDTHS = (64, 128, 256)
# The widths of the modules that took part when the report was made.
REPORTED_WIDTHS = {56: ((64,), (128,), (256,)), 92: ((64,), (128,), (256, 512, 512))}
TAIL_WIDTH = 512


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
    if kind == "spatial_map":  # a group for every channel
        return nn.Sequential(nn.GroupNorm(channels, channels, eps=KERAS_EPS), nn.Sigmoid())
    return _ChannelNormalize() if kind == "channel" else nn.Sigmoid()


def _units(channels: int, count: int, *, style: UnitStyle) -> list[nn.Module]:
    return [create_unit(channels, channels, style=style) for _ in range(count)]


class _Hourglass(nn.Module):
    """Down to half the size, through a smaller hourglass beside a skip connection, and up to the size it came from."""

    def __init__(self, channels: int, *, poolings: int, r: int, lowest_units: int, style: UnitStyle) -> None:
        super().__init__()
        self.upsampling, self.align_corners = style.upsampling, True if style.upsampling == "bilinear" else None
        self.down = nn.Sequential(style.pool(), *_units(channels, r, style=style))
        self.skip: nn.Module | None = None
        if poolings > 1:
            self.skip = create_unit(channels, channels, style=style)
            self.deeper = _Hourglass(channels, poolings=poolings - 1, r=r, lowest_units=lowest_units, style=style)
        self.out = nn.Sequential(*_units(channels, r if poolings > 1 else lowest_units - r, style=style))

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
    the report's code. Both texts have it over the pixels of its channel: that is spatial_map, with scale and offset.

    Source: the paper's figure 2 and section 3.2; the report's section 2.1.

    Args:
        channels: Channels of the input and of the mask.
        poolings: How often the size is halved.
        r: Number of residual units between one pooling or upsampling and the next.
        lowest_units: Number of residual units at the lowest size, r or more; None for 2r.
        activation: Kind of the activation.
        style: How the units, poolings and upsamplings are made.
    """

    def __init__(
        self,
        channels: int,
        *,
        poolings: int,
        r: int = 1,
        lowest_units: int | None = None,
        activation: Activation = "mixed",
        style: UnitStyle,
    ) -> None:
        super().__init__()
        lowest = 2 * r if lowest_units is None else lowest_units
        self.hourglass = _Hourglass(channels, poolings=poolings, r=r, lowest_units=lowest, style=style)
        self.mix = style.mix_mask(channels)
        self.activation = _activation(activation, channels)

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        """Return the mask: in (0, 1) where it is mixed or spatial, in [-1, 1] where it is channel attention."""
        return self.activation(self.mix(self.hourglass(x)))


class AttentionModule(nn.Module):
    """Residual units, then more as the trunk T beside the soft mask M, their product, and a residual unit.

    The product is one of::

        result = (1 + M) ⊙ T   attention residual learning (arl)
        result = M ⊙ T         naive attention learning (nal)

    Its taps are `before` (T), `mask` (M) and `result`.

    Source: the paper's equations 1 and 3, figure 2, where p = 1, t = 2 and r = 1; the report's section 2.1.

    Args:
        channels: Channels of the input.
        filters: Channels of everything else.
        poolings: How often the mask's size is halved.
        p: Number of residual units before trunk and mask part.
        t: Number of residual units of the trunk.
        r: As in `SoftMask`.
        lowest_units: As in `SoftMask`.
        learning: What becomes of trunk and mask.
        activation: Kind of the mask's activation.
        style: How the units and the mask are made.

    Raises:
        ValueError: If `p`, `t` or `r` is not positive.
    """

    def __init__(
        self,
        channels: int,
        filters: int,
        *,
        poolings: int,
        p: int = 1,
        t: int = 2,
        r: int = 1,
        lowest_units: int | None = None,
        learning: Learning = "arl",
        activation: Activation = "mixed",
        style: UnitStyle,
    ) -> None:
        super().__init__()
        for name, count in (("p", p), ("t", t), ("r", r)):
            if count < 1:
                raise ValueError(
                    f"`{name}` of an attention module, a number of residual units, must be positive, got {count}"
                )
        self.residual = learning == "arl"
        self.first = create_unit(channels, filters, style=style)
        self.others = nn.Sequential(*_units(filters, p - 1, style=style))
        self.trunk = nn.Sequential(*_units(filters, t, style=style))
        self.soft_mask = SoftMask(
            filters, poolings=poolings, r=r, lowest_units=lowest_units, activation=activation, style=style
        )
        self.last = create_unit(filters, filters, style=style)
        self.before, self.mask, self.result = Tap("before", word="trunk"), Tap("mask", word="mask"), Tap("result")

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch filters height width"]:
        """Run the module; see the class."""
        x = self.others(self.first(x))
        trunk = self.before(self.trunk(x))
        attended = trunk * self.mask(self.soft_mask(x))
        return self.last(self.result(trunk + attended if self.residual else attended))


def create_tail(channels: int, filters: int, *, stride: int, units: int = 3, style: UnitStyle) -> nn.Sequential:
    """Return what stands between the last attention module and the averages: units, normalized and rectified.

    Source: the paper's table 2.

    Args:
        channels: Channels of the input.
        filters: Channels of the output.
        stride: Stride of the first unit.
        units: Number of units.
        style: How the units are made.

    Raises:
        ValueError: If there is no unit.
    """
    if units < 1:
        raise ValueError(
            f"`tail` of a residual attention network, a number of residual units, must be positive, got {units}"
        )
    return nn.Sequential(
        create_unit(channels, filters, stride=stride, style=style),
        *_units(filters, units - 1, style=style),
        *style.finish(filters),
    )


class ResidualAttentionNetwork(StagedNetwork):
    """The report's network: stem, three stages of a residual unit and attention modules, a tail of residual units.

    Source: the report's figure 5 and its published code, section 2.1 for `p`, `t` and `r`, section 7.3 for `stem` and
    `dropout`; the paper's section 4.1 for the depths.

    Args:
        depth: Weighted layers along the trunk if p, t and tail are 1, 2 and 3: 56 or 92 as in the report, 128 or 164 as
            in the paper.
        num_classes: Number of classes.
        learning: `"arl"` (attention residual learning) or `"nal"` (naive attention learning).
        activation: Kind of the masks' activation; see `SoftMask`.
        p: Number of residual units before trunk and mask of every module.
        t: Number of residual units of every trunk.
        r: Number of residual units between one pooling or upsampling of a mask and the next.
        tail: Number of residual units after the last module: 3, or 4 as the report's figure 5 has them.
        stem: `"pooled"` for a 5×5 convolution and a pooling, `"strided"` for the convolution alone with stride 2.
        dropout: Share of the values that a dropout after stage 3 sets to zero in training, with a batch normalization
            behind it; 0 for neither.
        shortcut: Whether units project where the shape changes (`"identity"`) or everywhere (`"always"`). None is the
            first, and the second of what the report ran.
        padding: Of strided convolutions and poolings: `"symmetric"`, or `"tensorflow"`, where an even size is padded by
            a pixel more at its end. None is the first, and the second of what the report ran.
        as_reported: Whether to build what the report really ran: the widths of its modules, and the two above.

    Raises:
        ValueError: If the depth is not one of these, if `as_reported` asks for one that the report did not run, if a
            number of units is not positive, or if `dropout` is not in [0, 1).
    """

    def __init__(
        self,
        depth: int,
        *,
        num_classes: int = 10,
        learning: Learning = "arl",
        activation: Activation = "mixed",
        p: int = 1,
        t: int = 2,
        r: int = 1,
        tail: int = 3,
        stem: Literal["pooled", "strided"] = "pooled",
        dropout: float = 0.0,
        shortcut: Shortcut | None = None,
        padding: Padding | None = None,
        as_reported: bool = False,
    ) -> None:
        super().__init__()
        if not 0 <= dropout < 1:
            raise ValueError(f"`dropout` of a residual attention network must be in [0, 1), got {dropout}")
        widths = _module_widths(depth, as_reported=as_reported)
        shortcut = shortcut or ("always" if as_reported else "identity")
        padding = padding or ("tensorflow" if as_reported else "symmetric")
        style = UnitStyle(shortcut=shortcut, padding=padding, pool_padding=padding)

        module = partial(AttentionModule, p=p, t=t, r=r, learning=learning, activation=activation, style=style)

        def stage(index: int, channels: int) -> nn.Sequential:
            first = create_unit(channels, WIDTHS[index], stride=1 if index == 0 else 2, style=style)
            lowest = r if index == 2 else None
            steps = pairwise((WIDTHS[index], *widths[index]))
            return nn.Sequential(first, *(module(*step, poolings=3 - index, lowest_units=lowest) for step in steps))

        self.stem = _strided_stem(padding) if stem == "strided" else _pooled_stem()
        self.stages = nn.ModuleList([stage(0, 64), stage(1, widths[0][-1]), stage(2, widths[1][-1])])
        last = widths[2][-1]
        self.regularization = nn.Sequential(*([nn.Dropout(dropout), style.normalize(last)] if dropout else []))
        self.tail = create_tail(last, TAIL_WIDTH, stride=1, units=tail, style=style)
        self.head = nn.Linear(TAIL_WIDTH, num_classes)
        self.apply(_initialize)

    def feature_maps(self, images: Float[Tensor, "batch 3 height width"]) -> list[Tensor]:
        """Return the maps that lead to the classifier; see `StagedNetwork.feature_maps`."""
        maps = super().feature_maps(images)
        return [*maps, self.tail(self.regularization(maps[-1]))]

    def _last_map(self, images: Tensor) -> Tensor:
        x = super()._last_map(images)  # 64 channels, 1/2; 128, 1/4; 256, 1/8
        return self.tail(self.regularization(x))  # 512, 1/8


def _pooled_stem() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 64, 5, padding=2), nn.MaxPool2d(2, ceil_mode=True))


def _strided_stem(padding: Padding) -> nn.Sequential:
    return nn.Sequential(
        TensorflowConv2d(3, 64, 5, 2) if padding == "tensorflow" else nn.Conv2d(3, 64, 5, 2, padding=2)
    )


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
