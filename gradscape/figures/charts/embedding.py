"""Embeddings on paper: one panel for each model, one legend for all, and how far each can be believed."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gradscape._names import data_name, one_line
from gradscape._provenance import CHANCE, Provenance
from gradscape.explain.embedding import Embedding
from gradscape.figures.caption import add_caption, caption_height
from gradscape.figures.charts.embedding_marks import MOST_MARKS, ClassMark, class_marks, shared_classes
from gradscape.figures.style import SMALL, new_figure, page_width, styled

__all__ = [
    "describe_embeddings",
    "embedding_titles",
    "figure_embeddings",
    "plot_embedding",
    "quality_interval",
    "quality_lines",
    "quality_table",
]

_NARROWEST = 2.2  # inches of a panel, below which its quality figures stand
_MOST_COLUMNS = 3
_FLATTEST = 0.5  # height over width of a panel
_METHODS = {"sklearn": "t-SNE", "opentsne": "t-SNE", "umap": "UMAP"}
_LETTERS_PER_INCH = 18  # of a legend
_LEGEND_ROW = 0.14
_MARK_WIDTH = 0.28
_LAYERS = 10  # each class lies in all of them, over some points of the others and under some


@styled()
def plot_embedding(
    embedding: Embedding, *, ax: Axes | None = None, marks: Mapping[int, ClassMark] | None = None
) -> Axes:
    """Draw one embedding: a point for each image, color and shape by class, the quality figures below.

    The axes have no ticks, since a t-SNE's have no unit; both have the same scale. Points are drawn in a random
    order that is always the same, so that no class covers the others.

    Args:
        embedding: (N, 2) points.
        ax: Axes to draw into; by default on a page of their own, with a legend.
        marks: Label -> color and shape; by default those of the classes that are there.

    Returns:
        The axes.

    Raises:
        ValueError: There is no mark for a class.
    """
    if marks is None:
        marks = class_marks(list(shared_classes([embedding])))
    missing = sorted({*embedding.labels.tolist()} - {*marks})
    if missing:
        raise ValueError(f"`marks` must have one for each class, but lacks {', '.join(map(str, missing))}")
    if ax is None:
        ax = _lone_axes(shared_classes([embedding]), marks)
    size = float(np.clip(60 * len(embedding) ** -0.28, 4, 30))
    rank = np.random.default_rng(0).permutation(len(embedding))
    for label in np.unique(embedding.labels):
        mark = marks[int(label)]
        members = np.flatnonzero(embedding.labels == label)
        layers = rank[members] * _LAYERS // len(embedding)
        for layer in np.unique(layers):
            name = embedding.class_name(int(label)) if layer == layers.min() else "_nolegend_"
            x, y = embedding.points[members[layers == layer]].T
            ax.scatter(x, y, s=size * mark.size**2, zorder=2 + layer / _LAYERS, label=name, **_look(mark))
    ax.set_aspect("equal", adjustable="datalim")
    ax.set_box_aspect(1)
    ax.margins(0.04)
    ax.set(xticks=[], yticks=[])
    ax.set_xlabel("\n".join(quality_lines(embedding)), fontsize=SMALL, linespacing=1.35, labelpad=3)
    return ax


@styled()
def figure_embeddings(embeddings: Sequence[Embedding], titles: Sequence[str] | None = None) -> Figure:
    """A page of embeddings: a panel for each model with its quality figures, one legend, and a caption.

    Args:
        embeddings: One or several, better aligned (`align_embeddings`), with the same classes.
        titles: A name for each; by default its model's.

    Returns:
        The page: a single column wide for one embedding, else a double column.

    Raises:
        ValueError: No embedding, titles of another number, or classes that differ in name.

    Source: BA²M, figure 1, for the layout.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))
        >>> from gradscape.explain import embed
        >>> embedding = embed(net, [(torch.rand(30, 3, 8, 8), torch.arange(30) % 3)], perplexity=5)
        >>> round(float(figure_embeddings([embedding]).get_figwidth()), 2)
        3.35
    """
    names = shared_classes(embeddings)
    marks = class_marks(list(names))
    headings = embedding_titles(embeddings, titles)
    count = len(embeddings)
    width = page_width(double=count > 1)
    columns = min(2 if count in (2, 4) else min(count, _MOST_COLUMNS), max(1, int(width / _NARROWEST)))
    rows = -(-count // columns)
    side = width / columns - 0.1
    proportion = _proportion(embeddings)
    caption = describe_embeddings(embeddings)
    handles = legend_handles(names, marks)
    legend_columns = _legend_columns(names, side)
    spare = rows * columns > count and -(-len(handles) // legend_columns) * _LEGEND_ROW < side * proportion
    if not spare:
        legend_columns = _legend_columns(names, width)
    legend_height = 0.0 if spare or not handles else -(-len(handles) // legend_columns) * _LEGEND_ROW + 0.15
    height = (
        rows * (side * proportion + 0.17 + _quality_height(embeddings)) + caption_height(caption, width) + legend_height
    )
    figure = new_figure(width, height)
    panels = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for ax, embedding, heading in zip(panels, embeddings, headings, strict=False):
        plot_embedding(embedding, ax=ax, marks=marks).set_box_aspect(proportion)
        ax.set_title(heading, pad=3, parse_math=False)
    for ax in panels[count:]:
        ax.axis("off")
    place: dict[str, Any] = {"loc": "center", "ncols": legend_columns}
    if spare:
        _write_legend(panels[count], handles, **place)
    else:
        _write_legend(figure, handles, **{**place, "loc": "outside upper center"})
    add_caption(figure, caption)
    return figure


def quality_lines(embedding: Embedding) -> list[str]:
    """Quality of one embedding in two lines, figures among the features in brackets; NaN are left out.

    Figures that are those of a sample of the images have their standard error with them.
    """
    quality = embedding.quality
    error = {name: f" ± {value:.2g}" for name, value in quality.standard_errors.items()}
    percent = {name: f" ± {100 * value:.2g}" for name, value in quality.standard_errors.items()}
    first, second = [], [f"trustworthiness {quality.trustworthiness:.3f}{error.get('trustworthiness', '')}"]
    if np.isfinite(quality.knn_accuracy):
        shown = f"kNN {100 * quality.knn_accuracy:.1f}{percent.get('knn_accuracy', '')} %"
        first.append(f"{shown} ({100 * quality.knn_accuracy_features:.1f} %)")
    if np.isfinite(quality.silhouette):
        shown = f"silhouette {_signed(quality.silhouette)}{error.get('silhouette', '')}"
        first.append(f"{shown} ({_signed(quality.silhouette_features)})")
    if np.isfinite(quality.kl_divergence):
        second.append(f"KL {quality.kl_divergence:.2f}{error.get('kl_divergence', '')}")
    return [" · ".join(part) for part in (first, second) if part]


def quality_table(embeddings: Sequence[Embedding]) -> tuple[list[str], list[list[str]]]:
    """Quality of several embeddings: what each figure is called, and the figures of each, "" where there is none.

    Figures that are those of a sample of the images have their standard error with them, and all their 95 % interval
    over images, where it is known.
    """
    words = {
        "knn_accuracy": f"kNN accuracy ({embeddings[0].quality.neighbors} neighbors)",
        "knn_accuracy_features": "kNN accuracy among the features",
        "silhouette": "silhouette",
        "silhouette_features": "silhouette among the features",
        "trustworthiness": "trustworthiness",
        "kl_divergence": "KL divergence",
    }
    rows = [[_figure(embedding, name) for name in words] for embedding in embeddings]
    known = [column for column in range(len(words)) if any(row[column] for row in rows)]
    return [[*words.values()][column] for column in known], [[row[column] for column in known] for row in rows]


def _figure(embedding: Embedding, name: str) -> str:
    value, error = getattr(embedding.quality, name), embedding.quality.standard_errors.get(name)
    if not np.isfinite(value):
        return ""
    ends = quality_interval(embedding, name)
    told = f" ({ends})" if ends else ""
    if name.startswith("knn"):
        return f"{100 * value:.1f}{'' if error is None else f' ± {100 * error:.2g}'} %{told}"
    shown = f"{value:.3f}" if name == "trustworthiness" else _signed(value)
    return f"{shown if error is None else f'{shown} ± {error:.2g}'}{told}"


def quality_interval(embedding: Embedding, name: str) -> str:
    """Spell the 95 % interval over images of a figure of quality; "" where it has none.

    Args:
        embedding: Whose quality.
        name: The figure's name.
    """
    ends = embedding.quality.intervals.get(name)
    if ends is None:
        return ""
    if name.startswith("knn"):
        return f"{100 * ends[0]:.1f} to {100 * ends[1]:.1f} %"
    spell = "{:.3f}".format if name == "trustworthiness" else _signed
    return f"{spell(ends[0])} to {spell(ends[1])}"


def embedding_titles(embeddings: Sequence[Embedding], titles: Sequence[str] | None) -> list[str]:
    """A name for each: the titles, or the models' names, on one line.

    Raises:
        ValueError: There are more or fewer titles than embeddings.
    """
    if titles is None:
        return [one_line(Provenance.of(embedding.meta).called or "model") for embedding in embeddings]
    if len(titles) != len(embeddings):
        raise ValueError(f"`titles` must hold a name for each of the {len(embeddings)} embeddings, got {len(titles)}")
    return [one_line(title) for title in titles]


def describe_embeddings(embeddings: Sequence[Embedding], *, in_brackets: bool = True) -> str:
    """Caption: data, number of images and classes, then what all were made with, and what the figures mean.

    Args:
        embeddings: One or several, of the same images.
        in_brackets: Whether the figures among the features stand in brackets behind those of the plane.
    """
    first = embeddings[0]
    data, split = data_name(first.meta.get("data") or ""), one_line(first.meta.get("split") or "")
    classes = len(np.unique(first.labels))
    guessing = [one_line(name) for embedding in embeddings for name in embedding.meta.get(CHANCE) or ()]
    parts = [
        f"{data} ({split})" if data and split else data,
        f"{len(first):,} images",
        f"{classes} class{'es' if classes > 1 else ''}",
        _layers(embeddings),
        _shared([_method(embedding) for embedding in embeddings], "method"),
        _shared([_neighbors(embedding) for embedding in embeddings], "perplexity"),
        _shared([f"seed {embedding.seed}" for embedding in embeddings], "seed"),
        "turned onto the first" if any("alignment" in embedding.meta for embedding in embeddings) else "",
        f"kNN: leave-one-out accuracy by {first.quality.neighbors} neighbors"
        + ("; in brackets among the features" if in_brackets else ""),
        "marks repeat" if classes > MOST_MARKS else "",
        f"answers no better than chance: {', '.join(guessing)}" if guessing else "",
    ]
    return " · ".join(part for part in parts if part)


def legend_handles(names: Mapping[int, str], marks: Mapping[int, ClassMark]) -> list[Artist]:
    """A mark and a name for each class; none for more classes than a page has room for."""
    if len(names) > MOST_MARKS:
        return []
    return [
        Line2D(
            [],
            [],
            linestyle="none",
            marker=marks[label].shape,
            color=marks[label].color,
            markersize=4.5 * marks[label].size,
            markeredgewidth=0.3 if marks[label].filled else 1,
            markeredgecolor="white" if marks[label].filled else marks[label].color,
            label=one_line(name),
        )
        for label, name in names.items()
    ]


def _neighbors(embedding: Embedding) -> str:
    """How many neighbors of each image counted, in the method's own word."""
    word = "neighbors" if embedding.backend == "umap" else "perplexity"
    return f"{word} {embedding.perplexity:.4g}"


