"""Ends of spectra against dense eigenvalues, with what they are worth on other images."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gradscape.landscape import HessianProducts, hessian_spectrum, mse
from gradscape.landscape.hessian.held_out import HeldOutCurvature, draw_halves
from tests.landscape.networks import Quadratic


def net_and_data(count: int = 60, seed: int = 0) -> tuple[nn.Module, list[tuple[Tensor, Tensor]]]:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 4)).double()
        return net, [(torch.randn(count, 5).double(), torch.arange(count) % 4)]


def test_both_ends_are_those_of_the_dense_matrix() -> None:
    net, data = net_and_data()
    products = HessianProducts(net, data)
    exact = torch.linalg.eigvalsh(products.product(torch.eye(products.dimension, dtype=torch.float64))).numpy()
    spectrum = hessian_spectrum(net, data, top=3, bottom=2, tolerance=1e-8)
    assert spectrum.values == pytest.approx([*exact[::-1][:3], *exact[:2]], rel=1e-6)
    assert spectrum.converged.all()
    assert (spectrum.residuals < 1e-2).all()
    for value, direction in zip(spectrum.values, spectrum.directions, strict=True):
        vector = products.to_vector(direction)
        assert float(vector.norm()) == pytest.approx(1)
        assert float((products.product(vector) - value * vector).norm()) < 1e-3 * abs(exact).max()


def test_ends_are_algebraic_whatever_their_size() -> None:
    matrix = torch.diag(torch.tensor([-9.0, -1.0, 0.5, 2.0], dtype=torch.float64))
    data = [(torch.zeros(3, 1, dtype=torch.float64), torch.ones(3, dtype=torch.float64))]

    def loss(output: Tensor, labels: Tensor) -> Tensor:
        return 0.5 * torch.einsum("ni,ij,nj->n", output, matrix, output) * labels

    spectrum = hessian_spectrum(Quadratic(torch.ones(4).double()), data, top=2, bottom=1, loss=loss)
    assert spectrum.values == pytest.approx([2.0, 0.5, -9.0])
    assert spectrum.held_out is not None
    assert spectrum.held_out.values == pytest.approx([2.0, 0.5, -9.0])  # every image has the same Hessian


def test_eigenvalues_of_a_squared_loss_come_as_often_as_there_are_outputs() -> None:
    torch.manual_seed(0)
    images = torch.randn(64, 6).double()
    net, data = nn.Linear(6, 3, bias=False).double(), [(images, torch.randn(64, 3).double())]
    exact = np.linalg.eigvalsh(2 / 3 * (images.T @ images / 64).numpy()).repeat(3)
    spectrum = hessian_spectrum(net, data, top=4, bottom=4, loss=mse, held_out=False)
    assert spectrum.converged.all()
    assert spectrum.values == pytest.approx([*exact[::-1][:4], *exact[:4]], rel=1e-5)
    early = hessian_spectrum(net, data, top=4, bottom=1, loss=mse, held_out=False, steps=6)
    assert early.converged.tolist() == [False] * 4 + [True]


def test_a_random_vector_without_curvature_is_not_taken_for_the_lowest_eigenvalue() -> None:
    values = torch.cat([torch.linspace(0, 1e-4, 3000), torch.tensor([-1.0, 20.0, 50.0, 100.0])]).double()
    data = [(torch.zeros(3, 1, dtype=torch.float64), torch.ones(3, dtype=torch.float64))]
    model = Quadratic(torch.ones(len(values)).double())
    options: dict[str, Any] = {"top": 0, "bottom": 1, "held_out": False}

    def loss(output: Tensor, labels: Tensor) -> Tensor:
        return 0.5 * (output.square() @ values) * labels

    found = hessian_spectrum(model, data, loss=loss, **options)
    assert found.converged.all()
    assert found.values == pytest.approx([-1.0])
    assert not hessian_spectrum(model, data, loss=loss, steps=3, **options).converged.any()


def test_unconverged_values_are_told() -> None:
    net, data = net_and_data()
    spectrum = hessian_spectrum(net, data, top=2, bottom=2, steps=5, tolerance=1e-8, held_out=False)
    assert spectrum.steps == 5
    assert not spectrum.converged.all()


def test_held_out_is_what_a_plain_loop_finds() -> None:
    net, data = net_and_data()
    found = hessian_spectrum(net, data, top=2, bottom=0, tolerance=1e-9, seed=3).held_out
    assert found is not None
    second = draw_halves(60, 3)
    products = HessianProducts(net, data)
    for half, own in enumerate((~second, second)):
        part, rest = products.part(np.flatnonzero(own)), products.part(np.flatnonzero(~own))
        values, vectors = torch.linalg.eigh(part.product(torch.eye(part.dimension, dtype=torch.float64)))
        for row, k in enumerate((-1, -2)):
            assert found.found[half, row] == pytest.approx(float(values[k]), rel=1e-2, abs=1e-2)
            vector = vectors[:, k]
            assert found.read[half, row] == pytest.approx(float(vector @ rest.product(vector)), rel=0.05, abs=1e-2)
    # All images are there: nothing is left to estimate, and the values are those over all of them.
    assert not found.stderr.any()
    assert found.values == pytest.approx((found.found + found.read).mean(axis=0) / 2)


def test_held_out_of_a_sample_has_the_error_of_the_images_that_are_left() -> None:
    generator = np.random.default_rng(0)
    second = draw_halves(100, 0)
    forms = np.full((2, 1, 100), np.nan)
    forms[0, 0, second], forms[1, 0, ~second] = generator.normal(3, 2, 50), generator.normal(3, 2, 50)
    held_out = HeldOutCurvature(second, np.array([[10.0], [10.0]]), forms, 400)
    read = np.array([forms[0, 0, second].mean(), forms[1, 0, ~second].mean()])
    assert held_out.values == pytest.approx([(0.125 * 10 + 0.875 * read).mean()])
    deviations = np.array([forms[0, 0, second].std(ddof=1), forms[1, 0, ~second].std(ddof=1)])
    each = 0.875 * deviations / np.sqrt(50) * np.sqrt(1 - 50 / 350)
    assert held_out.stderr == pytest.approx([np.sqrt((each**2).sum()) / 2])
    assert held_out.reliable.all()


def test_a_search_goes_on_where_it_was_cut_off_to_the_same_bits(tmp_path: Path) -> None:
    net, data = net_and_data()
    done: list[tuple[str, int]] = []

    def stop(job: str, steps: int, most: int | None) -> None:
        done.append((job, steps))
        if len(done) == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hessian_spectrum(net, data, top=2, path=tmp_path, report=stop)
    assert len(list(tmp_path.rglob("*.kept"))) == 7
    resumed, straight = hessian_spectrum(net, data, top=2, path=tmp_path), hessian_spectrum(net, data, top=2)
    assert np.array_equal(resumed.values, straight.values)
    assert resumed.held_out is not None
    assert straight.held_out is not None
    assert np.array_equal(resumed.held_out.forms, straight.held_out.forms, equal_nan=True)


def test_steps_of_another_network_are_not_taken(tmp_path: Path) -> None:
    net, data = net_and_data()
    hessian_spectrum(net, data, top=2, held_out=False, path=tmp_path)
    other, _ = net_and_data(seed=1)
    expected = hessian_spectrum(other, data, top=2, held_out=False)
    found = hessian_spectrum(other, data, top=2, held_out=False, path=tmp_path)
    assert np.array_equal(found.values, expected.values)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top": 70}, r"`top` \+ `bottom` must be from 1 to 64"),
        ({"top": 0, "bottom": 0}, r"`top` \+ `bottom` must be from 1"),
        ({"top": -1}, "`top` must be at least 0"),
        ({"steps": 2}, "`steps` must be at least 6"),
        ({"tolerance": 0.0}, "`tolerance` must be positive"),
    ],
)
def test_what_cannot_be_found_is_refused(options: dict, message: str) -> None:
    net, data = net_and_data()
    with pytest.raises(ValueError, match=message):
        hessian_spectrum(net, data, **options)


def test_one_image_has_no_halves() -> None:
    net, data = net_and_data(1)
    with pytest.raises(ValueError, match="`batches` must hold at least 2 images"):
        hessian_spectrum(net, data)
    assert hessian_spectrum(net, data, held_out=False).values[0] > 0


def test_two_images_of_several_have_halves_without_an_error() -> None:
    net, data = net_and_data(2)
    found = hessian_spectrum(net, data).held_out
    assert found is not None
    assert found.stderr == pytest.approx(0)
    of_several = HeldOutCurvature(found.second, found.found, found.forms, 9)
    assert np.isnan(of_several.stderr).all()
    assert not of_several.reliable.any()
