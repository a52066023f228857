import logging

import pytest
import torch
from torch import nn

from gradscape.landscape import evaluate_surface, random_directions
from gradscape.landscape.engine import pace, run
from gradscape.landscape.engine.ledger import Judgment, Ledger
from gradscape.landscape.engine.pace import Pace


class _Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    clock = _Clock()
    monkeypatch.setattr(pace, "time", clock)
    return clock


def _run(watched: Pace, clock: _Clock, *, images: int, seconds: float, jobs: int) -> None:
    for _ in range(jobs):
        clock.now += seconds
        watched.passed(images)


def test_a_run_that_falls_below_half_its_planned_rate_says_so_once(
    clock: _Clock, caplog: pytest.LogCaptureFixture
) -> None:
    watched = Pace(100.0, batch_size=64)
    _run(watched, clock, images=64, seconds=64 / 60, jobs=41)
    assert not caplog.records, "not quite as fast is no news"
    _run(watched, clock, images=64, seconds=64 / 20, jobs=40)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "slower than planned: 20 images a second instead of 100" in record.getMessage()


def test_what_is_no_full_batch_or_no_evaluation_does_not_count_as_slow(
    clock: _Clock, caplog: pytest.LogCaptureFixture
) -> None:
    watched = Pace(100.0, batch_size=64)
    _run(watched, clock, images=32, seconds=10.0, jobs=10)
    for _ in range(40):
        clock.now += 60.0  # images are loaded
        watched.rest()
        _run(watched, clock, images=64, seconds=64 / 80, jobs=1)
    assert not caplog.records


def test_the_first_pass_in_which_code_may_be_compiled_says_nothing(
    clock: _Clock, caplog: pytest.LogCaptureFixture
) -> None:
    watched = Pace(100.0, batch_size=64)
    _run(watched, clock, images=64, seconds=30.0, jobs=1)
    _run(watched, clock, images=64, seconds=64 / 80, jobs=40)
    assert not caplog.records


def test_the_account_of_a_run_does_not_count_as_slow(
    clock: _Clock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter = Ledger.enter

    def slow(self: Ledger, point: int, first: int, size: int, judgment: Judgment) -> None:
        clock.now += 60.0
        enter(self, point, first, size, judgment)

    monkeypatch.setattr(Ledger, "enter", slow)
    monkeypatch.setattr(run, "Pace", lambda _, batch_size: Pace(100.0, batch_size))
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 3)).eval()
    batches = [(torch.rand(8, 3, 2, 2), torch.arange(8) % 3)]
    evaluate_surface(net, batches, random_directions(net, seed=0), [-1.0, 0.0, 1.0], [0.0, 1.0], batch_size=8)
    assert clock.now > 300.0
    assert not caplog.records


def test_without_a_planned_rate_nothing_is_said(clock: _Clock, caplog: pytest.LogCaptureFixture) -> None:
    _run(Pace(None, batch_size=1), clock, images=1, seconds=100.0, jobs=3)
    assert not caplog.records
