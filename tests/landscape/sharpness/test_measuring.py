from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from torch import Tensor, nn
from torch.func import functional_call

from gradscape._digest import digest_model
from gradscape.landscape import SHARPNESS_KINDS, Sharpness, measure_sharpness
from tests.landscape.networks import Quadratic, images_and_labels, small_net

SIDE = 6
WEIGHTS = torch.tensor([0.5, -1.0, 2.0, 0.1, -0.3, 1.5], dtype=torch.float64)


def _curvature() -> Tensor:
    """Symmetric, with eigenvalues of both signs; the largest stands apart."""
    generator = torch.Generator().manual_seed(3)
    basis = torch.linalg.qr(torch.randn(SIDE, SIDE, generator=generator, dtype=torch.float64)).Q
    return basis @ torch.diag(torch.tensor([5.0, 2.0, 1.0, 0.5, 0.1, -0.5], dtype=torch.float64)) @ basis.T


CURVATURE = _curvature()


def _parabola(minimum: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    def loss(output: Tensor, _: Tensor) -> Tensor:
        away = output - minimum
        return 0.5 * ((away @ CURVATURE) * away).sum(dim=1)

    return loss


def _rise(kind: str, rho: float, *, minimum: Tensor, **options: Any) -> float:
    batches = [(torch.zeros(4, 1), torch.zeros(4, dtype=torch.long))]
    network = Quadratic(WEIGHTS.clone())
    found = measure_sharpness(network, batches, kinds=[kind], rhos=[rho], m=2, loss=_parabola(minimum), **options)
    return found.measure(kind).value


def _largest_rise(matrix: np.ndarray, slope: np.ndarray, rho: float) -> float:
    """Of slope·u + u·matrix·u/2 over |u| = rho, by the secular equation."""
    values, vectors = np.linalg.eigh(matrix)
    along = vectors.T @ slope
    multiplier = brentq(lambda one: np.linalg.norm(along / (one - values)) - rho, values[-1] + 1e-9, 1e6, xtol=1e-13)
    found = vectors @ (along / (multiplier - values))
    return float(slope @ found + found @ matrix @ found / 2)


@pytest.mark.parametrize("kind", ["average", "adaptive_average"])
def test_average_rise_of_a_parabola_is_half_its_trace(kind: str) -> None:
    scale = WEIGHTS.abs() if SHARPNESS_KINDS[kind].adaptive else torch.ones(SIDE)
    expected = 0.3**2 / 2 * float((CURVATURE.diagonal() * scale**2).sum())
    batches = [(torch.zeros(4, 1), torch.zeros(4, dtype=torch.long))]
    found = measure_sharpness(
        Quadratic(WEIGHTS.clone()), batches, kinds=[kind], rhos=[0.3], m=4, draws=100, loss=_parabola(WEIGHTS)
    ).measure(kind)
    assert found.low < expected < found.high
    assert found.high - found.low < expected


@pytest.mark.parametrize("kind", ["worst", "adaptive_worst"])
def test_worst_rise_at_the_minimum_of_a_parabola_is_half_its_largest_eigenvalue(kind: str) -> None:
    scale = WEIGHTS.abs() if SHARPNESS_KINDS[kind].adaptive else torch.ones(SIDE, dtype=torch.float64)
    largest = torch.linalg.eigvalsh(scale[:, None] * CURVATURE * scale)[-1]
    found = _rise(kind, 0.2, minimum=WEIGHTS, steps=60)
    assert found == pytest.approx(0.2**2 / 2 * float(largest), rel=1e-6)


@pytest.mark.parametrize("kind", ["worst", "adaptive_worst"])
def test_worst_rise_elsewhere_solves_the_secular_equation_and_fewer_steps_find_less(kind: str) -> None:
    minimum = WEIGHTS + 0.3
    scale = (WEIGHTS.abs() if SHARPNESS_KINDS[kind].adaptive else torch.ones(SIDE, dtype=torch.float64)).numpy()
    matrix, slope = scale[:, None] * CURVATURE.numpy() * scale, scale * (CURVATURE @ (WEIGHTS - minimum)).numpy()
    expected = _largest_rise(matrix, slope, 0.2)
    found = [_rise(kind, 0.2, minimum=minimum, steps=steps) for steps in (1, 3, 60)]
    assert found[0] < found[1] < found[2] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", ["sam", "asam"])
def test_one_step_rises_by_its_slope_and_its_curvature(kind: str) -> None:
    scale = WEIGHTS.abs() if kind == "asam" else torch.ones(SIDE, dtype=torch.float64)
    slope = CURVATURE @ torch.full((SIDE,), -0.3, dtype=torch.float64)
    unit = scale * (scale * slope) / (scale * slope).norm()
    rise = 0.2 * slope @ unit + 0.2**2 / 2 * unit @ CURVATURE @ unit
    assert _rise(kind, 0.2, minimum=WEIGHTS + 0.3) == pytest.approx(float(rise), rel=1e-12)
    corner = scale * slope.sign()
    rise = 0.2 * slope @ corner + 0.2**2 / 2 * corner @ CURVATURE @ corner
    assert _rise(kind, 0.2, minimum=WEIGHTS + 0.3, norm="linf") == pytest.approx(float(rise), rel=1e-12)


@pytest.mark.parametrize("kind", ["worst", "adaptive_worst"])
def test_worst_rise_in_a_cube_is_that_of_its_worst_corner(kind: str) -> None:
    scale = WEIGHTS.abs() if kind == "adaptive_worst" else torch.ones(SIDE, dtype=torch.float64)
    slope = CURVATURE @ torch.full((SIDE,), -0.3, dtype=torch.float64)
    corners = 0.01 * scale * torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * SIDE)
    rises = corners @ slope + ((corners @ CURVATURE) * corners).sum(dim=1) / 2
    found = _rise(kind, 0.01, minimum=WEIGHTS + 0.3, norm="linf")
    assert found == pytest.approx(float(rises.max()), rel=1e-9)


