"""Gather-excite (GE): Hu, Shen, Albanie, Sun and Vedaldi, "Gather-Excite: Exploiting Feature Context in CNNs", 2018.

arXiv:1810.12348.

Differs from the paper: where a map is smaller than the extent, the convolutions go on at a single pixel.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape._taps import Tap
from gradscape.models.sites import Host, attend_branches

__all__ = ["GatherExcite", "GatherExciteTheta", "attach_gather_excite", "attach_gather_excite_theta"]


class GatherExcite(nn.Module):
    """GE-θ⁻ of global extent: every channel is weighed by the sigmoid of its average; nothing is learned.

    Taps: `before`, `channel` (N, C, 1, 1), `result`.

    Source: section 3.1, with the extent of the whole map.
    """

    def __init__(self) -> None:
        super().__init__()
        self.before = Tap("before")
        self.gather = nn.AdaptiveAvgPool2d(1)
        self.channel = Tap("channel")
        self.result = Tap("result")

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        """Weigh the channels; see the class."""
        x = self.before(x)
        weights = self.channel(torch.sigmoid(self.gather(x)))
        return self.result(x * weights)


class GatherExciteTheta(nn.Module):
    """GE-θ: depthwise convolutions of stride two gather each channel's context, which weighs it at full size.

    For features x::

        out = x * upsample(sigmoid(gather(x)))        gather = BN(DW(… relu(BN(DW(x)))))

    Taps: `before`, `mask` (N, C, ceil(H / extent), ceil(W / extent)), `result`.

    Source: sections 2 and 3.2.

    Args:
        channels: Channels of x.
        extent: How many pixels one weight stands for, along each side: a power of two.

    Raises:
        ValueError: If `extent` is not a power of two.
    """

    def __init__(self, channels: int, *, extent: int = 8) -> None:
        super().__init__()
        if extent < 2 or extent & (extent - 1):
            raise ValueError(f"`extent` of gather-excite must be a power of two from 2 on, got {extent}")
        self.before = Tap("before")
        gather: list[nn.Module] = []
        for _ in range(extent.bit_length() - 1):
            convolution = nn.Conv2d(channels, channels, 3, 2, padding=1, groups=channels, bias=False)
            gather += [convolution, nn.BatchNorm2d(channels), nn.ReLU()]
        self.gather = nn.Sequential(*gather[:-1])
        self.mask = Tap("mask")
        self.result = Tap("result")

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        """Weigh channels and regions; see the class."""
        x = self.before(x)
        mask = self.mask(torch.sigmoid(self.gather(x)))
        return self.result(x * F.interpolate(mask, size=x.shape[2:]))


def attach_gather_excite(host: Host) -> None:
    """Add GE-θ⁻ to every block's residual branch.

    Args:
        host: Where it goes.
    """
    attend_branches(host.sites, "ge", lambda _: GatherExcite())


def attach_gather_excite_theta(host: Host, *, extent: int = 8) -> None:
    """Add GE-θ to every block's residual branch.

    Args:
        host: Where it goes.
        extent: As in `GatherExciteTheta`.
    """
    attend_branches(host.sites, "ge", lambda site: GatherExciteTheta(site.branch.channels, extent=extent))
