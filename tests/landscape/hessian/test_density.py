"""Densities of matrices whose spectra are known."""

import numpy as np
import pytest
import torch
from torch import Tensor

from gradscape.landscape import Density, hessian_density
from tests.landscape.networks import Quadratic

VALUES = torch.tensor([*np.linspace(-1, 1, 13), 5.0, 8.0, 10.0])


def density_of(values: Tensor, **options: int) -> Density:
    """Of a parabola with these eigenvalues."""
    data = [(torch.zeros(3, 1, dtype=torch.float64), torch.ones(3, dtype=torch.float64))]

    def loss(output: Tensor, labels: Tensor) -> Tensor:
        return 0.5 * (output.square() @ values.double()) * labels

    return hessian_density(Quadratic(torch.ones(len(values), dtype=torch.float64)), data, loss=loss, **options)


def test_weights_sum_to_one_and_a_whole_run_has_the_moments_of_its_probe() -> None:
    density = density_of(VALUES, probes=4, steps=16)
    assert density.weights.sum(axis=1) == pytest.approx(1)
    assert density.dimension == 16
    exact = VALUES.double().numpy()
    for power in (0, 1, 2, 3):
        mean, error = density.moment(power)
        assert abs(mean - (exact**power).mean()) <= 4 * error + 1e-12


def test_quadrature_of_m_steps_is_exact_up_to_degree_2m_minus_1() -> None:
    few, many = density_of(VALUES, probes=2, steps=4), density_of(VALUES, probes=2, steps=16)
    for power in range(8):
        assert few.moment(power)[0] == pytest.approx(many.moment(power)[0], rel=1e-9)
    assert few.moment(8)[0] != pytest.approx(many.moment(8)[0], rel=1e-9)


def test_the_smoothed_density_is_a_sum_of_gaussians_that_sums_to_one() -> None:
    density = Density(np.array([[0.0, 10.0], [0.0, 10.0]]), np.array([[0.9, 0.1], [0.7, 0.3]]), 100, 5)
    assert density.sigma == pytest.approx(0.1)
    places = np.linspace(-1, 11, 24_001)
    middle, error = density.smoothed(places)
    assert np.trapezoid(middle, places) == pytest.approx(1)
    assert middle[np.searchsorted(places, 0)] == pytest.approx(0.8 / (0.1 * np.sqrt(2 * np.pi)), rel=1e-3)
    assert error[np.searchsorted(places, 0)] == pytest.approx(0.1 / (0.1 * np.sqrt(2 * np.pi)), rel=1e-3)


@pytest.mark.parametrize("options", [{"probes": 0}, {"steps": 0}])
def test_nothing_to_do_is_refused(options: dict[str, int]) -> None:
    (name,) = options
    with pytest.raises(ValueError, match=f"`{name}` must be at least 1"):
        density_of(VALUES, **options)
