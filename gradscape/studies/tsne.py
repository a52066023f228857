"""Embeddings of several models on the same images: checkpoints in, points, pictures and a page out."""

import csv
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from gradscape._digest import digest_model
from gradscape._files import replacing_text
from gradscape._names import unknown_name
from gradscape._provenance import CHANCE, Provenance
from gradscape.data import Split, load_split
from gradscape.explain.embedding import Embedding, embed
from gradscape.explain.procrustes import align_embeddings
from gradscape.figures import save_figure
from gradscape.figures.charts.embedding import figure_embeddings, quality_interval, quality_lines
from gradscape.figures.web.embeddings import interactive_embedding, thumbnail_side
from gradscape.models import Classifier
from gradscape.studies.chance import models_at_chance
from gradscape.studies.networks import other_classes

__all__ = ["ChosenImages", "EmbeddedImages", "choose_images", "draw_embeddings", "embed_models", "make_thumbnails"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class ChosenImages:
    """Some images of a split, in batches that come in the same order every time.

    Attributes:
        split: All images of the split, in balanced order.
        order: Indices into them.
        called: Names of the classes instead of those of the data set; empty to keep these.
    """

    split: Split
    order: Sequence[int]
    called: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of all classes of the data set, which labels are indices into."""
        return self.called or tuple(self.split.classes)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        size = self.split.batch_size
        for start in range(0, len(self.order), size):
            images, labels = zip(
                *(self.split.dataset[index] for index in self.order[start : start + size]), strict=True
            )
            yield torch.stack(images), torch.tensor(labels)


def choose_images(data: str, split: str, *, classes: str | None, limit: int | None, **loading: Any) -> ChosenImages:
    """Load a class-balanced, seeded subset of a split, of some classes only where wanted.

    Args:
        data: The data set's name.
        split: "train" or "test".
        classes: Names or numbers with commas between them; None for all.
        limit: Images in all; None for all that are there.
        **loading: More options of `load_split`.

    Raises:
        ValueError: An unknown class, or what `load_split` refuses.
        FileNotFoundError: The data are not there.
    """
    most = sys.maxsize if limit is None else limit
    loaded = load_split(data, split, limit=most if classes is None else sys.maxsize, **loading)
    labels = loaded.dataset.labels.numpy()
    if classes is not None:
        labels = np.where(np.isin(labels, _class_numbers(classes, loaded.classes)), labels, -1)
    # Any beginning of a balanced order is balanced, also of what is left of it.
    return ChosenImages(loaded, np.flatnonzero(labels >= 0)[:most].tolist())


@final
@dataclass(frozen=True, eq=False)
class EmbeddedImages:
    """Where one network puts the images.

    Attributes:
        name: The network's name.
        images: What was embedded.
        embedding: Turned onto the first network's.
        alone: Whether no other network's belong with it.
    """

    name: str
    images: ChosenImages
    embedding: Embedding
    alone: bool

    @property
    def remark(self) -> str:
        """Where the features come from and how far the plane can be believed, on one line."""
        called = {"knn_accuracy": "kNN", "silhouette": "silhouette"}
        ends = {words: quality_interval(self.embedding, name) for name, words in called.items()}
        told = ", ".join(f"{words} {text}" for words, text in ends.items() if text)
        lines = [*quality_lines(self.embedding), *([f"95 % over images: {told}"] if told else [])]
        return f"{self.name}: {self.embedding.layer}; {'; '.join(lines)}"

    def save(self, folder: Path) -> list[Path]:
        """Write `embedding.npz`, in a folder of the network's name where there are several.

        Returns:
            What was written.
        """
        path = (folder if self.alone else folder / self.name) / "embedding.npz"
        self.embedding.save(path)
        return [path]


def embed_models(models: Mapping[str, Classifier], images: ChosenImages, **options: Any) -> Iterator[EmbeddedImages]:
    """Embed the same images by every model, each turned onto the first.

    Each comes as soon as it is there, so that it can be saved before the next is begun.

    Args:
        models: By the name that pictures and folders take.
        images: What to embed.
        **options: Those of `embed`.
    """
    guessing = _doubtful(models, images)
    first: list[Embedding] = []
    images = _with_class_names(images, models)
    for name, model in models.items():
        made = embed(model, images, **options)
        about = Provenance(
            model=model.meta["name"],
            title=name,
            weights=digest_model(model),
            data=images.split.name,
            split=images.split.split,
            images=len(made),
            others={
                **({CHANCE: [name]} if name in guessing else {}),
                **({"checkpoint": model.path} if model.path else {}),
            },
        )
        *first, aligned = align_embeddings([*first, replace(made, meta={**made.meta, **about})])
        first = first or [aligned]
        yield EmbeddedImages(name, images, aligned, alone=len(models) == 1)


def _doubtful(models: Mapping[str, Classifier], images: ChosenImages) -> list[str]:
    """Warn of models that tell other classes apart, whose features may be wanted all the same, or that only guess.

    Returns:
        Names of those that only guess.
    """
    misfits = {name: other_classes(name, model, images.split) for name, model in models.items()}
    for misfit in filter(None, misfits.values()):
        _log.warning("%s: its features are of another task, the colors are the data's classes", misfit)
    fitting = {name: model for name, model in models.items() if not misfits[name]}
    return models_at_chance(fitting, images, data=images.split.name)


def _with_class_names(images: ChosenImages, models: Mapping[str, Classifier]) -> ChosenImages:
    """The images, whose classes have the names that a network knows where the data only number them."""
    numbers = tuple(map(str, range(len(images.classes))))
    known = (model.labels for model in models.values() if model.labels and len(model.labels) == len(numbers))
    called = next(known, None) if images.classes == numbers else None
    return replace(images, called=tuple(called)) if called else images


def draw_embeddings(embedded: Sequence[EmbeddedImages], folder: Path) -> list[Path]:
    """Draw tsne.pdf, tsne.png and tsne.html with thumbnails, and write the points as tsne.csv.

    Args:
        embedded: The same images by every network.
        folder: Where to.

    Returns:
        What was written.
    """
    titles, several = [one.name for one in embedded], [one.embedding for one in embedded]
    written = save_figure(figure_embeddings(several, titles), folder / "tsne")
    page, table = folder / "tsne.html", folder / "tsne.csv"
    interactive_embedding(several, thumbnails=make_thumbnails(embedded[0].images), titles=titles).save(page)
    _write_table(embedded, table)
    return [*written, page, table]


def make_thumbnails(images: ChosenImages) -> np.ndarray:
    """Every image as uint8 (images, height, width, 3), shrunk as far as a page of so many needs."""
    side = thumbnail_side(len(images.order))
    small = []
    for batch, _ in images:
        shrink = side / max(batch.shape[2:])
        if shrink < 1:
            size = [max(1, round(length * shrink)) for length in batch.shape[2:]]
            batch = F.interpolate(batch, size, mode="bilinear", antialias=True)
        small.append((batch.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy())
    return np.concatenate(small)


def _class_numbers(text: str, known: Sequence[str]) -> list[int]:
    numbers = []
    for name in text.split(","):
        name = name.strip()
        if name in known:
            numbers.append(list(known).index(name))
        elif name.isdecimal() and int(name) < len(known):
            numbers.append(int(name))
        else:
            unknown = unknown_name("classes", name, known, listed=False)
            raise ValueError(f"{unknown}; give names or numbers from 0 to {len(known) - 1}, with commas between them")
    return numbers


def _write_table(embedded: Sequence[EmbeddedImages], path: Path) -> None:
    with replacing_text(path) as file:
        table = csv.writer(file)
        table.writerow(("model", "image", "label", "class", "x", "y"))
        for one in embedded:
            places = zip(one.embedding.labels.tolist(), one.embedding.points.tolist(), strict=True)
            for image, (label, (x, y)) in enumerate(places):
                table.writerow((one.name, image, label, one.embedding.class_name(label), f"{x:.9g}", f"{y:.9g}"))
