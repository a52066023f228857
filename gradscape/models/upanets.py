"""UPANets: Tseng, Lee, Feng et al., "UPANets: Learning from the Universal Pixel Attention Networks", 2021.

arXiv:2103.08640.

Differs from the paper, following the authors' published code wherever the two disagree:

- Channel pixel attention of the root and of every layer's first block has a second linear branch from the block's
  input (`cp_ffc_sc`, `bn_sc`). The paper does not mention it, and half of its printed sizes lack it:
  `cpa_shortcut=False`.
- A batch normalization of the connected features stands before the classifier.
- Every layer has four dense blocks; table 1's "8d" for layer 3 contradicts the sizes in the same row.

Variants without published code, and how the text is read here:

- A head of one kind of pooling alone (`final_gap`, `final_spa`, `exc_gap`, `exc_spa`) has no layer normalization, since
  the paper introduces it to bring the two kinds of pooling to one scale.
- `attention="conv"` (table 7) replaces the linear layers of both attentions by 1×1 convolutions without bias.
- `width=1` (table 8, "Slim") gives the first convolution of a pair as many filters as the second.
- `attention="none"` (table 3, "w/o CPA") leaves the convolutions and the pooling; the layer normalization belongs to
  the attention and goes with it.
- `shuffle=True` (table 3): the text compares "CPA and shuffle" as two ways to connect channels, so the shuffle takes
  CPA's place. It stands between the two convolutions, the first of which is in `groups`. `groups` alone keeps CPA, the
  other side of that comparison. The root, whose three input channels no number of groups divides, stays whole.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape._taps import Tap
from gradscape.models.sites import AttendedBlock
from gradscape.models.staged import StagedNetwork

__all__ = ["ChannelPixelAttention", "SpatialPixelAttention", "UPABlock", "UPANet"]

Attention = Literal["linear", "conv", "none"]
Pooling = Literal["exc_spa_gap", "exc_spa", "exc_gap", "final_spa", "final_gap"]


class PixelLinear(nn.Linear):
    """A linear layer over the channels of every pixel."""

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch mixed height width"]:
        """Mix the channels; see the class."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def _mixing(channels: int, mixed: int, attention: Attention) -> nn.Module:
    return PixelLinear(channels, mixed) if attention == "linear" else nn.Conv2d(channels, mixed, 1, bias=False)


class ChannelPixelAttention(nn.Module):
    """Channel pixel attention (CPA): every output pixel weighs the input channels at its own position.

    For a block's input x and the output s of its convolutions, with LN over (channels, height, width) of each image and
    without affine::

        out = LN(s + BN(W x + b)) [+ BN(V x + c)]        then 2×2 average pooling where `down`

    Its taps show s, the matrix W that mixes the channels, BN(W x + b), and the sum of the two before LN.

    Source: equation 1 and figure 2; the bracket is the published code's (see the module's docstring).

    Args:
        channels: Channels of x.
        mixed: Channels of s and of the output.
        attention: `"linear"`, or `"conv"` for a 1×1 convolution without bias.
        shortcut: Whether the bracketed branch is there.
        down: Whether the output is pooled to half the side.
    """

    def __init__(
        self, channels: int, mixed: int, *, attention: Attention = "linear", shortcut: bool = False, down: bool = False
    ) -> None:
        super().__init__()
        self.cp_ffc = _mixing(channels, mixed, attention)
        self.bn = nn.BatchNorm2d(mixed)
        self.shortcut, self.down = shortcut, down
        if shortcut:
            self.cp_ffc_sc = _mixing(channels, mixed, attention)
            self.bn_sc = nn.BatchNorm2d(mixed)
        self.before, self.channel = Tap("before", word="convolution"), Tap("channel")
        self.part, self.result = Tap("part", word="CPA"), Tap("result", word="sum")

    def forward(
        self, x: Float[Tensor, "batch channels height width"], s: Float[Tensor, "batch mixed height width"]
    ) -> Float[Tensor, "batch mixed out_height out_width"]:
        """Fuse a block's input and the output of its convolutions; see the class."""
        if self.channel.observed:
            self.channel(self.cp_ffc.get_parameter("weight").flatten(1))
        fused = self.result(self.before(s) + self.part(self.bn(self.cp_ffc(x))))
        # One group is the paper's LN, and unlike layer_norm keeps channels_last memory: 1.25 times the speed there.
        fused = F.group_norm(fused, 1)
        if self.shortcut:
            fused = fused + self.bn_sc(self.cp_ffc_sc(x))
        return F.avg_pool2d(fused, 2) if self.down else fused


