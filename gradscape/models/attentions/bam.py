"""BAM: Park, Woo, Lee and Kweon, "BAM: Bottleneck Attention Module", 2018, arXiv:1807.06514.

Differs from the paper, following the authors' published code:

- The two gates are multiplied; the paper's equation 2 adds them.
- The channel gate's batch normalization stands after its first linear layer and the spatial gate's after each but its
  last convolution; the paper has one at the end of either gate.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gradscape._taps import Tap
from gradscape.models.bottleneck import reduced_channels
from gradscape.models.sites import Host, attend_stages

__all__ = ["BAM", "attach_bam"]


class BAM(nn.Module):
    """A mask for every channel and pixel, the product of a channel and a spatial gate.

    For features x::

        out = x * (1 + sigmoid(Mc(x) * Ms(x)))

    Taps: `before`; `channel` (N, C) and `spatial` (N, 1, H, W), the two gates, of any sign; `mask` (N, C, H, W), from 1
    to 2; `result`.

    Source: equations 1 to 4.

    Args:
        channels: Channels C of x.
        reduction: Both gates are C // reduction wide inside.
        dilation: Distance in pixels between what the 3×3 convolutions see.

    Raises:
        ValueError: If `reduction` leaves no channel.
    """

    def __init__(self, channels: int, *, reduction: int = 16, dilation: int = 4) -> None:
        super().__init__()
        hidden = reduced_channels(channels, reduction)

        def dilated() -> list[nn.Module]:
            convolution = nn.Conv2d(hidden, hidden, 3, padding=dilation, dilation=dilation)
            return [convolution, nn.BatchNorm2d(hidden), nn.ReLU()]

        self.before = Tap("before")
        self.channel_gate = nn.Sequential(
            nn.Linear(channels, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, channels)
        )
        self.spatial_gate = nn.Sequential(
            nn.Conv2d(channels, hidden, 1),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
            *dilated(),
            *dilated(),
            nn.Conv2d(hidden, 1, 1),
        )
        self.channel = Tap("channel")
        self.spatial = Tap("spatial")
        self.mask = Tap("mask")
        self.result = Tap("result")

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        """Raise what both gates agree on; see the class."""
        x = self.before(x)
        channel = self.channel(self.channel_gate(x.mean((2, 3))))
        spatial = self.spatial(self.spatial_gate(x))
        return self.result(x * self.mask(1 + torch.sigmoid(channel[:, :, None, None] * spatial)))


def attach_bam(host: Host, *, reduction: int = 16, stages: tuple[int, ...] = (1, 2, 3)) -> None:
    """Add BAM after the last block of stages.

    Args:
        host: Where it goes.
        reduction: As in `BAM`.
        stages: Numbers of the stages, from 1; none given means all.
    """
    attend_stages(
        host.network, host.sites, "bam", lambda site: BAM(site.output.channels, reduction=reduction), stages=stages
    )
