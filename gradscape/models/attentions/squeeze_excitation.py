"""Squeeze-and-excitation (SE): Hu, Shen, Albanie, Sun and Wu, "Squeeze-and-Excitation Networks", 2018.

arXiv:1709.01507. With the two crossing layers that Ma et al., "Spatial Pyramid Attention for Deep Convolutional Neural
Networks" (SPANet), section IV-D, call SE+ and SE++.

Differs from the papers:

- `bias=False` leaves out the biases that the SE paper's networks have: SPANet's CIFAR networks have none, nor the
  gates.
- SPANet's matcher is max(C', C) / r wide, its published code's C / r; followed here is the code, which alone gives
  the published sizes. It differs only where a block has fewer filters than input channels.
"""

from jaxtyping import Float
from torch import Tensor, nn

from gradscape._taps import Tap
from gradscape.models.bottleneck import reduced_channels
from gradscape.models.sites import Host, Site, attend_branches, choose_sites, gate_branches
from gradscape.models.staged import bottleneck_of

__all__ = [
    "SqueezeExcitation",
    "SqueezeExcitationGate",
    "attach_squeeze_excitation",
    "attach_squeeze_excitation_gate",
]


def _excitation(channels: int, filters: int, *, hidden: int, bias: bool) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(channels, hidden, bias=bias), nn.ReLU(), nn.Linear(hidden, filters, bias=bias), nn.Sigmoid()
    )


class SqueezeExcitation(nn.Module):
    """A weight for each channel, computed from all channels' averages over the pixels.

    For features x::

        out = x * sigmoid(W2 relu(W1 mean(x)))

    Taps: `before`, `channel` (N, C), `result`.

    Source: Hu et al., equations 2 to 4.

    Args:
        channels: Channels C of x.
        reduction: The bottleneck is C // reduction wide.
        bias: Whether the two linear layers have biases.

    Raises:
        ValueError: If `reduction` leaves no channel.
    """

    def __init__(self, channels: int, *, reduction: int = 16, bias: bool = True) -> None:
        super().__init__()
        self.before = Tap("before")
        self.squeeze = nn.AdaptiveAvgPool2d(1)
        self.excitation = _excitation(channels, channels, hidden=reduced_channels(channels, reduction), bias=bias)
        self.channel = Tap("channel")
        self.result = Tap("result")

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        """Weigh the channels; see the class."""
        x = self.before(x)
        weights = self.channel(self.excitation(self.squeeze(x).flatten(1)))
        return self.result(x * weights[:, :, None, None])


class SqueezeExcitationGate(nn.Module):
    """SE whose weights come from a block's input and weigh its residual branch (SPANet's topologies B and C).

    In symbols::

        out = branch * sigmoid(W2 relu(W1 mean(match(block_input))))

    Taps: `before` (the branch), `channel` (N, C), `result`.

    Source: Ma et al., figure 1 (b) and (c), section III-C3 and table IV.

    Args:
        in_channels: Channels C' of the block's input.
        channels: Channels C of the branch.
        reduction: The bottlenecks are C // reduction wide.
        match: Whether two 1×1 convolutions give the input as many channels as the branch has, where it has not: SE++.
            SE+ reads it as it is.

    Raises:
        ValueError: If `reduction` leaves no channel.
    """

    def __init__(self, in_channels: int, channels: int, *, reduction: int = 16, match: bool = False) -> None:
        super().__init__()
        hidden = reduced_channels(channels, reduction)
        matches = match and in_channels != channels
        self.before = Tap("before")
        self.matcher = _matcher(in_channels, channels, hidden=hidden) if matches else nn.Identity()
        self.squeeze = nn.AdaptiveAvgPool2d(1)
        self.excitation = _excitation(channels if matches else in_channels, channels, hidden=hidden, bias=False)
        self.channel = Tap("channel")
        self.result = Tap("result")

    def forward(
        self,
        branch: Float[Tensor, "batch channels height width"],
        block_input: Float[Tensor, "batch in_channels in_height in_width"],
    ) -> Float[Tensor, "batch channels height width"]:
        """Weigh the channels of the branch; see the class."""
        branch = self.before(branch)
        weights = self.channel(self.excitation(self.squeeze(self.matcher(block_input)).flatten(1)))
        return self.result(branch * weights[:, :, None, None])


def _matcher(channels: int, filters: int, *, hidden: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, hidden, 1, bias=False),
        nn.BatchNorm2d(hidden),
        nn.ReLU(),
        nn.Conv2d(hidden, filters, 1, bias=False),
        nn.BatchNorm2d(filters),
    )


def attach_squeeze_excitation(
    host: Host, *, reduction: int | None = None, bias: bool | None = None, stages: tuple[int, ...] = ()
) -> None:
    """Add SE to the residual branch of every block, or of those in stages.

    Args:
        host: Where it goes.
        reduction: As in `SqueezeExcitation`; None for the network's own.
        bias: As in `SqueezeExcitation`; None for the network's own.
        stages: Numbers of the stages, from 1; none given means all blocks.
    """
    inside = bottleneck_of(host.network, reduction=reduction)
    biased = inside.bias if bias is None else bias

    def make(site: Site) -> nn.Module:
        return SqueezeExcitation(site.branch.channels, reduction=inside.reduction, bias=biased)

    attend_branches(choose_sites(host, "se", stages), "se", make)


def attach_squeeze_excitation_gate(
    host: Host, *, match: bool, reduction: int | None = None, stages: tuple[int, ...] = ()
) -> None:
    """Add SE+ or SE++ to the residual branch of every block, or of those in stages, as a gate on what comes in.

    Args:
        host: Where it goes.
        match: As in `SqueezeExcitationGate`: False is SE+, True SE++.
        reduction: As in `SqueezeExcitationGate`; None for the network's own.
        stages: Numbers of the stages, from 1; none given means all blocks.
    """
    ratio = bottleneck_of(host.network, reduction=reduction).reduction

    def make(site: Site) -> nn.Module:
        return SqueezeExcitationGate(site.input.channels, site.branch.channels, reduction=ratio, match=match)

    gate_branches(choose_sites(host, "se_c" if match else "se_b", stages), "se", make)
