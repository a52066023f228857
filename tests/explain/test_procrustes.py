from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import procrustes

from gradscape.explain.embedding import Embedding
from gradscape.explain.embedding_quality import measure_quality
from gradscape.explain.procrustes import align_embeddings

ANGLE = 0.7
TURN = np.array([[np.cos(ANGLE), np.sin(ANGLE)], [-np.sin(ANGLE), np.cos(ANGLE)]])
MIRROR = np.diag([1.0, -1.0])


def some_embedding(seed: int = 0, count: int = 23) -> Embedding:
    random = np.random.default_rng(seed)
    points = (random.normal(size=(count, 2)) * (9, 4) + 3).astype(np.float32)
    labels = np.arange(count) % 3
    features = random.normal(size=(count, 5)).astype(np.float32)
    return Embedding(
        points=points,
        labels=labels,
        layer="fc",
        backend="sklearn",
        perplexity=7.0,
        seed=0,
        quality=measure_quality(features, points, labels),
        classes=None,
        meta={"model": "net"},
    )


@pytest.mark.parametrize("matrix", [TURN, MIRROR, MIRROR @ TURN])
def test_a_turned_mirrored_and_scaled_copy_comes_to_lie_on_the_original(matrix: np.ndarray) -> None:
    first = some_embedding()
    copy = replace(first, points=(0.02 * first.points @ matrix - (40, 70)).astype(np.float32))
    kept, aligned = align_embeddings([first, copy])
    assert kept is first
    np.testing.assert_allclose(aligned.points, first.points, atol=2e-4)
    alignment = aligned.meta["alignment"]
    np.testing.assert_allclose(alignment["rotation"], matrix.T, atol=1e-5)
    assert alignment["scale"] == pytest.approx(50, rel=1e-5)
    assert alignment["disparity"] == pytest.approx(0, abs=1e-9)
    assert aligned.meta["model"] == "net"


def test_the_disparity_is_that_of_scipy_and_the_shape_is_kept() -> None:
    first, other = some_embedding(0), some_embedding(1)
    aligned = align_embeddings([first, other])[1]
    _, turned, disparity = procrustes(first.points.astype(float), other.points.astype(float))
    assert aligned.meta["alignment"]["disparity"] == pytest.approx(disparity)
    # The same turn; scipy also shrinks what does not fit.
    centered = aligned.points - aligned.points.mean(axis=0)
    np.testing.assert_allclose(centered / np.linalg.norm(centered), turned / np.linalg.norm(turned), atol=1e-5)
    radii = [np.linalg.norm(one.points - one.points.mean(axis=0)) for one in (first, aligned)]
    assert radii[0] == pytest.approx(radii[1], rel=1e-5)
    np.testing.assert_allclose(aligned.points.mean(axis=0), first.points.mean(axis=0), atol=1e-4)


def test_other_images_cannot_be_aligned() -> None:
    first = some_embedding()
    with pytest.raises(ValueError, match=r"number 1 has other labels than the first \(22 and 23 images\)"):
        align_embeddings([first, some_embedding(count=22)])
    with pytest.raises(ValueError, match="`embeddings` must hold at least one embedding, got none"):
        align_embeddings([])


def test_points_that_coincide_cannot_be_aligned() -> None:
    first = some_embedding()
    flat = replace(first, points=np.ones_like(first.points))
    with pytest.raises(ValueError, match="`embeddings` must have points that differ, but all 23 of one coincide"):
        align_embeddings([first, flat])
