"""BAM: Park, Woo, Lee and Kweon, "BAM: Bottleneck Attention Module", 2018, arXiv:1807.06514.

Differs from the paper, following the authors' published code, unless `layout="equations"`:

- The two gates are multiplied; the paper's equation 2 adds them.
- The channel gate's batch normalization stands after its first linear layer and the spatial gate's after each but its
  last convolution; the paper's equations 3 and 4 have one at the end of either gate. Rectifiers, which these equations
  leave out, stand after all layers of a gate but the last in both layouts.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gradscape._taps import Tap
from gradscape.models.bottleneck import reduced_channels
from gradscape.models.sites import Host, Site, attend_stages

__all__ = ["BAM", "attach_bam"]

Layout = Literal["code", "equations"]


class BAM(nn.Module):
    """A mask for every channel and pixel, made of a channel and a spatial gate.

    For features x::

        out = x * (1 + sigmoid(Mc(x) * Ms(x)))      as the authors' code has it
        out = x * (1 + sigmoid(Mc(x) + Ms(x)))      as the equations have it

    Taps: `before`; `channel` (N, C) and `spatial` (N, 1, H, W), the two gates, of any sign; `mask` (N, C, H, W), from 1
    to 2; `result`.

    Source: equations 1 to 4.

    Args:
        channels: Channels C of x.
        reduction: Both gates are C // reduction wide inside.
        dilation: Distance in pixels between what the 3×3 convolutions see.
        layout: `"code"` or `"equations"`; see the module's docstring.

    Raises:
        ValueError: If `reduction` leaves no channel.
    """

    def __init__(self, channels: int, *, reduction: int = 16, dilation: int = 4, layout: Layout = "code") -> None:
        super().__init__()
        hidden = reduced_channels(channels, reduction)
        inside = layout == "code"

        def dilated() -> nn.Conv2d:
            return nn.Conv2d(hidden, hidden, 3, padding=dilation, dilation=dilation)

        def activate(norm: type[nn.BatchNorm1d] | type[nn.BatchNorm2d]) -> list[nn.Module]:
            return [norm(hidden), nn.ReLU()] if inside else [nn.ReLU()]

        self.before = Tap("before")
        self.channel_gate = nn.Sequential(
            nn.Linear(channels, hidden),
            *activate(nn.BatchNorm1d),
            nn.Linear(hidden, channels),
            *([] if inside else [nn.BatchNorm1d(channels)]),
        )
        self.spatial_gate = nn.Sequential(
            nn.Conv2d(channels, hidden, 1),
            *activate(nn.BatchNorm2d),
            dilated(),
            *activate(nn.BatchNorm2d),
            dilated(),
            *activate(nn.BatchNorm2d),
            nn.Conv2d(hidden, 1, 1),
            *([] if inside else [nn.BatchNorm2d(1)]),
        )
        self.multiplied = inside
        self.channel = Tap("channel")
        self.spatial = Tap("spatial")
        self.mask = Tap("mask")
        self.result = Tap("result")

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        """Raise what both gates agree on; see the class."""
        x = self.before(x)
        channel = self.channel(self.channel_gate(x.mean((2, 3))))
        spatial = self.spatial(self.spatial_gate(x))
        channel = channel[:, :, None, None]
        both = channel * spatial if self.multiplied else channel + spatial
        return self.result(x * self.mask(1 + torch.sigmoid(both)))


def attach_bam(
    host: Host, *, reduction: int = 16, stages: tuple[int, ...] = (1, 2, 3), layout: Layout = "code"
) -> None:
    """Add BAM after the last block of stages.

    Args:
        host: Where it goes.
        reduction: As in `BAM`.
        stages: Numbers of the stages, from 1; none given means all. The paper has BAM after all but the last: that is
            1:2 where a network has three.
        layout: As in `BAM`.
    """

    def make(site: Site) -> nn.Module:
        return BAM(site.output.channels, reduction=reduction, layout=layout)

    attend_stages(host.network, host.sites, "bam", make, stages=stages)
