"""What the programs do with images that they were not made for: repeated, few, and hardly different."""

import numpy as np
import pytest

from gradscape.explain import embedding_backends
from gradscape.explain.embedding_backends import BACKENDS, find_backend
from gradscape.explain.embedding_divergence import measure_divergence


def scattered(count: int) -> np.ndarray:
    return np.random.default_rng(3).normal(size=(count, 8)).astype(np.float32)


@pytest.mark.parametrize(
    ("backend", "kind"),
    [
        ("sklearn", "each three times"),
        ("sklearn", "half of them dead"),
        ("sklearn", "all different"),
        pytest.param("opentsne", "each three times", marks=pytest.mark.slow),  # its interpolation takes ten seconds
        ("opentsne", "half of them dead"),
        ("opentsne", "all different"),
    ],
)
def test_the_divergence_is_that_of_the_picture_and_near_what_can_be_reached(backend: str, kind: str) -> None:
    from sklearn.manifold import TSNE

    features = scattered(60)
    if kind == "each three times":
        features = np.repeat(features[:20], 3, axis=0)
    elif kind == "half of them dead":
        features[::2] = 0
    placed = find_backend(backend).place(features, 12.0, 0)
    assert placed.kl_divergence == measure_divergence(features, placed.points, 12.0).value
    best = TSNE(method="exact", init="pca", perplexity=12, random_state=0).fit(features).kl_divergence_
    assert 0 < placed.kl_divergence < 2 * best


def test_repeated_images_are_refused_where_the_exact_method_would_take_too_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(embedding_backends, "_MOST_EXACT", 59)
    with pytest.raises(ValueError, match=r"`backend` 'sklearn' says a KL divergence of -.* choose 'opentsne'"):
        find_backend("sklearn").place(np.repeat(scattered(20), 3, axis=0), 8.0, 0)


@pytest.mark.parametrize(
    ("backend", "asked", "count", "used", "reason"),
    [
        ("umap", 30, 45, 30, ""),
        ("umap", 30, 31, 30, ""),
        ("umap", 30, 20, 19, "30 neighbors become 19: UMAP takes a whole number from 2 to 19 for 20 images"),
        ("umap", 7.4, 20, 7, "7.4 neighbors become 7: UMAP takes a whole number from 2 to 19 for 20 images"),
        ("umap", 1, 20, 2, "1 neighbors become 2: UMAP takes a whole number from 2 to 19 for 20 images"),
        ("sklearn", 30, 91, 30, ""),
        ("opentsne", 30, 46, 15, "perplexity 30 is lowered to 15: it must stay below a third of the 46 images"),
    ],
)
def test_each_program_has_its_own_rule_for_neighbors(
    backend: str, asked: float, count: int, used: float, reason: str
) -> None:
    assert BACKENDS[backend].allow(float(asked), count) == (used, reason)
