import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape.landscape import evaluate_line, evaluate_surface, random_directions
from gradscape.landscape.directions import Direction
from gradscape.landscape.engine import trials, trust
from gradscape.landscape.engine.graph import TracingError, trace
from tests.landscape.forms import trace_whatever_it_costs
from tests.landscape.networks import images_and_labels, small_net

ALPHAS, BETAS = np.linspace(0, 1, 4), np.linspace(-1, 1, 5)  # the first point is not the farthest
IMAGES, LABELS = images_and_labels(40)


def _truth(net: nn.Module, directions: tuple[Direction, Direction], value: Callable[[nn.Module], Tensor]) -> np.ndarray:
    """The slow way: a copy whose parameters are set one by one, and the mean of a value there."""
    other, origin = copy.deepcopy(net), dict(net.named_parameters())
    found = np.empty((len(BETAS), len(ALPHAS)))
    for row, beta in enumerate(BETAS.tolist()):
        for column, alpha in enumerate(ALPHAS.tolist()):
            with torch.no_grad():
                for name, parameter in other.named_parameters():
                    parameter.copy_(origin[name] + alpha * directions[0][name] + beta * directions[1][name])
            found[row, column] = value(other).double().mean().item()
    return found


def _surface(net: nn.Module, batches: Any, **options: Any) -> Any:
    return evaluate_surface(net, batches, random_directions(net, seed=0), ALPHAS, BETAS, **options)


def _decayed(net: nn.Module, output: Tensor, labels: Tensor) -> Tensor:
    decay = sum(parameter.square().sum() for parameter in net.parameters())
    return F.cross_entropy(output, labels, reduction="none") + 0.05 * decay


def test_weight_decay_in_the_loss_follows_the_weights_in_every_form(form: str) -> None:
    net = small_net()
    surface = _surface(net, [(IMAGES, LABELS)], loss=lambda output, labels: _decayed(net, output, labels))
    expected = _truth(net, random_directions(net, seed=0), lambda other: _decayed(other, other(IMAGES), LABELS))
    np.testing.assert_allclose(surface.loss, expected, rtol=1e-6)
    assert surface.meta["plan"]["traced"] == (form != "module")
    assert surface.meta["plan"]["points_per_forward"] == 1  # of several at once the module can be at none


def _attacked(net: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """The loss after one step of the fast gradient sign method: two passes and a gradient."""
    with torch.enable_grad():
        start = images.detach().requires_grad_()
        (slope,) = torch.autograd.grad(F.cross_entropy(net(start), labels, reduction="sum"), start)
    return F.cross_entropy(net(images + 0.05 * slope.sign()), labels, reduction="none")


@pytest.mark.parametrize("form", ["graph"], indirect=True)
def test_an_adversarial_loss_attacks_the_moved_network(form: str) -> None:
    net = small_net().double()
    images = IMAGES.double()
    loss = lambda _, both: _attacked(net, *both)  # noqa: E731
    surface = _surface(net, [(images, (images, LABELS))], loss=loss, metric=None)
    expected = _truth(net, random_directions(net, seed=0), lambda other: _attacked(other, images, LABELS))
    np.testing.assert_allclose(surface.loss, expected, rtol=1e-9)
    assert surface.meta["plan"]["traced"]


@pytest.mark.parametrize("form", ["graph", "side by side"], indirect=True)
def test_a_metric_that_reads_the_network_sees_it_moved(form: str) -> None:
    net = small_net()
    weight = net.get_parameter("7.weight")
    start = weight.sum().item()

    def metric(output: Tensor, labels: Tensor) -> Tensor:
        return (output[:, 0] > -1e9) & (weight.sum() - start > -0.06)

    surface = _surface(net, [(IMAGES, LABELS)], metric=metric)
    directions = random_directions(net, seed=0)
    shifts = [direction["7.weight"].sum().item() for direction in directions]
    sums = np.add.outer(BETAS * shifts[1], ALPHAS * shifts[0])
    assert 0 < (sums > -0.06).sum() < sums.size
    np.testing.assert_array_equal(surface.error, 1.0 * (sums <= -0.06))


@pytest.mark.parametrize("form", ["side by side"], indirect=True)
def test_a_network_that_is_read_goes_alone_even_if_no_probe_shows_a_difference(form: str) -> None:
    net = small_net()

    def read(output: Tensor, labels: Tensor) -> Tensor:
        return (output.argmax(dim=1) == labels) | (
            torch.cat([net.get_parameter("0.bias"), net.get_parameter("7.weight").flatten()]).norm() > 1e6
        )

    plans = [_surface(net, [(IMAGES, LABELS)], **options).meta["plan"] for options in ({}, {"metric": read})]
    assert [plan["points_per_forward"] for plan in plans] == [3, 1]


@pytest.mark.parametrize("form", ["graph", "side by side"], indirect=True)
@pytest.mark.parametrize("kind", ["module", "tensors"])
def test_an_adapter_with_its_own_handle_of_the_network_gives_the_moved_one(form: str, kind: str) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(105, 5)).eval()
    weight, bias = net.parameters()
    by_tensors = lambda _, inputs: F.linear(inputs.flatten(1), weight, bias)  # noqa: E731
    surface = _surface(
        net, [(IMAGES, LABELS)], forward=by_tensors if kind == "tensors" else lambda _, inputs: net(inputs)
    )
    plain = _truth(
        net, random_directions(net, seed=0), lambda other: F.cross_entropy(other(IMAGES), LABELS, reduction="none")
    )
    np.testing.assert_allclose(surface.loss, plain, rtol=1e-6)


