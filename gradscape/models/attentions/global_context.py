"""Global context (GC): Cao, Xu, Lin, Wei and Hu, "GCNet", 2019.

In full "GCNet: Non-local Networks Meet Squeeze-Excitation Networks and Beyond", arXiv:1904.11492.

Differs from the paper: nothing known.
"""

from jaxtyping import Float
from torch import Tensor, nn

from gradscape._taps import Tap
from gradscape.models.bottleneck import reduced_channels
from gradscape.models.sites import Host, attend_branches

__all__ = ["GlobalContext", "attach_global_context"]


class GlobalContext(nn.Module):
    """One attention map for all pixels pools the features into a context, which is transformed and added everywhere.

    For features x with pixels p::

        out = x + V2 relu(LN(V1 Σ_p softmax(w x)_p x_p))

    The block starts as the identity: V2 is zero.

    Taps: `before`, `spatial` (N, 1, H, W) summing to one, `part` (what is added), `result`.

    Source: figure 4 (d).

    Args:
        channels: Channels C of x.
        reduction: The bottleneck is C // reduction wide.

    Raises:
        ValueError: If `reduction` leaves no channel.
    """

    def __init__(self, channels: int, *, reduction: int = 16) -> None:
        super().__init__()
        hidden = reduced_channels(channels, reduction)
        self.before = Tap("before")
        self.score = nn.Conv2d(channels, 1, 1)
        self.spatial = Tap("spatial")
        self.transform = nn.Sequential(
            nn.Linear(channels, hidden), nn.LayerNorm(hidden), nn.ReLU(), nn.Linear(hidden, channels)
        )
        self.part = Tap("part")
        self.result = Tap("result")
        for parameter in self.transform[3].parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        """Add the context; see the class."""
        x = self.before(x)
        weights = self.spatial(self.score(x).flatten(2).softmax(2).unflatten(2, x.shape[2:]))
        context = self.transform((x * weights).sum((2, 3)))
        return self.result(x + self.part(context[:, :, None, None].expand_as(x)))


def attach_global_context(host: Host, *, reduction: int = 16) -> None:
    """Add GC to every block's residual branch.

    Args:
        host: Where it goes.
        reduction: As in `GlobalContext`.
    """
    attend_branches(host.sites, "gc", lambda site: GlobalContext(site.branch.channels, reduction=reduction))
