import numpy as np
import pytest

from gradscape.explain.embedding_spread import spread_out

FEATURES = np.random.default_rng(0).normal(size=(50, 5)).astype(np.float32)


@pytest.mark.parametrize("offset", [0, 3, -100])
def test_usual_features_stay_as_they_are(offset: float) -> None:
    values = FEATURES + np.float32(offset)
    assert spread_out(values, 10.0, layer="head") is values


@pytest.mark.parametrize(
    ("scale", "offset"), [(1e-30, 0), (1e30, 0), (2.0**-10, 5000.0)], ids=["tiny", "huge", "far from zero"]
)
def test_unusual_features_are_centered_and_scaled_which_changes_no_neighbor(scale: float, offset: float) -> None:
    values = (np.round(FEATURES * 64) / 64 * scale + offset).astype(np.float32)
    found = spread_out(values, 10.0, layer="head")
    assert found.dtype == np.float32
    assert np.square(found - found.mean(0)).mean() == pytest.approx(1, rel=0.1)
    exact = values.astype(np.float64)
    ratio = np.linalg.norm(found[1:] - found[0], axis=1) / np.linalg.norm(exact[1:] - exact[0], axis=1)
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-5)


def test_a_crowd_whose_differences_vanish_beside_its_distance_is_refused() -> None:
    crowd = np.concatenate([1e-20 * FEATURES, np.full((3, 5), 1e6)]).astype(np.float32)
    with pytest.raises(
        ValueError, match=r"`layer` probabilities gives 50 of the 53 images features that differ by less"
    ):
        spread_out(crowd, 10.0, layer="probabilities")
    few = np.concatenate([FEATURES, 1e-20 * FEATURES[:8]]).astype(np.float32)  # whose neighbors are others anyway
    assert spread_out(few, 10.0, layer="probabilities") is few


def test_a_crowd_of_equal_images_is_no_reason_to_refuse() -> None:
    dead = np.where(np.arange(50)[:, None] < 40, 0, FEATURES)
    assert spread_out(dead, 10.0, layer="head") is dead
