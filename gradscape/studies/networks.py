"""Trained networks by path: loaded, told apart by name, checked against images; and what their classes are called."""

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch

from gradscape._digest import digest_model, digest_tensors
from gradscape._names import class_label, tell_apart, telling_parts
from gradscape._provenance import Provenance, current_versions
from gradscape._recipe_record import RECIPE, recorded_recipe
from gradscape.data.named_batches import NamedBatches
from gradscape.data.pictures import Pictures
from gradscape.data.source import are_names
from gradscape.models import Classifier, load_checkpoint

__all__ = [
    "NetworkKind",
    "check_classes",
    "check_same_classes",
    "class_name",
    "class_number",
    "common_image_size",
    "file_name",
    "load_finite_models",
    "load_models",
    "measured_entries",
    "network_kind",
    "other_classes",
    "provenance",
]

NetworkKind = Literal["classifier", "detector", "segmenter"]
"""What a network gives for a picture: scores of classes, boxes, or a class for each pixel."""

_log = logging.getLogger(__name__)


def load_models(paths: Sequence[Path], device: str) -> dict[str, Classifier]:
    """Load checkpoints under names that tell them apart and that a folder can have.

    A name is the model's, else what its path has of its own: folders and file in which the paths differ. Only the same
    file given twice, or paths that no folder can be called, get numbers.
    """
    # Convolutions are faster in channels_last on every kind of device that torch has.
    models = [load_checkpoint(path, device=device).to(memory_format=torch.channels_last) for path in paths]
    files = [Path(os.path.abspath(path)) for path in paths]
    candidates = (
        [model.meta["name"] for model in models],
        telling_parts([file.with_suffix("") for file in files]),
    )
    names = tell_apart([[file_name(name) for name in names] for names in candidates])
    return dict(zip(names, models, strict=True))


def load_finite_models(paths: Sequence[Path], device: str) -> dict[str, Classifier]:
    """Load checkpoints as `load_models` does, and refuse those that diverged.

    Raises:
        ValueError: A parameter or running statistic is not finite.
    """
    models = load_models(paths, device)
    for path, model in zip(paths, models.values(), strict=True):
        for name, tensor in model.network.state_dict().items():
            if not tensor.isfinite().all():
                raise ValueError(f"{path} holds values in {name} that are not finite: explain another checkpoint")
    return models


def check_classes(models: Mapping[str, Classifier], split: NamedBatches) -> None:
    """Refuse images of other classes than a model tells apart; warn where only their names are others.

    Fewer classes than the model's are fine where they are its first ones by name. Data without names may lack some of
    its classes; but where no label below the largest is missing, their classes are taken for all that there are. A
    single class tells nothing of the others.

    Raises:
        ValueError: A label would point past a model's last output or at the output of another class, or the data have
            several classes, and fewer than the model.
    """
    for name, model in models.items():
        if moved := _moved_to(name, model, split):
            raise ValueError(
                f"{moved}: bring the classes into one order, that of the images' folders or that of "
                "`gradscape import --labels`"
            )
        if counted := _miscounted(name, model, split):
            raise ValueError(
                f"{counted}: take images of its own classes; data of which only some occur must name all of them"
            )
        renamed = (
            _renamed(split.classes, model.labels) if model.labels and split.named and are_names(model.labels) else []
        )
        if renamed:
            _log.warning(
                "%d of the %d classes of %s have other names in %s, such as %r for %r: see that the same are meant",
                *(len(renamed), len(split.classes), split.name, name, *reversed(renamed[0])),
            )


def other_classes(name: str, model: Classifier, split: NamedBatches) -> str:
    """Say in what the classes of images and of a model do not fit each other; "" where they do.

    Args:
        name: What the model is called.
        model: The model; a single logit tells two classes apart.
        split: The images.
    """
    return _moved_to(name, model, split) or _miscounted(name, model, split)


def check_same_classes(models: Mapping[str, Classifier]) -> None:
    """Refuse two networks that have the same classes in another order.

    Raises:
        ValueError: A class is not at the same place.
    """
    (first, model), (second, other) = models.items()
    if model.labels and other.labels and (moved := _moved_class(model.labels, other.labels)):
        called, here, there = moved
        raise ValueError(
            f"{called!r} is class {here} of {first}, but class {there} of {second}: between networks whose classes are "
            "in another order no line makes sense; see `gradscape import --labels`"
        )


def _moved_to(name: str, model: Classifier, split: NamedBatches) -> str:
    if not (split.named and model.labels and (moved := _moved_class(split.classes, model.labels))):
        return ""
    called, here, there = moved
    return f"{called!r} is class {here} of {split.name}, but class {there} of {name}"


