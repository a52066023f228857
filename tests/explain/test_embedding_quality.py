"""The quality figures against scikit-learn and against loops over all pairs."""

import numpy as np
import pytest
from scipy import stats
from sklearn.manifold import trustworthiness
from sklearn.metrics import silhouette_samples, silhouette_score
from sklearn.model_selection import LeaveOneOut, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from gradscape._intervals import proportion
from gradscape.explain import embedding_quality
from gradscape.explain.embedding_quality import measure_quality


def scattered(count: int = 61, features: int = 7, classes: int = 4, seed: int = 0) -> tuple[np.ndarray, ...]:
    random = np.random.default_rng(seed)
    labels = random.integers(classes, size=count) * 3
    values = (random.normal(size=(count, features)) + labels[:, None] / 4).astype(np.float32)
    points = (values[:, :2] + random.normal(size=(count, 2))).astype(np.float32)
    return values, points, labels


def looped_trustworthiness(features: np.ndarray, points: np.ndarray, neighbors: int) -> float:
    count, penalty = len(points), 0
    for i in range(count):
        others = [j for j in range(count) if j != i]
        by_features = sorted(others, key=lambda j: np.linalg.norm(features[i].astype(float) - features[j]))
        by_points = sorted(others, key=lambda j: np.linalg.norm(points[i].astype(float) - points[j]))
        for j in by_points[:neighbors]:
            rank = by_features.index(j) + 1
            if rank > neighbors:
                penalty += rank - neighbors
    return 1 - 2 / (count * neighbors * (2 * count - 3 * neighbors - 1)) * penalty


def looped_silhouette(values: np.ndarray, labels: np.ndarray) -> float:
    widths = []
    for i in range(len(values)):
        distances = np.linalg.norm(values.astype(float) - values[i], axis=1)
        own = (labels == labels[i]) & (np.arange(len(values)) != i)
        if not own.any():
            widths.append(0.0)
            continue
        inside = distances[own].mean()
        outside = min(distances[labels == other].mean() for other in set(labels) - {labels[i]})
        widths.append((outside - inside) / max(inside, outside))
    return float(np.mean(widths))


@pytest.mark.parametrize(("count", "neighbors"), [(61, 10), (15, 7), (6, 2)])
def test_quality_is_what_loops_and_scikit_learn_find(count: int, neighbors: int) -> None:
    features, points, labels = scattered(count)
    labels[:2] = 0
    quality = measure_quality(features, points, labels, kl_divergence=0.5)
    assert (quality.neighbors, quality.kl_divergence) == (neighbors, 0.5)
    assert quality.trustworthiness == pytest.approx(looped_trustworthiness(features, points, neighbors), abs=1e-12)
    assert quality.trustworthiness == pytest.approx(trustworthiness(features, points, n_neighbors=neighbors))
    for values, accuracy, silhouette in (
        (points, quality.knn_accuracy, quality.silhouette),
        (features, quality.knn_accuracy_features, quality.silhouette_features),
    ):
        classifier = KNeighborsClassifier(neighbors, algorithm="brute")
        scores = cross_val_score(classifier, values.astype(float), labels, cv=LeaveOneOut())
        assert accuracy == pytest.approx(scores.mean())
        assert silhouette == pytest.approx(looped_silhouette(values, labels))
        assert silhouette == pytest.approx(silhouette_score(values.astype(float), labels))


def test_blocks_of_images_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    features, points, labels = scattered()
    whole = measure_quality(features, points, labels, kl_divergence=1.0)
    monkeypatch.setattr(embedding_quality, "BLOCK", 7)
    assert measure_quality(features, points, labels, kl_divergence=1.0) == whole


def test_features_that_are_the_plane_are_kept_perfectly() -> None:
    _, points, labels = scattered()
    quality = measure_quality(3 * points[:, ::-1] + 1000, points, labels)
    assert quality.trustworthiness == 1
    assert quality.knn_accuracy == quality.knn_accuracy_features


