"""Traces against dense Hessians, closed forms and reference numbers."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gradscape.landscape import HessianProducts, Trace, focal, hessian_trace, mse
from tests.landscape.networks import images_and_labels


def conv_net(activation: nn.Module) -> nn.Module:
    """Convolutions of several kinds, batch norms with uneven statistics, a head."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(3, 2, (3, 2), padding=1, stride=2, bias=False),
            nn.BatchNorm2d(2),
            activation,
            nn.Conv2d(2, 4, 2, groups=2, dilation=(1, 2)),
            activation,
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.BatchNorm1d(4),
            nn.Linear(4, 5),
        )
        net.train()(torch.randn(20, 3, 5, 7))
    return net.eval().double()


def data(count: int = 9) -> list[tuple[Tensor, Tensor]]:
    images, labels = images_and_labels(count)
    return [(images.double(), labels)]


def dense_diagonal(products: HessianProducts) -> Tensor:
    return products.product(torch.eye(products.dimension, dtype=torch.float64)).diagonal()


@pytest.mark.parametrize("options", [{}, {"loss": focal, "parameters": "7.* 8.*"}])
def test_the_exact_trace_is_that_of_the_dense_hessian(options: dict) -> None:
    net = conv_net(nn.ReLU())
    products = HessianProducts(net, data(), **options)
    diagonal = dense_diagonal(products)
    trace = hessian_trace(net, data(), batch_size=4, **options)
    assert trace.inexact == ""
    assert trace.diagonal is not None
    assert torch.allclose(products.to_vector(trace.diagonal), diagonal, rtol=1e-8, atol=1e-12)
    assert trace.value == pytest.approx(float(diagonal.sum()), rel=1e-9)
    parts = products.to_direction(diagonal)
    for name, part in trace.by_parameter().items():
        assert part.value == pytest.approx(float(parts[name].sum()), rel=1e-8)
    assert trace.images[3] == pytest.approx(float(dense_diagonal(products.part([3])).sum()), rel=1e-8)
    assert trace.stderr == 0  # all images were seen


def test_a_regression_has_its_closed_form() -> None:
    torch.manual_seed(0)
    net, images = nn.Linear(4, 3, bias=False).double(), torch.randn(10, 4).double()
    trace = hessian_trace(net, [(images, torch.randn(10, 3).double())], loss=mse)
    assert trace.images == pytest.approx((2 * images.square().sum(dim=1)).numpy())  # mean over 3 outputs, 3 rows


class _Twice(nn.Module):
    """One layer that is called two times: outputs bend along its weights."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Linear(4, 4)

    def forward(self, images: Tensor) -> Tensor:
        return self.shared(torch.relu(self.shared(images)))


class _OwnScale(nn.Module):
    """A parameter that is in no layer."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.scale = nn.Linear(4, 3), nn.Parameter(torch.ones(3))

    def forward(self, images: Tensor) -> Tensor:
        return self.linear(images) * self.scale


