from collections.abc import Sequence
from dataclasses import replace
from unittest.mock import Mock

import numpy as np
import pytest
from torch import nn

from gradscape.landscape.engine import plain_plan
from gradscape.landscape.engine.rounds import Clock, Limits
from gradscape.landscape.engine.staging import Stage, Staging
from gradscape.landscape.estimator import Round
from gradscape.landscape.statistics import BlockStatistics

BLOCK, POINTS = 16, [49, 120, 456]


def _stage(blocks: Sequence[int], *, stderr: float, images: int = 50_000) -> Stage:
    """So many blocks seen by each level; estimates with a range of 1 and one standard error everywhere."""
    seen = blocks[-1] * BLOCK
    count = np.full((blocks[-1], 2), BLOCK)
    variance = stderr**2 / (1 / seen - 1 / images)
    return Stage(
        blocks,
        [number * BLOCK for number in blocks],
        POINTS,
        BlockStatistics(
            count=count,
            mean=np.tile([0.0, 1.0], (blocks[-1], 1)),
            m2=np.full(count.shape, variance * (seen - 1) / blocks[-1]),
            right=np.full(count.shape, np.nan),
            nonfinite=np.zeros_like(count),
            population=images,
        ),
        np.array([0.01, 1e-4, 1e-5]),
    )


def _next(stage: Stage, *, batch: int = 64, limits: Limits, can_return: bool = True, rate: float = 1e4) -> Round | None:
    plan = replace(plain_plan(nn.Linear(1, 1), precision="fp32", batch_size=batch), block_size=BLOCK)
    clock = Mock(spec=Clock)
    clock.images_per_second = rate
    return Staging(50_000, plan, limits, can_return=can_return).next_round(stage, clock)


@pytest.fixture
def hour(monkeypatch: pytest.MonkeyPatch) -> float:
    """The moment an hour from now."""
    monkeypatch.setattr("gradscape.landscape.engine.rounds.time.monotonic", lambda: 0.0)
    return 3600.0


def test_less_than_a_batch_that_is_wanted_is_taken_also_where_time_is_limited(hour: float) -> None:
    stage = _stage([8, 8, 8], stderr=0.01)
    found = {batch: _next(stage, batch=batch, limits=Limits(0.009, hour)) for batch in (64, 512)}
    assert found[64] is not None
    assert found[512] is not None
    assert found[512][1] - found[512][0] == 512 // BLOCK


def test_what_does_not_fit_into_the_time_left_is_not_begun(hour: float) -> None:
    stage = _stage([8, 8, 8], stderr=0.01)
    # A batch of the coarsest level is 64 x 49 passes.
    assert _next(stage, limits=Limits(None, hour), rate=64 * 48 / hour) is None
    assert _next(stage, limits=Limits(None, hour), rate=64 * 50 / hour) == (8, 12, 1)


def test_a_tolerance_that_is_promised_but_not_reached_asks_for_more() -> None:
    stage = _stage([2000, 400, 100], stderr=0.01)
    assert _next(stage, limits=Limits(0.009)) is not None
    # Where images can be had once only, the coarsest level alone can see more.
    once = _next(stage, limits=Limits(0.009), can_return=False)
    assert once is not None
    assert once[2] == 1


def test_where_the_tolerance_is_reached_nothing_is_left_to_do() -> None:
    assert _next(_stage([2000, 400, 100], stderr=0.01), limits=Limits(0.011)) is None