class _NoAttention(nn.Module):
    """What is left of CPA without attention: the pooling."""

    def __init__(self, *, down: bool) -> None:
        super().__init__()
        self.down = down

    def forward(self, _: Tensor, s: Tensor) -> Tensor:
        return F.avg_pool2d(s, 2) if self.down else s


class SpatialPixelAttention(nn.Module):
    """Spatial pixel attention (SPA): a learned weighted sum over the pixels, with the same weights for every channel.

    Its taps show x, the weights as a map, and the sum.

    Source: equation 2 and figure 3.

    Args:
        pixels: Height × width of the map.
        attention: `"linear"`, or `"conv"` for a convolution over the pixels without bias.
    """

    def __init__(self, pixels: int, *, attention: Attention = "linear") -> None:
        super().__init__()
        pool = nn.Conv1d(pixels, 1, 1, bias=False) if attention == "conv" else nn.Linear(pixels, 1)
        self.sp_ffc = nn.Sequential(pool)
        self.over_channels = attention == "conv"
        self.before, self.spatial, self.result = Tap("before"), Tap("spatial"), Tap("result")

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels"]:
        """Pool a feature map; see the class."""
        pixels = self.before(x).flatten(2)
        if self.spatial.observed:
            self.spatial(self.sp_ffc.get_parameter("0.weight").view(1, 1, *x.shape[2:]))
        if self.over_channels:
            return self.result(self.sp_ffc(pixels.transpose(1, 2)).squeeze(1))
        return self.result(self.sp_ffc(pixels).squeeze(2))


def _convolution_pair(channels: int, filters: int, *, width: int, groups: int, shuffle: bool) -> nn.Sequential:
    wide = width * filters
    return nn.Sequential(
        nn.Conv2d(channels, wide, 3, padding=1, groups=groups, bias=False),
        nn.BatchNorm2d(wide),
        nn.ReLU(),
        *([nn.ChannelShuffle(groups)] if shuffle else []),
        nn.Conv2d(wide, filters, 3, padding=1, bias=False),
        nn.BatchNorm2d(filters),
        nn.ReLU(),
    )


class UPABlock(AttendedBlock):
    """Two 3×3 convolutions beside the attention, fused; densely connected where `dense`.

    Source: figures 4 and 5.

    Args:
        cnn: The convolutions, from x to s.
        att: The attention, from (x, s) to their fusion.
        dense: Whether the output is x followed by the fusion (stride one) or the fusion alone.
    """

    def __init__(self, cnn: nn.Module, att: nn.Module, *, dense: bool) -> None:
        super().__init__()
        self.cnn, self.att, self.dense = cnn, att, dense

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch out_channels out_height out_width"]:
        """Run one block; see the class."""
        fused = self.attend_branch(self.att(x, self.cnn(x)), x)
        return self.attend_output(torch.cat([x, fused], 1) if self.dense else fused)


@dataclass(frozen=True)
class _Plan:
    """How the blocks of one network are made; the fields are `UPANet`'s."""

    attention: Attention
    width: int
    cpa_shortcut: bool
    groups: int
    shuffle: bool

    def attend(self, channels: int, mixed: int, *, dense: bool = False, down: bool = False) -> nn.Module:
        if self.shuffle or self.attention == "none":
            return _NoAttention(down=down)
        shortcut = self.cpa_shortcut and not dense
        return ChannelPixelAttention(channels, mixed, attention=self.attention, shortcut=shortcut, down=down)

    def block(self, channels: int, mixed: int, *, dense: bool = False, down: bool = False) -> UPABlock:
        pair = _convolution_pair(channels, mixed, width=self.width, groups=self.groups, shuffle=self.shuffle)
        return UPABlock(pair, self.attend(channels, mixed, dense=dense, down=down), dense=dense)

    def layer(self, channels: int, *, blocks: int, down: bool) -> nn.Sequential:
        step = channels // (4 * blocks)
        dense = [self.block(channels + i * step, step, dense=True) for i in range(4 * blocks)]
        return nn.Sequential(self.block(channels, channels, down=down), *dense)


