"""Efficient channel attention (ECA): Wang, Wu, Zhu, Li, Zuo and Hu, "ECA-Net", 2020.

In full "ECA-Net: Efficient Channel Attention for Deep Convolutional Neural Networks", arXiv:1910.03151.

Differs from the paper: the kernel never has fewer than three channels, as in timm's `eca`.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gradscape._taps import Tap
from gradscape.models.sites import Host, attend_branches

__all__ = ["EfficientChannelAttention", "attach_efficient_channel"]


class EfficientChannelAttention(nn.Module):
    """A weight for each channel, from the averages of it and of its neighbors among the channels.

    For features x::

        out = x * sigmoid(conv1d(mean(x)))        with a kernel of |log2(C) / 2 + 1 / 2| channels, made odd

    Taps: `before`, `channel` (N, C), `result`.

    Source: section 3, "Coverage of Local Cross-Channel Interaction".

    Args:
        channels: Channels C of x.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        size = max(int((math.log2(channels) + 1) / 2) | 1, 3)
        self.before = Tap("before")
        self.conv = nn.Conv1d(1, 1, size, padding=size // 2, bias=False)
        self.channel = Tap("channel")
        self.result = Tap("result")

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        """Weigh the channels; see the class."""
        x = self.before(x)
        weights = self.channel(torch.sigmoid(self.conv(x.mean((2, 3))[:, None]).squeeze(1)))
        return self.result(x * weights[:, :, None, None])


def attach_efficient_channel(host: Host) -> None:
    """Add ECA to every block's residual branch.

    Args:
        host: Where it goes.
    """
    attend_branches(host.sites, "eca", lambda site: EfficientChannelAttention(site.branch.channels))
