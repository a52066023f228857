from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, hessian

from gradscape._digest import digest_model
from gradscape.landscape import CurvatureMap, Direction, evaluate_curvature, load_landscape, random_directions
from gradscape.landscape.hessian.curvature_walk import CurvatureWalk
from gradscape.landscape.hessian.extremes import Extremes, find_extremes
from tests.landscape.networks import Quadratic, images_and_labels, small_net

SIDE = 24
ALPHAS, BETAS = np.linspace(-0.6, 0.6, 4), np.linspace(-0.5, 0.4, 3)
BATCHES = [(torch.zeros(4, 1), torch.zeros(4, dtype=torch.long))]


def _quartic() -> tuple[Tensor, Tensor, list[Direction], Callable[[Tensor, Tensor], Tensor]]:
    """θ, Q and two directions of the loss θᵀQθ/2 + Σ θ⁴/12, whose Hessian is Q + diag θ²."""
    generator = torch.Generator().manual_seed(0)
    theta, first, second, root = (
        torch.randn(*shape, generator=generator, dtype=torch.float64)
        for shape in ((SIDE,), (SIDE,), (SIDE,), (SIDE,) * 2)
    )

    def loss(output: Tensor, _: Tensor) -> Tensor:
        return ((output @ curvature) * output).sum(dim=1) / 2 + (output**4).sum(dim=1) / 12

    curvature = (root + root.T) / 2
    return theta, curvature, [{"theta": first}, {"theta": second}], loss


def test_a_map_holds_both_ends_of_a_known_hessian() -> None:
    theta, curvature, directions, loss = _quartic()
    found = evaluate_curvature(Quadratic(theta.clone()), BATCHES, directions, ALPHAS, BETAS, loss=loss, tolerance=1e-6)
    for row, beta in enumerate(BETAS):
        for column, alpha in enumerate(ALPHAS):
            at = theta + alpha * directions[0]["theta"] + beta * directions[1]["theta"]
            values = torch.linalg.eigvalsh(curvature + torch.diag(at**2))
            assert found.max_eig[row, column] == pytest.approx(float(values[-1]), rel=1e-6)
            assert found.min_eig[row, column] == pytest.approx(float(values[0]), rel=1e-6)
    assert found.converged.all()
    values = torch.linalg.eigvalsh(curvature + torch.diag(theta**2))
    assert found.origin == pytest.approx((float(values[-1]), float(values[0])), rel=1e-6)


def test_a_map_of_a_network_holds_what_its_whole_hessian_says_and_leaves_it_as_it_was() -> None:
    net, (images, labels) = small_net().double(), images_and_labels(9)
    images = images.double()
    before, directions = digest_model(net), random_directions(net, seed=0)
    options: dict[str, Any] = {"ignore": "biasbn", "tolerance": 1e-4}
    found = evaluate_curvature(net, [(images, labels)], directions, [-0.5, 0.25], [0.5], **options)
    several = evaluate_curvature(net, [(images, labels)], directions, [-0.5, 0.25], [0.5], batch_size=4, **options)
    assert digest_model(net) == before
    assert all(one.requires_grad and one.grad is None for one in net.parameters())
    weights = {name: one.detach() for name, one in net.named_parameters()}
    large = [name for name, one in weights.items() if one.dim() > 1]
    sizes = [weights[name].numel() for name in large]
    for column, alpha in enumerate([-0.5, 0.25]):
        at = {name: one + alpha * directions[0][name] + 0.5 * directions[1][name] for name, one in weights.items()}

        def mean(flat: Tensor, at: dict[str, Tensor] = at) -> Tensor:
            parts = dict(zip(large, flat.split(sizes), strict=True))
            moved = {**at, **{name: part.reshape(at[name].shape) for name, part in parts.items()}}
            return nn.functional.cross_entropy(functional_call(net, moved, (images,)), labels)

        values = torch.linalg.eigvalsh(hessian(mean)(torch.cat([at[name].flatten() for name in large])))
        for one in (found, several):
            assert one.max_eig[0, column] == pytest.approx(float(values[-1]), rel=1e-3)
            assert one.min_eig[0, column] == pytest.approx(float(values[0]), rel=1e-3)


