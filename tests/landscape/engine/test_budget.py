from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from gradscape.landscape import Surface, evaluate_surface, random_directions
from gradscape.landscape.engine import Task, Work, budget, plain_plan, plan_trial, trials, trust
from gradscape.landscape.engine.blocks import cut_blocks
from gradscape.landscape.engine.budget import Budget
from gradscape.landscape.engine.graph import TracingError, trace
from gradscape.landscape.engine.plan_trial import module_seconds
from tests.landscape.networks import images_and_labels, small_net

MODULES = 200


def _work(points: int, *, images: int | None = 64, seconds: float | None = None) -> Work:
    return Work(
        model=nn.Sequential(*(nn.Identity() for _ in range(MODULES - 1))),
        directions=[],
        coordinates=np.zeros((points, 2)),
        shape=(1, points - 1),
        task=Task(),
        first=next(cut_blocks([images_and_labels(images or 64)], 32)),
        images=images,
        population=None,
        seconds=seconds,
    )


@pytest.fixture(autouse=True)
def _loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether torch's compiler is loaded depends on the tests before."""
    monkeypatch.setattr(budget, "_FIRST_TRACING", 0.0)


def _pays(work: Work, seconds: float) -> bool:
    return Budget(work, seconds).pays


@pytest.mark.parametrize(("points", "seconds"), [(100, 0.5), (1000, 0.05), (10_000, 0.005)])
def test_tracing_pays_by_the_time_of_the_run_and_not_by_its_passes(points: int, seconds: float) -> None:
    assert _pays(_work(points), seconds)
    assert not _pays(_work(points // 10), seconds)
    assert not _pays(_work(points), seconds / 10)


def test_a_time_limit_changes_nothing_since_the_run_may_go_on() -> None:
    assert _pays(_work(10_000, seconds=0.001), 0.05)


def test_with_no_end_of_images_in_sight_tracing_pays() -> None:
    assert _pays(_work(10, images=None), 0.01)


@pytest.mark.parametrize("known", [True, False])
def test_a_graph_that_was_made_before_only_has_to_be_compared(known: bool) -> None:
    work = _work(50)
    if known:
        work.graphs[work.model] = TracingError("whatever is known")
    assert _pays(work, 0.02) is known


def test_graph_and_module_are_compared_on_few_images_where_all_take_too_long() -> None:
    assert Budget(_work(20), 10.0).compared() == 4
    assert Budget(_work(2000), 10.0).compared() == 32
    assert Budget(_work(2000, images=3), 10.0).compared() == 3


@pytest.mark.parametrize("points", [30, 300, 3000, 30_000])
@pytest.mark.parametrize("seconds", [0.001, 0.05, 2.0])
def test_what_is_spent_beside_tracing_stays_within_a_tenth_of_the_run(points: int, seconds: float) -> None:
    found = Budget(_work(points), seconds)
    spent = 0.0
    while found.take(seconds):
        spent += seconds
    assert spent <= 0.1 * 2 * points * seconds


@pytest.mark.parametrize(("long", "factor"), [(0.5, 8), (0.01, 1)])
def test_a_long_pass_is_measured_on_few_images(long: float, factor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    passed: list[int] = []

    def timed(function: Callable[[], object]) -> float:
        function()
        return long

    class Counted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = small_net()

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            passed.append(len(images))
            return self.net(images)

    monkeypatch.setattr(plan_trial, "undisturbed", timed)
    net = Counted().eval()
    work = Work(net, random_directions(net, seed=0), np.zeros((2, 2)), (1, 1), Task(), _work(2).first, 64, None, None)
    assert module_seconds(work, plain_plan(net, precision="fp32", batch_size=64)) == pytest.approx(factor * long)
    assert passed == ([4, 4] if factor == 8 else [4, 4, 32, 32])


AXIS = np.linspace(-1, 1, 5)


def _surface(monkeypatch: pytest.MonkeyPatch, seconds: float, **options: Any) -> Surface:
    """A surface of 16 points, with 32 images, by a network whose pass seems to take so long."""
    monkeypatch.setattr(trials, "module_seconds", lambda work, plan: seconds)
    net = small_net()
    return evaluate_surface(net, [images_and_labels(32)], random_directions(net, seed=0), AXIS, AXIS[:3], **options)


def test_a_large_network_with_few_images_is_folded_without_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "PlanTrial", None)  # which would fail
    surface = _surface(monkeypatch, 10.0)
    assert (surface.meta["plan"]["traced"], surface.meta["plan"]["memory_format"]) == (True, "channels_last")
    assert surface.meta["plan_notes"]["graph"].endswith("compared on 4 images")
    assert surface.meta["plan_notes"]["form"] == "by rule, since trials would take too long beside the run"
    module = _surface(monkeypatch, 1e-6)
    assert not module.meta["plan"]["traced"]
    assert module.meta["plan_notes"]["graph"] == "the module itself, since tracing it would take longer than it saves"
    np.testing.assert_allclose(surface.loss, module.loss, rtol=1e-5)


def test_a_graph_compared_on_few_images_is_not_trusted_either_where_it_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        trust,
        "trace",
        lambda model, inputs, forward: trace(model, inputs, lambda net, given: 1.01 * forward(net, given)),
    )
    surface = _surface(monkeypatch, 10.0)
    assert surface.meta["plan_notes"]["graph"].endswith("its graph gives other outputs than the module")
    assert not surface.meta["plan"]["traced"]


@pytest.mark.parametrize(("then", "now"), [(10.0, 1e-6), (1e-6, 10.0)])
def test_a_run_goes_on_in_its_form_however_long_a_pass_takes_today(
    then: float, now: float, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, (images, labels) = small_net(), images_and_labels(64)
    directions = random_directions(net, seed=0)

    def evaluate(count: int, name: str, seconds: float) -> Surface:
        monkeypatch.setattr(trials, "module_seconds", lambda work, plan: seconds)
        batches = [(images[:count], labels[:count])]
        return evaluate_surface(
            net, batches, directions, AXIS, AXIS[:3], path=tmp_path / name, population=1000, precision="fp32"
        )

    evaluate(32, "stopped.h5", then)
    resumed = evaluate(64, "stopped.h5", now)
    whole = evaluate_surface(
        net, [(images, labels)], directions, AXIS, AXIS[:3], plan=tmp_path / "stopped.h5", population=1000
    )
    assert resumed.meta["plan"] == whole.meta["plan"]
    assert resumed.meta["plan"]["traced"] == (then >= 1)
    np.testing.assert_array_equal(resumed.blocks.mean, whole.blocks.mean)
