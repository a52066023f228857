import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gradscape.landscape import Surface, estimate_seconds, evaluate_surface, random_directions
from gradscape.landscape.engine import budget, plan_trial, trials, trust
from gradscape.landscape.engine.graph import trace
from gradscape.landscape.rounding import Rounding, describe_precision
from tests.landscape.forms import trace_whatever_it_costs
from tests.landscape.networks import images_and_labels, small_net

AXIS = np.linspace(-1, 1, 5)


@pytest.fixture(autouse=True)
def _traces_whatever_it_is_worth(monkeypatch: pytest.MonkeyPatch) -> None:
    trace_whatever_it_costs(monkeypatch)
    monkeypatch.setattr(trials, "_TINY", 0.0)


def _surface(model: nn.Module, *, images: int = 64, **options: Any) -> Surface:
    data = [tuple(tensor[:images] for tensor in images_and_labels(200))]
    return evaluate_surface(model, data, random_directions(model, seed=0), AXIS, AXIS[:3], **options)


class _ByData(nn.Module):
    """Python decides by the images; the outputs do not."""

    def __init__(self) -> None:
        super().__init__()
        self.net = small_net()

    def forward(self, images: Tensor) -> Tensor:
        return self.net(images) if images.sum() > 0 else self.net(images) + 0.0


def test_a_model_that_cannot_be_traced_is_evaluated_as_it_is_and_the_reason_is_kept() -> None:
    surface = _surface(_ByData())
    assert not surface.meta["plan"]["traced"]
    assert "the graph cannot be used" in surface.meta["plan_notes"]["graph"]
    assert surface.origin.loss == pytest.approx(_surface(small_net()).origin.loss, rel=1e-5)


def test_a_graph_that_gives_other_outputs_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    def other(model: nn.Module, inputs: Any, forward: Any) -> Any:
        return trace(model, inputs, lambda module, given: 1.01 * forward(module, given))

    monkeypatch.setattr(trust, "trace", other)
    surface = _surface(small_net())
    assert surface.meta["plan_notes"]["graph"].endswith("its graph gives other outputs than the module")
    assert not surface.meta["plan"]["traced"]


def test_operators_that_fail_are_a_reason_not_to_use_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(module: Any) -> int:
        raise RuntimeError("no such operator")

    monkeypatch.setattr("gradscape.landscape.engine.network.can_fuse", lambda module: True)
    monkeypatch.setattr("gradscape.landscape.engine.network.fuse_operators", failing)
    assert "no such operator" in _surface(small_net()).meta["plan_notes"]["graph"]


@pytest.mark.parametrize("population", [None, 1000])
def test_fp32_is_taken_where_nobody_asked_otherwise(population: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "_OTHER_FORM", 0.0)
    monkeypatch.setattr(trials, "MOST_ROUNDING", 1e9)
    assert _surface(small_net(), population=population).meta["plan"]["precision"] == "fp32"


@pytest.mark.slow
@pytest.mark.parametrize("population", [None, 1000])
def test_the_error_of_bf16_is_measured_and_told(population: int | None) -> None:
    surface, exact = (_surface(small_net(), population=population, precision=name) for name in ("bf16", "fp32"))
    assert surface.meta["plan"]["precision"] == "bf16"
    rounding = Rounding(**surface.meta["plan_notes"]["rounding"])
    said = (
        f"{rounding.share(64, 1000):.2g} standard errors"
        if population
        else f"{rounding.bound(64):.2g} deviations of the image losses"
    )
    assert said in surface.meta["plan_notes"]["precision"]
    assert (np.abs(surface.loss - exact.loss) <= surface.loss_rounding).all()


