"""Weight matching: the order of a network's channels that brings its weights nearest to those of another."""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gradscape.landscape.paths.symmetry import ChannelGroups, Permutations

__all__ = ["inner_product", "match_weights"]

_ROUNDING = 1e-12  # of the size of the weights: a smaller gain is none
_MOST_SWEEPS = 1000  # each gains, so that they end by themselves long before


def match_weights(
    first: Mapping[str, Tensor], second: Mapping[str, Tensor], groups: ChannelGroups, orders: np.random.Generator
) -> Permutations:
    """Maximize the inner product ⟨θ_A, P(θ_B)⟩ over the orders P of all channels, one group after the other.

    For each group, with the others as they are, the best order is a linear assignment, which is solved exactly; sweeps
    over the groups go on until none gains. What is reached is a local maximum that depends on the order of the groups.

    Args:
        first: Parameters of the one network in double, by name, which stay.
        second: Those of the other.
        groups: Its channels.
        orders: Draws the order of the groups in each sweep.

    Returns:
        By group, whose place the content of each channel comes from.

    Source: Ainsworth et al. 2023, "Git Re-Basin: Merging Models modulo Permutation Symmetries", algorithm 1.
    """
    from scipy.optimize import linear_sum_assignment  # a third of a second that nobody else needs

    moved = dict(second)
    found = {name: np.arange(size) for name, size in groups.sizes.items()}
    least = _ROUNDING * sum(float(tensor.square().sum()) for tensors in (first, second) for tensor in tensors.values())
    names = list(groups.sizes)
    for _ in range(_MOST_SWEEPS):
        gained = False
        for number in orders.permutation(len(names)):
            group = names[number]
            _, order = linear_sum_assignment(_similarity(first, moved, groups, group), maximize=True)
            tried = _reordered(moved, groups, group, order)
            # Measured itself: where a tensor has a group along two dimensions the assignment holds for each alone.
            gain = sum(float((first[name] * (tensor - moved[name])).sum()) for name, tensor in tried.items())
            if gain > least:
                moved |= tried
                found[group] = found[group][order]
                gained = True
        if not gained:
            return found
    raise RuntimeError("weight matching does not come to an end")


def inner_product(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> float:
    """⟨θ_A, θ_B⟩ over all tensors of the first."""
    return sum(float((tensor * second[name]).sum()) for name, tensor in first.items())


def _similarity(
    first: Mapping[str, Tensor], second: Mapping[str, Tensor], groups: ChannelGroups, group: str
) -> Float[np.ndarray, "channels channels"]:
    """Inner product of what each channel of the one network holds with what each of the other does."""
    size = groups.sizes[group]
    total = torch.zeros(size, size, dtype=torch.float64)
    for name, axis in groups.axes_of(group):
        if name in first:  # statistics are no parameters
            places = torch.as_tensor(axis.places[group])
            one, other = (axis.front(tensors[name])[places].flatten(1) for tensors in (first, second))
            total += one @ other.T
    return total.numpy()


def _reordered(
    tensors: Mapping[str, Tensor], groups: ChannelGroups, group: str, order: np.ndarray
) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for name, axis in groups.axes_of(group):
        if name in tensors:
            found[name] = axis.permuted(found.get(name, tensors[name]), group, order)
    return found
