"""Which channels of a network can change places without changing what it computes."""

from gradscape.landscape.paths.symmetry.permutations import (
    Axis,
    ChannelGroups,
    Permutations,
    find_channel_groups,
    permuted,
)

__all__ = ["Axis", "ChannelGroups", "Permutations", "find_channel_groups", "permuted"]
