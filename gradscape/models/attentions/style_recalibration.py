"""Style-based recalibration (SRM): Lee, Kim and Nam, "SRM", 2019.

In full "SRM: A Style-based Recalibration Module for Convolutional Neural Networks", arXiv:1903.10829.

Differs from the paper, as the authors' published code does: 1e-5 is added to the variance under its root, whose slope
at zero would be infinite.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gradscape._taps import Tap
from gradscape.models.sites import Host, attend_branches

__all__ = ["StyleRecalibration", "attach_style_recalibration"]


class StyleRecalibration(nn.Module):
    """A weight for each channel from its own mean and standard deviation over the pixels.

    For features x::

        out = x * sigmoid(BN(a * mean(x) + b * std(x)))        a, b, and BN of their own for each channel

    Taps: `before`, `channel` (N, C), `result`.

    Source: section 3.

    Args:
        channels: Channels of x.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.before = Tap("before")
        self.style = nn.Parameter(torch.zeros(channels, 2))
        self.norm = nn.BatchNorm1d(channels)
        self.channel = Tap("channel")
        self.result = Tap("result")

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        """Weigh the channels; see the class."""
        x = self.before(x)
        mean = x.mean((2, 3))
        deviation = (x.var((2, 3), correction=0) + 1e-5).sqrt()
        encoding = self.style[:, 0] * mean + self.style[:, 1] * deviation
        weights = self.channel(torch.sigmoid(self.norm(encoding)))
        return self.result(x * weights[:, :, None, None])


def attach_style_recalibration(host: Host) -> None:
    """Add SRM to every block's residual branch.

    Args:
        host: Where it goes.
    """
    attend_branches(host.sites, "srm", lambda site: StyleRecalibration(site.branch.channels))
