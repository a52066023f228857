"""Lanczos' iteration on matrices with known spectra."""

import numpy as np
import pytest
import torch

from gradscape.landscape.hessian.lanczos import Lanczos, Step, StepStore


def matrix_with(values: list[float], seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    count = len(values)
    turned, _ = torch.linalg.qr(torch.randn(count, count, generator=generator, dtype=torch.float64))
    return turned @ torch.diag(torch.tensor(values, dtype=torch.float64)) @ turned.T


def run(matrix: torch.Tensor, steps: int, **options) -> Lanczos:  # type: ignore[no-untyped-def]
    lanczos = Lanczos(lambda vector: matrix.to(vector) @ vector, len(matrix), seed=0, **options)
    for _ in range(steps):
        lanczos.step()
    return lanczos


def test_a_whole_run_gives_the_whole_spectrum() -> None:
    values = np.linspace(-1, 3, 12)
    ritz = run(matrix_with(list(values)), 12).ritz()
    assert ritz.values == pytest.approx(values, abs=1e-12)
    assert not ritz.residuals.any()


def test_a_multiple_eigenvalue_is_found_as_often_as_it_is_there_and_no_more_often() -> None:
    """Without reorthogonalization curvlinops' fast_lanczos has three copies of a single one."""
    values = [1.0] * 3 + [2.0] * 4 + [7.0]
    assert run(matrix_with(values), 8).ritz().values == pytest.approx(values, abs=1e-10)
    spread = [*np.linspace(0, 1, 199), 100.0]
    found = run(matrix_with(spread), 128).ritz().values
    assert (found > 50).sum() == 1


def test_the_smallest_of_a_positive_matrix_is_not_the_largest() -> None:
    """Goldstein's shift by half of the largest gives 2 where the truth is 1."""
    matrix = torch.diag(torch.linspace(1, 2, 20, dtype=torch.float64))
    found = run(matrix, 20).ritz().values
    assert (found[0], found[-1]) == pytest.approx((1, 2))


def test_residuals_and_errors_are_what_they_say() -> None:
    values = [*np.linspace(0, 1, 60), 5.0, 9.0]
    matrix = matrix_with(values)
    lanczos = run(matrix, 6)
    ritz = lanczos.ritz()
    for k in range(6):
        vector = lanczos.vector(ritz.coefficients[:, k])
        residual = float((matrix @ vector - ritz.values[k] * vector).norm())
        assert residual == pytest.approx(ritz.residuals[k], rel=1e-6, abs=1e-12)
        assert min(abs(ritz.values[k] - one) for one in values) <= ritz.residuals[k] + 1e-12
    assert abs(ritz.values[-1] - 9) <= ritz.errors[-1] + 1e-12
    assert ritz.errors[-1] < ritz.residuals[-1]


def test_a_run_goes_on_from_kept_steps_to_the_same_bits() -> None:
    kept: dict[int, Step] = {}
    asked: list[int] = []

    class Store(StepStore):
        def load(self, index: int) -> Step | None:
            return kept.get(index)

        def save(self, index: int, step: Step) -> None:
            kept[index] = step
            asked.append(index)

    matrix = matrix_with(list(np.linspace(0, 1, 30)))
    straight = run(matrix, 10, dtype=torch.float32).ritz()
    run(matrix, 4, dtype=torch.float32, store=Store())
    resumed = run(matrix, 10, dtype=torch.float32, store=Store()).ritz()
    assert asked == list(range(10))
    assert np.array_equal(straight.values, resumed.values)
    assert np.array_equal(straight.residuals, resumed.residuals)
