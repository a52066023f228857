"""A curve through parameter space, against closed forms and networks moved by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gradscape.landscape import Curve, Line, difference_direction, evaluate_line
from gradscape.landscape.paths.curve_kinds import CurveKind
from tests.landscape.networks import images_and_labels, small_net
from tests.landscape.paths.rings import RING_BATCHES, Ring, ring_loss

A, B = Ring(1.0, 0.0), Ring(-1.0, 0.0)
BEST: dict[CurveKind, float] = {"bezier": 3 / 2**0.5, "chain": 1.5**0.5}
IMAGES, LABELS = images_and_labels(40)
BATCHES = [(IMAGES, LABELS)]


def ring_curve(kind: CurveKind, height: float) -> Curve:
    states = ({"place": net.place.detach().clone()} for net in (A, B))
    bend = {"place": torch.tensor([0.0, height], dtype=torch.float64)}
    return Curve(kind=kind, start=next(states), end=next(states), bend=bend, meta={})


def curve_between(first: nn.Module, second: nn.Module, kind: CurveKind = "bezier", *, seed: int = 0) -> Curve:
    """With a random bend."""
    generator = torch.Generator().manual_seed(seed)
    change = difference_direction(first, second)
    own = {**dict(first.named_parameters()), **dict(first.named_buffers())}
    start = {name: own[name].detach().clone() for name in change}
    end = {name: start[name] + one for name, one in change.items()}
    trained = dict(first.named_parameters())
    bend = {name: start[name] + torch.randn(start[name].shape, generator=generator) for name in trained}
    return Curve(kind=kind, start=start, bend=bend, end=end, meta={"seed": seed, "losses": [0.5, 0.25]})


@pytest.mark.parametrize(("kind", "mean", "highest"), [("bezier", 2 / 105, 4 / 81), ("chain", 1 / 12, 0.25)])
def test_the_best_curves_around_a_ring_have_the_known_loss(kind: CurveKind, mean: float, highest: float) -> None:
    ts = np.linspace(0, 1, 161)
    line = ring_curve(kind, BEST[kind]).evaluate(A, RING_BATCHES, ts, loss=ring_loss, metric=None)
    simpson = np.tile([2.0, 4.0], 80) / 480
    simpson[0] -= 1 / 480
    assert simpson @ line.loss[:-1] + line.loss[-1] / 480 == pytest.approx(mean, rel=1e-5)
    assert line.loss.max() == pytest.approx(highest, rel=1e-3)
    straight = evaluate_line(A, RING_BATCHES, difference_direction(A, B), ts, loss=ring_loss, metric=None)
    assert simpson @ straight.loss[:-1] + straight.loss[-1] / 480 == pytest.approx(8 / 15, rel=1e-5)
    assert straight.loss.max() == pytest.approx(1)


def test_lengths_are_those_of_parabola_and_triangle() -> None:
    chain, parabola = ring_curve("chain", 2.0), ring_curve("bezier", 2.0)
    assert chain.length == pytest.approx(2 * 5**0.5)
    # y = (1 − x²) from −1 to 1: 2 ∫ √(1 + 4x²)
    assert parabola.length == pytest.approx(5**0.5 + np.arcsinh(2) / 2, rel=1e-9)
    assert chain.distance == parabola.distance == 2


def moved_by_hand(curve: Curve, t: float, first: nn.Module, second: nn.Module) -> nn.Sequential:
    """The formulas of the paper, tensor by tensor; what is not trained goes straight."""
    net = small_net()
    theirs, state = second.state_dict(), {}
    for name, one in first.state_dict().items():
        a, b = one.double(), theirs[name].double()
        if name not in curve.bend:
            state[name] = a + t * (b - a)
            continue
        bend = curve.bend[name].double()
        if curve.kind == "bezier":
            state[name] = (1 - t) ** 2 * a + 2 * t * (1 - t) * bend + t**2 * b
        else:
            state[name] = 2 * (t * bend + (0.5 - t) * a) if t <= 0.5 else 2 * ((t - 0.5) * b + (1 - t) * bend)
    net.load_state_dict(state)
    return net


@pytest.mark.parametrize("kind", ["bezier", "chain"])
def test_the_loss_along_it_is_that_of_networks_moved_by_hand(kind: CurveKind) -> None:
    first, second = small_net(), small_net(seed=1)
    curve, ts = curve_between(first, second, kind), [0.0, 0.3, 0.5, 0.9, 1.0]
    line = curve.evaluate(first, BATCHES, ts, precision="fp32")
    with torch.no_grad():
        nets = [moved_by_hand(curve, t, first, second) for t in ts]
        expected = [float(nn.functional.cross_entropy(net(IMAGES), LABELS)) for net in nets]
    np.testing.assert_allclose(line.loss, expected, rtol=1e-5)
    np.testing.assert_array_equal(line.alphas, ts)
    about = line.meta["curve"]
    assert (about["kind"], about["length"]) == (kind, pytest.approx(curve.length))
    for name, value in curve.point(0.3).items():
        torch.testing.assert_close(value, nets[1].state_dict()[name])


def test_batch_norms_are_recalibrated_at_every_point_and_the_ends_told_as_stored() -> None:
    first, second = small_net(), small_net(seed=1)
    curve = curve_between(first, second)
    norm: dict[str, Any] = {"batch_norm": "recalibrated", "calibration": BATCHES}
    line = curve.evaluate(first, BATCHES, [0.0, 0.5, 1.0], precision="fp32", **norm)
    middle = moved_by_hand(curve, 0.5, first, second)
    assert isinstance(middle[1], nn.BatchNorm2d)
    middle[1].reset_running_stats()
    middle[1].momentum = None
    middle[1].train()(middle[0](IMAGES))
    with torch.no_grad():
        expected = float(nn.functional.cross_entropy(middle.eval()(IMAGES), LABELS))
        ends = [float(nn.functional.cross_entropy(net(IMAGES), LABELS)) for net in (first, second)]
    assert line.loss[1] == pytest.approx(expected, rel=1e-5)
    stored = line.meta["batch_norm"]["stored_ends"]
    assert (stored["alphas"], stored["loss"]) == ([0.0, 1.0], pytest.approx(ends, rel=1e-5))


def test_it_goes_on_in_its_file_and_comes_back_from_its_own(tmp_path: Path) -> None:
    first, second = small_net(), small_net(seed=1)
    curve = curve_between(first, second)
    curve.save(tmp_path / "curve.safetensors")
    again = Curve.load(tmp_path / "curve.safetensors")
    assert (again.kind, dict(again.meta)) == (curve.kind, dict(curve.meta))
    for place in ("start", "bend", "end"):
        one, other = getattr(curve, place), getattr(again, place)
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)
    whole = curve.evaluate(first, BATCHES, [0.0, 0.5, 1.0], precision="fp32")
    curve.evaluate(first, [(IMAGES[:32], LABELS[:32])], [0.0, 0.5, 1.0], path=tmp_path / "c.h5", precision="fp32")
    again.evaluate(first, BATCHES, [0.0, 0.5, 1.0], path=tmp_path / "c.h5", precision="fp32")
    np.testing.assert_array_equal(Line.load(tmp_path / "c.h5").loss, whole.loss)
    other_bend = curve_between(first, second, seed=1)
    with pytest.raises(ValueError, match=r"`path` holds another run \(other directions\)"):
        other_bend.evaluate(first, BATCHES, [0.0, 0.5, 1.0], path=tmp_path / "c.h5", precision="fp32")


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "curve.safetensors"
    curve_between(small_net(), small_net(seed=1)).save(path)
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"curve.safetensors is a damaged curve: its digest says"):
        Curve.load(path)
    with pytest.raises(FileNotFoundError, match="there is no curve"):
        Curve.load(tmp_path / "nothing.safetensors")
    with pytest.raises(ValueError, match=r"`path` must end in .safetensors, got curve.h5"):
        curve_between(small_net(), small_net(seed=1)).save(tmp_path / "curve.h5")


def test_only_the_network_where_it_begins_is_moved_along_it_and_no_further_than_its_ends() -> None:
    first, second = small_net(), small_net(seed=1)
    curve = curve_between(first, second)
    with pytest.raises(ValueError, match=r"`model` must be the network at which the curve begins, but differs in 0"):
        curve.evaluate(second, BATCHES, [0.0, 1.0])
    with pytest.raises(ValueError, match=r"`ts` must be a list of numbers from 0 \(the first network\) to 1"):
        curve.evaluate(first, BATCHES, [0.0, 1.5])


def test_what_is_no_curve_is_refused(unchecked: None) -> None:
    tensors = {"place": torch.zeros(2)}
    with pytest.raises(ValueError, match="`kind` must be bezier or chain, got 'spline'"):
        Curve(kind="spline", start=tensors, bend=tensors, end=tensors, meta={})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must hold the same tensors"):
        Curve(kind="chain", start=tensors, bend={"place": torch.zeros(3)}, end=tensors, meta={})
    with pytest.raises(ValueError, match="`bend` must hold at least one tensor"):
        Curve(kind="chain", start=tensors, bend={}, end=tensors, meta={})


@pytest.mark.parametrize("kind", ["bezier", "chain"])
def test_it_lies_in_its_plane_on_a_true_scale(kind: CurveKind) -> None:
    first, second = small_net(), small_net(seed=1)
    curve = curve_between(first, second, kind)
    (d_alpha, d_beta), (way, bend) = curve.plane(first, points=5, ends=("one", "two"))
    assert (way.labels, way.joined) == (("one", "t 0.25", "t 0.5", "t 0.75", "two"), True)
    assert (bend.labels, bend.joined) == (("bend",), False)
    for name, value in curve.bend.items():
        reached = curve.start[name] + float(bend.alphas[0]) * d_alpha[name] + float(bend.betas[0]) * d_beta[name]
        torch.testing.assert_close(reached, value, atol=1e-5, rtol=1e-5)
    for t, alpha, beta in zip(np.linspace(0, 1, 5), way.alphas, way.betas, strict=True):
        for name, value in curve.point(float(t)).items():
            reached = curve.start[name] + float(alpha) * d_alpha[name] + float(beta) * d_beta[name]
            torch.testing.assert_close(reached, value, atol=1e-5, rtol=1e-5)
    if kind == "chain":  # whose points are its corners
        steps = np.diff([way.alphas, curve.height * way.betas])
        assert np.hypot(*steps).sum() * curve.distance == pytest.approx(curve.length, rel=1e-5)
    norms = [sum(float(one[name].square().sum()) for name in curve.bend) ** 0.5 for one in (d_alpha, d_beta)]
    assert norms == pytest.approx([curve.distance, curve.distance * curve.height], rel=1e-5)
    assert sum(float((d_alpha[name] * d_beta[name]).sum()) for name in curve.bend) == pytest.approx(0, abs=1e-3)


def test_complex_weights_and_weights_that_two_layers_share_move_too(tmp_path: Path) -> None:
    class Turning(nn.Module):
        def __init__(self, angle: float) -> None:
            super().__init__()
            self.turn = nn.Parameter(torch.polar(torch.tensor([1.0]), torch.tensor([angle])))
            self.inner, self.outer = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
            self.outer.weight = self.inner.weight
            nn.init.constant_(self.inner.weight, angle)

        def forward(self, images: Tensor) -> Tensor:
            turned = (images * self.turn).abs()
            return self.outer(self.inner(turned)).expand(-1, 2)

    first, second = Turning(0.0), Turning(np.pi / 2)
    curve = curve_between_any(first, second)
    curve.save(tmp_path / "curve.safetensors")
    assert set(Curve.load(tmp_path / "curve.safetensors").bend) == {"turn", "inner.weight"}
    images = [(torch.ones(4, 1), torch.zeros(4, dtype=torch.int64))]
    line = curve.evaluate(first, images, [0.0, 0.5, 1.0], loss=lambda output, _: output[:, 0], metric=None)
    np.testing.assert_allclose(line.loss, [0, 0.5 * (np.pi / 4) ** 2 * 2**0.5, (np.pi / 2) ** 2], atol=1e-6)
    assert curve.length == pytest.approx(curve.distance) == pytest.approx((2 + (np.pi / 2) ** 2) ** 0.5)


def curve_between_any(first: nn.Module, second: nn.Module) -> Curve:
    """A chain whose bend is in the middle, so that it is the straight line."""
    start, end = ({name: one.detach().clone() for name, one in net.named_parameters()} for net in (first, second))
    bend = {name: (start[name] + end[name]) / 2 for name in start}
    return Curve(kind="chain", start=start, bend=bend, end=end, meta={})
