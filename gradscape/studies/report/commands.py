"""Parts of the command lines that make results again."""

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from gradscape._recipe_record import USUAL_LOSSES
from gradscape._schema import fitting
from gradscape.landscape.image_counts import asked_images
from gradscape.studies.report.found import Found, ReportedNetwork

__all__ = [
    "DATA",
    "IMAGES",
    "UNKNOWN",
    "USUAL_MAKING",
    "command",
    "data_options",
    "evenly",
    "exact",
    "function_options",
    "image_options",
    "making_options",
    "network_path",
    "network_paths",
    "split_option",
]

UNKNOWN = "CKPT"
"""Stands for a checkpoint that no result tells the path of."""

DATA = "DATA"
"""Stands for a data set."""

IMAGES = "IMAGES"
"""Stands for image files."""

USUAL_MAKING = {"normalize": "filter", "ignore": "biasbn", "space": "weights", "parameters": "*"}
"""How random directions are made where nothing else is asked for."""


def command(*parts: object) -> str:
    """Quote a command line of gradscape for a shell."""
    return shlex.join(["gradscape", *map(str, parts)])


def network_path(network: ReportedNetwork) -> str:
    """Return a network's checkpoint, or what stands for it."""
    return network.path or UNKNOWN


def network_paths(group: Sequence[tuple[ReportedNetwork, Found[object]]]) -> list[str]:
    """Return the checkpoints of all networks of a group, each once."""
    return list(dict.fromkeys(network_path(network) for network, _ in group))


_USUAL_FUNCTIONS = (
    ("loss", USUAL_LOSSES),
    ("metric", ("top1", "pixel_accuracy")),
)
"""Of classifiers, detectors and segmenters."""


def data_options(found: Found[object], *, usual: str = "train") -> list[object]:
    """Spell the images that a result rests on, beside a split that its command takes without the option."""
    meta = found.meta
    parts: list[object] = ["--data", meta.get("data", DATA)]
    parts += split_option(meta, usual=usual)
    images, population = asked_images(meta), meta.get("population")
    return [*parts, "--limit", images] if images and population and images < population else parts


def split_option(meta: Mapping[str, Any], *, usual: str) -> list[object]:
    """Spell the split that a result rests on, where it is not the command's usual one.

    Args:
        meta: The result's provenance. Of data without a split of their own any serves; "val" is what `--split test`
            gives where there is no other.
        usual: What the command takes without the option.
    """
    split = {"val": "test", "all": usual}.get(str(meta.get("split")), meta.get("split") or usual)
    return ["--split", split] if split != usual else []


def function_options(found: Found[object], *, judged: bool = True) -> list[object]:
    """Spell the loss and the metric of a result, where they are not the usual ones.

    Args:
        found: The result.
        judged: Whether its command has a metric; that of a landscape or a line has.
    """
    functions = found.meta.get("functions", {})
    parts: list[object] = []
    for role, usual in _USUAL_FUNCTIONS[: 1 + judged]:
        name = re.split("[#@]", str(functions.get(role, f"gradscape.{usual[0]}")))[0]  # a digest follows
        module, _, function = name.rpartition(".")
        # What was made within Python has no name to be imported by; an object goes by that of its class.
        if "(" in name or "<" in name or function[:1].isupper():
            parts += [f"--{role}", "package.module:function"]
        elif function not in usual:
            parts += [f"--{role}", f"{module}:{function}" if module not in ("", "gradscape") else function]
    return parts


def making_options(found: Found[object], usual: Mapping[str, str]) -> list[object]:
    """Spell how directions were made and in which precision all was computed, as far as it is not the usual way."""
    made = {name: found.meta.get(name, value) for name, value in usual.items()}
    parts = [part for name, value in made.items() if value != usual[name] for part in (f"--{name}", value)]
    parts += _batch_norm_options(found.meta)
    plan = found.meta.get("plan")
    return [*parts, "--precision", plan["precision"]] if isinstance(plan, Mapping) and "precision" in plan else parts


def _batch_norm_options(meta: Mapping[str, Any]) -> list[object]:
    """Spell what became of running statistics, where the directions do not say it."""
    statistics = (fitting(meta, "batch_norm", dict[str, Any]) or {}).get("statistics")
    if statistics == "recalibrated":
        data = (fitting(meta, "calibration", dict[str, str]) or {}).get("data", DATA)
        return ["--batch-norm", statistics, *(["--calibration", data] if data != meta.get("data") else [])]
    stays = statistics == "stored" and meta.get("space") == "states"
    return ["--batch-norm", "stored"] if stays else []


def image_options(found: Found[object]) -> list[object]:
    """Spell the image files that a network was shown; of old results the names alone, which tell no folder."""
    return ["--images", *(found.meta.get("image_files") or found.picture_names or [IMAGES])]


def evenly(axis: Float[np.ndarray, " points"]) -> str:
    """Spell even coordinates as `--grid` takes them, with all digits: first, last, number."""
    return f"{exact(axis[0])}:{exact(axis[-1])}:{len(axis)}"


def exact(number: float) -> str:
    """Spell a number so that reading it gives the same one."""
    return np.format_float_positional(number, trim="-")
