"""What a file holds is measured again before a run goes on: names alone do not tell what a function does."""

import types
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape._hdf5 import CHECKSUMS
from gradscape.landscape import Surface, evaluate_surface, random_directions
from gradscape.landscape.engine.remeasurement import Remeasurement
from gradscape.landscape.engine.workers import Evaluator, Job
from tests.landscape.networks import images_and_labels, small_net

ALPHAS, BETAS = np.linspace(-1, 1, 9), np.linspace(-1, 1, 7)
ANOTHER = r"`path` holds another run \(measured again at .*\): `loss`, `metric`, `forward` or the network is another"
settings = types.ModuleType("settings")  # a module of the user's: functions that read it have one name and one digest


def _evaluate(path: Path, *, net: nn.Module | None = None, images: int = 100, **options: Any) -> Surface:
    batches = [tuple(part[:images] for part in images_and_labels(100))]
    given: dict[str, Any] = {"batch_size": 16, "population": 1000, **options}
    net = net or small_net()
    return evaluate_surface(net, batches, random_directions(small_net(), seed=0), ALPHAS, BETAS, path=path, **given)


def _assert_refused(path: Path, message: str = ANOTHER, **options: Any) -> None:
    before = path.read_bytes()
    with pytest.raises(ValueError, match=message):
        _evaluate(path, **options)
    assert path.read_bytes() == before


def _scaled(output: Tensor, labels: Tensor) -> Tensor:
    return settings.scale * F.cross_entropy(output, labels, reduction="none")


def _first_of(output: Tensor, labels: Tensor) -> Tensor:
    return (output.topk(settings.k).indices == labels[:, None]).any(dim=1)


def _cropped(model: nn.Module, inputs: Tensor) -> Tensor:
    return model(inputs[..., settings.crop :])


@pytest.mark.slow
def test_another_loss_of_the_same_name_and_code_is_refused_in_every_form(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "scale", 1.0, raising=False)
    whole = _evaluate(tmp_path / "s.h5", loss=_scaled)
    again = _evaluate(tmp_path / "s.h5", loss=_scaled)
    np.testing.assert_array_equal(again.loss, whole.loss)
    monkeypatch.setattr(settings, "scale", 1 + 1e-3)
    _assert_refused(tmp_path / "s.h5", loss=_scaled)
    _assert_refused(tmp_path / "s.h5", loss=_scaled, allow_plan_change=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "function", "name", "values"),
    [("metric", _first_of, "k", (1, 3)), ("forward", _cropped, "crop", (0, 1))],
)
def test_so_are_another_metric_and_another_adapter(
    tmp_path: Path, option: str, function: Callable, name: str, values: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, name, values[0], raising=False)
    options: dict[str, Any] = {option: function}
    _evaluate(tmp_path / "s.h5", **options)
    monkeypatch.setattr(settings, name, values[1])
    _assert_refused(tmp_path / "s.h5", **options)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["graph", "module"], indirect=True)
def test_another_network_with_the_same_weights_is_refused(tmp_path: Path, form: str) -> None:
    _evaluate(tmp_path / "s.h5")
    net = small_net()
    net[4] = nn.LeakyReLU(0.1)
    _assert_refused(tmp_path / "s.h5", net=net)


def test_what_only_shows_in_the_last_images_is_found_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, labels = images_and_labels(100)

    def marked(output: Tensor, labels: Tensor) -> Tensor:
        return (output[:, 0] ** 2) * torch.where(labels == 9, settings.weight, 1.0)

    labels[-1] = 9
    net, axis, batches = small_net(), [0.0, 1.0], [(images_and_labels(100)[0], labels)]
    directions, path = random_directions(net, seed=0), tmp_path / "s.h5"
    monkeypatch.setattr(settings, "weight", 1.0, raising=False)
    evaluate_surface(net, batches, directions, axis, axis, path=path, loss=marked, metric=None)
    monkeypatch.setattr(settings, "weight", 2.0)
    with pytest.raises(ValueError, match=ANOTHER):
        evaluate_surface(net, batches, directions, axis, axis, path=path, loss=marked, metric=None)


@pytest.mark.slow
@pytest.mark.parametrize("change", [1 + 1e-7, 1 + 1e-3])
def test_rounding_of_another_version_goes_on_where_the_plan_may_change(tmp_path: Path, change: float) -> None:
    _evaluate(tmp_path / "s.h5", images=64)
    with h5py.File(tmp_path / "s.h5", "r+") as file:
        file["gradscape/blocks/mean"][...] *= change
        file["gradscape/origin/mean"][...] *= change
        file["train_loss"][...] *= change
        del file.attrs[CHECKSUMS]
    small = change - 1 < 1e-6
    rounded = "`path` holds numbers that another version has rounded otherwise"
    _assert_refused(tmp_path / "s.h5", rounded if small else ANOTHER)
    if small:
        assert (_evaluate(tmp_path / "s.h5", allow_plan_change=True).count == 100).all()


def test_two_points_of_the_first_block_and_one_of_a_batch_a_round_are_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _evaluate(tmp_path / "s.h5")
    found: list[list[Job]] = []
    plain_check, plain_measure = Remeasurement.check, Evaluator.measure

    def check(*given: Any) -> None:
        found.append([])
        plain_check(*given)

    def measure(self: Evaluator, jobs: Iterable[Job]) -> Any:
        asked = list(jobs)
        found[-1] += asked
        return plain_measure(self, asked)

    monkeypatch.setattr(Remeasurement, "check", check)
    monkeypatch.setattr(Evaluator, "measure", measure)
    _evaluate(tmp_path / "s.h5")
    points = [{point for job in jobs for point in job.points} for jobs in found]
    assert points == [{0, 1}, {0}, {0}, {0}]  # the origin and a corner, then the origin
    assert {len(job.batches) for jobs in found for job in jobs} == {1}