def _miscounted(name: str, model: Classifier, split: NamedBatches) -> str:
    told, count = max(2, model.meta["num_classes"]), len(split.classes)
    has = f"{split.name} has {count} class{'es' if count > 1 else ''}, but {name} tells"
    if count > told:
        return f"{has} only {told} apart"
    complete = count > 1 and (split.named or split.present == count)  # noise, for one, is of no class
    first = split.named and model.labels and not _renamed(split.classes, model.labels)
    return f"{has} {told} apart" if count < told and complete and not first else ""


def _renamed(classes: Sequence[str], labels: Sequence[str]) -> list[tuple[str, str]]:
    """Names that differ, by more than capitals and underscores, from those at the same place."""
    return [
        (here, there)
        for here, there in zip(classes, labels, strict=False)
        if here.casefold().replace("_", " ") != there.casefold().replace("_", " ")
    ]


def _moved_class(first: Sequence[str], second: Sequence[str]) -> tuple[str, int, int] | None:
    """A name that stands in both lists, once in each, at another place."""
    once = [{name: place for place, name in enumerate(names) if names.count(name) == 1} for names in (first, second)]
    shared = (name for name in once[0] if once[0][name] != once[1].get(name, once[0][name]))
    return next(((name, once[0][name], once[1][name]) for name in shared), None)


def common_image_size(models: Mapping[str, Classifier]) -> int:
    """Side of the images that all models take.

    Raises:
        ValueError: They take images of different sizes, so that no image serves them all.
    """
    sizes = {name: model.image_size for name, model in models.items()}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"models that are compared must take images of one size, got {sizes}: look at them one by one")
    return next(iter(sizes.values()))


def network_kind(models: Mapping[str, Classifier]) -> NetworkKind:
    """Return what the models find in pictures.

    Args:
        models: By name.

    Raises:
        ValueError: They are of several kinds.
    """
    kinds = {name: _kind(model) for name, model in models.items()}
    if len(set(kinds.values())) > 1:
        told = ", ".join(f"{name} is a {kind}" for name, kind in kinds.items())
        raise ValueError(f"`CKPT` must be networks of one kind, but {told}: explain each kind by itself")
    return next(iter(kinds.values()))


def file_name(name: str) -> str:
    """A model's or a picture's name as that of a file or a folder: nothing in it leads elsewhere."""
    kept = "".join(letter if letter.isalnum() or letter in "._-+=@," else "-" for letter in name)
    return kept.lstrip(".") or "unnamed"


def measured_entries(name: str, model: Classifier, split: NamedBatches) -> dict[str, Any]:
    """What the file of a measurement says of its network and images, besides what measuring adds.

    Args:
        name: What pictures call the model.
        model: The model.
        split: The images.
    """
    recipe = recorded_recipe(model.meta)
    return {
        "model": model.meta["name"],
        "title": name,
        "data": split.name,
        "split": split.split,
        **({"checkpoint": model.path} if model.path else {}),
        **({RECIPE: dict(recipe)} if recipe else {}),
    }


def provenance(name: str, model: Classifier, pictures: Pictures) -> Provenance:
    """Which network and which pictures, exactly, and the versions.

    Args:
        name: What pictures call the model.
        model: The model.
        pictures: What it was shown.
    """
    return Provenance(
        model=model.meta["name"],
        title=name,
        weights=digest_model(model),
        images=len(pictures.images),
        image_digest=digest_tensors([("images", pictures.images)]),
        image_names=pictures.names,
        versions=current_versions(),
        others={
            **({"checkpoint": model.path} if model.path else {}),
            **({"image_files": list(pictures.files)} if pictures.files else {}),
        },
    )


def class_number(asked: str | None, models: Mapping[str, Classifier]) -> int | str | None:
    """What was asked for as a class: a label where a model has it, else a number."""
    labels = [label for model in models.values() for label in model.labels or ()]
    return asked if asked is None or asked in labels or not asked.isdecimal() else int(asked)


def class_name(labels: Mapping[str, Sequence[str] | None], model: str, index: int) -> str:
    """What a model calls a class: its label, or its number."""
    return class_label(labels.get(model), index) or str(index)


def _kind(model: Classifier) -> NetworkKind:
    # Both take torchvision along, which who only reads results shall not pay.
    from gradscape.models.detection import Detector
    from gradscape.models.segmentation import Segmenter

    if isinstance(model.network, Detector):
        return "detector"
    return "segmenter" if isinstance(model.network, Segmenter) else "classifier"