def test_one_step_at_a_minimum_has_no_direction_and_no_rise() -> None:
    assert _rise("sam", 0.2, minimum=WEIGHTS) == 0


def test_rises_are_those_of_a_plain_loop_over_sets_of_images() -> None:
    net, (images, labels) = small_net(), images_and_labels(23)
    found = measure_sharpness(net, [(images, labels)], kinds=["sam", "asam"], rhos=[0.1], m=5, batch_size=3)
    weights = {name: one.detach() for name, one in net.named_parameters()}
    for row, scaled in enumerate((False, True)):
        for start in range(0, 20, 5):
            part, right = images[start : start + 5], labels[start : start + 5]

            def losses(at: dict[str, Tensor], part: Tensor = part, right: Tensor = right) -> Tensor:
                return nn.functional.cross_entropy(functional_call(net, at, (part,)), right, reduction="none")

            gradient = torch.func.grad(lambda at: losses(at).mean())(weights)
            scale = {name: one.abs() if scaled else torch.ones_like(one) for name, one in weights.items()}
            length = torch.cat([(scale[name] * one).flatten() for name, one in gradient.items()]).norm()
            there = {name: one + 0.1 * scale[name] ** 2 * gradient[name] / length for name, one in weights.items()}
            rises = (losses(there) - losses(weights)).detach().double().numpy()
            np.testing.assert_allclose(found.rises[row, start : start + 5], rises, rtol=2e-4, atol=1e-6)
    assert len(found) == 20  # three are no whole set


def test_only_chosen_parameters_are_disturbed_and_the_model_is_the_same_to_the_bit() -> None:
    net, (images, labels) = small_net(), images_and_labels(16)
    net[0].weight.requires_grad_(False)
    before, state = digest_model(net), torch.get_rng_state()
    kinds = list(SHARPNESS_KINDS)
    found = measure_sharpness(net, [(images, labels)], kinds=kinds, rhos=[0.1], m=8, steps=3, parameters="7.bias")
    assert digest_model(net) == before
    assert torch.equal(torch.get_rng_state(), state)
    assert [one.requires_grad for one in net.parameters()] == [False] + [True] * (len(list(net.parameters())) - 1)
    assert all(one.grad is None for one in net.parameters())
    # Logits are convex in the bias of the last layer, so that its worst corner is at most as far as it can move.
    assert 0 < found.measure("sam").value <= 0.1 * 2**0.5
    assert found.measure("sam").value <= found.measure("worst").value


def test_a_loss_that_fails_amid_leaves_the_model_as_it_was() -> None:
    net, (images, labels) = small_net(), images_and_labels(16)
    before, calls = digest_model(net), []

    def failing(output: Tensor, right: Tensor) -> Tensor:
        calls.append(1)
        if len(calls) > 20:
            raise RuntimeError("amid")
        return nn.functional.cross_entropy(output, right, reduction="none")

    with pytest.raises(RuntimeError, match="amid"):
        measure_sharpness(net, [(images, labels)], kinds=["worst"], rhos=[0.1], m=4, loss=failing)
    assert digest_model(net) == before
    assert all(one.requires_grad and one.grad is None for one in net.parameters())


