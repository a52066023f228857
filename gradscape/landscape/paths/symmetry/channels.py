"""The channels of every value in a graph, and what has happened to each of them."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Final, final

import numpy as np
from jaxtyping import Int

__all__ = ["CONSTANT", "ChannelBook", "Channels", "Use"]

CONSTANT: Final = -1
"""The atom of a channel that no layer made, such as zeros that a shortcut pads with: it stays where it is."""


@final
@dataclass(frozen=True, eq=False)
class Channels:
    """The channels of one value in a graph.

    Attributes:
        dim: The dimension along which they lie.
        atoms: What made each channel, (C,); `CONSTANT` where no layer did.
        tags: Which of several channels of one atom it is, (C,): of a map that was flattened, or joined with itself.
    """

    dim: int
    atoms: Int[np.ndarray, "channels"]
    tags: Int[np.ndarray, "channels"]

    def __len__(self) -> int:
        return len(self.atoms)

    def along(self, dim: int) -> "Channels":
        """The same channels along another dimension."""
        return replace(self, dim=dim)


@final
@dataclass(frozen=True, eq=False)
class Use:
    """How a node uses a tensor of the network.

    Attributes:
        channels: For each dimension that has channels, which; the other dimensions stay as they are.
        parts: For each dimension, into how many groups (of a grouped convolution) its channels are divided.
    """

    channels: Mapping[int, Channels]
    parts: Mapping[int, int]


@final
class ChannelBook:
    """Which channels belong together, where they go, and which of them have to stay.

    Channels that are added to each other become one atom. Every atom collects what it enters, in which role. Two atoms
    that enter the same are told apart by nothing but their places: those can change places.

    Attributes:
        uses: By the name of a tensor, how the nodes use it.
        makers: Weights that make channels, in the order of the graph, and which.
        events: (atoms, keys) of everything that channels enter; equal keys mean the same role in the same node.
    """

    def __init__(self) -> None:
        self.uses: dict[str, list[Use]] = {}
        self.makers: list[tuple[str, Channels]] = []
        self.events: list[tuple[np.ndarray, np.ndarray]] = []
        self._parents: list[int] = []
        self._stopped: dict[int, str] = {}
        self._keys: dict[Hashable, int] = {}

    def make(self, count: int, dim: int, weight: str) -> Channels:
        """New channels, each an atom of its own, that a layer makes by its weight."""
        first = len(self._parents)
        self._parents += range(first, first + count)
        made = Channels(dim, np.arange(first, first + count), np.zeros(count, np.int64))
        self.makers.append((weight, made))
        return made

    def root(self, atom: int) -> int:
        """The one that stands for all that an atom was united with, the oldest of them."""
        while self._parents[atom] != atom:
            self._parents[atom] = self._parents[self._parents[atom]]
            atom = self._parents[atom]
        return atom

    def roots(self) -> Int[np.ndarray, "atoms"]:
        """The same for all atoms; the last one answers for `CONSTANT`."""
        return np.array([*map(self.root, range(len(self._parents))), CONSTANT], dtype=np.int64)

    def unite(self, first: Channels, second: Channels, key: Hashable) -> Channels:
        """Channels that come together one by one, as in a sum; a constant leaves its partner what it is."""
        for one, other in zip(first.atoms.tolist(), second.atoms.tolist(), strict=True):
            if CONSTANT not in (one, other) and (low := self.root(one)) != (high := self.root(other)):
                self._parents[max(low, high)] = min(low, high)
        same = first.tags == second.tags
        pairs = zip(first.tags.tolist(), second.tags.tolist(), strict=True)
        tags = [tag if equal else self._key((tag, other)) for (tag, other), equal in zip(pairs, same, strict=True)]
        atoms = np.where(first.atoms == CONSTANT, second.atoms, first.atoms)
        together = Channels(first.dim, atoms, np.array(tags, dtype=np.int64))
        self.note(together, key)
        return together

    def note(self, channels: Channels, key: Hashable, parts: int = 1) -> None:
        """Channels enter something, in equal roles, or by as many parts in roles of their own."""
        part = np.arange(len(channels)) * parts // max(1, len(channels))
        keys = [self._key((key, tag, one)) for tag, one in zip(channels.tags.tolist(), part.tolist(), strict=True)]
        self.events.append((channels.atoms, np.array(keys, dtype=np.int64)))

    def tagged(self, channels: Channels, key: Hashable, number: Int[np.ndarray, "channels"] | None = None) -> Channels:
        """The same channels, told apart from others of their atoms by a key, and each by a number."""
        numbers = np.zeros(len(channels), np.int64) if number is None else number
        pairs = zip(channels.tags.tolist(), numbers.tolist(), strict=True)
        return replace(channels, tags=np.array([self._key((tag, key, one)) for tag, one in pairs], dtype=np.int64))

    def constants(self, count: int, dim: int, key: Hashable) -> Channels:
        """Channels that stay, each unlike the others."""
        plain = Channels(dim, np.full(count, CONSTANT), np.zeros(count, np.int64))
        return self.tagged(plain, key, np.arange(count))

    def marked(self, channels: Channels, key: Hashable) -> Channels:
        """Channels after each was treated by a number of its own: constants are now unlike each other."""
        if not (channels.atoms == CONSTANT).any():
            return channels
        unlike = self.tagged(channels, key, np.arange(len(channels)))
        return replace(channels, tags=np.where(channels.atoms == CONSTANT, unlike.tags, channels.tags))

    def use(self, tensor: str, channels: Mapping[int, Channels], parts: Mapping[int, int] | None = None) -> None:
        """A node takes a tensor of the network, some dimensions of which have channels."""
        self.uses.setdefault(tensor, []).append(Use(channels, parts or {}))

    def stop(self, channels: Channels, why: str) -> None:
        """These channels stay where they are."""
        for atom in channels.atoms[channels.atoms != CONSTANT].tolist():
            self._stopped.setdefault(atom, why)

    def stopped(self) -> dict[int, str]:
        """By root, why its channels stay."""
        return {self.root(atom): why for atom, why in reversed(self._stopped.items())}

    def _key(self, value: Hashable) -> int:
        return self._keys.setdefault(value, len(self._keys) + 1)