class _Shared(nn.Module):
    """A weight that is straight in the outputs, but whose layer does not tell all of it."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.first, self.second, self.way = nn.Linear(4, 3), nn.Linear(4, 3), way
        if way == "tied":
            self.second.weight = self.first.weight

    def forward(self, images: Tensor) -> Tensor:
        layer, weight, other = self.first, self.first.weight, images.flip(1)
        if self.way == "without a call":
            return nn.functional.linear(images, weight, layer.bias) + self.second(other)
        if self.way == "beside":
            return layer(images) + nn.functional.linear(other, weight) + self.second(other)
        return layer(images) + (layer(other) if self.way == "twice" else 0) + self.second(other)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["tied", "without a call", "beside", "twice"])
def test_a_weight_that_is_used_elsewhere_too_is_not_taken_for_its_layers_own(way: str) -> None:
    torch.manual_seed(0)
    net, batches = _Shared(way).double(), [(torch.randn(12, 4).double(), torch.arange(12) % 3)]
    exact = float(dense_diagonal(HessianProducts(net, batches)).sum())
    trace = hessian_trace(net, batches, probes=90)
    assert "first.weight is used otherwise than by one call" in trace.inexact
    assert trace.value == pytest.approx(exact, rel=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("net", "why"),
    [
        (nn.Sequential(nn.Linear(4, 5), nn.GELU(), nn.Linear(5, 3)), "no straight lines along 0.weight"),
        (_Twice(), "no straight lines along shared.weight"),
        (_OwnScale(), "outside of convolutions, linear layers and batch norms"),
    ],
)
def test_what_is_not_piecewise_linear_is_estimated(net: nn.Module, why: str) -> None:
    torch.manual_seed(0)
    net, batches = net.double(), [(torch.randn(12, 4).double(), torch.arange(12) % 3)]
    exact = float(dense_diagonal(HessianProducts(net, batches)).sum())
    trace = hessian_trace(net, batches, probes=30, seed=1)
    assert why in trace.inexact
    assert trace.layers is None
    assert abs(trace.value - exact) <= 4 * trace.stderr + 1e-9
    assert trace.stderr < 0.4 * abs(exact)


def test_a_loss_that_reads_the_weights_is_not_taken_for_straight() -> None:
    net = nn.Linear(4, 3).double()

    def decayed(output: Tensor, labels: Tensor) -> Tensor:
        return nn.functional.cross_entropy(output, labels, reduction="none") + net.weight.square().sum()

    trace = hessian_trace(net, [(torch.randn(12, 4).double(), torch.arange(12) % 3)], loss=decayed)
    assert "weight" in trace.inexact
    assert trace.value > 2 * 12


def test_an_estimate_with_as_many_probes_as_dimensions_is_exact() -> None:
    torch.manual_seed(0)
    net, batches = _OwnScale().double(), [(torch.randn(12, 4).double(), torch.arange(12) % 3)]
    exact = float(dense_diagonal(HessianProducts(net, batches)).sum())
    trace = hessian_trace(net, batches, probes=3 * 18)
    assert trace.value == pytest.approx(exact, rel=1e-8)
    assert trace.probe_stderr == pytest.approx(0, abs=1e-8)


def test_a_trace_goes_on_where_it_was_cut_off(tmp_path: Path) -> None:
    net = conv_net(nn.ReLU())

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hessian_trace(net, data(), batch_size=4, path=tmp_path, report=stop)
    assert [path.name for path in tmp_path.rglob("*.kept")] == ["batch0000.kept"]
    resumed, straight = (
        hessian_trace(net, data(), batch_size=4, path=tmp_path),
        hessian_trace(net, data(), batch_size=4),
    )
    assert np.array_equal(resumed.images, straight.images)


def test_the_interval_knows_how_few_images_carry_it() -> None:
    values = np.append(np.ones(99), 1000.0)
    trace = Trace(values, 1000, ("weight",))
    assert not trace.reliable
    assert trace.mean.effective_images == pytest.approx(1099**2 / (99 + 1e6))
    assert trace.stderr == pytest.approx(values.std(ddof=1) / 10 * np.sqrt(0.9))
    low, high = trace.interval()
    assert low < trace.value < high
    assert Trace(np.linspace(1, 2, 100), 1000, ("weight",)).reliable


def test_too_few_probes_are_refused() -> None:
    with pytest.raises(ValueError, match="`probes` must be at least 6"):
        hessian_trace(nn.Linear(4, 3), [(torch.randn(6, 4), torch.arange(6) % 3)], probes=5)


def test_the_interval_of_an_estimate_knows_how_few_probes_it_rests_on() -> None:
    trace = Trace(np.full(1000, 5.0), 1000, ("w",), probe_stderr=2.0, probes=10, inexact="it bends")
    assert trace.interval() == pytest.approx((5 - 2.2622 * 2, 5 + 2.2622 * 2), abs=1e-3)  # Student's, 9 degrees
    even = Trace(np.tile([4.0, 6.0], 500), 2000, ("w",), probe_stderr=0.0, inexact="")
    assert even.interval() == pytest.approx(even.mean.interval())


def test_one_image_of_several_has_no_error() -> None:
    net, data = nn.Linear(4, 3), [(torch.ones(1, 4), torch.tensor([0]))]
    trace = hessian_trace(net, data)
    assert np.isnan(Trace(trace.images, 7, trace.names).interval()).all()