def test_a_file_that_was_left_amid_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    net, (images, labels) = small_net(), images_and_labels(24)
    options: dict[str, Any] = {"kinds": ["average", "asam"], "rhos": [0.1], "m": 4, "draws": 3}
    whole = measure_sharpness(net, [(images, labels)], **options)
    path = tmp_path / "sharpness.npz"
    begun = measure_sharpness(net, [(images, labels)], **options, path=path, seconds=1e-9)
    assert len(begun) == 4
    assert begun.meta["images_asked"] == 24
    done: list[int] = []
    measure_sharpness(net, [(images, labels)], **options, path=path, report=lambda images, _: done.append(images))
    again = Sharpness.load(path)
    assert done == [4, 8, 12, 16, 20, 24]
    for name in ("loss", "rises", "drawn"):
        np.testing.assert_array_equal(getattr(again, name), getattr(whole, name))
    assert dict(again.meta) == dict(whole.meta)
    with pytest.raises(ValueError, match=r"`path` .* holds another measurement, of other seed"):
        measure_sharpness(net, [(images, labels)], **options, path=path, seed=1)
    with pytest.raises(ValueError, match=r"`path` .* on other images"):
        measure_sharpness(net, [(images + 1, labels)], **options, path=path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kinds": ["sharp"]}, "`kinds` .*sharp"),
        ({"kinds": []}, "`kinds` must name at least one"),
        ({"kinds": ["sam", "sam"]}, "once, but one comes twice"),
        ({"rhos": [0.0]}, "`rhos` must be positive and finite, got 0"),
        ({"rhos": {"sam": [0.1]}}, "`rhos` must hold sizes for average"),
        ({"m": 24}, "`m` must be at most the 23 images that there are, got 24"),
        ({"draws": 1}, "`draws` must be at least 2, got 1"),
        ({"population": 5}, "`population` must be at least the 23 images, got 5"),
        ({"parameters": "nowhere*"}, "`parameters` must match"),
        ({"loss": lambda output, labels: nn.functional.cross_entropy(output, labels)}, "one number per image"),
        (
            {"kinds": ["sam"], "loss": lambda output, labels: output.detach().sum(dim=1)},
            "`loss` must be differentiable",
        ),
    ],
)
def test_what_cannot_be_measured_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        measure_sharpness(small_net(), [images_and_labels(23)], **{"m": 4, **options})


class _Merging(nn.Linear):
    """A weight with a low-rank change that `eval()` merges into it."""

    def __init__(self) -> None:
        super().__init__(4, 3)
        self.change, self.merged = nn.Parameter(torch.ones(3, 4)), False

    def train(self, mode: bool = True) -> "_Merging":
        if self.merged == mode:
            self.weight.data.add_(self.change.data, alpha=-1.0 if mode else 1.0)
            self.merged = not mode
        return super().train(mode)

    def forward(self, images: Tensor) -> Tensor:
        weight = self.weight if self.merged else self.weight + self.change
        return nn.functional.linear(images, weight, self.bias)


def test_weights_that_eval_merges_away_from_gradients_are_refused_for_worst_cases() -> None:
    batches = [(torch.randn(16, 4, generator=torch.Generator().manual_seed(0)), torch.arange(16) % 3)]
    with pytest.raises(ValueError, match="none reaches change"):
        measure_sharpness(_Merging(), batches, kinds=["sam"], rhos=[0.1], m=4)
    left = measure_sharpness(_Merging(), batches, kinds=["sam"], rhos=[0.1], m=4, parameters="!change")
    assert left.measure("sam").value > 0


def test_whole_numbers_among_the_parameters_are_refused_by_name() -> None:
    net = nn.Linear(4, 3)
    net.register_parameter("counts", nn.Parameter(torch.arange(3), requires_grad=False))
    batches = [(torch.randn(16, 4, generator=torch.Generator().manual_seed(0)), torch.arange(16) % 3)]
    with pytest.raises(ValueError, match="counts"):
        measure_sharpness(net, batches, kinds=["sam"], m=4)


def test_weights_that_are_detached_and_half_precision_are_refused() -> None:
    class Detaching(nn.Linear):
        def forward(self, images: Tensor) -> Tensor:
            return nn.functional.linear(images, self.weight, self.bias.detach())

    batches = [(torch.randn(16, 4, generator=torch.Generator().manual_seed(0)), torch.arange(16) % 3)]
    with pytest.raises(ValueError, match="none reaches bias"):
        measure_sharpness(Detaching(4, 3), batches, kinds=["sam"], m=4)
    assert measure_sharpness(Detaching(4, 3), batches, kinds=["average"], rhos=[0.1], m=4).measure("average").value > 0
    with pytest.raises(ValueError, match="weight is in bfloat16"):
        measure_sharpness(nn.Linear(4, 3).bfloat16(), [(batches[0][0].bfloat16(), batches[0][1])], m=4)


@pytest.mark.usefixtures("unchecked")
def test_a_norm_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`norm` .*l1"):
        measure_sharpness(small_net(), [images_and_labels(23)], norm="l1")  # type: ignore[arg-type]


@pytest.mark.slow
def test_rises_of_a_published_network_are_the_reference_ones(akamaster: nn.Module, cifar_images: Any) -> None:
    before = digest_model(akamaster)
    rhos = {"sam": (0.01, 0.05, 0.1), "asam": (0.1, 0.5, 1.0)}
    ((images, labels),) = cifar_images
    found = measure_sharpness(akamaster, [(images[:256], labels[:256])], kinds=list(rhos), rhos=rhos, m=None)
    expected = [0.0369494, 0.2104725, 0.4791407, 0.1088413, 0.8393261, 3.4816199]
    np.testing.assert_allclose([one.value for one in found.measures.values()], expected, rtol=1e-4)
    assert found.loss.mean() == pytest.approx(0.33902263, rel=1e-6)
    assert digest_model(akamaster) == before
