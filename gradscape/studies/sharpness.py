"""Networks' sharpness, measured on the same images into a file each."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from gradscape._provenance import CHANCE
from gradscape.data import Split
from gradscape.landscape import Sharpness, measure_sharpness
from gradscape.models import Classifier
from gradscape.studies.chance import models_at_chance
from gradscape.studies.networks import check_classes, measured_entries
from gradscape.studies.sharpness_comparison import SHARPNESS_FILE

__all__ = ["measure_networks", "sharpness_path"]


def measure_networks(
    models: Mapping[str, Classifier],
    split: Split,
    folder: Path,
    *,
    report: Callable[[str, int, int], object] | None = None,
    seconds: float | None = None,
    **options: Any,
) -> dict[str, Sharpness]:
    """Measure every network's sharpness into a file of its own.

    Args:
        models: By the name that tables and pictures take.
        split: The images, the same for all.
        folder: Where `sharpness.npz` goes; of several networks to folders of their names.
        report: Called with a network's name, the images done, and all.
        seconds: For all networks together, the same time for each.
        **options: Those of `measure_sharpness`.

    Returns:
        Network -> its sharpness.

    Raises:
        ValueError: The images are of other classes than a network's, or as for `measure_sharpness`.
    """
    check_classes(models, split)
    guessing = models_at_chance(models, split, data=split.name)
    found = {}
    for name, model in models.items():
        meta = measured_entries(name, model, split)
        meta |= {CHANCE: [name]} if name in guessing else {}
        told = None if report is None else partial(report, name)
        path = sharpness_path(name, folder, several=len(models) > 1)
        limit = None if seconds is None else seconds / len(models)
        found[name] = measure_sharpness(model, split, meta=meta, path=path, report=told, seconds=limit, **options)
    return found


def sharpness_path(name: str, folder: Path, *, several: bool) -> Path:
    """Where a network's file lies: of several in a folder of its name."""
    return (folder / name if several else folder) / SHARPNESS_FILE
