"""Embeddings of several models on the same images: checkpoints in, points, pictures and a page out."""

import csv
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from gradscape._digest import digest_tensors
from gradscape._files import replacing
from gradscape._names import unknown_name
from gradscape.data import Split, load_split
from gradscape.explain.embedding import Embedding, embed
from gradscape.explain.procrustes import align_embeddings
from gradscape.figures import save_figure
from gradscape.figures.charts.embedding import figure_embeddings, quality_lines
from gradscape.figures.web.embeddings import interactive_embedding, thumbnail_side
from gradscape.models import Classifier

__all__ = ["ChosenImages", "choose_images", "draw_embeddings", "embed_models", "embedding_paths", "make_thumbnails"]


@dataclass(frozen=True, eq=False)
class ChosenImages:
    """Some images of a split, in batches that come in the same order every time.

    Attributes:
        split: All images of the split, in balanced order.
        order: Indices into them.
    """

    split: Split
    order: Sequence[int]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of all classes of the data set, which labels are indices into."""
        return tuple(self.split.classes)

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


def embed_models(
    models: Mapping[str, Classifier],
    images: ChosenImages,
    output: Path,
    *,
    report: Callable[[str], None] | None = None,
    **options: Any,
) -> dict[str, Embedding]:
    """Embed the same images by every model, each turned onto the first; each is written as soon as it is there.

    Args:
        models: By the name that pictures and folders take.
        images: What to embed.
        output: Folder for `embedding.npz`, or for a folder of each model's where there are several.
        report: Called with a line for each embedding.
        **options: Those of `embed`.
    """
    embeddings: dict[str, Embedding] = {}
    paths = embedding_paths(models, output)
    for name, model in models.items():
        tensors = (*model.named_parameters(), *model.named_buffers())
        made = embed(model, images, **options)
        meta = {"model": name, "weights": digest_tensors(tensors), "data": images.split.name}
        made = replace(made, meta={**made.meta, **meta, "split": images.split.split})
        made = align_embeddings([*list(embeddings.values())[:1], made])[-1]
        made.save(paths[name])
        embeddings[name] = made
        if report:
            report(f"{name}: {made.layer}; {'; '.join(quality_lines(made))}")
    return embeddings


def embedding_paths(names: Collection[str], output: Path) -> dict[str, Path]:
    """Return where each model's embedding is kept: in a folder of its own where there are several."""
    return {name: (output / name if len(names) > 1 else output) / "embedding.npz" for name in names}


def draw_embeddings(embeddings: Mapping[str, Embedding], images: ChosenImages, output: Path) -> list[Path]:
    """Write tsne.pdf, tsne.png, tsne.html with thumbnails, and the points as tsne.csv.

    Args:
        embeddings: By title.
        images: What was embedded.
        output: The folder.

    Returns:
        What was written.
    """
    titles, several = list(embeddings), list(embeddings.values())
    written = save_figure(figure_embeddings(several, titles), output / "tsne")
    page, table = output / "tsne.html", output / "tsne.csv"
    with replacing(page) as partial:
        thumbnails = make_thumbnails(images)
        partial.write_text(interactive_embedding(several, thumbnails=thumbnails, titles=titles), encoding="utf-8")
    with replacing(table) as partial:
        _write_table(embeddings, partial)
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
            raise ValueError(
                f"{unknown_name('classes', name, known)}; give names or numbers from 0 to {len(known) - 1}, "
                "with commas between them"
            )
    return numbers


def _write_table(embeddings: Mapping[str, Embedding], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("model", "image", "label", "class", "x", "y"))
        for name, embedding in embeddings.items():
            for image, (label, (x, y)) in enumerate(
                zip(embedding.labels.tolist(), embedding.points.tolist(), strict=True)
            ):
                table.writerow((name, image, label, embedding.class_name(label), f"{x:.9g}", f"{y:.9g}"))