def test_the_smallest_eigenvalue_of_a_positive_matrix_is_not_its_largest() -> None:
    matrix = torch.diag(torch.linspace(1, 2, 20, dtype=torch.float64))
    found = find_extremes(lambda vector: matrix @ vector, torch.ones(20, dtype=torch.float64), tolerance=1e-3)
    assert found.values == pytest.approx((2.0, 1.0), rel=1e-3)


def test_a_guess_saves_products_and_values_stay_within_the_spectrum() -> None:
    generator = torch.Generator().manual_seed(1)
    basis = torch.linalg.qr(torch.randn(400, 400, generator=generator, dtype=torch.float64)).Q
    values = torch.cat(
        [torch.tensor([-6.0, -5.0]), torch.randn(394, generator=generator), torch.tensor([20.0, 30, 50, 90])]
    )
    matrix = basis @ torch.diag(values.double()) @ basis.T
    start = torch.randn(400, generator=generator, dtype=torch.float64)
    cold = find_extremes(lambda vector: matrix @ vector, start, tolerance=1e-3)
    shift = torch.diag(0.05 * torch.randn(400, generator=generator, dtype=torch.float64))
    nearby = matrix + shift
    warm = find_extremes(lambda vector: nearby @ vector, cold.vectors.sum(dim=0), tolerance=1e-3, least=5)
    exact = torch.linalg.eigvalsh(nearby)
    assert warm.converged
    assert warm.products < cold.products / 1.5
    for value, end in zip(warm.values, (exact[-1], exact[0]), strict=True):
        assert value == pytest.approx(float(end), rel=1e-3)
    assert warm.values[0] <= float(exact[-1]) + 1e-9
    assert warm.values[1] >= float(exact[0]) - 1e-9


def test_a_map_that_was_left_amid_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    net, (images, labels) = small_net(), images_and_labels(9)
    directions, path = random_directions(net, seed=0), tmp_path / "curvature.h5"
    whole = evaluate_curvature(net, [(images, labels)], directions, ALPHAS, BETAS, checks=2)
    calls: list[int] = []

    def stopping(done: int, _: int) -> None:
        calls.append(done)
        if done in (3, 8):
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gradscape.landscape.hessian.curvature_walk._SAVE_SECONDS", 0.0)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                evaluate_curvature(
                    net, [(images, labels)], directions, ALPHAS, BETAS, checks=2, path=path, report=stopping
                )
    assert CurvatureMap.load(path).warm is not None
    evaluate_curvature(net, [(images, labels)], directions, ALPHAS, BETAS, checks=2, path=path, report=stopping)
    again = load_landscape(path)
    assert isinstance(again, CurvatureMap)
    assert calls == list(range(1, 13))
    for name in ("max_eig", "min_eig", "max_residual", "min_residual", "products", "converged"):
        np.testing.assert_array_equal(getattr(again, name), getattr(whole, name))
    assert dict(again.meta) == dict(whole.meta)
    assert again.warm is None
    with pytest.raises(ValueError, match=r"`path` .* holds another map, of other directions"):
        evaluate_curvature(net, [(images, labels)], random_directions(net, seed=1), ALPHAS, BETAS, path=path)


def test_a_cold_start_replaces_the_end_that_it_finds_more_extreme() -> None:
    axis = np.array([0.0])
    walk = CurvatureWalk(axis, axis, {"tolerance": 0.01}, None)

    def ends(largest: float, smallest: float) -> Extremes:
        return Extremes((largest, smallest), torch.zeros(2, 3), (0.1, 0.2), 9, converged=True)

    walk.begin(None)
    walk.add((0, 0), ends(4.0, -1.0))
    walk.check(lambda _: ends(3.999, -1.005), 1)
    found = walk.result()
    assert (found.max_eig.item(), found.min_eig.item()) == (4.0, -1.005)


