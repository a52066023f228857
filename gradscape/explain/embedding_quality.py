"""How far an embedding can be believed: neighbors and classes in the plane, and in the features it was made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

import numpy as np
from jaxtyping import Float, Int64

from gradscape._intervals import mean_of, proportion
from gradscape.explain.embedding_distances import BLOCK, Distances

__all__ = ["EmbeddingQuality", "measure_quality"]

_NEIGHBORS = 10
_ALL = 5_000  # images up to which every one is looked at
_SAMPLE = 2_000


@dataclass(frozen=True)
class EmbeddingQuality:
    """What to read before reading the picture.

    Attributes:
        trustworthiness: In [0, 1]: 1 where all neighbors in the plane are neighbors among the features too.
        knn_accuracy: Share of images that most of their neighbors in the plane, themselves left out, are of the
            class of; NaN for a single class.
        knn_accuracy_features: The same among the features: what the plane could show at best.
        silhouette: In [-1, 1], mean over the images, of the classes in the plane; NaN for a single class, or where
            every image is a class of its own.
        silhouette_features: The same among the features.
        kl_divergence: Of what t-SNE put into the plane, in nats, as `measure_divergence` finds it; NaN for other
            methods.
        neighbors: Number of neighbors k of the first three.
        sample: How many images these figures are means over; None where it is all.
        standard_errors: Name of a figure -> its standard error, where it is that of a sample.
        intervals: Name of a figure -> low and high end of its 95 % interval over images: how far it may lie from what
            ever more such images would give. Empty in older files.
    """

    trustworthiness: float
    knn_accuracy: float
    knn_accuracy_features: float
    silhouette: float
    silhouette_features: float
    kl_divergence: float
    neighbors: int
    sample: int | None = None
    standard_errors: Mapping[str, float] = field(default_factory=dict)
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def measure_quality(
    features: Float[np.ndarray, "images features"],
    points: Float[np.ndarray, "images 2"],
    labels: Int64[np.ndarray, " images"],
    *,
    kl_divergence: float = float("nan"),
    kl_error: float = 0.0,
    seed: int = 0,
) -> EmbeddingQuality:
    """Compare the plane with the features, by Euclidean distances; memory and time grow linearly with the images.

    With r(i, j) the rank of j among the neighbors of i by features, and U(i) those of the k neighbors of i in the
    plane that are not among its k by features::

        trustworthiness = 1 − 2 / (n k (2n − 3k − 1)) Σᵢ Σ_{j in U(i)} (r(i, j) − k)

    k is 10, or less where that is half of the images. Where classes have equally many neighbors, the lower label
    counts. Every figure is a mean over images: up to 5,000 over all, beyond over 2,000 drawn evenly, each compared
    with all others, and with a standard error.

    Intervals are over images: an image's vote (its neighbors without itself), its silhouette and its strangers among
    the neighbors stay as they are, and images count as drawn. To draw images anew and measure again would be wrong: an
    image that is drawn twice is its own neighbor, at distance 0 and of its own class. But an image comes in twice, by
    itself and as a neighbor of others. Wilson's interval of kNN accuracies and Student's of means are therefore those
    of half as many images; of all they covered 84 and 86 % where classes overlap.

    Args:
        features: What was embedded.
        points: Where it was put.
        labels: Classes.
        kl_divergence: Of t-SNE, to stand beside the others.
        kl_error: Its standard error.
        seed: Of the drawing.

    Raises:
        ValueError: Fewer than 3 images.

    Source: Venna and Kaski, "Neighborhood preservation in nonlinear projection methods", 2001, equation 1
    (trustworthiness); Rousseeuw, "Silhouettes", 1987.
    """
    count = len(points)
    if count < 3:
        raise ValueError(f"`points` must be at least 3 to have neighbors, got {count}")
    neighbors = min(_NEIGHBORS, (count - 1) // 2)
    images = _looked_at(count, seed)
    spaces, classes = {"features": Distances(features), "plane": Distances(points)}, _Classes(labels)
    blocks = [
        _per_image(spaces, labels, classes, images[start : start + BLOCK], neighbors)
        for start in range(0, len(images), BLOCK)
    ]
    found = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    worst = neighbors * (2 * count - 3 * neighbors - 1) / 2
    found["trustworthiness"] = 1 - found.pop("penalty") / worst
    several = len(classes.counts) > 1
    known = {name: values for name, values in found.items() if several or name == "trustworthiness"}
    sampled = len(images) < count
    errors = {name: _standard_error(values, count) for name, values in known.items()} if sampled else {}
    return EmbeddingQuality(
        **{name: float(values.mean()) if name in known else float("nan") for name, values in found.items()},
        kl_divergence=kl_divergence,
        neighbors=neighbors,
        sample=len(images) if sampled else None,
        standard_errors={**errors, "kl_divergence": kl_error} if kl_error else errors,
        intervals={name: _interval(name, values) for name, values in known.items() if np.isfinite(values).all()},
    )


def _looked_at(count: int, seed: int) -> Int64[np.ndarray, " images"]:
    """Those whose neighbors are compared."""
    if count <= _ALL:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, _SAMPLE, replace=False))


def _per_image(
    spaces: Mapping[str, Distances],
    labels: Int64[np.ndarray, " images"],
    classes: "_Classes",
    rows: Int64[np.ndarray, " rows"],
    neighbors: int,
) -> dict[str, np.ndarray]:
    """What is averaged, for some images."""
    found: dict[str, np.ndarray] = {}
    orders = {name: space.sorted_from(rows) for name, space in spaces.items()}
    for name, suffix in (("plane", ""), ("features", "_features")):
        found[f"knn_accuracy{suffix}"] = _majority(labels[orders[name][:, :neighbors]]) == labels[rows]
        distances = np.sqrt(spaces[name].squared_from(rows))
        found[f"silhouette{suffix}"] = classes.silhouettes(distances, rows)
    ranks = np.empty((len(rows), len(labels)), np.int64)
    np.put_along_axis(ranks, orders["features"], np.arange(1, len(labels))[None], axis=1)
    reached = np.take_along_axis(ranks, orders["plane"][:, :neighbors], axis=1)
    found["penalty"] = np.maximum(reached - neighbors, 0).sum(axis=1)
    return found


def _standard_error(values: np.ndarray, population: int) -> float:
    """Of the mean of values drawn without replacement."""
    return float(values.std(ddof=1) * np.sqrt((1 - len(values) / population) / len(values)))


def _interval(name: str, values: np.ndarray) -> tuple[float, float]:
    """Over images, by what each of them adds, for half as many: see `measure_quality`."""
    if name.startswith("knn"):
        found = proportion(round(values.sum() / 2), max(1, len(values) // 2))
        return found.low, found.high
    lowest = 0.0 if name == "trustworthiness" else -1.0
    ends = mean_of(values)
    half = np.sqrt(2) * (ends.high - ends.value)
    return max(lowest, float(ends.value - half)), min(1.0, float(ends.value + half))


def _majority(labels: Int64[np.ndarray, "rows neighbors"]) -> Int64[np.ndarray, " rows"]:
    known, index = np.unique(labels, return_inverse=True)
    counts = np.zeros((len(labels), len(known)), dtype=np.int64)
    np.add.at(counts, (np.arange(len(labels))[:, None], index.reshape(labels.shape)), 1)
    return known[counts.argmax(axis=1)]


@final
class _Classes:
    """Images in the order of their classes, so that what belongs to one can be summed."""

    def __init__(self, labels: Int64[np.ndarray, " images"]) -> None:
        _, self.of, self.counts = np.unique(labels, return_inverse=True, return_counts=True)
        self.order = np.argsort(self.of, kind="stable")
        self.starts = np.cumsum(self.counts) - self.counts

    def silhouettes(
        self, distances: Float[np.ndarray, "rows images"], rows: Int64[np.ndarray, " rows"]
    ) -> Float[np.ndarray, " rows"]:
        """By the distances of some images to all, to themselves 0; NaN where there are no classes to tell apart."""
        if not 1 < len(self.counts) < len(self.of):
            return np.full(len(rows), np.nan)
        sums = np.add.reduceat(distances[:, self.order], self.starts, axis=1)
        own, line = self.of[rows], np.arange(len(rows))
        inside = sums[line, own] / np.maximum(self.counts[own] - 1, 1)
        means = sums / self.counts
        means[line, own] = np.inf
        outside = means.min(axis=1)
        widest = np.maximum(inside, outside)
        widths = np.divide(outside - inside, widest, out=np.zeros_like(widest), where=widest > 0)
        return np.where(self.counts[own] > 1, widths, 0)
