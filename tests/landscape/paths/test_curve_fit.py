"""Fitting a curve: the known best ones are found, nothing else moves, and a stopped fit goes on to the same bits."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from gradscape.landscape import Curve, CurveKind, fit_curve
from gradscape.landscape.engine import Task
from gradscape.landscape.paths.bend_training import BendTraining, EpochBatches, rate_share
from gradscape.landscape.paths.curve_fit import curve_state
from tests.landscape.networks import images_and_labels, small_net
from tests.landscape.paths.rings import RING_BATCHES, Ring, ring_loss

IMAGES, LABELS = images_and_labels(40)
LOADER = DataLoader(TensorDataset(IMAGES, LABELS), 16, shuffle=True)


def fitted(**options: Any) -> Curve:
    return fit_curve(small_net(), small_net(seed=1), LOADER, **{"epochs": 4, **options})


def ring_fit(kind: CurveKind, **options: Any) -> Curve:
    options = {"loss": ring_loss, "learning_rate": 0.02, **options}
    return fit_curve(Ring(1.0, 0.0), Ring(-1.0, 0.0), RING_BATCHES * 50, kind=kind, **options)


@pytest.mark.reference
@pytest.mark.parametrize(("kind", "height"), [("bezier", 3 / 2**0.5), ("chain", 1.5**0.5)])
def test_a_longer_fit_comes_nearer_to_the_best_bend(kind: CurveKind, height: float) -> None:
    x, y = ring_fit(kind, epochs=60).bend["place"].tolist()
    assert (x, abs(y)) == (pytest.approx(0, abs=1e-3), pytest.approx(height, rel=1e-3))


@pytest.mark.parametrize(("kind", "height"), [("bezier", 3 / 2**0.5), ("chain", 1.5**0.5)])
def test_around_a_ring_the_known_best_bend_is_found(kind: CurveKind, height: float) -> None:
    curve = ring_fit(kind, epochs=10)
    x, y = curve.bend["place"].tolist()
    assert (x, abs(y)) == (pytest.approx(0, abs=5e-3), pytest.approx(height, rel=1e-2))
    losses = curve.meta["losses"]
    assert losses[-1] == pytest.approx(2 / 105 if kind == "bezier" else 1 / 12, rel=0.2), "over its last 50 ts"


def test_weight_decay_pulls_the_curve_to_the_origin_as_the_papers_loss_says() -> None:
    curve = ring_fit("chain", epochs=10, weight_decay=0.2)
    # Of the bend (0, y): E (r² − 1)² + 0.1 r², where r² = (1 − s)² + (s y)² for s uniform in [0, 1].
    heights, s = np.linspace(0.5, 1.5, 2001)[:, None], np.linspace(0, 1, 2001)
    squares = (1 - s) ** 2 + (s * heights) ** 2
    best = heights[((squares - 1) ** 2 + 0.1 * squares).mean(1).argmin(), 0]
    assert abs(curve.bend["place"][1].item()) == pytest.approx(best, rel=1e-2)


def test_both_networks_and_the_process_are_the_same_to_the_bit_afterwards() -> None:
    first, second = small_net().train(), small_net(seed=1)
    first[0].weight.requires_grad_(False)
    first[0].bias.grad = torch.ones(6)
    before = [copy.deepcopy(net.state_dict()) for net in (first, second)]
    random_state = torch.get_rng_state()
    with torch.no_grad():
        fit_curve(first, second, LOADER, epochs=1)
    for net, state in zip((first, second), before, strict=True):
        assert all(torch.equal(one, state[name]) for name, one in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random_state)
    assert (first.training, second.training, first[0].weight.requires_grad) == (True, False, False)
    assert torch.equal(first[0].bias.grad, torch.ones(6))


def test_in_half_precision_a_curve_ends_at_the_second_network_itself() -> None:
    torch.manual_seed(0)
    first, second = (nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)).bfloat16() for _ in range(2))
    batches = [(torch.randn(32, 4).bfloat16(), torch.arange(32) % 3)]
    curve = fit_curve(first, second, batches, epochs=1)
    assert all(torch.equal(curve.end[name], one) for name, one in second.named_parameters())


def test_only_the_bend_is_trained_and_the_same_seed_gives_the_same_one() -> None:
    curve, again, other = fitted(), fitted(), fitted(seed=1)
    first, second = small_net(), small_net(seed=1)
    assert curve.bend.keys() == dict(first.named_parameters()).keys()
    assert curve.start.keys() == first.state_dict().keys() - {"1.num_batches_tracked"}
    for name, value in curve.start.items():
        assert torch.equal(value, first.state_dict()[name])
        torch.testing.assert_close(curve.end[name], second.state_dict()[name])
    assert all(torch.equal(one, again.bend[name]) for name, one in curve.bend.items())
    assert not torch.equal(curve.bend["0.weight"], other.bend["0.weight"])
    assert curve.meta["losses"][-1] < curve.meta["losses"][0]


class StoppedError(Exception):
    """What ends a fit in the middle."""


def test_a_fit_that_was_stopped_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    whole = fitted(path=tmp_path / "whole.safetensors", weight_decay=0.01)
    assert not curve_state(tmp_path / "whole.safetensors").exists()

    def stop_after_two(epochs: int, loss: float) -> None:
        if epochs == 2:
            raise StoppedError

    path = tmp_path / "halved.safetensors"
    with pytest.raises(StoppedError):
        fitted(path=path, report=stop_after_two, weight_decay=0.01)
    assert curve_state(path).exists()
    assert not path.exists()
    told: list[int] = []
    fitted(path=path, report=lambda epochs, loss: told.append(epochs), weight_decay=0.01)
    assert told == [3, 4]
    assert path.read_bytes() == (tmp_path / "whole.safetensors").read_bytes()
    curve_state(path).touch()
    fitted(path=path, report=lambda epochs, loss: told.append(epochs), weight_decay=0.01)
    assert told == [3, 4], "a finished one is read"
    assert not curve_state(path).exists()
    with pytest.raises(ValueError, match=r"`path` holds another curve, .*: `epochs` was 4, is 5; choose another"):
        fitted(path=path, epochs=5, weight_decay=0.01)
    assert whole.meta["losses"] == Curve.load(path).meta["losses"]


def test_a_fit_keeps_to_its_time_and_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    fitted(path=tmp_path / "whole.safetensors")
    path = tmp_path / "timed.safetensors"
    for done in (1, 2, 3):
        with pytest.raises(TimeoutError, match=rf"is fitted for {done} of 4 epochs, and the same again goes on"):
            fitted(path=path, seconds=1e-6)
        assert not path.exists()
    fitted(path=path, seconds=1e-6)
    assert path.read_bytes() == (tmp_path / "whole.safetensors").read_bytes()
    fitted(path=tmp_path / "enough.safetensors", seconds=3600.0)


def test_a_time_needs_a_file_to_go_on_from(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`seconds` may end a fit early, which goes on from a file: pass a `path`"):
        fitted(seconds=60.0)
    for seconds in (0.0, float("nan")):
        with pytest.raises(ValueError, match=f"`seconds` must be positive, got {seconds}"):
            fitted(path=tmp_path / "curve.safetensors", seconds=seconds)


def test_a_state_of_another_fit_or_none_at_all_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "curve.safetensors"

    def stop(epochs: int, loss: float) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        fitted(path=path, report=stop)
    with pytest.raises(ValueError, match=r"`path` holds another curve, .*curve.ckpt: `kind` was bezier, is chain"):
        fitted(path=path, kind="chain")
    curve_state(path).write_bytes(b"something else")
    with pytest.raises(ValueError, match=r"`path` must have a state to go on from beside it, but .*remove it"):
        fitted(path=path)


def test_dropout_and_shuffled_batches_follow_from_the_seed_alone(tmp_path: Path) -> None:
    def between(**options: Any) -> Curve:
        nets = [nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(105, 5)) for _ in range(2)]
        for number, net in enumerate(nets):
            nn.init.constant_(net[2].weight, number)  # type: ignore[arg-type]
            nn.init.zeros_(net[2].bias)  # type: ignore[arg-type]
        return fit_curve(nets[0], nets[1], LOADER, epochs=3, **options)

    torch.manual_seed(1)
    whole = between()
    torch.manual_seed(2)

    def stop(epochs: int, loss: float) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        between(path=tmp_path / "curve.safetensors", report=stop)
    torch.manual_seed(3)
    assert torch.equal(between(path=tmp_path / "curve.safetensors").bend["2.weight"], whole.bend["2.weight"])


def test_batches_without_a_length_are_iterated_once_an_epoch() -> None:
    class Stream:
        begun = 0

        def __iter__(self) -> Iterator[Any]:
            self.begun += 1
            yield IMAGES[:20], LABELS[:20]
            yield IMAGES[20:], LABELS[20:]

    stream = Stream()
    listed = fit_curve(small_net(), small_net(seed=1), [*Stream()], epochs=2)
    streamed = fit_curve(small_net(), small_net(seed=1), stream, epochs=2)
    assert all(torch.equal(one, listed.bend[name]) for name, one in streamed.bend.items())
    assert stream.begun == 3, "and once before, for the first images"


def test_the_points_of_a_run_are_spread_evenly_over_the_curve() -> None:
    curve = fitted(epochs=1)

    def training_of(seed: int) -> BendTraining:
        fit = {"learning_rate": 1.0, "weight_decay": 0.0, "epochs": 1, "seed": seed}
        return BendTraining(curve, small_net(), task=Task(), fit=fit)

    training = training_of(3)
    ts = np.sort([training.t_at(step) for step in range(100)])
    assert ((ts >= 0) & (ts < 1)).all()
    assert np.diff(ts).max() < 0.03
    assert len({training_of(seed).t_at(0) for seed in range(5)}) == 5


def test_the_learning_rate_falls_as_in_the_papers_code() -> None:
    assert [rate_share(done) for done in (0.0, 0.5, 0.7, 0.9, 1.0)] == pytest.approx([1, 1, 0.505, 0.01, 0.01])


def test_an_epochs_batches_are_the_same_whenever_it_begins() -> None:
    def labels_of(batches: EpochBatches) -> list[int]:
        return [int(label) for _, labels in batches for label in labels]

    labelled = DataLoader(TensorDataset(IMAGES, torch.arange(40)), 16, shuffle=True)
    running = EpochBatches(labelled, seed=5, epoch=0)
    first, second = labels_of(running), labels_of(running)
    assert first != second
    assert labels_of(EpochBatches(labelled, seed=5, epoch=1)) == second
    assert sorted(first) == list(range(40))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "`epochs` must be 1 or more, got 0"),
        ({"seed": -1}, "`seed` must be 0 or more, got -1"),
        ({"learning_rate": 0.0}, "`learning_rate` must be positive, got 0.0"),
        ({"weight_decay": -1.0}, "`weight_decay` must be 0 or more, got -1.0"),
        ({"kind": "spline"}, "`kind` must be bezier or chain, got 'spline'"),
        ({"path": "curve.pt"}, r"`path` must end in .safetensors, got curve.pt"),
        ({"loss": lambda output, labels: output.sum()}, "`loss` must give one number per image"),
    ],
)
def test_what_makes_no_fit_is_refused(options: dict[str, Any], message: str, unchecked: None) -> None:
    with pytest.raises(ValueError, match=message):
        fitted(**options)


def test_networks_of_two_architectures_are_refused() -> None:
    with pytest.raises(ValueError, match="`other` must have the tensors of `model`; these differ: 7"):
        fit_curve(small_net(), small_net(classes=6), LOADER)


def test_networks_that_differ_in_more_than_tensors_or_do_not_follow_them_are_refused() -> None:
    class Cached(nn.Module):
        def __init__(self, seed: int) -> None:
            super().__init__()
            self.inner = small_net(seed=seed)
            self.kept: list[Tensor] = []

        def forward(self, images: Tensor) -> Tensor:
            head = self.inner[7]
            assert isinstance(head, nn.Linear)
            self.kept = self.kept or [head.weight.detach()]
            return nn.functional.linear(self.inner[:7](images), self.kept[0], head.bias)

    steeper = small_net(seed=1)
    steeper[1].eps = 0.5  # type: ignore[assignment]
    for first, second in ((small_net(), steeper), (Cached(0), Cached(1))):
        with pytest.raises(ValueError, match="`model` must compute what `other` does when it has its tensors, but at"):
            fit_curve(first, second, LOADER, epochs=1)


def test_batches_that_end_are_refused() -> None:
    with pytest.raises(TypeError, match="`batches` must be batches that can be iterated every epoch, got a generator"):
        fit_curve(small_net(), small_net(seed=1), (pair for pair in LOADER))
    with pytest.raises(ValueError, match="`batches` must hold at least one image"):
        fit_curve(small_net(), small_net(seed=1), [])


def test_a_loss_that_is_no_longer_finite_ends_the_fit_and_leaves_the_networks() -> None:
    class Exploding(Ring):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images) + (torch.inf if self.training else 0.0)

    first, second = Exploding(1.0, 0.0), Exploding(-1.0, 0.0)
    with pytest.raises(RuntimeError, match="the loss on the curve is inf in epoch 1, step 1; try a `learning_rate`"):
        fit_curve(first, second, RING_BATCHES, loss=ring_loss)
    assert first.place.tolist() == [1.0, 0.0]
    assert first.place.grad is None