def test_a_map_that_others_gave_up_earlier_is_not_gone_on_with(tmp_path: Path) -> None:
    theta, _, directions, loss = _quartic()
    options: dict[str, Any] = {"loss": loss, "path": tmp_path / "map.h5", "checks": 0}
    evaluate_curvature(Quadratic(theta.clone()), BATCHES, directions, [0.0], [0.0], most=10, **options)
    with pytest.raises(ValueError, match="of other most"):
        evaluate_curvature(Quadratic(theta.clone()), BATCHES, directions, [0.0], [0.0], most=50, **options)


def test_points_without_a_finite_hessian_and_points_that_are_left_early_are_marked() -> None:
    theta, _, directions, loss = _quartic()

    def bursting(output: Tensor, labels: Tensor) -> Tensor:
        return loss(output, labels) + torch.exp(output.sum(dim=1))

    axis = [0.0, 0.5, 1e4 * float(torch.sign(directions[0]["theta"].sum()))]
    axis.sort()
    found = evaluate_curvature(
        Quadratic(theta), BATCHES, directions, axis, [0.0], loss=bursting, tolerance=1e-12, most=10, checks=0
    )
    field = found.field("max_eig")
    assert int(field.marks["non-finite"].sum()) == 1
    assert int(field.marks["not converged"].sum()) == 2
    assert np.isnan(found.ratio[field.marks["non-finite"]]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tolerance": 0.0}, "`tolerance` must lie between 0 and 1, got 0"),
        ({"most": 3}, "`most` must be at least 10, got 3"),
        ({"checks": -1}, "`checks` must be 0 or more, got -1"),
        ({"seconds": 0.0}, "`seconds` must be positive, got 0"),
        ({"parameters": "nowhere*"}, "`parameters` must match"),
    ],
)
def test_what_cannot_be_mapped_is_refused(options: dict[str, Any], message: str) -> None:
    net = small_net()
    with pytest.raises(ValueError, match=message):
        evaluate_curvature(net, [images_and_labels(4)], random_directions(net, seed=0), [0.0, 1.0], [0.0], **options)


def test_fields_have_the_original_tools_names(tmp_path: Path) -> None:
    theta, _, directions, loss = _quartic()
    found = evaluate_curvature(Quadratic(theta), BATCHES, directions, ALPHAS, BETAS, loss=loss)
    assert found.fields == ("max_eig", "min_eig", "ratio")
    np.testing.assert_allclose(found.field("ratio").values, np.abs(found.min_eig / found.max_eig))
    with pytest.raises(ValueError, match="`value`"):
        found.field("loss")
    found.save(tmp_path / "curvature.h5")
    again = CurvatureMap.load(tmp_path / "curvature.h5")
    np.testing.assert_array_equal(again.min_eig, found.min_eig)
    assert again.origin == found.origin


@pytest.mark.reference
def test_a_map_along_a_line_of_a_published_network_is_the_reference(
    akamaster: nn.Module, cifar_images: Any, test_data: Path
) -> None:
    ((images, labels),) = cifar_images
    rows = np.load(test_data.parent / "science" / "line_eigs.npz")["rows"]
    alphas, _, largest, _, smallest, residuals = rows.T
    directions = random_directions(akamaster, seed=0)
    batches = [(images[:64], labels[:64])]
    options: dict[str, Any] = {"ignore": "biasbn", "checks": 0, "tolerance": 1e-4}
    found = evaluate_curvature(akamaster, batches, directions, alphas, [0.0], **options)
    np.testing.assert_allclose(found.max_eig[0], largest, rtol=1e-4)
    # Some eigenvalue lies within the residual of what the reference had not fully converged.
    assert (np.abs(found.min_eig[0] - smallest) <= np.maximum(residuals, 1e-4 * np.abs(smallest))).all()
