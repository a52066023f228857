"""Embeddings: many images' features in the plane, near where they are alike."""

import logging
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NotRequired, TypedDict

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from gradscape._arrays import load_result, save_arrays
from gradscape._left_as_before import left_as_before
from gradscape._notebook import html_table
from gradscape._provenance import Provenance, current_versions
from gradscape._schema import check_record
from gradscape.explain.embedding_backends import find_backend
from gradscape.explain.embedding_distances import equal_rows
from gradscape.explain.embedding_features import Features, extract_features
from gradscape.explain.embedding_quality import EmbeddingQuality, measure_quality
from gradscape.explain.embedding_spread import spread_out
from gradscape.explain.explainable import ForwardFunction
from gradscape.explain.inputs import Inputs

__all__ = ["Embedding", "embed"]

_FEWEST = 5
_MANY = 5_000  # from here on openTSNE is clearly faster than scikit-learn
_ARRAYS = {"points": Float[np.ndarray, "images 2"], "labels": Int64[np.ndarray, "images"]}
_log = logging.getLogger(__name__)


class _QualityEntry(TypedDict):
    trustworthiness: float | None
    knn_accuracy: float | None
    knn_accuracy_features: float | None
    silhouette: float | None
    silhouette_features: float | None
    kl_divergence: float | None
    neighbors: int
    sample: NotRequired[int | None]
    standard_errors: NotRequired[dict[str, float]]
    intervals: NotRequired[dict[str, list[float]]]


class _EmbeddingEntry(TypedDict):
    layer: str
    backend: str
    perplexity: float
    seed: int
    classes: list[str] | None
    quality: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Embedding:
    """Where N images lie in the plane. Only nearness means something: axes have no unit, and no direction.

    Attributes:
        points: (N, 2) float32.
        labels: (N,) int64.
        layer: Where the features come from.
        backend: "sklearn", "opentsne" or "umap".
        perplexity: About how many neighbors of each image counted, after lowering it for few images; for UMAP the
            number of neighbors.
        seed: Of the method.
        quality: How far the plane can be believed.
        classes: Names of the classes, which labels are indices into; None where unknown.
        meta: Provenance: number of features, versions, threads, and what a study adds.
    """

    points: Float[np.ndarray, "images 2"]
    labels: Int64[np.ndarray, " images"]
    layer: str
    backend: str
    perplexity: float
    seed: int
    quality: EmbeddingQuality
    classes: tuple[str, ...] | None
    meta: Mapping[str, Any]

    def __post_init__(self) -> None:
        if self.points.ndim != 2 or self.points.shape[1] != 2 or not np.isfinite(self.points).all():
            raise ValueError(f"`points` must be finite numbers (images, 2), got {self.points.shape}")
        if self.labels.shape != self.points.shape[:1]:
            raise ValueError(f"`labels` must be one for each of the {len(self.points)} points, got {self.labels.shape}")
        _check_labels(self.labels, self.classes)

    def __len__(self) -> int:
        return len(self.points)

    def class_name(self, label: int) -> str:
        """The class's name, or its number where names are unknown."""
        return str(label) if self.classes is None else self.classes[label]

    def _repr_html_(self) -> str:
        title = f"{len(self)} images by {self.layer}: {self.backend}, perplexity {self.perplexity:g}, seed {self.seed}"
        figures = asdict(self.quality)
        errors, ends = figures.pop("standard_errors"), figures.pop("intervals")
        rows = [
            (name.replace("_", " "), _with_ends(value, errors.get(name), ends.get(name)))
            for name, value in figures.items()
            if value is not None
        ]
        return html_table(title, ("quality", "value"), rows)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to one `.npz` file."""
        # JSON knows no NaN.
        quality = {name: None if value != value else value for name, value in asdict(self.quality).items()}
        named = {name: getattr(self, name) for name in ("layer", "backend", "perplexity", "seed", "classes")}
        arrays = {"points": self.points, "labels": self.labels}
        save_arrays(path, arrays, {**self.meta, "embedding": {**named, "quality": quality}})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Embedding":
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It holds no embedding.
        """

        def made(arrays: dict[str, np.ndarray], named: _EmbeddingEntry, meta: Provenance) -> Embedding:
            classes = None if named["classes"] is None else tuple(named["classes"])
            known: dict[str, Any] = {**arrays, **named, "quality": _quality(named["quality"]), "classes": classes}
            return cls(**known, meta=meta)

        return load_result(path, "embedding", made, called="an embedding", entry=_EmbeddingEntry, arrays=_ARRAYS)


def _quality(told: Mapping[str, Any]) -> EmbeddingQuality:
    check_record(told, _QualityEntry)
    known: dict[str, Any] = {
        name: math.nan if value is None and name != "sample" else value for name, value in told.items()
    }
    ends = known.pop("intervals", {})
    return EmbeddingQuality(**known, intervals={name: (low, high) for name, (low, high) in ends.items()})