def test_a_single_class_has_neither_accuracy_nor_silhouette() -> None:
    features, points, labels = scattered()
    quality = measure_quality(features, points, np.zeros_like(labels))
    assert 0 < quality.trustworthiness < 1
    for name in ("knn_accuracy", "knn_accuracy_features", "silhouette", "silhouette_features", "kl_divergence"):
        assert np.isnan(getattr(quality, name))


def test_a_class_for_each_image_has_no_silhouette() -> None:
    features, points, labels = scattered()
    quality = measure_quality(features, points, np.arange(len(labels)))
    assert np.isnan(quality.silhouette)
    assert quality.knn_accuracy == 0


def test_two_points_have_no_quality() -> None:
    features, points, labels = scattered(2)
    with pytest.raises(ValueError, match="`points` must be at least 3 to have neighbors, got 2"):
        measure_quality(features, points, labels)


def test_a_sample_of_the_images_is_off_by_its_standard_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    features, points, labels = scattered(400)
    whole = measure_quality(features, points, labels)
    assert whole.sample is None
    assert whole.standard_errors == {}
    monkeypatch.setattr(embedding_quality, "_ALL", 399)
    monkeypatch.setattr(embedding_quality, "_SAMPLE", 100)
    found = [
        measure_quality(features, points, labels, kl_divergence=1.0, kl_error=0.1, seed=seed) for seed in range(15)
    ]
    for name in ("trustworthiness", "knn_accuracy", "knn_accuracy_features", "silhouette", "silhouette_features"):
        off = [(getattr(one, name) - getattr(whole, name)) / one.standard_errors[name] for one in found]
        assert 0.4 < np.std(off) < 1.7
        assert abs(np.mean(off)) < 1
    assert found[2].sample == 100
    assert found[2].standard_errors["kl_divergence"] == 0.1
    assert found[2] == measure_quality(features, points, labels, kl_divergence=1.0, kl_error=0.1, seed=2)


def test_accuracies_have_wilsons_interval_and_silhouettes_students_of_half_the_images() -> None:
    features, points, labels = scattered()
    found = measure_quality(features, points, labels)
    right = round(found.knn_accuracy * len(labels))
    own = proportion(round(right / 2), len(labels) // 2)
    assert found.intervals["knn_accuracy"] == (own.low, own.high)
    widths = silhouette_samples(points.astype(float), labels)
    ends = stats.ttest_1samp(widths, 0.0).confidence_interval(0.95)
    half = np.sqrt(2) * (ends.high - ends.low) / 2
    assert found.intervals["silhouette"] == pytest.approx((widths.mean() - half, widths.mean() + half))
    assert found.intervals.keys() == {
        "trustworthiness", "knn_accuracy", "knn_accuracy_features", "silhouette", "silhouette_features"
    }  # fmt: skip
    alone = measure_quality(features, points, np.zeros_like(labels))
    assert alone.intervals.keys() == {"trustworthiness"}


@pytest.mark.slow
def test_intervals_over_images_cover_what_more_images_would_give() -> None:
    """The truth is the mean over many sets of as many images of two clouds that overlap."""

    def drawn(seed: int) -> tuple[np.ndarray, np.ndarray]:
        generator = np.random.default_rng(seed)
        labels = np.arange(120) % 3
        return generator.normal(0, 1, (120, 2)) + 1.2 * np.eye(3)[labels][:, :2], labels

    found = [measure_quality(points, points, labels) for points, labels in map(drawn, range(300))]
    for name in ("knn_accuracy", "silhouette"):
        truth = np.mean([getattr(one, name) for one in found])
        ends = np.array([one.intervals[name] for one in found])
        covered = ((ends[:, 0] <= truth) & (truth <= ends[:, 1])).mean()
        assert 0.9 < covered <= 0.99, (name, covered)
