"""Running statistics that stay, move or are measured anew: against torch's own averages, and a plain loop."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import update_bn

from gradscape.landscape import (
    Line,
    Surface,
    difference_direction,
    evaluate_line,
    evaluate_surface,
    random_directions,
)
from gradscape.landscape.batch_norm import check_batch_norm, recalibrated
from gradscape.landscape.engine import Recalibration
from gradscape.landscape.evaluate import estimate_grid
from gradscape.landscape.options import Options
from tests.landscape.forms import choose
from tests.landscape.networks import images_and_labels

DATA = [images_and_labels(75)]
CALIBRATION = [images_and_labels(510, seed=5)]  # three batches of 170
ALPHAS = [-0.25, 0.0, 0.5, 1.0, 1.5]
RECALIBRATED: dict[str, Any] = {"batch_norm": "recalibrated", "calibration": CALIBRATION}


def net(seed: int = 0) -> nn.Sequential:
    """Norms before and behind convolutions (one cannot be folded), a dropout between, uneven statistics."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = nn.Sequential(
            nn.BatchNorm2d(3),
            nn.ReLU(),
            nn.Conv2d(3, 6, 3, padding=1),
            nn.BatchNorm2d(6, momentum=0.5),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Conv2d(6, 4, 3),
            nn.BatchNorm2d(4, momentum=None),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4, 5),
        )
        made.train()(torch.randn(20, 3, 5, 7))
    return made.eval()


