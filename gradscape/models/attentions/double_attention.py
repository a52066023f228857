"""Double attention (A²): Chen, Kalantidis, Li, Yan and Feng, "A²-Nets: Double Attention Networks", 2018.

arXiv:1810.11579.

Differs from the paper: the width inside is the reduction's, with as many attention maps as channels. The size to which
the ULSAM paper's table 1 counts this block needs C / 16 for both.
"""

from jaxtyping import Float
from torch import Tensor, nn

from gradscape._taps import Tap
from gradscape.models.bottleneck import reduced_channels
from gradscape.models.sites import Host, Site, attend_stages

__all__ = ["DoubleAttention", "attach_double_attention"]


class DoubleAttention(nn.Module):
    """Gathers features into a few descriptors of the whole map, and hands each pixel its own mixture of them.

    For features x, and A, B and V 1×1 convolutions of x::

        G = A softmax over pixels(B)ᵀ        out = x + W (G softmax over descriptors(V))

    The affinity, how much of a pixel's mixture comes from each other pixel, is
    softmax(V)ᵀ softmax(B); it is computed only where someone listens.

    Taps: `before`, `affinity` (N, 1, H·W, H·W), `part` (what is added), `result`.

    Source: section 3; figure 1.

    Args:
        channels: Channels C of x.
        reduction: There are C // reduction channels inside and as many descriptors.

    Raises:
        ValueError: If `reduction` leaves no channel.
    """

    def __init__(self, channels: int, *, reduction: int = 16) -> None:
        super().__init__()
        hidden = reduced_channels(channels, reduction)
        self.before = Tap("before")
        self.features = nn.Conv2d(channels, hidden, 1)
        self.gather = nn.Conv2d(channels, hidden, 1)
        self.distribute = nn.Conv2d(channels, hidden, 1)
        self.affinity = Tap("affinity")
        self.expand = nn.Conv2d(hidden, channels, 1)
        self.part = Tap("part")
        self.result = Tap("result")

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        """Gather and distribute; see the class."""
        x = self.before(x)
        gather = self.gather(x).flatten(2).softmax(2)  # (N, descriptors, H·W)
        distribute = self.distribute(x).flatten(2).softmax(1)  # (N, descriptors, H·W)
        if self.affinity.observed:
            self.affinity((distribute.transpose(1, 2) @ gather)[:, None])
        descriptors = self.features(x).flatten(2) @ gather.transpose(1, 2)
        mixed = (descriptors @ distribute).unflatten(2, x.shape[2:])
        return self.result(x + self.part(self.expand(mixed)))


def attach_double_attention(host: Host, *, reduction: int = 16, stages: tuple[int, ...] = (2, 3)) -> None:
    """Add double attention after the last block of stages.

    Args:
        host: Where it goes.
        reduction: As in `DoubleAttention`.
        stages: Numbers of the stages, from 1; none given means all.
    """

    def make(site: Site) -> nn.Module:
        return DoubleAttention(site.output.channels, reduction=reduction)

    attend_stages(host.network, host.sites, "a2", make, stages=stages)
