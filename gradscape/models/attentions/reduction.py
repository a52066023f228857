"""The width of a bottleneck inside an attention block."""

__all__ = ["reduced_channels"]


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
