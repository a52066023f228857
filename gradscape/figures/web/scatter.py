"""Embeddings as SVG paths, a class each, for a page that draws them in its own colors."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gradscape.explain.embedding import Embedding
from gradscape.figures.charts.embedding import describe_embeddings, embedding_titles, quality_lines
from gradscape.figures.charts.embedding_marks import class_marks, shared_classes

__all__ = ["PlacedClass", "Scatter", "ScatterPanel", "place_embeddings"]

_SIDE = 1000
_LAYERS = 4  # each class lies in all of them, over some points of the others and under some


@dataclass(frozen=True)
class PlacedClass:
    """How a class looks.

    Attributes:
        name: Its name.
        color: As hexadecimal number.
        outline: Its mark as an SVG path from -1 to 1.
        filled: Whether the mark is an area, not lines.
    """

    name: str
    color: str
    outline: str
    filled: bool


@dataclass(frozen=True)
class ScatterPanel:
    """One embedding.

    Attributes:
        title: The network's name.
        quality: How far it can be believed, line by line.
        layers: (class index, SVG path whose corners are the points), in the order of drawing.
        points: x, y, x, y, … of all images in their own order, from 0 to 1000, y downwards.
    """

    title: str
    quality: tuple[str, ...]
    layers: tuple[tuple[int, str], ...]
    points: tuple[int, ...]


@dataclass(frozen=True)
class Scatter:
    """Embeddings of the same images, side by side.

    Attributes:
        classes: In the order of their numbers.
        labels: Index into `classes` for each image.
        panels: One for each embedding.
        radius: Of a mark, in units of the panels.
        caption: What they show.
    """

    classes: tuple[PlacedClass, ...]
    labels: tuple[int, ...]
    panels: tuple[ScatterPanel, ...]
    radius: float
    caption: str


def place_embeddings(embeddings: Sequence[Embedding], *, titles: Sequence[str]) -> Scatter:
    """Place embeddings of the same images in panels of 1000 by 1000.

    Args:
        embeddings: One or several, with the same labels.
        titles: A name for each.

    Raises:
        ValueError: No embedding, titles of another number, or classes that differ in name.
    """
    names = shared_classes(embeddings)
    headings = embedding_titles(embeddings, titles)
    marks = class_marks(list(names))
    position = {label: index for index, label in enumerate(names)}
    labels = tuple(position[label] for label in embeddings[0].labels.tolist())
    radius = float(np.clip(55 * len(labels) ** -0.25, 5, 18))
    return Scatter(
        classes=tuple(
            PlacedClass(name, marks[label].color, marks[label].outline, marks[label].filled)
            for label, name in names.items()
        ),
        labels=labels,
        panels=tuple(
            _panel(embedding, heading, np.array(labels), radius)
            for embedding, heading in zip(embeddings, headings, strict=True)
        ),
        radius=radius,
        caption=describe_embeddings(embeddings),
    )


def _panel(embedding: Embedding, title: str, labels: np.ndarray, radius: float) -> ScatterPanel:
    points = embedding.points.astype(np.float64) * (1, -1)
    low, high = points.min(axis=0), points.max(axis=0)
    extent = (high - low).max() or 1.0
    room = 2 * radius
    placed = np.rint(((points - (low + high) / 2) / extent + 0.5) * (_SIDE - 2 * room) + room).astype(int)
    layer = np.random.default_rng(0).permutation(len(labels)) * _LAYERS // len(labels)
    layers = []
    for number in range(_LAYERS):
        for index in np.unique(labels[layer == number]):
            corners = placed[(layer == number) & (labels == index)].tolist()
            layers.append((int(index), "M" + "L".join(f"{x} {y}" for x, y in corners)))
    return ScatterPanel(title, tuple(quality_lines(embedding)), tuple(layers), tuple(placed.ravel().tolist()))
