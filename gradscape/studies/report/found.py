"""Results with their files, and the networks that they are about."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar, final

from gradscape._names import class_label, one_line
from gradscape._provenance import Provenance
from gradscape._recorded import recorded
from gradscape.models import Classifier

__all__ = ["BEST", "LAST", "Found", "ReportedNetwork", "ReportedNetworks", "owned", "together"]

LAST, BEST = "model.safetensors", "best.safetensors"
"""What training calls its checkpoints."""

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@final
@dataclass(frozen=True, eq=False)
class Found(Generic[T_co]):
    """A result and its file.

    Attributes:
        path: The file.
        result: What it holds.
        meta: What the file tells of its making, as `recorded` gives it; empty where it tells nothing.
    """

    path: Path
    result: T_co
    meta: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        object.__setattr__(self, "meta", Provenance.of(recorded(self.meta)))

    @property
    def weights(self) -> str:
        """Digest of the network's tensors; "" where the file does not tell."""
        return self.meta.weights or ""

    @property
    def model(self) -> str:
        """What pictures call the network, or the folder where the file does not tell."""
        return one_line(self.meta.called or self.path.parent.name or "model")

    @property
    def picture_names(self) -> list[str]:
        """Files of the pictures that the network was shown, without folders; none where the file does not tell."""
        return list(self.meta.image_names or ())

    @property
    def picture_digest(self) -> str:
        """Digest of these pictures; "" where the file does not tell."""
        return self.meta.image_digest or ""


@final
@dataclass(eq=False)
class ReportedNetwork:
    """A network and every result about it.

    Attributes:
        name: The model's name.
        weights: Digest of its tensors; "" where no result tells.
        folder: Where the first file about it lies.
        title: What the page calls it: the name, and the checkpoint or folder where that tells those of one name apart.
        checkpoint: The trained network, if it was found.
        results: All about it, by the name of their kind.
    """

    name: str
    weights: str
    folder: Path
    title: str = ""
    checkpoint: Found[Classifier] | None = None
    results: dict[str, list[Found[object]]] = field(default_factory=dict)

    def of(self, result_type: type[T]) -> list[Found[T]]:
        """Results of one type, in the order in which they were found."""
        return [
            Found(found.path, found.result, found.meta)
            for several in self.results.values()
            for found in several
            if isinstance(found.result, result_type)
        ]

    @property
    def path(self) -> str:
        """Its checkpoint: the one that was found, else what a result says of it; "" where none does."""
        if self.checkpoint:
            return str(self.checkpoint.path)
        told = (found.meta.get("checkpoint") for several in self.results.values() for found in several)
        return next((str(path) for path in told if path), "")

    @property
    def has_best_checkpoint(self) -> bool:
        """Whether its checkpoint is a training's best, which may not be its last."""
        return self.checkpoint is not None and self.checkpoint.path.name == BEST

    @property
    def labels(self) -> Sequence[str] | None:
        """Names of the classes, if known."""
        return self.checkpoint.result.labels if self.checkpoint else None

    def class_name(self, index: int) -> str:
        """What the network calls a class: its label, or its number."""
        return class_label(self.labels, index) or str(index)


@final
class ReportedNetworks:
    """Networks while results are sorted: a result finds the one that it is about, or brings a new one."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], ReportedNetwork] = {}

    def __iter__(self) -> Iterator[ReportedNetwork]:
        return iter(self._known.values())

    def join(self, network: ReportedNetwork, *key: str) -> ReportedNetwork:
        """Return the network that is known by the key, else this one, which is known from now on."""
        return self._known.setdefault(key, network)

    def by_weights(self, found: Found[object]) -> ReportedNetwork:
        """Return the network of a result by its weights, or by folder and model where the file does not tell them."""
        key = (found.weights,) if found.weights else ("", found.model, str(found.path.parent))
        # What one run called it tells it from the others of that run; its checkpoint tells it from all.
        name = one_line(found.meta.model) if found.meta.model and "checkpoint" in found.meta else found.model
        return self.join(ReportedNetwork(name, found.weights, found.path.parent), *key)


def owned(networks: Sequence[ReportedNetwork], result_type: type[T]) -> Iterator[tuple[ReportedNetwork, Found[T]]]:
    """Go through all results of a type, each with its network."""
    for network in networks:
        for found in network.of(result_type):
            yield network, found


def together(
    networks: Sequence[ReportedNetwork], result_type: type[T], key: Callable[[Found[T]], object]
) -> list[list[tuple[ReportedNetwork, Found[T]]]]:
    """Group results of a type that one command made, or that are shown as one.

    Args:
        networks: Whose results.
        result_type: Their type.
        key: What results of a group share, as JSON can hold it.
    """
    groups: dict[str, list[tuple[ReportedNetwork, Found[T]]]] = {}
    for network, found in owned(networks, result_type):
        groups.setdefault(json.dumps(key(found), default=str), []).append((network, found))
    return list(groups.values())
