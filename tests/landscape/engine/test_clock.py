"""Rates and times left, whatever the clock does."""

import math

import pytest

from gradscape.landscape.engine import rounds
from gradscape.landscape.engine.ledger import Ledger
from gradscape.landscape.engine.pace import Pace
from gradscape.landscape.engine.rounds import Clock, Limits, Progress


@pytest.mark.parametrize("leap", [1e9, -1e9, 0.0])
def test_a_clock_that_leaps_makes_no_rate_negative_and_no_time_endless(
    leap: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A laptop that was closed for a night, or a virtual machine that was moved."""
    now, told = [1000.0], list[Progress]()
    monkeypatch.setattr(rounds.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(rounds.time, "time", lambda: pytest.fail("the wall clock may be set at any time"))
    limits = Limits(None, 1060.0)
    clock = Clock(5, 40, Ledger(5, 40), limits, pace=Pace(None, 8), save=None, report=told.append, preview=None)
    with clock:
        for _ in range(3):
            now[0] += 1.0
            clock.tick(10, 10)
        now[0] += leap
        clock.tick(10, 10)
        assert 0 <= limits.images(32, clock, 8) <= 32
    assert told
    for progress in told:
        assert 0 <= progress.points_per_second < math.inf
        assert 0 <= progress.seconds_left < math.inf


def test_time_left_counts_the_calibration_of_points_to_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 10 points with 8 images and 100 of calibration each, one was done in 27 s: 4 images a second."""
    now, told = [0.0], list[Progress]()
    monkeypatch.setattr(rounds.time, "monotonic", lambda: now[0])
    limits = Limits(None, 27.0 + 250.0)
    clock = Clock(
        10, 8, Ledger(10, 8), limits, pace=Pace(None, 8), save=None, report=told.append, preview=None, calibration=100
    )
    with clock:
        now[0] = 27.0
        assert clock.calibrated([0])
        assert not clock.calibrated([0])
        clock.tick(8, 8)
        assert clock.images_per_second == 4.0
        assert clock.calibrating_left == 900
        # In 250 s 1000 images go through the network: 900 of calibration, and 10 at each of the points.
        assert limits.images(32, clock, 2) == 10
    assert told[0].seconds_left == (9 * 8 + 900) / 4
    assert told[0].points_per_second == pytest.approx(1 / 27)
