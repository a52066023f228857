"""The divergence against a slow loop over its definition, with ties, and from a sample of pairs."""

import numpy as np
import pytest

from gradscape.explain import embedding_divergence
from gradscape.explain.embedding_divergence import measure_divergence


def looped(features: np.ndarray, points: np.ndarray, perplexity: float) -> float:
    count = len(features)
    conditional, kernel = np.zeros((count, count)), np.zeros((count, count))
    for i in range(count):
        others = [j for j in range(count) if j != i]
        squared = np.array([float(np.square(features[i].astype(float) - features[j]).sum()) for j in others])
        low, high = -60.0, 40.0
        for _ in range(90):
            middle = (low + high) / 2
            weights = np.exp(-(squared - squared.min()) * 2**middle)
            weights /= weights.sum()
            entropy = -sum(weight * np.log(weight) for weight in weights if weight)
            low, high = (middle, high) if entropy > np.log(perplexity) else (low, middle)
        conditional[i, others] = weights
        kernel[i, others] = [1 / (1 + float(np.square(points[i].astype(float) - points[j]).sum())) for j in others]
    joint, drawn = (conditional + conditional.T) / (2 * count), kernel / kernel.sum()
    some = joint > 0
    return float((joint[some] * np.log(joint[some] / drawn[some])).sum())


def scattered(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    features = random.normal(size=(count, 6)) + 4 * random.integers(2, size=(count, 1))
    return features.astype(np.float32), (3 * random.normal(size=(count, 2))).astype(np.float32)


@pytest.mark.parametrize("scale", [1e-4, 1, 1e5])
@pytest.mark.parametrize("perplexity", [3.0, 12.5])
def test_the_divergence_is_that_of_the_definition(perplexity: float, scale: float) -> None:
    features, points = scattered(70)
    found = measure_divergence(scale * features, points, perplexity)
    assert found.value == pytest.approx(looped(scale * features, points, perplexity), rel=1e-6)
    assert found.standard_error == 0


@pytest.mark.parametrize("repeated", ["every image three times", "more dead images than neighbors"])
def test_repeated_images_are_ties_of_one_weight(repeated: str) -> None:
    features, points = scattered(72)
    features = (
        np.repeat(features[:24], 3, 0)
        if repeated.startswith("every")
        else np.where(np.arange(72)[:, None] % 3, features, 0)
    )
    assert measure_divergence(features, points, 10.0).value == pytest.approx(looped(features, points, 10.0), rel=1e-6)


def test_a_sample_of_pairs_is_off_by_its_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    features, points = scattered(600)
    features[:60] = features[60:120]
    exact = measure_divergence(features, points, 15.0)
    monkeypatch.setattr(embedding_divergence, "_ALL_PAIRS", 599)
    monkeypatch.setattr(embedding_divergence, "_PAIRS", 300)
    found = [measure_divergence(features, points, 15.0, seed=seed) for seed in range(20)]
    off = np.array([(one.value - exact.value) / one.standard_error for one in found])
    assert 0.5 < off.std() < 1.5
    assert abs(off.mean()) < 0.8
    assert found[3] == measure_divergence(features, points, 15.0, seed=3)
    assert found[3] != found[4]
