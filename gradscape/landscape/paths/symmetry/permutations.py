"""Groups of channels that can change places, and what a permutation of them does to the tensors of a network."""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, final

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn

from gradscape.landscape.engine import call
from gradscape.landscape.engine.graph import TracingError, trace
from gradscape.landscape.paths.symmetry.channels import CONSTANT, ChannelBook, Channels
from gradscape.landscape.paths.symmetry.rules import follow_channels

__all__ = ["Axis", "ChannelGroups", "Permutations", "find_channel_groups", "permuted"]

Network = TypeVar("Network", bound=nn.Module)

Permutations = Mapping[str, Int[np.ndarray, "channels"]]
"""By group, whose place the content of each channel comes from."""


@final
@dataclass(frozen=True, eq=False)
class Axis:
    """A dimension of a tensor along which channels lie.

    Attributes:
        dim: Which.
        parts: Groups of a convolution among which its channels are divided; this dimension counts within one of them.
        places: By group of channels, where they are, (channels, times): a map that was flattened has each many times.
    """

    dim: int
    parts: int
    places: Mapping[str, Int[np.ndarray, "channels times"]]

    def front(self, tensor: Tensor) -> Tensor:
        """The tensor with its channels along the first dimension."""
        if self.parts == 1:
            return tensor.movedim(self.dim, 0)
        # Of (parts·outer, inner, …) the channels are (parts, inner).
        return tensor.unflatten(0, (self.parts, -1)).transpose(1, 2).flatten(0, 1)

    def back(self, tensor: Tensor) -> Tensor:
        """The tensor as it was, from what `front` gives."""
        if self.parts == 1:
            return tensor.movedim(0, self.dim)
        return tensor.unflatten(0, (self.parts, -1)).transpose(1, 2).flatten(0, 1)

    def permuted(self, tensor: Tensor, group: str, order: Int[np.ndarray, "channels"]) -> Tensor:
        """The tensor with a group's channels in another order."""
        front = self.front(tensor)
        moved = front.clone()
        places = torch.as_tensor(self.places[group], device=tensor.device)
        moved[places] = front[places[torch.as_tensor(order, device=tensor.device)]]
        return self.back(moved).contiguous()


@final
@dataclass(frozen=True, eq=False)
class ChannelGroups:
    """The symmetries of a network: channels that it computes the same with in any order.

    Attributes:
        sizes: Number of channels of each group, by its name, that of the first layer which makes them.
        axes: By tensor, its dimensions along which channels lie.
        fixed: Layers whose channels stay, and why.
    """

    sizes: Mapping[str, int]
    axes: Mapping[str, tuple[Axis, ...]]
    fixed: Mapping[str, str]

    def axes_of(self, group: str) -> Iterator[tuple[str, Axis]]:
        """Names of the tensors that have channels of a group, and where."""
        for name, axes in self.axes.items():
            yield from ((name, axis) for axis in axes if group in axis.places)

    def permuted(self, tensors: Mapping[str, Tensor], permutations: Permutations) -> dict[str, Tensor]:
        """Those tensors that have channels, with these in another order.

        Args:
            tensors: By name.
            permutations: By group; groups that are missing stay.
        """
        found = {}
        for name in self.axes.keys() & tensors.keys():
            tensor, axes = tensors[name].detach(), self.axes[name]
            for axis in axes:
                for group in axis.places.keys() & permutations.keys():
                    tensor = axis.permuted(tensor, group, permutations[group])
            found[name] = tensor
        return found


def find_channel_groups(model: nn.Module, inputs: Any) -> ChannelGroups:
    """Read from a network's graph which of its channels can change places.

    Channels are followed through convolutions, linear layers, norms, elementwise operations, sums, joins, zeros that
    shortcuts pad with, pooling and flattening. What else they enter keeps them where they are.

    Args:
        model: In `eval()`, on the device of the inputs.
        inputs: At least two images, as the model takes them.

    Raises:
        ValueError: The network cannot be written as one graph of operators.
    """
    try:
        traced = trace(model, inputs, call)
    except TracingError as problem:
        raise ValueError(f"`model` cannot be written as a graph, which would tell its channels: {problem}") from problem
    book = ChannelBook()
    follow_channels(traced.graph, book)
    _unite_uses(book)
    return _grouped(book)