@left_as_before
def embed(
    model: nn.Module,
    batches: Iterable[tuple[Inputs, Tensor]],
    *,
    layer: str | None = None,
    forward: ForwardFunction | None = None,
    backend: str = "sklearn",
    perplexity: int | float = 30,
    seed: int = 0,
) -> Embedding:
    """Put images into the plane by a model's features, those that are alike near each other.

    t-SNE starts from the principal components and ends at the same points for the same seed, features and version
    of the library; it runs on one thread. Features differ in their last bits between devices and numbers of
    threads, which is enough to change a picture. Images that repeat others are said; where they mislead a tree,
    which shows in a divergence lower than the picture's own, scikit-learn's exact method (up to 2,000 images) or
    openTSNE's interpolation takes over.

    Args:
        model: Any module; afterwards it is as it was.
        batches: Pairs of images float (N, 3, H, W) and integer labels (N,). Names of the classes are taken from
            their `classes`, else from the model's `labels`, where they have them. Instead of images also signals,
            volumes, tokens (N, T) as integers, rows of a table (N, features) as floats, or a dict, list or tuple of
            tensors with N entries each, which `forward` hands to the model.
        layer: A module's name; None: what the last linear layer takes in. See `extract_features`.
        forward: (model, images) -> output, where the model takes more than images, or a dict,
            `lambda model, batch: model(**batch)`, or a part of it is meant.
        backend: "sklearn" or "opentsne" (t-SNE, openTSNE being faster from 5,000 images on), or "umap".
        perplexity: About how many neighbors of each image count, at least 1; for t-SNE lowered to (N − 1)/3 where
            that is less, since it looks at three times as many. For UMAP the number of neighbors, a whole one from 2
            to N − 1.
        seed: Of the method.

    Returns:
        Points, labels and what to know about them.

    Raises:
        TypeError: The batches are no pairs, or the layer returns no tensor.
        ValueError: Fewer than 5 images, features that are not finite or all the same or fewer than 2, or differ by
            less than single precision holds, an unknown layer or backend, one that is not installed or fails at
            repeated images, or a perplexity below 1.

    Source: van der Maaten and Hinton, "Visualizing data using t-SNE", 2008; Kobak and Berens, "The art of using
    t-SNE for single-cell transcriptomics", 2019 (start and learning rate).

    Example:
        >>> import torch
        >>> from torch import nn
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))
        >>> batches = [(torch.rand(30, 3, 8, 8), torch.arange(30) % 10)]
        >>> embedding = embed(net, batches, perplexity=5)
        >>> embedding.points.shape
        (30, 2)
    """
    program = find_backend(backend)
    if not (math.isfinite(perplexity) and perplexity >= 1):
        raise ValueError(f"`perplexity` must be at least 1, got {perplexity:g}")
    if not 0 <= seed < 2**32:
        raise ValueError(f"`seed` must be from 0 to 2³² - 1, got {seed}")
    features = extract_features(model, batches, layer=layer, forward=forward)
    _check_features(features)
    named = getattr(batches, "classes", None)
    named = getattr(model, "labels", None) if named is None else named
    classes = None if named is None else tuple(map(str, named))
    _check_labels(features.labels, classes)
    count = len(features.labels)
    used, reason = program.allow(float(perplexity), count)
    if reason:
        _log.warning("%s", reason)
    values = spread_out(features.values, used, layer=features.layer)
    if backend == "sklearn" and count >= _MANY:
        _log.warning('%s images: `backend` "opentsne" is faster from %s on', f"{count:,}", f"{_MANY:,}")
    repeated = _count_repeated(values)
    placed = program.place(values, used, seed)
    meta: dict[str, Any] = {
        "features": features.values.shape[1],
        "package": program.package,
        "versions": current_versions("numpy", "scipy"),
        "threads": torch.get_num_threads(),
    }
    if reason:
        meta["perplexity_asked"] = perplexity
    if repeated:
        meta["repeated"] = repeated
    return Embedding(
        points=placed.points,
        labels=features.labels,
        layer=features.layer,
        backend=backend,
        perplexity=used,
        seed=seed,
        quality=measure_quality(
            values,
            placed.points,
            features.labels,
            kl_divergence=placed.kl_divergence,
            kl_error=placed.kl_error,
            seed=seed,
        ),
        classes=classes,
        meta=meta,
    )


def _with_ends(value: int | float, error: float | None, ends: tuple[float, float] | None) -> object:
    """A figure with its standard error and interval, as far as it has them."""
    if error is None and ends is None:
        return value
    text = f"{value:.4g}" if error is None else f"{value:.4g} ± {error:.2g}"
    return text if ends is None else f"{text} (95 % over images: {ends[0]:.4g} to {ends[1]:.4g})"


def _count_repeated(values: np.ndarray) -> int:
    """How many images are another one's equal, said where there are any."""
    repeated = len(values) - len(np.unique(equal_rows(values)))
    if repeated:
        _log.warning(
            "%d of the %d images repeat the features of another one to the bit: as neighbors they are ties, of which "
            "any comes first",
            repeated,
            len(values),
        )
    return repeated


def _check_labels(labels: np.ndarray, classes: tuple[str, ...] | None) -> None:
    if classes is not None and not 0 <= labels.min() <= labels.max() < len(classes):
        raise ValueError(f"`classes` must name every label up to {labels.max()}, got {len(classes)} names")


def _check_features(features: Features) -> None:
    count, width = features.values.shape
    if count < _FEWEST:
        raise ValueError(f"`batches` must hold at least {_FEWEST} images to be embedded, got {count}")
    if width < 2:
        raise ValueError(f"`layer` {features.layer} must have at least 2 features, got {width}: name another layer")
    if (features.values == features.values[0]).all():
        raise ValueError(
            f"`layer` {features.layer} gives all {count} images the same features, which cannot be told apart: "
            "check the model's weights or name another layer"
        )
