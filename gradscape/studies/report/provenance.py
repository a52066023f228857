"""Where a network's numbers come from: files, digests, seeds, versions, plans."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gradscape._names import one_line
from gradscape.studies.report.networks import Network

__all__ = ["Fact", "describe_network"]

_LONG = 160
_SKIPPED = {"model", "weights", "image_names", "span_search", "functions"}  # told elsewhere, or too much to read
_KINDS = {
    "surfaces": "landscape",
    "lines": "line",
    "heatmaps": "heatmaps",
    "faithfulness": "faithfulness",
    "attention": "attention",
    "fusion": "fusion",
    "embeddings": "embedding",
}


@dataclass(frozen=True)
class Fact:
    """A result's provenance.

    Attributes:
        kind: What it is.
        file: Where it lies.
        entries: (name, value) pairs.
    """

    kind: str
    file: str
    entries: tuple[tuple[str, str], ...]


def describe_network(network: Network) -> list[Fact]:
    """The checkpoint's provenance, then that of each result, with everything that their files tell."""
    facts = []
    if network.checkpoint:
        meta = {key: value for key, value in network.checkpoint.result.meta.items() if key != "labels"}
        facts.append(Fact("checkpoint", str(network.checkpoint.path), tuple(_entries(meta))))
    if network.training:
        facts.append(Fact("training", str(network.training.path), ()))
    for name, kind in _KINDS.items():
        for found in getattr(network, name):
            own = {
                field: getattr(found.result, field)
                for field in ("method", "target_layer", "block", "layer", "backend", "perplexity", "seed")
                if hasattr(found.result, field)
            }
            facts.append(Fact(kind, str(found.path), tuple(_entries({**own, **found.result.meta}))))
    return facts


def _entries(meta: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in meta.items():
        if name not in _SKIPPED and value not in (None, {}, []):
            text = _spelled(value)
            yield name.replace("_", " "), text if len(text) <= _LONG else f"{text[:_LONG]}…"


def _spelled(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key.replace('_', ' ')} {_spelled(part)}" for key, part in value.items() if part is not None)
    if isinstance(value, list | tuple):
        return ", ".join(map(_spelled, value))
    return f"{value:.6g}" if isinstance(value, float) else one_line(value)
