"""Files that say of their run what no run is like."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest

from gradscape.landscape import Surface, evaluate_surface, random_directions
from gradscape.landscape.engine import ExecutionPlan
from gradscape.landscape.engine.stored_run import check_stored_plan, check_stored_run, whole_plan
from gradscape.landscape.record import _LandscapeEntries
from gradscape.landscape.statistics import BlockStatistics
from tests.landscape.networks import images_and_labels, small_net

Change = Callable[[Surface], Surface]


@pytest.fixture(scope="module")
def stored() -> Surface:
    """A surface of three blocks, the last one smaller."""
    return _evaluate()


def _evaluate(**options: Any) -> Surface:
    net = small_net()
    axes = np.linspace(-1, 1, 3), np.linspace(-1, 1, 2)
    settings: dict[str, Any] = {"batch_size": 8, "population": 500, **options}
    return evaluate_surface(net, [images_and_labels(20)], random_directions(net, seed=0), *axes, **settings)


def _plan(**entries: Any) -> Change:
    return lambda run: replace(run, meta={**run.meta, "plan": {**run.meta["plan"], **entries}})


def _without(name: str) -> Change:
    return lambda run: replace(run, meta={key: value for key, value in run.meta.items() if key != name})


def _counts(where: Any, count: int) -> Change:
    def changed(run: Surface) -> Surface:
        counts = run.blocks.count.copy()
        counts[where] = count
        return replace(run, blocks=replace(run.blocks, count=counts))

    return changed


def _longer_origin(run: Surface) -> Surface:
    arrays: dict[str, Any] = {
        name: np.repeat(getattr(run.origin, name), 2, axis=0) for name in BlockStatistics.arrays()
    }
    return replace(run, origin=replace(run.origin, **arrays))


DAMAGES: dict[str, Change] = {
    "it lacks plan": _without("plan"),
    "it lacks blocks": _without("blocks"),
    "its plan is 7": lambda run: replace(run, meta={**run.meta, "plan": 7}),
    "`points_per_forward` of its plan is 1000000000": _plan(points_per_forward=10**9),
    "`points_per_forward` of its plan is 0": _plan(points_per_forward=0),
    "`batch_size` of its plan is -5": _plan(batch_size=-5),
    "`block_size` of its plan is True": _plan(block_size=True),
    "`threads` of its plan is 0": _plan(threads=0),
    "`traced` of its plan is 'no'": _plan(traced="no"),
    "`precision` of its plan is 'fp64'": _plan(precision="fp64"),
    "`memory_format` of its plan is \\['contiguous'\\]": _plan(memory_format=["contiguous"]),
    "its plan has batches of 12 images in blocks of 8": _plan(batch_size=12),
    "the images of 3 blocks are not named": lambda run: replace(run, meta={**run.meta, "blocks": ["0a"]}),
    "or its origin has 6 blocks": _longer_origin,
    "do not have 8 images each at every point": _counts((0, 1, 2), 7),
    "do not have 8 images each at every point, the last": _counts((2, 0, 0), 9),
    "do not have 8 images each at every": _counts(1, 3),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_what_cannot_be_a_run_is_not_gone_on_with(stored: Surface, what: str) -> None:
    with pytest.raises(ValueError, match=rf"^`path` holds what no run can have \(.*{what}.*\): choose another output"):
        check_stored_run(DAMAGES[what](stored), "path")


def test_runs_whole_or_begun_and_files_of_other_tools_may_be_gone_on_with(stored: Surface) -> None:
    check_stored_run(stored, "path")
    for begun in (_counts((2, 0, 0), 0), _counts(2, 0), _counts((slice(1, None), 1), 0)):
        check_stored_run(begun(stored), "path")
    check_stored_run(replace(stored, meta={"source": "goldstein"}), "path")
    check_stored_plan({"precision": "bf16", "points_per_forward": 16, "made by": None}, "plan")


def test_a_plan_to_be_followed_has_every_entry(stored: Surface) -> None:
    assert whole_plan(stored.meta, "plan") == stored.meta["plan"]
    assert whole_plan({"source": "goldstein"}, "path") is None
    part = {name: value for name, value in stored.meta["plan"].items() if name != "compiled"}
    with pytest.raises(ValueError, match=r"^`plan` holds what no run can have \(its plan lacks compiled\): give"):
        whole_plan({"plan": part}, "plan")


def test_a_damaged_run_is_refused_before_anything_is_evaluated(stored: Surface, tmp_path: Path) -> None:
    path = tmp_path / "surface.h5"
    _plan(points_per_forward=10**9)(stored).save(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"^`path` holds what no run can have \(`points_per_forward` of its plan is"):
        _evaluate(path=path)
    with pytest.raises(ValueError, match=r"^`plan` holds what no run can have \(.*\): give another file$"):
        _evaluate(plan=path, batch_size=None)
    assert path.read_bytes() == before


def test_a_stored_plan_has_the_entries_of_a_plan_in_their_types() -> None:
    """Files are read without torch, and so without the plan's own class."""
    stored = get_type_hints(get_type_hints(_LandscapeEntries)["plan"])
    assert stored == get_type_hints(ExecutionPlan)
