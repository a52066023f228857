"""The Kullback-Leibler divergence that t-SNE lowers, of a picture as it is drawn."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int64

from gradscape.explain.embedding_distances import BLOCK, Distances

__all__ = ["Divergence", "measure_divergence"]

_ALL_PAIRS = 2_000  # images up to which all pairs are summed
_PAIRS = 2_000  # drawn beyond
_NEAR = 10  # times the perplexity: neighbors by which the search for a width begins
_NOTHING = 50  # e⁻⁵⁰ weighs nothing beside 1


class Divergence(NamedTuple):
    """A divergence in nats, and its standard error, 0 where all pairs were summed."""

    value: float
    standard_error: float


class _Widths(NamedTuple):
    """The Gaussian of each row: its precision, squared distance to the nearest, and the logarithm of its norm there."""

    precision: Float[np.ndarray, " rows"]
    nearest: Float[np.ndarray, " rows"]
    log_sum: Float[np.ndarray, " rows"]

    def log_weights(self, squared: Float[np.ndarray, "*others rows"]) -> Float[np.ndarray, "*others rows"]:
        """Return log p(j | i) by the distances from j to each row i, to self infinite."""
        return -self.precision * (squared - self.nearest) - self.log_sum

    def of(self, rows: Int64[np.ndarray, " some"]) -> "_Widths":
        return _Widths(*(part[rows] for part in self))


def measure_divergence(
    features: Float[np.ndarray, "images features"],
    points: Float[np.ndarray, "images 2"],
    perplexity: float,
    *,
    seed: int = 0,
) -> Divergence:
    """Measure how far the plane's neighborhoods are from the features', from the definition and without a tree.

    With p(j | i) Gaussian in the features' distance, its width such that the entropy is log(perplexity), and::

        p_ij = (p(j | i) + p(i | j)) / 2n        q_ij = (1 + |y_i − y_j|²)⁻¹ / Σ_kl (1 + |y_k − y_l|²)⁻¹

        KL = Σ_ij p_ij log(p_ij / q_ij) = mean over i of Σ_j p(j | i) log(p_ij / q_ij)

    Beyond 2,000 images it is the mean over 2,000 pairs, i drawn evenly and j by p(j | i), and the sum in q_ij is that
    of the drawn rows: both without bias, and in time that grows linearly with the images. Where more images than the
    perplexity are equal to one, its neighbors are these, each with the same weight.

    Args:
        features: What was embedded.
        points: Where it was put.
        perplexity: As t-SNE took it.
        seed: Of the drawing.

    Source: van der Maaten and Hinton, "Visualizing data using t-SNE", 2008, equations 1, 2, 4 and 5.
    """
    by_features, by_points = Distances(features), Distances(points)
    if len(points) <= _ALL_PAIRS:
        return _summed(by_features, by_points, perplexity)
    return _drawn(by_features, by_points, perplexity, np.random.default_rng(seed))


def _summed(by_features: Distances, by_points: Distances, perplexity: float) -> Divergence:
    count = len(by_points.values)
    blocks = [np.arange(start, min(start + BLOCK, count)) for start in range(0, count, BLOCK)]
    widths = _widths_of(by_features, np.arange(count), perplexity)
    value, kernels = 0.0, 0.0
    for rows in blocks:
        squared = _others(by_features, rows)
        joint = np.logaddexp(widths.of(rows).log_weights(squared.T).T, widths.log_weights(squared))  # of 2n · p_ij
        kernel = np.log1p(_others(by_points, rows))
        weights = np.exp(joint)
        some = weights > 0
        value += float((weights[some] * (joint[some] + kernel[some])).sum()) / (2 * count)
        kernels += float(np.exp(-kernel).sum())
    return Divergence(float(value - np.log(2 * count) + np.log(kernels)), 0.0)


def _drawn(by_features: Distances, by_points: Distances, perplexity: float, random: np.random.Generator) -> Divergence:
    count = len(by_points.values)
    first = np.sort(random.choice(count, _PAIRS, replace=False))
    second, own, kernels = np.empty_like(first), np.empty(_PAIRS), np.empty(_PAIRS)
    for start in range(0, _PAIRS, BLOCK):
        part = slice(start, start + BLOCK)
        squared = _others(by_features, first[part])
        logs = _widths(squared, perplexity).log_weights(squared.T).T
        reached = np.cumsum(np.exp(logs), axis=1)
        wanted = random.random(len(logs)) * reached[:, -1]
        second[part] = [np.searchsorted(row, value, "right") for row, value in zip(reached, wanted, strict=True)]
        own[part] = np.take_along_axis(logs, second[part, None], axis=1)[:, 0]
        kernels[part] = (1 / (1 + _others(by_points, first[part]))).sum(axis=1)
    different, place = np.unique(second, return_inverse=True)
    widths = _widths_of(by_features, different, perplexity).of(place)
    back = widths.log_weights(_between(by_features, first, second))
    terms = np.logaddexp(own, back) + np.log1p(_between(by_points, first, second))
    value = terms.mean() - np.log(2 * count) + np.log(count * kernels.mean())
    error = np.hypot(terms.std(ddof=1), kernels.std(ddof=1) / kernels.mean()) / np.sqrt(_PAIRS)
    return Divergence(float(value), float(error))


def _others(space: Distances, rows: Int64[np.ndarray, " rows"]) -> Float[np.ndarray, "rows others"]:
    """Squared distances, to self infinite."""
    squared = space.squared_from(rows)
    squared[np.arange(len(rows)), rows] = np.inf
    return squared


def _between(
    space: Distances, first: Int64[np.ndarray, " pairs"], second: Int64[np.ndarray, " pairs"]
) -> Float[np.ndarray, " pairs"]:
    return np.square(space.values[first] - space.values[second]).sum(axis=1)


def _widths_of(space: Distances, rows: Int64[np.ndarray, " rows"], perplexity: float) -> _Widths:
    parts = [_widths(_others(space, rows[start : start + BLOCK]), perplexity) for start in range(0, len(rows), BLOCK)]
    return _Widths(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _widths(squared: Float[np.ndarray, "rows others"], perplexity: float) -> _Widths:
    """The widths that give each row's Gaussian the perplexity: by halving among the nearest, then Newton among all."""
    most = squared.shape[1] - 1
    near = _nearest(squared, min(most, max(50, int(_NEAR * perplexity))))
    # Distances beyond the nearest one, in units of their mean: the entropy is the same, and nothing underflows.
    base = near.min(axis=1, keepdims=True)
    unit = (near - base).mean(axis=1, keepdims=True)
    unit[unit == 0] = 1
    near = (near - base) / unit
    # Beyond 2⁴⁵ rounding would tell apart what is equally far.
    low, high = np.full(len(squared), -30.0), np.full(len(squared), 45.0)
    for _ in range(14):
        middle = (low + high) / 2
        above = _entropy(near, 2.0**middle)[0] > np.log(perplexity)
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    log_precision = np.log(2) * (low + high) / 2
    # More neighbors have more entropy, so that the precision only grows, and what weighs nothing now never will.
    weighing = int((squared - base < _NOTHING * unit / np.exp(log_precision)[:, None]).sum(axis=1).max())
    near = (_nearest(squared, min(most, max(near.shape[1], weighing))) - base) / unit
    for _ in range(30):
        entropy, slope, log_sum = _entropy(near, np.exp(log_precision))
        step = np.divide(entropy - np.log(perplexity), slope, out=np.zeros_like(slope), where=slope > 1e-9)
        if np.abs(step).max() < 1e-7:
            break
        log_precision = log_precision + np.clip(step, -1, 1)
    return _Widths(np.exp(log_precision) / unit[:, 0], base[:, 0], log_sum)


def _nearest(squared: Float[np.ndarray, "rows others"], count: int) -> Float[np.ndarray, "rows nearest"]:
    return np.partition(squared, count - 1, axis=1)[:, :count]


def _entropy(
    squared: Float[np.ndarray, "rows others"], precision: Float[np.ndarray, " rows"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Entropy of exp(−precision · squared), what it falls by as log(precision) grows, and the weights' log sum."""
    energy = precision[:, None] * squared
    weights = np.exp(-energy)
    total = weights.sum(axis=1)
    weights *= energy
    mean = weights.sum(axis=1) / total
    spread = np.einsum("ij,ij->i", weights, energy) / total - np.square(mean)
    return np.log(total) + mean, spread, np.log(total)