@pytest.mark.slow
@pytest.mark.parametrize("untraceable", [True, False])
@pytest.mark.parametrize("population", [None, 1000])
def test_the_error_of_bf16_is_told_also_where_nothing_is_traced(
    untraceable: bool, population: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not untraceable:
        monkeypatch.setattr(budget, "_PAYS_BACK", math.inf)
    net = _ByData() if untraceable else small_net()
    surface = _surface(net, population=population, precision="bf16", path=tmp_path / "s.h5")
    exact = _surface(net, population=population)
    assert (surface.meta["plan"]["precision"], surface.meta["plan"]["traced"]) == ("bf16", False)
    assert float(np.max(np.abs(surface.loss - exact.loss))) > 0
    assert (np.abs(surface.loss - exact.loss) <= surface.loss_rounding).all()
    assert "off by at most" in describe_precision(surface.meta)
    resumed = _surface(net, images=96, population=population, precision="bf16", path=tmp_path / "s.h5")
    assert resumed.meta["plan_notes"]["rounding"] == surface.meta["plan_notes"]["rounding"]


def test_a_bf16_surface_does_not_go_on_to_where_its_error_would_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _surface(small_net(), population=1000, path=tmp_path / "s.h5", precision="bf16")
    monkeypatch.setattr(trials, "MOST_ROUNDING", 1e-9)
    with pytest.raises(ValueError, match="`path` holds a bf16 surface, whose error would be"):
        _surface(small_net(), images=90, population=1000, path=tmp_path / "s.h5")
    asked = _surface(small_net(), images=90, population=1000, path=tmp_path / "s.h5", precision="bf16")
    assert (asked.count == 90).all()


@pytest.mark.parametrize("batch_size", [0, -3])
def test_a_batch_has_images(batch_size: int) -> None:
    with pytest.raises(ValueError, match="`batch_size` must be at least 1"):
        _surface(small_net(), batch_size=batch_size)


def test_the_batch_that_is_found_has_whole_blocks_and_no_more_images_than_there_are() -> None:
    plan = _surface(small_net(), images=200).meta["plan"]
    assert plan["block_size"] == 32
    assert plan["batch_size"] in (32, 64, 128)


def test_graphs_with_views_of_maps_are_evaluated_in_channels_last_too() -> None:
    class Viewing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.linear = nn.Conv2d(3, 4, 3), nn.Linear(60, 5)

        def forward(self, images: Tensor) -> Tensor:
            maps = self.conv(images)
            return self.linear(maps.view(maps.size(0), -1))

    torch.manual_seed(0)
    model = Viewing().eval()
    surface = _surface(model)
    assert (surface.meta["plan"]["traced"], surface.meta["plan"]["memory_format"]) == (True, "channels_last")
    with torch.no_grad():
        images, labels = (tensor[:64] for tensor in images_and_labels(200))
        expected = nn.functional.cross_entropy(model(images), labels)
    assert surface.origin.loss == pytest.approx(expected.item(), rel=1e-5)


def test_the_estimate_has_the_plan_of_the_run_and_grows_with_points_and_images() -> None:
    net = small_net()
    directions = random_directions(net, seed=0)
    found = [
        estimate_seconds(net, [images_and_labels(images)], directions, AXIS, AXIS, precision="fp32")
        for images in (64, 6400)
    ]
    assert all(plan.traced for _, plan in found)
    assert found[1][0] > 10 * found[0][0] > 0


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Lets every trial take a random time: tiny networks and large ones, batches that pay and that do not."""

    def start(seed: int) -> None:
        chance = random.Random(seed)

        def fake(function: Callable[[], object]) -> float:
            function()
            return 10 ** chance.uniform(-4, -2)

        monkeypatch.setattr(plan_trial, "timed", fake)

    monkeypatch.setattr(trials, "_TINY", 0.002)
    monkeypatch.setattr(trials, "_WORTH_COMPILING", math.inf)
    monkeypatch.setattr(trials, "_SIDE_BY_SIDE", 5)
    return start


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"precision": "bf16"}, {"tolerance": 0.5, "population": 10**6}])
def test_runs_under_different_load_differ_by_rounding_only(
    options: dict[str, Any], clocks: Callable[[int], None], tmp_path: Path
) -> None:
    found = []
    for seed in range(6):
        clocks(seed)
        found.append(_surface(small_net(), images=200, path=tmp_path / f"{seed}.h5", **options))
    assert options or len({str(surface.meta["plan"]) for surface in found}) > 1
    for surface in found[1:]:
        np.testing.assert_allclose(surface.loss, found[0].loss, rtol=1e-6)
        np.testing.assert_array_equal(surface.count, found[0].count)
    other = next((n for n, one in enumerate(found) if one.meta["plan"] != found[0].meta["plan"]), 1)
    clocks(other)
    again = _surface(small_net(), images=200, plan=tmp_path / "0.h5", **options)
    assert again.meta["plan"] == found[0].meta["plan"]
    for name in ("mean", "m2", "right"):
        np.testing.assert_array_equal(getattr(again.blocks, name), getattr(found[0].blocks, name))


@pytest.mark.slow
def test_a_form_that_is_faster_but_gives_other_losses_is_not_taken(
    clocks: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "_agree", lambda expected, found: False)
    for seed in range(4):
        clocks(seed)
        plan = _surface(small_net(), images=200).meta["plan"]
        assert (plan["batch_size"], plan["points_per_forward"]) == (64, 1)


def test_agreement_is_measured_against_each_points_own_losses() -> None:
    expected = np.array([[1e-3, 3e-3, 2e-3], [1e3, 2e3, 3e3], [np.nan, 1.0, 2.0]])
    assert trials._agree(expected, expected)
    assert trials._agree(expected, expected * (1 + 1e-7))
    assert not trials._agree(expected, expected + np.array([[1e-8], [0.0], [0.0]]))
    assert not trials._agree(expected, np.nan_to_num(expected))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"precision": "bf16"}, "`precision` must be that of `plan`, fp32, got bf16"),
        ({"batch_size": 64}, "`batch_size` must be that of `plan`, 32, got 64"),
    ],
)
def test_a_plan_is_followed_to_the_letter_or_refused(asked: dict[str, Any], message: str, tmp_path: Path) -> None:
    _surface(small_net(), batch_size=32, path=tmp_path / "s.h5")
    with pytest.raises(ValueError, match=message):
        _surface(small_net(), plan=tmp_path / "s.h5", **asked)


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Torch has two threads, as on most machines."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
def test_a_plan_of_other_threads_is_followed_only_where_rounding_may_differ(
    tmp_path: Path, two_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "_OTHER_FORM", math.inf)
    before = _surface(small_net(), batch_size=32, path=tmp_path / "s.h5")
    torch.set_num_threads(3)
    with pytest.raises(ValueError, match=r"`plan` cannot be followed here \(threads: 2 → 3\)"):
        _surface(small_net(), plan=tmp_path / "s.h5")
    after = _surface(small_net(), plan=tmp_path / "s.h5", allow_plan_change=True)
    assert after.meta["plan"]["threads"] == 3
    np.testing.assert_allclose(after.loss, before.loss, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("single", [True, False])
def test_one_thread_is_taken_where_it_is_faster_and_gives_the_same_losses(
    single: bool, tmp_path: Path, two_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def timed(function: Callable[[], object]) -> float:
        function()
        return 1.0 if single is (torch.get_num_threads() == 1) else 2.0

    monkeypatch.setattr(plan_trial, "timed", timed)
    monkeypatch.setattr(trials, "_WORTH_COMPILING", math.inf)
    surface = _surface(small_net(), path=tmp_path / "s.h5")
    assert surface.meta["plan"]["threads"] == (1 if single else 2)
    assert surface.meta["plan_notes"]["threads"] == f"one would be {2.0 if single else 0.5:.2f} times as fast as 2"
    assert torch.get_num_threads() == 2, "the process has as many as before"
    monkeypatch.setattr(trials, "_agree", lambda expected, found: False)
    ruled = _surface(small_net())
    assert ruled.meta["plan"]["threads"] == 2
    np.testing.assert_allclose(surface.loss, ruled.loss, rtol=1e-6)


@pytest.mark.slow
def test_a_plan_of_one_thread_is_followed_whatever_the_process_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, two_threads: None
) -> None:
    torch.set_num_threads(1)
    _surface(small_net(), path=tmp_path / "half.h5")
    whole = _surface(small_net(), images=128, plan=tmp_path / "half.h5")
    torch.set_num_threads(2)
    for resumed in (
        _surface(small_net(), images=128, plan=tmp_path / "half.h5"),
        _surface(small_net(), images=128, path=tmp_path / "half.h5"),
    ):
        assert resumed.meta["plan"] == whole.meta["plan"]
        np.testing.assert_array_equal(resumed.blocks.mean, whole.blocks.mean)


def test_a_plan_that_traces_is_refused_for_a_model_that_cannot_be(tmp_path: Path) -> None:
    _surface(small_net(), path=tmp_path / "s.h5")
    with pytest.raises(ValueError, match=r"`plan` cannot be followed here \(.*traced: True → False"):
        _surface(_ByData(), plan=tmp_path / "s.h5")


def test_points_side_by_side_are_refused_where_the_network_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = small_net()
    monkeypatch.setattr(trials, "_TINY", math.inf)
    monkeypatch.setattr(trials, "_SIDE_BY_SIDE", 3)
    monkeypatch.setattr(trials, "_OTHER_FORM", 0.0)
    assert _surface(net, path=tmp_path / "s.h5").meta["plan"]["points_per_forward"] == 3
    decay = lambda output, labels: output[:, 0] + net.get_parameter("7.weight").norm()  # noqa: E731
    with pytest.raises(ValueError, match="`plan` evaluates several points at once, but `loss` or `metric` reads"):
        _surface(net, plan=tmp_path / "s.h5", loss=decay)


def test_a_file_of_the_original_tool_has_no_plan(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file["xcoordinates"] = file["ycoordinates"] = AXIS
        file["train_loss"] = np.ones((len(AXIS), len(AXIS)))
    with pytest.raises(ValueError, match="`plan` must be a surface or a line that gradscape evaluated"):
        _surface(small_net(), plan=tmp_path / "s.h5")