def _signed(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−")


def _look(mark: ClassMark) -> dict[str, Any]:
    line = {"linewidths": 0.25, "edgecolors": "white"} if mark.filled else {"linewidths": 0.8}
    return {"marker": mark.shape, "c": mark.color, **line}


def _method(embedding: Embedding) -> str:
    return f"{_METHODS[embedding.backend]} by {one_line(embedding.meta.get('package') or embedding.backend)}"


def _layers(embeddings: Sequence[Embedding]) -> str:
    names = [embedding.layer for embedding in embeddings]
    if len(set(names)) > 1 and all(name.startswith("input of ") for name in names):
        return "input of the last linear layer"
    return _shared(names, "layer")


def _shared(values: Sequence[str], what: str) -> str:
    """What all have in common, or each one's own in the panels' order."""
    return values[0] if len(set(values)) == 1 else f"{what}: {', '.join(values)}"


def _proportion(embeddings: Sequence[Embedding]) -> float:
    """Height of all panels over their width: no more than the tallest embedding needs, but no strip."""
    spans = np.array([np.ptp(embedding.points, axis=0) for embedding in embeddings])
    return float(np.clip((spans[:, 1] / spans[:, 0]).max(), _FLATTEST, 1)) if (spans[:, 0] > 0).all() else 1.0


def _quality_height(embeddings: Sequence[Embedding]) -> float:
    return 0.13 * max(len(quality_lines(embedding)) for embedding in embeddings) + 0.08


def _legend_columns(names: Mapping[int, str], width: float) -> int:
    longest = max(len(one_line(name)) for name in names.values())
    most = max(1, int(width / (_MARK_WIDTH + longest / _LETTERS_PER_INCH)))
    rows = -(-len(names) // most)
    return -(-len(names) // rows)


def _write_legend(place: Axes | Figure, handles: Sequence[Artist], **options: Any) -> None:
    if handles:
        legend = place.legend(handles=handles, handletextpad=0.2, columnspacing=0.9, frameon=False, **options)
        for text in legend.get_texts():
            text.set_parse_math(False)


def _lone_axes(names: Mapping[int, str], marks: Mapping[int, ClassMark]) -> Axes:
    width = page_width(double=False)
    columns = _legend_columns(names, width)
    handles = legend_handles(names, marks)
    figure = new_figure(width, width + 0.4 + _LEGEND_ROW * (len(handles) // columns + 1))
    _write_legend(figure, handles, loc="outside upper center", ncols=columns)
    return figure.add_subplot()
