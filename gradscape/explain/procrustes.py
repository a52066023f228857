"""Embeddings of the same images turned onto one another, so that several models' pictures can be compared."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from gradscape.explain.embedding import Embedding

__all__ = ["align_embeddings"]


def align_embeddings(embeddings: Sequence[Embedding]) -> list[Embedding]:
    """Turn, mirror, scale and shift each embedding to lie as near to the first as it can.

    Which way an embedding is turned, and how large it is, means nothing. Each is centered on the first and scaled
    to its mean square radius, then multiplied by the orthogonal matrix that brings images nearest to where they are
    in the first. So it keeps its shape, and all its quality figures.

    Args:
        embeddings: Of the same images in the same order.

    Returns:
        The first as it is, and the others aligned; their `meta["alignment"]` has the matrix (points times matrix,
        after centering), the scale, and the disparity: the sum of squared distances left between both, each scaled
        to a sum of squares of one, 0 where they have the same shape and 1 where they have nothing in common.

    Raises:
        ValueError: No embedding, other images, or points that all coincide.

    Source: Schönemann, "A generalized solution of the orthogonal Procrustes problem", 1966.
    """
    if not embeddings:
        raise ValueError("`embeddings` must hold at least one embedding, got none")
    first, *others = embeddings
    for number, other in enumerate(others, 1):
        if not np.array_equal(other.labels, first.labels):
            raise ValueError(
                f"`embeddings` must be of the same images, but number {number} has other labels than the first "
                f"({len(other)} and {len(first)} images)"
            )
    return [first, *(_aligned(other, first) for other in others)]


def _aligned(embedding: Embedding, reference: Embedding) -> Embedding:
    points, radius, _ = _standardized(embedding)
    onto, wanted_radius, center = _standardized(reference)
    left, singular, right = np.linalg.svd(points.T @ onto)
    rotation = left @ right
    scale = wanted_radius / radius
    turning = {
        "rotation": rotation.tolist(),
        "scale": scale,
        # What is left after the best scaling of one of them, as scipy.spatial.procrustes has it.
        "disparity": max(0.0, 1 - float(singular.sum()) ** 2),
    }
    turned = (wanted_radius * points @ rotation + center).astype(np.float32)
    return replace(embedding, points=turned, meta={**embedding.meta, "alignment": turning})


def _standardized(
    embedding: Embedding,
) -> tuple[Float[np.ndarray, "images 2"], float, Float[np.ndarray, "2"]]:
    """Points centered and scaled to a sum of squares of one, what they were divided by, and their center."""
    points = embedding.points.astype(np.float64)
    center = points.mean(axis=0)
    radius = float(np.linalg.norm(points - center))
    if radius == 0:
        raise ValueError(f"`embeddings` must have points that differ, but all {len(points)} of one coincide")
    return (points - center) / radius, radius, center
