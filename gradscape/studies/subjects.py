"""What explanations are made of: networks with finite parameters, pictures, and their provenance."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure

from gradscape import __version__
from gradscape._digest import digest_tensors
from gradscape.data.pictures import Pictures
from gradscape.figures import save_figure
from gradscape.models import Classifier
from gradscape.studies.landscape import load_models


def load_finite_models(paths: Sequence[Path], device: str) -> dict[str, Classifier]:
    """Load checkpoints under names that tell them apart, and refuse those that diverged.

    Raises:
        ValueError: A parameter or running statistic is not finite.
    """
    models = load_models(paths, device)
    for path, model in zip(paths, models.values(), strict=True):
        for name, tensor in model.network.state_dict().items():
            if not tensor.isfinite().all():
                raise ValueError(f"{path} holds values in {name} that are not finite: explain another checkpoint")
    return models


def provenance(name: str, model: Classifier, pictures: Pictures) -> dict[str, Any]:
    """Which network and which pictures, exactly, and the versions.

    Args:
        name: What pictures call the model.
        model: The model.
        pictures: What it was shown.
    """
    tensors = (*model.named_parameters(), *model.named_buffers())
    return {
        "model": name,
        "weights": digest_tensors(tensors),
        "image_names": list(pictures.names),
        "images": digest_tensors([("images", pictures.images)]),
        "versions": {"gradscape": __version__, "torch": torch.__version__},
    }


def file_name(name: str) -> str:
    """A model's or a picture's name as that of a file or a folder: nothing in it leads elsewhere."""
    kept = "".join(letter if letter.isalnum() or letter in "._-+=@," else "-" for letter in name)
    return kept.lstrip(".") or "unnamed"


def titles(pictures: Pictures) -> list[str]:
    """What figures call the pictures: their files' names without endings."""
    return [str(Path(name).with_suffix("")) for name in pictures.names]


def picture_stems(pictures: Pictures) -> list[str]:
    """For each picture what the files about it are called, all different: its name without ending, where that does."""
    stems = [file_name(Path(name).stem) for name in pictures.names]
    if len(set(stems)) == len(stems):
        return stems
    return [f"{number}-{file_name(name)}" for number, name in enumerate(pictures.names, 1)]


def save_pages(pages: Iterator[Figure], stem: Path) -> list[Path]:
    """Write pages as `stem`, `stem_page2`, `stem_page3` …, each as pdf and png."""
    return [
        path
        for number, page in enumerate(pages, 1)
        for path in save_figure(page, stem.with_name(f"{stem.name}_page{number}") if number > 1 else stem)
    ]


def class_number(asked: str | None, models: Mapping[str, Classifier]) -> int | str | None:
    """What was asked for as a class: a label where a model has it, else a number."""
    labels = [label for model in models.values() for label in model.labels or ()]
    return asked if asked is None or asked in labels or not asked.isdecimal() else int(asked)


def class_name(labels: Mapping[str, Sequence[str] | None], model: str, index: int) -> str:
    """What a model calls a class: its label, or its number."""
    known = labels.get(model)
    return known[index] if known else str(index)
