import time
from collections.abc import Iterator
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape.landscape import Progress, Surface, evaluate_surface, random_directions
from gradscape.landscape.engine import trials
from gradscape.landscape.statistics import UNKNOWN_POPULATION
from tests.landscape.networks import images_and_labels, small_net

AXIS = np.linspace(-1, 1, 13)


@pytest.fixture(autouse=True)
def _no_form_by_timing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forms of a tiny network differ in a bit, and a trial's timing would decide between them."""
    monkeypatch.setattr(trials, "_TINY", 0.0)


class _Slow:
    """Cross-entropy that takes its time: so many seconds a call."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __call__(self, output: Tensor, labels: Tensor) -> Tensor:
        time.sleep(self.seconds)
        return F.cross_entropy(output, labels, reduction="none")


def _surface(images: int = 400, **options: object) -> Surface:
    net = small_net()
    settings: dict = {"batch_size": 32, "population": 100_000, **options}
    data = [images_and_labels(images)]
    return evaluate_surface(net, data, random_directions(net, seed=0), AXIS, AXIS[::2], **settings)


def test_previews_go_from_a_coarse_grid_over_the_whole_to_more_images(monkeypatch: pytest.MonkeyPatch) -> None:
    from gradscape.landscape.engine import rounds

    monkeypatch.setattr(rounds, "_PREVIEW_SECONDS", 0.0)
    monkeypatch.setattr(rounds, "_SHARE", 0)
    seen: list[Surface] = []
    whole = _surface(preview=seen.append)
    counts = [sorted(set(surface.count.ravel().tolist())) for surface in seen]
    assert counts == [[0, 32], [32], [64], [128], [256], [400]]
    coarse = seen[0].count > 0
    assert coarse.sum() == 11 * 7
    assert np.isnan(seen[0].loss[~coarse]).all()
    assert seen[0].loss_stderr[coarse].min() > seen[-1].loss_stderr.max() / 2
    np.testing.assert_array_equal(seen[-1].loss, whole.loss)
    np.testing.assert_array_equal(seen[1].loss[coarse], seen[0].loss[coarse])


def test_the_first_coarse_grid_is_shown_however_soon_it_is_there() -> None:
    seen: list[Surface] = []
    _surface(preview=seen.append)
    assert (seen[0].count > 0).sum() == 11 * 7


def test_a_tolerance_stops_after_the_round_that_meets_it() -> None:
    images, labels = images_and_labels(4000)
    model = nn.Sequential(nn.Flatten(), nn.Linear(105, 5)).eval()
    directions = random_directions(model, seed=0, ignore="none")

    def shares(surface: Surface) -> float:
        return float(np.median(surface.loss_stderr) / np.ptp(surface.loss))

    options: dict = {"batch_size": 32, "population": 10**6}
    surface = evaluate_surface(model, [(images, labels)], directions, AXIS, AXIS, tolerance=0.2, **options)
    (found,) = set(surface.count.ravel().tolist())
    assert 64 < found < 4000
    assert shares(surface) <= 0.2
    half = [(images[: found // 2], labels[: found // 2])]
    assert shares(evaluate_surface(model, half, directions, AXIS, AXIS, **options)) > 0.2


def test_the_time_stops_after_a_whole_round_that_fits() -> None:
    began = time.monotonic()
    surface = _surface(4000, loss=_Slow(0.005), seconds=4.0, precision="fp32")
    (found,) = set(surface.count.ravel().tolist())
    assert 32 <= found < 4000
    assert time.monotonic() - began < 12


def test_when_the_time_is_up_at_once_every_point_has_its_first_images() -> None:
    surface = _surface(loss=_Slow(0.005), seconds=1e-3)
    assert (surface.count == 32).all()


@pytest.mark.slow
def test_what_was_stopped_goes_on_to_the_same_numbers(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("run") / "s.h5"
    _surface(path=path, seconds=1e-3, precision="fp32")
    assert (Surface.load(path).count == 32).all()
    resumed = _surface(path=path, precision="fp32")
    np.testing.assert_array_equal(resumed.loss, _surface(precision="fp32").loss)


def test_images_of_unknown_number_are_never_all_until_they_end() -> None:
    class Stream:
        def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
            yield images_and_labels(150)

    net = small_net()
    directions = random_directions(net, seed=0)
    stopped = evaluate_surface(net, Stream(), directions, AXIS, AXIS, seconds=1e-3, batch_size=32)
    assert stopped.meta["population"] == UNKNOWN_POPULATION
    assert (stopped.loss_stderr > 0).all()
    complete = evaluate_surface(net, Stream(), directions, AXIS, AXIS, batch_size=32)
    assert complete.meta["population"] == 150
    assert (complete.loss_stderr == 0).all()


def test_progress_tells_the_images_that_every_point_has() -> None:
    reports: list[Progress] = []
    _surface(report=reports.append)
    assert reports[-1].images == 400
    assert reports[-1].done == reports[-1].total == 1 + 13 * 7


@pytest.mark.parametrize("name", ["tolerance", "seconds"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_limits_must_be_positive(name: Literal["tolerance", "seconds"], value: float) -> None:
    with pytest.raises(ValueError, match=f"`{name}` must be positive"):
        _surface(400, **{name: value})


@pytest.mark.slow
def test_every_form_gives_the_same_blocks_to_rounding(form: str) -> None:
    surface, one = _surface(precision="fp32"), small_net()
    assert surface.meta["plan"]["traced"] == (form != "module")
    assert surface.meta["plan"]["points_per_forward"] == (3 if form == "side by side" else 1)
    images, labels = images_and_labels(400)
    with torch.no_grad():
        losses = F.cross_entropy(one(images), labels, reduction="none").double().numpy()
    means = [losses[start : start + 32].mean() for start in range(0, 400, 32)]
    np.testing.assert_allclose(surface.origin.mean, means, rtol=1e-6)
