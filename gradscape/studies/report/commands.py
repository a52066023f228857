"""Parts of the command lines that make results again."""

import json
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from gradscape.studies.report.found import Found, Network

__all__ = ["UNKNOWN", "command", "data_options", "image_options", "network_path", "network_paths", "owned", "together"]

UNKNOWN = "CKPT"
"""Stands for a checkpoint that is in none of the folders."""

T = TypeVar("T")


def command(*parts: object) -> str:
    """Quote a command line of gradscape for a shell."""
    return shlex.join(["gradscape", *map(str, parts)])


def network_path(network: Network) -> str:
    """Return a network's checkpoint, or what stands for it."""
    return str(network.checkpoint.path) if network.checkpoint else UNKNOWN


def network_paths(group: Sequence[tuple[Network, Found[object]]]) -> list[str]:
    """Return the checkpoints of all networks of a group, each once."""
    return list(dict.fromkeys(network_path(network) for network, _ in group))


def owned(networks: Sequence[Network], result_type: type[T]) -> Iterator[tuple[Network, Found[T]]]:
    """Go through all results of a type, each with its network."""
    for network in networks:
        for found in network.of(result_type):
            yield network, found


def together(
    networks: Sequence[Network], result_type: type[T], key: Callable[[Found[T]], object]
) -> list[list[tuple[Network, Found[T]]]]:
    """Group results of a type that one command made.

    Args:
        networks: Whose results.
        result_type: Their type.
        key: Folder and settings, as JSON can hold them, which results of one command share.
    """
    groups: dict[str, list[tuple[Network, Found[T]]]] = {}
    for network, found in owned(networks, result_type):
        groups.setdefault(json.dumps(key(found), default=str), []).append((network, found))
    return list(groups.values())


def data_options(meta: Mapping[str, Any]) -> list[object]:
    """Spell the images that a landscape or a line rests on."""
    parts: list[object] = ["--data", meta.get("data", "DATA")]
    if meta.get("split") == "test":
        parts += ["--split", "test"]
    images, population = meta.get("images"), meta.get("population")
    return [*parts, "--limit", images] if images and population and images < population else parts


def image_options(meta: Mapping[str, Any]) -> list[object]:
    """Spell the image files that a network was shown, without their folder, which no result tells."""
    return ["--images", *(meta.get("image_names") or ["IMAGES"])]
