"""CBAM: Woo, Park, Lee and Kweon, "CBAM: Convolutional Block Attention Module", 2018, arXiv:1807.06521.

Differs from the paper, following the authors' published code: a batch normalization after the 7×7 convolution, whose
running statistics move by a hundredth at each step.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gradscape._taps import Tap
from gradscape.models.bottleneck import reduced_channels
from gradscape.models.sites import Host, attend_branches
from gradscape.models.staged import bottleneck_of

__all__ = ["CBAM", "attach_cbam"]


class CBAM(nn.Module):
    """First a weight for each channel, then one for each pixel, both from averages and maxima.

    For features x::

        y = x * sigmoid(MLP(mean over pixels of x) + MLP(maximum over pixels of x))
        out = y * sigmoid(BN(conv7×7([maximum over channels of y; mean over channels of y])))

    Taps: `before`, `channel` (N, C), `spatial` (N, 1, H, W), `result`.

    Source: equations 1 to 3.

    Args:
        channels: Channels C of x.
        reduction: The MLP's hidden layer is C // reduction wide.

    Raises:
        ValueError: If `reduction` leaves no channel.
    """

    def __init__(self, channels: int, *, reduction: int = 16) -> None:
        super().__init__()
        hidden = reduced_channels(channels, reduction)
        self.before = Tap("before")
        self.average, self.maximum = nn.AdaptiveAvgPool2d(1), nn.AdaptiveMaxPool2d(1)
        self.mlp = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels))
        self.channel = Tap("channel")
        self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)
        self.norm = nn.BatchNorm2d(1, momentum=0.01)
        self.spatial = Tap("spatial")
        self.result = Tap("result")

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        """Weigh the channels, then the pixels; see the class."""
        x = self.before(x)
        average, maximum = self.average(x).flatten(1), self.maximum(x).flatten(1)
        weights = self.channel(torch.sigmoid(self.mlp(average) + self.mlp(maximum)))
        x = x * weights[:, :, None, None]
        pooled = torch.cat([x.amax(1, keepdim=True), x.mean(1, keepdim=True)], 1)
        return self.result(x * self.spatial(torch.sigmoid(self.norm(self.conv(pooled)))))


def attach_cbam(host: Host, *, reduction: int | None = None) -> None:
    """Add CBAM to every block's residual branch.

    Args:
        host: Where it goes.
        reduction: As in `CBAM`; None for the network's own.
    """
    ratio = bottleneck_of(host.network, reduction=reduction).reduction
    attend_branches(host.sites, "cbam", lambda site: CBAM(site.branch.channels, reduction=ratio))
