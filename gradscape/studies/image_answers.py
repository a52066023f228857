"""What networks answer to each image of a split: all that scores and comparisons are made of."""

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, TypedDict, final

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor
from torch.nn import functional as F

from gradscape._arrays import load_result, save_arrays
from gradscape._left_as_before import left_as_before
from gradscape._profile import spent_on
from gradscape._provenance import Provenance
from gradscape.landscape.engine import Task, check_labels, cut_blocks, evaluable
from gradscape.landscape.engine.logits import bce_with_logits, binary, is_single, logits_of
from gradscape.models import Classifier

__all__ = ["ImageAnswers", "answer_images", "count_confusions"]

NO_ANSWER = -1
"""Stands in the place of a class where logits are not finite."""

_FEW_CLASSES = 5  # among so many the right one always is
_TRIED = 16  # images on which is seen whether a network gives logits
_ENTRY = "answers"

_ARRAYS = {
    "labels": Int64[np.ndarray, "images"],
    "predicted": Int64[np.ndarray, "images"],
    "confidence": Float64[np.ndarray, "images"],
    "loss": Float64[np.ndarray, "images"],
    "right": Bool[np.ndarray, "images"],
}
_OPTIONAL = {"among_five": Bool[np.ndarray, "images"]}

Batches = Iterable[tuple[Tensor, Tensor]]


class _AnswersEntry(TypedDict):
    classes: list[str]


@final
@dataclass(frozen=True, eq=False)
class ImageAnswers:
    """One network's answers to some images, in their order.

    Attributes:
        labels: Right classes.
        predicted: Classes of the largest logits; -1 where a logit is not finite, which is a wrong answer.
        confidence: Probability of the predicted class by the softmax, in [0, 1]; NaN where a logit is not finite.
        loss: Cross-entropy, nats.
        right: Whether the predicted class is the right one.
        among_five: Whether the right class is among the five of the largest logits; None of five classes or fewer.
        classes: Names of the classes of the images, which labels are indices into.
        meta: Which network and images, exactly, and the versions.
    """

    labels: Int64[np.ndarray, "images"]
    predicted: Int64[np.ndarray, "images"]
    confidence: Float64[np.ndarray, "images"]
    loss: Float64[np.ndarray, "images"]
    right: Bool[np.ndarray, "images"]
    among_five: Bool[np.ndarray, "images"] | None
    classes: tuple[str, ...]
    meta: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        counts = {len(array) for array in self._arrays().values()}
        if counts == {0} or len(counts) > 1:
            raise ValueError(f"`labels` and all else must have one entry for each image, got {sorted(counts)}")
        if not 0 <= self.labels.min() <= self.labels.max() < len(self.classes):
            raise ValueError(
                f"`labels` must be 0 to {len(self.classes) - 1} for {len(self.classes)} classes, but span "
                f"{self.labels.min()} to {self.labels.max()}"
            )
        if self.predicted.min() < NO_ANSWER:
            raise ValueError(f"`predicted` must be classes or {NO_ANSWER}, got {self.predicted.min()}")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def finite(self) -> Bool[np.ndarray, "images"]:
        """Whether all logits of an image are finite."""
        return self.predicted != NO_ANSWER

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a `.npz` file, all at once."""
        save_arrays(path, self._arrays(), {**self.meta, _ENTRY: {"classes": list(self.classes)}})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "ImageAnswers":
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It holds something else.
        """

        def made(arrays: dict[str, np.ndarray], entry: _AnswersEntry, meta: Provenance) -> ImageAnswers:
            known: dict[str, Any] = {"among_five": None, **arrays}
            return cls(**known, classes=tuple(entry["classes"]), meta=meta)

        called = "a network's answers to images"
        return load_result(path, _ENTRY, made, called=called, entry=_AnswersEntry, arrays=_ARRAYS, optional=_OPTIONAL)

    def _arrays(self) -> dict[str, np.ndarray]:
        names = ("labels", "predicted", "confidence", "loss", "right", "among_five")
        return {name: array for name in names if (array := getattr(self, name)) is not None}