def permuted(model: Network, groups: ChannelGroups, permutations: Permutations) -> Network:
    """A copy of a network with permuted channels.

    Args:
        model: The network.
        groups: Its channels.
        permutations: By group.
    """
    moved = copy.deepcopy(model)
    tensors = _tensors(moved)
    with torch.no_grad():
        for name, tensor in groups.permuted(tensors, permutations).items():
            tensors[name].copy_(tensor)
    return moved


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def _unite_uses(book: ChannelBook) -> None:
    """A tensor that several nodes use has one order of channels for all of them."""
    for name, uses in book.uses.items():
        for dim in {dim for use in uses for dim in use.channels}:
            known = [use.channels[dim] for use in uses if dim in use.channels]
            parts = {use.parts.get(dim, 1) for use in uses}
            alike = all(np.array_equal(one.tags, known[0].tags) for one in known)
            if len(known) < len(uses) or len(parts) > 1 or not alike or any(_has_constants(one) for one in known[1:]):
                for one in known:
                    book.stop(one, f"{name} is used in several ways")
                continue
            for one in known[1:]:
                book.unite(known[0], one, (name, dim))


def _has_constants(channels: Channels) -> bool:
    return bool((channels.atoms == CONSTANT).any())


def _grouped(book: ChannelBook) -> ChannelGroups:
    """Atoms that enter the same things in the same roles form a group."""
    stopped, roots_of = book.stopped(), book.roots()
    for atoms, keys in book.events:
        stopped |= dict.fromkeys(_repeated(roots_of[atoms], keys), "several of them enter alike")
    used = [(name, dim, use) for name, uses in book.uses.items() for use in uses[:1] for dim in use.channels]
    for _, dim, use in used:
        channels = use.channels[dim]
        stopped |= dict.fromkeys(_repeated(roots_of[channels.atoms], channels.tags), "several of them enter alike")
    movable = [group for group in _alike(book, roots_of) if len(group) > 1 and not stopped.keys() & set(group)]
    names = _group_names(book, roots_of, movable)
    group_of = {root: (name, place) for name, group in names.items() for place, root in enumerate(group)}
    axes: dict[str, list[Axis]] = {}
    for name, dim, use in used:
        channels = use.channels[dim]
        if places := _places(roots_of[channels.atoms], channels.tags, names, group_of):
            axes.setdefault(name, []).append(Axis(dim, use.parts.get(dim, 1), places))
    fixed = {}
    for weight, made in book.makers:
        if left := [root for root in roots_of[made.atoms].tolist() if root not in group_of]:
            fixed[_layer(weight)] = next((stopped[root] for root in left if root in stopped), "no two have one role")
    sizes = {name: len(group) for name, group in names.items()}
    return ChannelGroups(sizes, {name: tuple(found) for name, found in axes.items()}, fixed)


def _repeated(roots: Int[np.ndarray, "any"], keys: Int[np.ndarray, "any"]) -> set[int]:
    """Atoms that are there twice in the same role, so that it would be open which goes where."""
    seen: set[tuple[int, int]] = set()
    twice = set()
    for root, key in zip(roots.tolist(), keys.tolist(), strict=True):
        if root != CONSTANT and (root, key) in seen:
            twice.add(root)
        seen.add((root, key))
    return twice


def _alike(book: ChannelBook, roots_of: Int[np.ndarray, "atoms"]) -> list[list[int]]:
    """Atoms with the same events, in the order in which they were made."""
    entered: dict[int, list[int]] = {}
    for atoms, keys in book.events:
        for root, key in zip(roots_of[atoms].tolist(), keys.tolist(), strict=True):
            if root != CONSTANT:
                entered.setdefault(root, []).append(key)
    groups: dict[tuple[int, ...], list[int]] = {}
    for root in sorted(entered):
        groups.setdefault(tuple(sorted(entered[root])), []).append(root)
    return list(groups.values())


def _group_names(
    book: ChannelBook, roots_of: Int[np.ndarray, "atoms"], groups: list[list[int]]
) -> dict[str, list[int]]:
    """Each group by the first layer that makes one of its channels."""
    first: dict[int, str] = {}
    for weight, made in book.makers:
        for root in roots_of[made.atoms].tolist():
            first.setdefault(root, _layer(weight))
    names: dict[str, list[int]] = {}
    for group in groups:
        own = first[group[0]]
        number = sum(name == own or name.startswith(f"{own}#") for name in names)
        names[f"{own}#{number + 1}" if number else own] = group
    return names


def _places(
    roots: Int[np.ndarray, "any"],
    tags: Int[np.ndarray, "any"],
    names: Mapping[str, list[int]],
    group_of: Mapping[int, tuple[str, int]],
) -> dict[str, np.ndarray]:
    found: dict[str, list[list[tuple[int, int]]]] = {}
    for place, (root, tag) in enumerate(zip(roots.tolist(), tags.tolist(), strict=True)):
        if root in group_of:
            name, number = group_of[root]
            if name not in found:
                found[name] = [[] for _ in names[name]]
            found[name][number].append((tag, place))
    # By tag: what is the same of several channels stands in one column.
    return {name: np.array([[place for _, place in sorted(one)] for one in rows]) for name, rows in found.items()}


def _layer(name: str) -> str:
    return name.rpartition(".")[0] or name