class _Leaving(nn.Module):
    """Leaves the balance of its gate behind, as mixtures of experts do, for the loss to add."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.gate = small_net(), nn.Linear(105, 3)
        self.balance = torch.zeros(())

    def forward(self, images: Tensor) -> Tensor:
        shares = self.gate(images.flatten(1)).softmax(dim=1)
        self.balance = shares.square().sum(dim=1)
        return self.net(images) * shares[:, :1]


@pytest.mark.slow
@pytest.mark.parametrize("form", ["graph", "side by side"], indirect=True)
@pytest.mark.parametrize("share", [1.0, 1e-4])
def test_a_loss_of_what_the_forward_pass_leaves_behind_keeps_to_the_module(form: str, share: float) -> None:
    torch.manual_seed(0)
    net = _Leaving().eval()

    def loss(model: Any, output: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(output, labels, reduction="none") + share * model.balance

    surface = _surface(net, [(IMAGES, LABELS)], loss=lambda *given: loss(net, *given))
    assert not surface.meta["plan"]["traced"]
    expected = _truth(net, random_directions(net, seed=0), lambda other: loss(other, other(IMAGES), LABELS))
    np.testing.assert_allclose(surface.loss, expected, rtol=1e-6)


def test_a_graph_that_stands_still_is_found_out_although_the_line_begins_at_the_origin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trace_whatever_it_costs(monkeypatch)
    monkeypatch.setattr(trials, "_WORTH_COMPILING", math.inf)

    def frozen(model: nn.Module, inputs: Any, forward: Any) -> Any:
        still = copy.deepcopy(model)
        return trace(model, inputs, lambda _, given: forward(still, given))

    monkeypatch.setattr(trust, "trace", frozen)
    net = small_net()
    direction, _ = random_directions(net, seed=0)
    line = evaluate_line(net, [(IMAGES, LABELS)], direction, [0.0, 0.5, 1.0])
    assert not line.meta["plan"]["traced"]
    assert len(np.unique(line.loss)) == 3


def test_a_graph_that_fails_for_other_numbers_of_images_says_so_once(capfd: pytest.CaptureFixture[str]) -> None:
    graph = torch.fx.symbolic_trace(lambda images: images.reshape(40, -1))
    with pytest.raises(TracingError, match=r"shape '.40, -1.' is invalid"), trust.explained():
        graph(IMAGES[:7])
    assert capfd.readouterr() == ("", "")


def _by_function(net: nn.Module, parameters: dict[str, Tensor], points: Tensor) -> Tensor:
    """A residual per point, the way torch.func writes it."""

    def value(point: Tensor) -> Tensor:
        return torch.func.functional_call(net, parameters, (point[None],)).sum()

    return (torch.func.vmap(torch.func.grad(value))(points).sum(dim=1) - 1).square()


@pytest.mark.parametrize("form", ["graph", "side by side"], indirect=True)
def test_a_loss_in_the_style_of_torch_func_follows_the_parameters(form: str) -> None:
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 5)).eval()
    points = torch.rand(40, 4)
    loss = lambda _, given: _by_function(net, dict(net.named_parameters()), given)  # noqa: E731
    surface = _surface(net, [(points, points)], loss=loss, metric=None)
    expected = _truth(
        net,
        random_directions(net, seed=0),
        lambda other: _by_function(other, dict(other.named_parameters()), points),
    )
    np.testing.assert_allclose(surface.loss, expected, rtol=1e-5)
    assert surface.meta["plan"]["points_per_forward"] == 1


@pytest.mark.parametrize("role", ["loss", "metric", "forward"])
def test_weights_that_were_detached_before_do_not_move_and_are_refused(role: str) -> None:
    net = small_net()
    held = {name: parameter.detach() for name, parameter in net.named_parameters()}
    weight = net.get_parameter("7.weight").data
    functions = {
        "loss": lambda output, labels: output[:, 0] + 0.1 * weight.square().sum(),
        "metric": lambda output, labels: (output[:, 0] > -1e9) & (torch.stack([held["0.weight"].sum()])[0] > -1e9),
        "forward": lambda model, inputs: torch.func.functional_call(model, held, (inputs,)),
    }
    with pytest.raises(ValueError, match=f"{role}.*reads weights of the network through `.data` or `.detach"):
        _surface(net, [(IMAGES, LABELS)], **{role: functions[role]})


def test_the_distance_to_weights_copied_before_is_a_loss_like_any_other() -> None:
    net = small_net()
    start = net.get_parameter("7.weight").detach().clone()
    loss = lambda _, labels: (net.get_parameter("7.weight") - start).square().sum().expand(len(labels))  # noqa: E731
    surface = _surface(net, [(IMAGES, LABELS)], loss=loss)
    assert surface.origin.loss == 0
    assert surface.loss.max() > 0
