"""Non-local blocks (NL): Wang, Girshick, Gupta and He, "Non-local Neural Networks", 2018, arXiv:1711.07971.

Differs from the paper: nothing known; of its kinds this is the embedded Gaussian over one image.
"""

from jaxtyping import Float
from torch import Tensor, nn

from gradscape._taps import Tap
from gradscape.models.sites import Host, attend_stages

__all__ = ["NonLocal", "attach_non_local"]


class NonLocal(nn.Module):
    """Every pixel adds up what all pixels hold, weighed by how similar they are to it.

    For features x with pixels i and j::

        out = x + BN(W y)        y_i = Σ_j softmax_j(θ(x_i) · φ(x_j)) g(x_j)

    The block starts as the identity: the scale of BN is zero.

    Taps: `before`, `affinity` (N, 1, H·W, H·W), `part` (what is added), `result`.

    Source: equations 3 and 6; figure 2.

    Args:
        channels: Channels C of x; inside there are C // 2.

    Raises:
        ValueError: If there are fewer than two channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        if channels < 2:
            raise ValueError(f"`channels` of a non-local block must be at least 2, got {channels}")
        hidden = channels // 2
        self.before = Tap("before")
        self.theta = nn.Conv2d(channels, hidden, 1)
        self.phi = nn.Conv2d(channels, hidden, 1)
        self.g = nn.Conv2d(channels, hidden, 1)
        self.affinity = Tap("affinity")
        self.expand = nn.Conv2d(hidden, channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.part = Tap("part")
        self.result = Tap("result")
        nn.init.zeros_(self.norm.weight)

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        """Add what similar pixels hold; see the class."""
        x = self.before(x)
        theta, phi, g = (conv(x).flatten(2) for conv in (self.theta, self.phi, self.g))  # (N, C / 2, H·W)
        affinity = self.affinity((theta.transpose(1, 2) @ phi).softmax(2)[:, None]).squeeze(1)
        gathered = (g @ affinity.transpose(1, 2)).unflatten(2, x.shape[2:])
        return self.result(x + self.part(self.norm(self.expand(gathered))))


def attach_non_local(host: Host, *, stages: tuple[int, ...] = (2, 3)) -> None:
    """Add non-local blocks after the last block of stages.

    Args:
        host: Where they go.
        stages: Numbers of the stages, from 1; none given means all.
    """
    attend_stages(host.network, host.sites, "nl", lambda site: NonLocal(site.output.channels), stages=stages)