class UPANet(StagedNetwork):
    """A UPANet for square images whose side is a multiple of 8.

    Submodules carry the names of the authors' state dict, so that it loads as it is: `root` and `emb` (the stem),
    `layer1` … `layer4` (the stages), `spa0` … `spa4`, `bn` and `linear` (the head). The maps of figure 7 pass the taps
    of `layer2.0.att`.

    Source: table 1; figure 6 for the connections to the classifier.

    Args:
        filters: Width F of the root: 16, 32 or 64 in the paper.
        num_classes: Number of classes.
        image_size: Side of the images in pixels, fixed by the spatial attention's weights.
        pooling: Which maps the classifier sees ("exc": all five, "final": the last), and how they are pooled.
        attention: Kind of both attentions: `"linear"`, `"conv"`, or `"none"` for no channel attention.
        width: Filters of a pair's first convolution over those of its second.
        cpa_shortcut: Whether the channel attentions outside of dense blocks have their second branch.
        groups: Groups of every block's first convolution.
        shuffle: Whether a channel shuffle of two or more groups replaces the channel attention.
        blocks: Depth multiplier d of table 1: every layer has 4d dense blocks.

    Raises:
        ValueError: If an argument is out of range or the widths cannot be divided as asked.
    """

    def __init__(
        self,
        filters: int,
        *,
        num_classes: int = 10,
        image_size: int = 32,
        pooling: Pooling = "exc_spa_gap",
        attention: Attention = "linear",
        width: int = 2,
        cpa_shortcut: bool = True,
        groups: int = 1,
        shuffle: bool = False,
        blocks: int = 1,
    ) -> None:
        super().__init__()
        _check_shape(filters, image_size, width=width, groups=groups, blocks=blocks)
        if shuffle and groups < 2:
            raise ValueError(f"`shuffle` connects the `groups` of a UPANet, which must be two or more, got {groups}")
        plan = _Plan(attention, width, cpa_shortcut, groups, shuffle)
        self.root = _convolution_pair(3, filters, width=width, groups=1, shuffle=False)
        self.emb = plan.attend(3, filters)
        self.layer1 = plan.layer(filters, blocks=blocks, down=False)
        self.layer2 = plan.layer(2 * filters, blocks=blocks, down=True)
        self.layer3 = plan.layer(4 * filters, blocks=blocks, down=True)
        self.layer4 = plan.layer(8 * filters, blocks=blocks, down=True)

        connected, _, self.kinds = pooling.partition("_")
        self.levels = (4, 3, 2, 1, 0) if connected == "exc" else (4,)
        features = sum(filters * (1, 2, 4, 8, 16)[level] for level in self.levels)
        if "spa" in self.kinds:
            for level in sorted(self.levels):
                side = image_size // (1, 1, 2, 4, 8)[level]
                self.add_module(f"spa{level}", SpatialPixelAttention(side * side, attention=attention))
        self.bn = nn.BatchNorm1d(features)
        self.linear = nn.Linear(features, num_classes)

    @property
    def stem(self) -> nn.Module:
        """The module whose output is the stem's."""
        return self.emb

    @property
    def stages(self) -> nn.ModuleList:
        """The four layers."""
        return nn.ModuleList([self.layer1, self.layer2, self.layer3, self.layer4])

    @property
    def head(self) -> nn.Module:
        """The classifier, from `forward_features` to logits."""
        return self.linear

    def forward_features(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch features"]:
        """Return what the classifier sees: every connected map pooled, the deepest first, normalized.

        Args:
            images: Normalized images.
        """
        maps = self.feature_maps(images)  # F channels at full size; 2F, full size; 4F, 1/2; 8F, 1/4; 16F, 1/8
        return self.bn(torch.cat([self._pool(level, maps[level]) for level in self.levels], 1))

    def _stem_map(self, images: Tensor) -> Tensor:
        return self.emb(images, self.root(images))

    def _pool(self, level: int, x: Tensor) -> Tensor:
        if self.kinds == "gap":
            return x.mean((2, 3))
        attended = self.get_submodule(f"spa{level}")(x)
        if self.kinds == "spa":
            return attended
        pooled = x.mean((2, 3)) + attended
        return F.layer_norm(pooled, pooled.shape[1:])


def _check_shape(filters: int, image_size: int, *, width: int, groups: int, blocks: int) -> None:
    if image_size < 8 or image_size % 8:
        raise ValueError(f"`image_size` of a UPANet must be a multiple of 8, got {image_size}")
    if width < 1:
        raise ValueError(f"`width` of a UPANet must be positive, got {width}")
    if blocks < 1 or filters % (4 * blocks):
        raise ValueError(f"`blocks` of a UPANet must be such that 4 × blocks divides {filters} filters, got {blocks}")
    step = filters // (4 * blocks)
    if groups < 1 or step % groups:
        raise ValueError(f"`groups` of a UPANet must divide the {step} channels that a block adds, got {groups}")