def bits(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def assert_same_bits(model: nn.Module, before: dict[str, Tensor]) -> None:
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def without_dropout(model: nn.Module) -> nn.Module:
    copied = copy.deepcopy(model)
    for module in copied.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return copied


def plain_losses(
    first: nn.Module, second: nn.Module, alphas: list[float], images: Tensor, labels: Tensor
) -> np.ndarray:
    """Weights in a straight line, statistics by torch's `update_bn`, at every point."""
    losses = []
    for alpha in alphas:
        moved = without_dropout(first)
        with torch.no_grad():
            for here, there in zip(moved.parameters(), second.parameters(), strict=True):
                here.add_(there - here, alpha=alpha)
        update_bn(list(CALIBRATION[0][0].split(170)), moved)
        with torch.no_grad():
            losses.append(F.cross_entropy(moved.eval()(images), labels).item())
    return np.array(losses)


def test_statistics_are_those_of_torchs_update_bn_to_the_bit_and_the_model_is_as_before() -> None:
    model, oracle = net(), without_dropout(net())
    update_bn(list(CALIBRATION[0][0].split(170)), oracle)
    before, modes = bits(model), [module.training for module in model.modules()]
    with recalibrated(
        model, [tuple(part[:101] for part in CALIBRATION[0]), tuple(part[101:] for part in CALIBRATION[0])]
    ):
        found = bits(model)
        assert [module.training for module in model.modules()] == modes
    for name, tensor in oracle.state_dict().items():
        assert name.endswith("tracked") or torch.equal(found[name], tensor), name
    assert_same_bits(model, before)
    assert [module.momentum for module in model if isinstance(module, nn.BatchNorm2d)] == [0.1, 0.5, None]
    with pytest.raises(RuntimeError, match="mine"), recalibrated(model.train(), CALIBRATION):
        raise RuntimeError("mine")
    assert_same_bits(model, before)
    assert model.training


def test_statistics_of_one_norm_are_the_averages_of_what_numpy_finds_in_equal_batches() -> None:
    model = nn.Sequential(nn.BatchNorm1d(2))
    values = torch.arange(1002.0).reshape(501, 2) ** 1.5
    parts = [values[:167], values[167:334], values[334:]]
    with recalibrated(model, [(values, values)]):
        mean, variance = (tensor.clone() for tensor in list(model.buffers())[:2])
    np.testing.assert_allclose(mean, np.mean([np.mean(part.numpy(), axis=0) for part in parts], axis=0), rtol=1e-6)
    expected = np.mean([np.var(part.double().numpy(), axis=0, ddof=1) for part in parts], axis=0)
    np.testing.assert_allclose(variance, expected, rtol=1e-6)


@pytest.mark.parametrize("form", ["module", "graph"])
def test_a_line_is_what_a_plain_loop_with_update_bn_finds(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    choose(form, monkeypatch)
    first, second = net(), net(1)
    before = bits(first)
    line = evaluate_line(first, DATA, difference_direction(first, second), ALPHAS, precision="fp32", **RECALIBRATED)
    assert line.meta["plan"]["traced"] == (form == "graph"), line.meta["plan_notes"]
    np.testing.assert_allclose(line.loss, plain_losses(first, second, ALPHAS, *DATA[0]), rtol=1e-5)
    np.testing.assert_allclose(line.origin.loss, line.loss[1], rtol=1e-9)
    assert_same_bits(first, before)
    stored = line.meta["batch_norm"]
    assert (stored["statistics"], stored["images"], stored["batches"]) == ("recalibrated", 510, 3)
    with torch.no_grad():
        own = [F.cross_entropy(model(DATA[0][0]), DATA[0][1]).item() for model in (first, second)]
    np.testing.assert_allclose(stored["stored_ends"]["loss"], own, rtol=1e-5)
    assert (stored["stored_ends"]["alphas"], stored["stored_ends"]["images"]) == ([0, 1], 75)
    assert np.abs(line.loss[[1, 3]] - own).max() > 1e-3, "recalibration moves the ends"


def test_a_surface_is_recalibrated_too_and_tells_the_network_as_it_is(tmp_path: Path) -> None:
    model = net()
    directions = random_directions(model, seed=0)
    path = tmp_path / "surface.h5"
    evaluate_surface(model, DATA, directions, [-0.5, 0.75], [0.25], path=path, **RECALIBRATED)
    surface, moved = Surface.load(path), without_dropout(model)
    with torch.no_grad():
        for name, tensor in moved.named_parameters():
            tensor.add_(0.75 * directions[0][name] + 0.25 * directions[1][name])
        own = F.cross_entropy(model(DATA[0][0]), DATA[0][1]).item()
        with recalibrated(moved, CALIBRATION):
            expected = F.cross_entropy(moved(DATA[0][0]), DATA[0][1]).item()
    np.testing.assert_allclose(surface.loss[0, 1], expected, rtol=1e-5)
    np.testing.assert_allclose(surface.meta["batch_norm"]["stored_ends"]["loss"], [own], rtol=1e-6)


def test_stored_statistics_stay_also_where_directions_move_them() -> None:
    first, second = net(), net(1)
    states, weights = (difference_direction(first, second, space=space) for space in ("states", "weights"))
    alphas = ALPHAS[1:4]
    lines = {
        "stored": evaluate_line(first, DATA, states, alphas, batch_norm="stored"),
        "weights": evaluate_line(first, DATA, weights, alphas),
        "moving": evaluate_line(first, DATA, states, alphas, batch_norm="moving"),
        "states": evaluate_line(first, DATA, states, alphas),
    }
    np.testing.assert_array_equal(lines["stored"].loss, lines["weights"].loss)
    np.testing.assert_array_equal(lines["moving"].loss, lines["states"].loss)
    assert lines["stored"].loss[1] != lines["moving"].loss[1]
    said = {name: line.meta["batch_norm"] for name, line in lines.items()}
    assert [said[name]["statistics"] for name in lines] == ["stored", "stored", "moving", "moving"]
    plain = nn.Sequential(nn.Flatten(), nn.Linear(105, 5))
    line = evaluate_line(plain, DATA, random_directions(plain, seed=0)[0], [0.0], batch_norm="stored")
    assert line.meta["batch_norm"] == {"statistics": "none"}


class _Merging(nn.Module):
    """Merges its norm into its convolution for `eval()`, and takes it out again for training."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5)

    def train(self, mode: bool = True) -> "_Merging":
        return super().train(mode)

    def forward(self, images: Tensor) -> Tensor:
        found = self.convolution(images)
        return (self.norm(found) if self.training else found).mean((2, 3))


@pytest.mark.parametrize(
    ("model", "options", "said"),
    [
        (net, {"batch_norm": "recalibrated"}, '`calibration` must be given where `batch_norm` is "recalibrated"'),
        (net, {"calibration": CALIBRATION}, '`calibration` is what `batch_norm`="recalibrated" measures on'),
        (net, {"batch_norm": "moving"}, "needs directions that move running statistics of the model: make these with"),
        (net, {**RECALIBRATED, "calibration": [images_and_labels(1)]}, "`calibration` must hold at least two images"),
        (net, {**RECALIBRATED, "calibration": []}, "`calibration` must hold at least one image"),
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(105, 5)), RECALIBRATED, "there is nothing to recalibrate"),
        (
            lambda: nn.Sequential(nn.Flatten(), nn.Linear(105, 5)),
            {"batch_norm": "moving"},
            "it has none, so leave this out",
        ),
        (
            lambda: nn.Sequential(nn.InstanceNorm2d(3, track_running_stats=True), *net()),
            RECALIBRATED,
            r"other running statistics than those of batch norms \(0.running_mean\)",
        ),
        (_Merging, RECALIBRATED, "where batch norms do not run in eval"),
    ],
)
def test_what_cannot_be_recalibrated_is_refused(model: Callable[[], nn.Module], options: Any, said: str) -> None:
    made = model().eval()
    with pytest.raises(ValueError, match=said):
        evaluate_line(made, DATA, random_directions(made, seed=0)[0], [0.0, 1.0], **options)


def test_an_unknown_treatment_is_refused() -> None:
    with pytest.raises(ValueError, match="`batch_norm` must be one of stored, moving, recalibrated, got 'moved'"):
        check_batch_norm("moved", calibrated=False)


def test_frozen_norms_are_constants_and_go_along() -> None:
    from torchvision.ops import FrozenBatchNorm2d

    def made(mean: float) -> nn.Sequential:
        frozen = FrozenBatchNorm2d(3)
        frozen.get_buffer("running_mean").fill_(mean)
        return nn.Sequential(frozen, net()).eval()

    first, second = made(0.0), made(2.0)
    line = evaluate_line(first, DATA, difference_direction(first, second), [0.0, 1.0], **RECALIBRATED)
    with torch.no_grad(), recalibrated(second, CALIBRATION):
        expected = F.cross_entropy(second(DATA[0][0]), DATA[0][1]).item()
    np.testing.assert_allclose(line.loss[1], expected, rtol=1e-5)


def test_going_on_gives_the_same_bits_and_other_images_or_treatments_are_refused(tmp_path: Path) -> None:
    first, second = net(), net(1)
    direction, path = difference_direction(first, second), tmp_path / "line.h5"
    images, labels = images_and_labels(150)

    def evaluate(count: int, file: Path | None, **options: Any) -> Line:
        batches = [(images[:count], labels[:count])]
        given = {**RECALIBRATED, "precision": "fp32", "population": 1000, **options}
        return evaluate_line(first, batches, direction, ALPHAS, path=file, batch_size=32, **given)

    evaluate(64, path)
    whole = evaluate(150, None)
    for other in (
        {"calibration": [images_and_labels(509, seed=5)]},
        {"batch_norm": "stored", "calibration": None},
    ):
        with pytest.raises(ValueError, match=r"`path` holds another run \(other batch norm or calibration images\)"):
            evaluate(150, path, **other)
    resumed = evaluate(150, path)
    for name in ("count", "mean", "m2", "right"):
        np.testing.assert_array_equal(getattr(resumed.blocks, name), getattr(whole.blocks, name))
    assert Line.load(path).meta["batch_norm"] == whole.meta["batch_norm"]


def test_statistics_that_do_not_fit_into_memory_are_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from gradscape.landscape.engine import recalibration

    first, second = net(), net(1)
    direction, measured = difference_direction(first, second), list[int]()
    plain = Recalibration.measured

    def counted(calibration: Recalibration, model: nn.Module) -> dict[str, Tensor]:
        measured.append(1)
        return plain(calibration, model)

    monkeypatch.setattr(Recalibration, "measured", counted)

    def evaluate() -> Line:
        measured.clear()
        return evaluate_line(first, [images_and_labels(150)], direction, ALPHAS, **RECALIBRATED)

    kept = evaluate()
    assert len(measured) == len(ALPHAS), "once a point, in all rounds; the origin is one of the points"
    monkeypatch.setattr(recalibration, "_HELD_BYTES", 0)
    np.testing.assert_array_equal(evaluate().loss, kept.loss)
    assert len(measured) > 2 * len(ALPHAS)


def test_an_estimate_counts_calibration() -> None:
    model = net()
    axes = {"alphas": np.linspace(0, 1, 1001)}
    found = estimate_grid(
        model, [images_and_labels(2)], [random_directions(model, seed=0)[0]], axes=axes, options=Options(**RECALIBRATED)
    )
    assert found.seconds > 1002 * 2 * found.each


@pytest.mark.slow
def test_between_two_trained_networks_recalibration_gives_the_published_line(test_data: Path) -> None:
    """Reference: 512 first training images, recalibrated on the first 2,000, cumulative average, batches of 250."""
    from gradscape.models import create_model
    from gradscape.models.foreign_state import foreign_state

    nets = []
    for file in ("akamaster-resnet20-12fca82f.th", "zheng-resnet20-model.th"):
        net = create_model("resnet20", num_classes=10, image_size=32)
        net.load_state_dict(foreign_state(test_data / "checkpoints" / file, net))
        nets.append(net.eval())
    first, second = nets
    with np.load(test_data / "cifar10" / "cifar10_train4000_lossless.npz") as file:
        pixels, labels = (torch.from_numpy(file[name][:2000]) for name in ("images", "labels"))
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    images = (pixels.permute(0, 3, 1, 2) / 255 - mean) / std
    batches, direction = [(images[:512], labels[:512])], difference_direction(first, second)
    line = evaluate_line(
        first,
        batches,
        direction,
        [0.0, 0.5, 1.0],
        precision="fp32",
        batch_norm="recalibrated",
        calibration=[(images, labels)],
    )
    np.testing.assert_allclose(line.loss, [0.0750725, 3.63729641, 0.05995669], rtol=1e-4)
    np.testing.assert_allclose(line.error, [0.0234375, 0.83398438, 0.02148438], atol=1e-6)
    barrier = line.loss[1] - (line.loss[0] + line.loss[2]) / 2
    np.testing.assert_allclose(barrier, 3.5698, rtol=1e-3)
    np.testing.assert_allclose(line.meta["batch_norm"]["stored_ends"]["loss"], [0.0034785, 0.00543583], rtol=1e-3)
