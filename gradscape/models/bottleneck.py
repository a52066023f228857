"""The bottleneck inside an attention block: how wide it is, and what SPANet's authors choose for it in a network."""

from dataclasses import dataclass
from typing import final

__all__ = ["BottleneckChoice", "reduced_channels"]


@final
@dataclass(frozen=True)
class BottleneckChoice:
    """What SPANet's authors choose inside the attention that they add to a network; nearly everybody's choice.

    Source: Ma et al., "Spatial Pyramid Attention for Deep Convolutional Neural Networks", 2021,
    doi:10.1109/TMM.2021.3068576, and the authors' published code.

    Attributes:
        reduction: Channels to one in the bottleneck.
        bias: Whether the linear layers of squeeze-and-excitation have biases.
        wider: Whether what reads a block's input is max(C', C) / reduction wide, for an input of C' channels and a
            branch of C, instead of C / reduction.
    """

    reduction: int = 16
    bias: bool = True
    wider: bool = False


def reduced_channels(channels: int, reduction: int) -> int:
    """Return a bottleneck's width: `channels` over `reduction`, rounded down.

    Args:
        channels: Channels that the attention works on.
        reduction: What they are divided by.

    Raises:
        ValueError: If no channel would be left.
    """
    if not 1 <= reduction <= channels:
        raise ValueError(
            f"`reduction` of an attention over {channels} channels must be from 1 to {channels}, got {reduction}"
        )
    return channels // reduction
