"""ULSAM: Saini, Jha, Das, Mittal and Mohan, 2020.

"ULSAM: Ultra-Lightweight Subspace Attention Module for Compact Convolutional Neural Networks", arXiv:2006.15102.

Differs from the paper, following the authors' published code: both convolutions of equation 2 have a bias, a batch
normalization and a ReLU, so that m channels in g subspaces cost 5m + 3g parameters. As it is printed the equation has
neither, and costs the 2m parameters of table 1: `layout="equations"`.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape._taps import Tap
from gradscape.models.backbones.substitutes import NumberedLayers, Substitute
from gradscape.models.sites import AttendedBlock, Host

__all__ = ["ULSAM", "attach_ulsam"]

Layout = Literal["code", "equations"]

_MOMENTUM = 0.9  # of the running statistics, as torch means it: nine tenths are the last batch's


class _Subspace(nn.Module):
    """From the channels of one subspace to their one attention map, which sums to one."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_dws = nn.Conv2d(channels, channels, 1, groups=channels)
        self.bn_dws = nn.BatchNorm2d(channels, momentum=_MOMENTUM)
        self.conv_point = nn.Conv2d(channels, 1, 1)
        self.bn_point = nn.BatchNorm2d(1, momentum=_MOMENTUM)

    def forward(self, x: Tensor) -> Tensor:
        salient = F.max_pool2d(F.relu(self.bn_dws(self.conv_dws(x))), 3, stride=1, padding=1)
        score = F.relu(self.bn_point(self.conv_point(salient)))
        return score.flatten(2).softmax(2).view_as(score)


class _PrintedSubspace(nn.Module):
    """The same as equation 2 prints it: between its two convolutions without bias stands the pooling alone."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_dws = nn.Conv2d(channels, channels, 1, groups=channels, bias=False)
        self.conv_point = nn.Conv2d(channels, 1, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        score = self.conv_point(F.max_pool2d(self.conv_dws(x), 3, stride=1, padding=1))
        return score.flatten(2).softmax(2).view_as(score)


class ULSAM(nn.Module):
    """Ultra-lightweight subspace attention: an attention map for each of g groups of channels.

    For the channels F of every group::

        A = softmax(relu(BN(PW(maxpool(relu(BN(DW(F))))))))      over the pixels
        A = softmax(PW(maxpool(DW(F))))                          as printed
        out = A ⊗ F + F

    with a depthwise 1×1 convolution DW, a pointwise one PW to a single map, and 3×3 max pooling of stride one.
    Submodules carry the names of the authors' state dict.

    Source: equations 2 to 4 and figure 2.

    Args:
        channels: Channels m of the map.
        groups: Number of subspaces g.
        layout: Which A: that of the authors' `"code"`, or equation 2 as it is printed, `"equations"`.

    Raises:
        ValueError: If the groups do not divide the channels.
    """

    def __init__(self, channels: int, *, groups: int = 4, layout: Layout = "code") -> None:
        super().__init__()
        if groups < 1 or channels % groups:
            raise ValueError(f"`groups` of a ULSAM must divide its {channels} channels, got {groups}")
        subspace = _Subspace if layout == "code" else _PrintedSubspace
        self.subspaces = nn.ModuleList(subspace(channels // groups) for _ in range(groups))
        self.before = Tap("before")
        self.subspace = Tap("subspace", word="subspace attention")
        self.result = Tap("result")

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        """Emphasize in every group of channels the pixels that it attends to; see the class.

        Args:
            x: Features.
        """
        x = self.before(x)
        parts = x.chunk(len(self.subspaces), 1)
        maps = [subspace(part) for subspace, part in zip(self.subspaces, parts, strict=True)]
        attention = self.subspace(torch.cat(maps, 1))  # (batch, groups, height, width)
        weighted = [part * weights for part, weights in zip(parts, attention.split(1, 1), strict=True)]
        return self.result(torch.cat(weighted, 1) + x)


def attach_ulsam(
    host: Host,
    *,
    after: tuple[int, ...] = (),
    replace: tuple[int, ...] = (),
    groups: int = 4,
    layout: Layout = "code",
) -> None:
    """Put ULSAM in the stead of layers, and behind layers.

    Args:
        host: Where it goes: a network whose layers the paper counts.
        after: Numbers of the layers that it comes after, from 1.
        replace: Numbers of the layers that it replaces, from 1.
        groups: As in `ULSAM`.
        layout: As in `ULSAM`.

    Raises:
        ValueError: If the network has no numbered layers, no layer is given, or ULSAM cannot go there.
    """
    network = host.network
    if not isinstance(network, NumberedLayers):
        raise ValueError("`ulsam` goes by the layer numbers of mobilenet_v1 and mobilenet_v2, and into nothing else")
    if not after and not replace:
        raise ValueError("`ulsam` must be given `after` or `replace`, the numbers of layers, as in ulsam@replace=14:17")
    for asked, able, what in (
        (replace, network.replaceable_layers, "`replace` must be a layer that keeps channels and size"),
        (after, network.insertable_layers, "`after` must be a layer that attention can follow"),
    ):
        for number in asked:
            if number not in able:
                raise ValueError(f"{what}, one of {', '.join(map(str, able))}; got {number}")
    sites = {id(site.block): site for site in host.sites}
    channels = {number: sites[id(network.layers[number])].output.channels for number in (*replace, *after)}
    for number in replace:
        network.replace_layer(number, Substitute(ULSAM(channels[number], groups=groups, layout=layout), "ulsam"))
    for number in after:
        block = network.layers[number]
        assert isinstance(block, AttendedBlock)
        block.add_attention("ulsam", ULSAM(channels[number], groups=groups, layout=layout), place="output")
