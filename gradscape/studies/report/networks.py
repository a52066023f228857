"""Results sorted by the network that they belong to."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np

from gradscape._digest import digest_tensors
from gradscape._names import one_line
from gradscape.explain.embedding import Embedding
from gradscape.explain.faithfulness import Faithfulness
from gradscape.explain.fusion_map import FusionMaps
from gradscape.explain.heatmap import Heatmaps
from gradscape.landscape import Line, Surface
from gradscape.models import Classifier, count_macs, count_parameters
from gradscape.studies.report.collect import Attention, Findings, Found

__all__ = ["Network", "sort_by_network"]

_LAST, _BEST = "model.safetensors", "best.safetensors"  # as training calls them
_log = logging.getLogger(__name__)


@final
@dataclass(eq=False)
class Network:
    """A network and every result about it.

    Attributes:
        name: The model's name.
        weights: Digest of its tensors; "" where no result tells.
        folder: Where the first file about it lies.
        title: What the page calls it: the name, and the folder where that tells networks of one name apart.
        checkpoint: The trained network, if it was found.
        training: Its metrics, if they lie beside the checkpoint.
        surfaces: Landscapes over a plane.
        lines: Landscapes along a line.
        heatmaps: One method each.
        heatmap_rows: Rows of the table beside the heatmaps.
        faithfulness: Measures that were saved by themselves.
        attention: Attention maps.
        fusion: Features before and after attention.
        embeddings: Images in the plane.
    """

    name: str
    weights: str
    folder: Path
    title: str = ""
    checkpoint: Found[Classifier] | None = None
    training: Found[dict[str, np.ndarray]] | None = None
    surfaces: list[Found[Surface]] = field(default_factory=list)
    lines: list[Found[Line]] = field(default_factory=list)
    heatmaps: list[Found[Heatmaps]] = field(default_factory=list)
    heatmap_rows: list[dict[str, str]] = field(default_factory=list)
    faithfulness: list[Found[Faithfulness]] = field(default_factory=list)
    attention: list[Found[Attention]] = field(default_factory=list)
    fusion: list[Found[FusionMaps]] = field(default_factory=list)
    embeddings: list[Found[Embedding]] = field(default_factory=list)

    @property
    def parameters(self) -> int | None:
        """Number of parameters; None without a checkpoint."""
        return count_parameters(self.checkpoint.result) if self.checkpoint else None

    @property
    def macs(self) -> int | None:
        """Multiply-adds of one image; None without a checkpoint, or where they cannot be counted."""
        if self.checkpoint is None:
            return None
        try:
            return count_macs(self.checkpoint.result, self.checkpoint.result.image_size)
        except (ValueError, TypeError, RuntimeError) as problem:  # a network may refuse a lone image
            _log.warning("multiply-adds of %s cannot be counted: %s", self.title, one_line(problem))
            return None

    @property
    def accuracy(self) -> float | None:
        """Test accuracy in [0, 1]: by the checkpoint, else by the metrics; None if unknown."""
        scores = self.checkpoint.result.meta.get("scores") if self.checkpoint else None
        accuracy = scores.get("test_accuracy") if isinstance(scores, dict) else None
        if isinstance(accuracy, int | float):
            return float(accuracy)
        if self.training and "test_accuracy" in self.training.result:
            return float(self.training.result["test_accuracy"][-1])
        return None

    @property
    def labels(self) -> Sequence[str] | None:
        """Names of the classes, if known."""
        return self.checkpoint.result.labels if self.checkpoint else None

    def class_name(self, index: int) -> str:
        """What the network calls a class: its label, or its number."""
        return self.labels[index] if self.labels and 0 <= index < len(self.labels) else str(index)


def sort_by_network(findings: Findings) -> list[Network]:
    """Sort results by the digest of the weights that they were made with.

    A training's best checkpoint is a network of its own only where a result is about it. Results without a digest
    belong to a network of their folder and model.
    """
    networks: dict[tuple[str, ...], Network] = {}
    _add_checkpoints(findings, networks)
    places: list[tuple[Iterable[Found[Any]], Callable[[Network], list[Any]]]] = [
        (findings.surfaces, lambda network: network.surfaces),
        (findings.lines, lambda network: network.lines),
        (findings.heatmaps, lambda network: network.heatmaps),
        (findings.faithfulness, lambda network: network.faithfulness),
        (findings.attention, lambda network: network.attention),
        (findings.fusion, lambda network: network.fusion),
        (findings.embeddings, lambda network: network.embeddings),
    ]
    for results, place in places:
        for found in results:
            place(_network_of(found, networks)).append(found)
    _add_tables(findings, networks)
    _add_trainings(findings, networks)
    kept = [network for network in networks.values() if _told(network)]
    _give_titles(kept)
    return kept


def _add_checkpoints(findings: Findings, networks: dict[tuple[str, ...], Network]) -> None:
    # Of equal weights in two files the one after the last epoch gives the name.
    for found in sorted(findings.checkpoints, key=lambda found: found.path.name == _BEST):
        model = found.result
        weights = digest_tensors((*model.named_parameters(), *model.named_buffers()))
        networks.setdefault(
            (weights,), Network(one_line(model.meta["name"]), weights, found.path.parent, checkpoint=found)
        )


def _network_of(found: Found[Any], networks: dict[tuple[str, ...], Network]) -> Network:
    meta = found.result.meta
    weights = str(meta.get("weights") or "")
    name = one_line(meta.get("model") or found.path.parent.name or "model")
    key = (weights,) if weights else ("", name, str(found.path.parent))
    return networks.setdefault(key, Network(name, weights, found.path.parent))


def _add_tables(findings: Findings, networks: dict[tuple[str, ...], Network]) -> None:
    """A table names models as the folders below it do; their heatmaps tell the networks."""
    for table in findings.heatmap_tables:
        for network in networks.values():
            called = {
                found.result.meta.get("model")
                for found in network.heatmaps
                if found.path.parent.parent == table.path.parent
            }
            network.heatmap_rows += [row for row in table.result if row.get("model") in called]


def _add_trainings(findings: Findings, networks: dict[tuple[str, ...], Network]) -> None:
    for found in findings.trainings:
        folder = found.path.parent
        beside = [
            network
            for network in networks.values()
            if network.checkpoint and network.checkpoint.path.parent == folder and network.checkpoint.path.name != _BEST
        ]
        if beside:
            beside[0].training = found
        else:
            key = ("", "training", str(folder))
            networks[key] = Network(folder.name or "training", "", folder, training=found)


def _told(network: Network) -> bool:
    """Whether anything but an unused best checkpoint is known."""
    results = ("surfaces", "lines", "heatmaps", "faithfulness", "attention", "fusion", "embeddings")
    used = any(getattr(network, name) for name in results) or network.training is not None
    return used or (network.checkpoint is not None and network.checkpoint.path.name != _BEST)


def _give_titles(networks: Sequence[Network]) -> None:
    names = [network.name for network in networks]
    for network in networks:
        network.title = network.name
        if names.count(network.name) > 1:
            network.title += f" ({_tail(network, networks)})"
    titles = [network.title for network in networks]
    for number, network in enumerate(networks, 1):
        if titles.count(network.title) > 1:
            network.title += f" {number}"


def _tail(network: Network, networks: Sequence[Network]) -> str:
    """As much of the end of its path as tells a network from the others of its name."""
    others = [_parts(other) for other in networks if other is not network and other.name == network.name]
    parts = _parts(network)
    for length in range(1, len(parts) + 1):
        if all(other[-length:] != parts[-length:] for other in others):
            return "/".join(parts[-length:])
    return parts[-1]


def _parts(network: Network) -> tuple[str, ...]:
    """Folders, and the checkpoint's file where it is not called as training calls it."""
    named = network.checkpoint and network.checkpoint.path.name != _LAST
    return (*network.folder.parts, *([network.checkpoint.path.stem] if network.checkpoint and named else []))
