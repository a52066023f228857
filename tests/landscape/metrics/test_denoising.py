import numpy as np
import pytest

from gradscape.landscape.metrics.denoising import mean_magnitude, share_nonnegative

CELLS = 400
WEIGHTS = np.full(CELLS, 1 / CELLS)


@pytest.mark.parametrize("size", [0.0, 0.5, 1.0, 2.0, 30.0])
def test_the_mean_magnitude_is_that_of_the_values_without_their_noise(size: float) -> None:
    noisy = 0.3 * (size + np.random.default_rng(0).standard_normal((30, CELLS)))
    found = mean_magnitude(noisy, np.full((30, CELLS), 0.3), WEIGHTS)
    raw = np.abs(noisy).mean()
    assert found.mean() == pytest.approx(0.3 * size, abs=0.04)
    assert found.std() < 0.04
    if size <= 0.5:
        assert raw > 0.23


@pytest.mark.parametrize("spread", [0.5, 1.5])
def test_a_spread_of_signs_and_sizes_is_found_too(spread: float) -> None:
    generator = np.random.default_rng(1)
    true = spread * generator.standard_normal((30, CELLS))
    found = mean_magnitude(true + generator.standard_normal(true.shape), np.ones(true.shape), WEIGHTS)
    assert found.mean() == pytest.approx(np.abs(true).mean(), abs=0.06)


def test_without_noise_both_are_plain_means() -> None:
    values = np.random.default_rng(2).standard_normal((3, CELLS))
    weights = np.linspace(0, 2 / CELLS, CELLS)
    silent = np.zeros(values.shape)
    np.testing.assert_allclose(mean_magnitude(values, silent, weights), np.abs(values) @ weights)
    np.testing.assert_allclose(share_nonnegative(values, silent, weights), (values >= 0) @ weights)


@pytest.mark.parametrize("share", [0.2, 0.5, 1.0])
def test_the_share_of_nonnegative_values_is_found_behind_noise(share: float) -> None:
    true = np.where(np.arange(CELLS) < share * CELLS, 2.0, -2.0)
    noisy = true + np.random.default_rng(3).standard_normal((30, CELLS))
    found = share_nonnegative(noisy, np.ones(noisy.shape), WEIGHTS)
    assert found.mean() == pytest.approx(share, abs=0.02)
