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
