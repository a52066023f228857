"""How far an embedding can be believed: neighbors and classes in the plane, and in the features it was made from."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64

__all__ = ["EmbeddingQuality", "measure_quality"]

_NEIGHBORS = 10
_ROWS = 512  # images whose distances to all others are in memory at once


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
        kl_divergence: What t-SNE ended at, in nats; NaN for other methods.
        neighbors: Number of neighbors k of the first three.
    """

    trustworthiness: float
    knn_accuracy: float
    knn_accuracy_features: float
    silhouette: float
    silhouette_features: float
    kl_divergence: float
    neighbors: int


def measure_quality(
    features: Float[np.ndarray, "images features"],
    points: Float[np.ndarray, "images 2"],
    labels: Int64[np.ndarray, " images"],
    *,
    kl_divergence: float = float("nan"),
) -> EmbeddingQuality:
    """Compare the plane with the features, by Euclidean distances; memory grows linearly with the images.

    With r(i, j) the rank of j among the neighbors of i by features, and U(i) those of the k neighbors of i in the
    plane that are not among its k by features::

        trustworthiness = 1 − 2 / (n k (2n − 3k − 1)) Σᵢ Σ_{j in U(i)} (r(i, j) − k)

    k is 10, or less where that is half of the images. Where classes have equally many neighbors, the lower label
    counts.

    Args:
        features: What was embedded.
        points: Where it was put.
        labels: Classes.
        kl_divergence: Of t-SNE, to stand beside the others.

    Raises:
        ValueError: Fewer than 3 images.

    Source: Venna and Kaski, "Neighborhood preservation in nonlinear projection methods", 2001, equation 1
    (trustworthiness); Rousseeuw, "Silhouettes", 1987.
    """
    count = len(points)
    if count < 3:
        raise ValueError(f"`points` must be at least 3 to have neighbors, got {count}")
    neighbors = min(_NEIGHBORS, (count - 1) // 2)
    near = {name: _Neighbors(values) for name, values in (("features", features), ("plane", points))}
    hits, penalty = {"features": 0, "plane": 0}, 0
    for start in range(0, count, _ROWS):
        rows = np.arange(start, min(start + _ROWS, count))
        orders = {name: space.sorted_from(rows) for name, space in near.items()}
        for name, order in orders.items():
            hits[name] += int((_majority(labels[order[:, :neighbors]]) == labels[rows]).sum())
        ranks = np.empty_like(orders["features"], shape=(len(rows), count))
        np.put_along_axis(ranks, orders["features"], np.arange(1, count)[None], axis=1)
        reached = np.take_along_axis(ranks, orders["plane"][:, :neighbors], axis=1)
        penalty += int(np.maximum(reached - neighbors, 0).sum())
    several = len(np.unique(labels)) > 1
    worst = count * neighbors * (2 * count - 3 * neighbors - 1) / 2
    return EmbeddingQuality(
        trustworthiness=1 - penalty / worst,
        knn_accuracy=hits["plane"] / count if several else float("nan"),
        knn_accuracy_features=hits["features"] / count if several else float("nan"),
        silhouette=_silhouette(points, labels),
        silhouette_features=_silhouette(features, labels),
        kl_divergence=kl_divergence,
        neighbors=neighbors,
    )


class _Neighbors:
    """Points, centered in double precision, so that their products tell even small distances."""

    def __init__(self, values: Float[np.ndarray, "images features"]) -> None:
        self.values = values.astype(np.float64) - values.mean(axis=0, dtype=np.float64)
        self.squares = np.square(self.values).sum(axis=1)

    def sorted_from(self, rows: Int64[np.ndarray, " rows"]) -> Int64[np.ndarray, "rows others"]:
        """For each row all other points, the nearest first."""
        distances = self.squares - 2 * self.values[rows] @ self.values.T  # the row's own square changes no order
        distances[np.arange(len(rows)), rows] = -np.inf
        return np.argsort(distances, axis=1, kind="stable")[:, 1:]


def _majority(labels: Int64[np.ndarray, "rows neighbors"]) -> Int64[np.ndarray, " rows"]:
    known, index = np.unique(labels, return_inverse=True)
    counts = np.zeros((len(labels), len(known)), dtype=np.int64)
    np.add.at(counts, (np.arange(len(labels))[:, None], index.reshape(labels.shape)), 1)
    return known[counts.argmax(axis=1)]


def _silhouette(values: Float[np.ndarray, "images features"], labels: Int64[np.ndarray, " images"]) -> float:
    from sklearn.metrics import silhouette_score  # takes a second to import

    if not 1 < len(np.unique(labels)) < len(labels):
        return float("nan")
    return float(silhouette_score(values.astype(np.float64), labels))
