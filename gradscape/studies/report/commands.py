"""Parts of the command lines that make results again."""

import re
import shlex
from collections.abc import Sequence

from gradscape.landscape.image_counts import asked_images
from gradscape.studies.report.found import Found, ReportedNetwork

__all__ = ["UNKNOWN", "command", "data_options", "function_options", "image_options", "network_path", "network_paths"]

UNKNOWN = "CKPT"
"""Stands for a checkpoint that is in none of the folders."""


def command(*parts: object) -> str:
    """Quote a command line of gradscape for a shell."""
    return shlex.join(["gradscape", *map(str, parts)])


def network_path(network: ReportedNetwork) -> str:
    """Return a network's checkpoint, or what stands for it."""
    return str(network.checkpoint.path) if network.checkpoint else UNKNOWN


def network_paths(group: Sequence[tuple[ReportedNetwork, Found[object]]]) -> list[str]:
    """Return the checkpoints of all networks of a group, each once."""
    return list(dict.fromkeys(network_path(network) for network, _ in group))


def data_options(found: Found[object]) -> list[object]:
    """Spell the images that a landscape or a line rests on."""
    meta = found.meta
    parts: list[object] = ["--data", meta.get("data", "DATA")]
    if meta.get("split") == "test":
        parts += ["--split", "test"]
    images, population = asked_images(meta), meta.get("population")
    return [*parts, "--limit", images] if images and population and images < population else parts


def function_options(found: Found[object]) -> list[object]:
    """Spell the loss and the metric of a landscape or a line, where they are not the usual ones."""
    functions = found.meta.get("functions", {})
    parts: list[object] = []
    for role, usual in (("loss", "cross_entropy"), ("metric", "top1")):
        name = re.split("[#@]", str(functions.get(role, f"gradscape.{usual}")))[0]  # a digest follows
        module, _, function = name.rpartition(".")
        # What was made within Python has no name to be imported by; an object goes by that of its class.
        if "(" in name or "<" in name or function[:1].isupper():
            parts += [f"--{role}", "package.module:function"]
        elif function != usual:
            parts += [f"--{role}", f"{module}:{function}" if module not in ("", "gradscape") else function]
    return parts


def image_options(found: Found[object]) -> list[object]:
    """Spell the image files that a network was shown, without their folder, which no result tells."""
    return ["--images", *(found.picture_names or ["IMAGES"])]