@left_as_before
def answer_images(
    models: Mapping[str, Classifier],
    batches: Batches,
    *,
    classes: tuple[str, ...],
    watch: Callable[[Tensor, Tensor], object] | None = None,
) -> dict[str, ImageAnswers]:
    """Show images to several networks, which share every batch as it is loaded.

    Args:
        models: By name; those of a single logit tell two classes apart.
        batches: (images, labels), gone through once.
        classes: Names of the classes of the images.
        watch: Called with every batch after it was answered.

    Returns:
        By the same names.

    Raises:
        ValueError: A network gives something else than logits, one row for each image.
    """
    found: dict[str, list[dict[str, Tensor]]] = {name: [] for name in models}
    with ExitStack() as ready:
        for model in models.values():
            ready.enter_context(evaluable(model))
        for images, labels in batches:
            for name, model in models.items():
                if not found[name]:
                    _check_answers(name, model, images, labels)
                with spent_on("points"):
                    output = model(images.to(model.mean.device))
                found[name].append(_judge(output, labels, name=name))
            if watch is not None:
                watch(images, labels)
    return {name: ImageAnswers(**_join(parts), classes=classes) for name, parts in found.items()}


def count_confusions(answers: ImageAnswers) -> Int64[np.ndarray, "classes answers"]:
    """Count how many images of each class were taken for which.

    Returns:
        A row for each class of the images and a column for each answer. Where some answers are none of these classes,
        or are not finite, one more column counts them.
    """
    count = len(answers.classes)
    told = np.where(answers.finite & (answers.predicted < count), answers.predicted, count)
    counts = np.zeros((count, count + 1), np.int64)
    np.add.at(counts, (answers.labels, told), 1)
    return counts if counts[:, count].any() else counts[:, :count]


@spent_on("planning")
def _check_answers(name: str, model: Classifier, images: Tensor, labels: Tensor) -> None:
    """Refuse on the first images what is no logit, by the checks that landscapes have."""
    device = model.mean.device
    block = next(cut_blocks([(images[:_TRIED].to(device), labels[:_TRIED].to(device))], _TRIED))
    logits = logits_of(model(block.inputs))
    if logits.dim() > 2 or len(logits) != block.count:
        raise ValueError(
            f"`model` must be a classifier, with a row of logits for each image, but {name} gives "
            f"{tuple(logits.shape)} for {block.count} images"
        )
    task = Task(loss=bce_with_logits, metric=binary) if is_single(logits) else Task()
    check_labels(model, block, task)


def _judge(output: Any, labels: Tensor, *, name: str) -> dict[str, Tensor]:
    logits = logits_of(output).detach().cpu().double()
    if is_single(logits):
        logits = torch.cat([torch.zeros(len(logits), 1, dtype=logits.dtype), logits.reshape(-1, 1)], dim=1)
    highest = int(labels.max())
    if highest >= logits.shape[1]:
        raise ValueError(
            f"`model` must know every class, but {name} tells {logits.shape[1]} apart, a label is {highest}"
        )
    finite = torch.isfinite(logits).all(dim=1)
    confidence, predicted = logits.softmax(dim=1).max(dim=1)
    predicted = predicted.where(finite, NO_ANSWER)
    judged = {
        "labels": labels.cpu().long(),
        "predicted": predicted,
        "confidence": confidence.where(finite, torch.nan),
        "loss": F.cross_entropy(logits, labels.cpu().long(), reduction="none"),
        "right": predicted == labels.cpu(),
    }
    if logits.shape[1] > _FEW_CLASSES:
        among = logits.topk(_FEW_CLASSES, dim=1).indices == labels.cpu()[:, None]
        judged["among_five"] = among.any(dim=1) & finite
    return judged


def _join(parts: list[dict[str, Tensor]]) -> dict[str, Any]:
    names = {"among_five": None, **(parts[0] if parts else {})}
    return {name: torch.cat([part[name] for part in parts]).numpy() if name in parts[0] else None for name in names}
