"""Metrics of surfaces that were estimated by regression."""

import pytest

from gradscape.landscape.metrics.measure import measure_landscape
from tests.landscape.noisy_surfaces import NOISES, Population


def test_roughness_of_waves_finer_than_the_coarse_points_is_not_smoothed_away() -> None:
    population = Population.draw("fine egg box", NOISES["jitter"], images=2048, seed=3)
    exact = measure_landscape(population.surface())
    found = measure_landscape(population.estimated((2048, 512, 128), block=16, seed=0), resamples=100)
    for name in ("roughness", "scaled_roughness"):
        assert found[name].value == pytest.approx(exact[name].value, rel=0.1)
        assert found[name].low <= exact[name].value <= found[name].high
    everything = measure_landscape(population.estimated((2048, 2048, 2048), block=16, seed=0))
    assert everything["roughness"].value == pytest.approx(exact["roughness"].value, rel=1e-9)
