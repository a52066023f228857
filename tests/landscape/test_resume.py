import math
import multiprocessing
import os
import random
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from gradscape.landscape import Surface, evaluate_surface, random_directions
from gradscape.landscape.engine import trials
from gradscape.landscape.engine.remeasurement import Remeasurement
from gradscape.landscape.engine.workers import Evaluator, Job
from tests.landscape.forms import force
from tests.landscape.networks import images_and_labels, small_net

ALPHAS, BETAS = np.linspace(-1, 1, 9), np.linspace(-1, 1, 7)
BATCH_SIZE = 16


class StoppedError(Exception):
    pass


EVERY_FORM = ["module", "graph", pytest.param("side by side", marks=pytest.mark.slow)]


@contextmanager
def stopped_after(passes: int | None) -> Iterator[None]:
    """After so many passes of a batch at a point an error comes between; those that only check a file are free."""
    left, plain, plain_check = [passes], Evaluator.measure, Remeasurement.check

    def counted(jobs: Iterable[Job]) -> Iterator[Job]:
        for job in jobs:
            if left[0] is not None:
                left[0] -= len(job.points) * len(job.batches)
                if left[0] < 0:
                    raise StoppedError
            yield job

    def check(*given: Any) -> None:
        before, left[0] = left[0], None
        plain_check(*given)
        left[0] = before

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Evaluator, "measure", lambda self, jobs: plain(self, counted(jobs)))
        patch.setattr(Remeasurement, "check", check)
        yield


def evaluate(
    path: Path | None, *, images: int = 100, seed: int = 0, passes: int | None = None, **options: object
) -> Surface:
    """A surface of the first images; after so many passes an error comes between."""
    net = small_net()
    batches = [tuple(part[:images] for part in images_and_labels(100))]
    directions = random_directions(net, seed=seed)
    settings: dict = {"batch_size": BATCH_SIZE, "population": 1000, "precision": "fp32", **options}
    with stopped_after(passes):
        return evaluate_surface(net, batches, directions, ALPHAS, BETAS, path=path, **settings)


def assert_equal_to_the_bit(one: Surface, other: Surface) -> None:
    for place in ("blocks", "origin"):
        for name in ("count", "mean", "m2", "right", "nonfinite"):
            np.testing.assert_array_equal(getattr(getattr(one, place), name), getattr(getattr(other, place), name))


@pytest.mark.parametrize("form", EVERY_FORM, indirect=True)
@pytest.mark.parametrize("passes", [40, 400])
def test_what_a_file_holds_is_not_evaluated_again_and_the_result_is_the_same_to_the_bit(
    tmp_path: Path, form: str, passes: int
) -> None:
    uninterrupted = evaluate(None)
    with pytest.raises(StoppedError):
        evaluate(tmp_path / "s.h5", passes=passes)
    begun = Surface.load(tmp_path / "s.h5")
    assert begun.meta["plan"]["points_per_forward"] == (3 if form == "side by side" else 1)
    assert 0 < (begun.count > 0).sum() < begun.count.size or 0 < (begun.count == 100).sum() < begun.count.size
    np.testing.assert_array_equal(np.isnan(begun.loss), begun.count == 0)
    done = int((begun.blocks.count > 0).sum() + (begun.origin.count > 0).sum())
    side_by_side = begun.meta["plan"]["points_per_forward"]
    evaluate(tmp_path / "s.h5", passes=7 * 64 - done // side_by_side * side_by_side)  # 7 blocks at 64 points in all
    assert_equal_to_the_bit(Surface.load(tmp_path / "s.h5"), uninterrupted)


@pytest.mark.slow
@pytest.mark.parametrize("form", EVERY_FORM, indirect=True)
def test_more_images_refine_every_point_of_a_file(tmp_path: Path, form: str) -> None:
    evaluate(tmp_path / "s.h5", images=64)
    refined = evaluate(tmp_path / "s.h5", images=100, passes=3 * 64)
    assert_equal_to_the_bit(refined, evaluate(None, images=100))


def test_a_list_that_has_grown_refines_its_file(tmp_path: Path) -> None:
    net, (images, labels) = small_net(), images_and_labels(100)
    directions = random_directions(net, seed=0)
    found = [
        evaluate_surface(net, [(images[:n], labels[:n])], directions, ALPHAS[:2], BETAS[:2], path=tmp_path / "s.h5")
        for n in (40, 100)
    ]
    assert [surface.meta["population"] for surface in found] == [40, 100]
    assert (found[1].count == 100).all()


@pytest.mark.parametrize("form", ["graph"], indirect=True)
def test_a_round_that_had_only_begun_is_begun_anew(tmp_path: Path, form: str) -> None:
    with pytest.raises(StoppedError):
        evaluate(tmp_path / "s.h5", images=40, passes=2 * 64)  # the third block, of 8 images, is open and not evaluated
    assert_equal_to_the_bit(evaluate(tmp_path / "s.h5"), evaluate(None))


def test_a_file_of_the_original_tool_is_no_run_to_go_on_with(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file["xcoordinates"], file["ycoordinates"] = ALPHAS, BETAS
        file["train_loss"] = file["train_acc"] = np.ones((len(BETAS), len(ALPHAS)))
    with pytest.raises(ValueError, match="`path` holds another run"):
        evaluate(tmp_path / "s.h5")


def test_the_time_counts_for_a_run_that_goes_on_too(tmp_path: Path) -> None:
    evaluate(tmp_path / "s.h5", images=32)
    resumed = evaluate(tmp_path / "s.h5", images=100, seconds=1e-3)
    assert (resumed.count == 32).all()


@pytest.mark.parametrize("form", EVERY_FORM, indirect=True)
def test_a_last_block_that_was_not_full_grows(tmp_path: Path, form: str) -> None:
    evaluate(tmp_path / "s.h5", images=70)
    refined = evaluate(tmp_path / "s.h5", images=100, passes=3 * 64)  # 64 images stay, 16 + 16 + 4 are evaluated
    assert_equal_to_the_bit(refined, evaluate(None, images=100))


@pytest.mark.parametrize("form", ["graph"], indirect=True)
def test_fewer_images_than_a_file_holds_are_refused(tmp_path: Path, form: str) -> None:
    with pytest.raises(StoppedError):
        evaluate(tmp_path / "s.h5", passes=300)
    with pytest.raises(ValueError, match="give 3 blocks of images, but the run to be resumed has 7"):
        evaluate(tmp_path / "s.h5", images=48)


def _other_function(output: Tensor, labels: Tensor) -> Tensor:
    return 100 * F.cross_entropy(output, labels, reduction="none")


def test_lambdas_are_told_apart_by_their_code(tmp_path: Path) -> None:
    for factor in (1.0, 2.0):
        loss = lambda output, labels, factor=factor: factor * output[:, 0]  # noqa: E731
        if factor == 1.0:
            evaluate(tmp_path / "s.h5", loss=loss)
        else:
            with pytest.raises(ValueError, match=r"another run \(other loss\)"):
                evaluate(tmp_path / "s.h5", loss=loss)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "another run .other directions"),
        ({"metric": None}, "another run .other metric"),
        ({"loss": _other_function}, "another run .other loss"),
        ({"population": 500}, "drawn from 1000, not from 500"),
        ({"precision": "bf16"}, "another plan .precision: fp32 → bf16"),
        ({"batch_size": 32}, "another plan .block_size: 16 → 32; batch_size: 16 → 32"),
        ({"batch_size": 32, "allow_plan_change": True}, "never mixes block_size or batch_size"),
    ],
)
def test_another_run_is_not_mixed_in(tmp_path: Path, change: dict, message: str) -> None:
    evaluate(tmp_path / "s.h5")
    before = (tmp_path / "s.h5").read_bytes()
    with pytest.raises(ValueError, match=message):
        evaluate(tmp_path / "s.h5", **change)
    assert (tmp_path / "s.h5").read_bytes() == before


def test_changed_images_are_refused(tmp_path: Path) -> None:
    evaluate(tmp_path / "s.h5")
    net, (images, labels) = small_net(), images_and_labels(100)
    images[40] += 1e-6
    before = (tmp_path / "s.h5").read_bytes()
    with pytest.raises(ValueError, match="block 2 holds others"):
        evaluate_surface(
            net,
            [(images, labels)],
            random_directions(net, seed=0),
            ALPHAS,
            BETAS,
            batch_size=BATCH_SIZE,
            path=tmp_path / "s.h5",
            population=1000,
            meta={"data": "another"},
        )
    assert (tmp_path / "s.h5").read_bytes() == before


@pytest.mark.slow
def test_other_threads_are_refused_unless_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "_OTHER_FORM", math.inf)  # no clock chooses a single one
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(StoppedError):
            evaluate(tmp_path / "s.h5", passes=200)
        torch.set_num_threads(3)
        with pytest.raises(ValueError, match=r"another plan .threads: 2 → 3"):
            evaluate(tmp_path / "s.h5")
        whole = evaluate(tmp_path / "s.h5", allow_plan_change=True)
    finally:
        torch.set_num_threads(before)
    assert (whole.count == 100).all()
    assert [plan["threads"] for plan in whole.meta["earlier_plans"]] == [2]


def _killed_at_a_random_moment(path: Path, seed: int, form: str) -> None:
    from gradscape.landscape.engine import rounds

    force(form)

    rounds._SAVE_SECONDS, rounds._SHARE = 0.005, 0
    signal.setitimer(signal.ITIMER_REAL, random.Random(seed).uniform(0.02, 0.3))
    signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    evaluate(path)


def _killed_inside_a_write(path: Path, seed: int, form: str) -> None:
    import h5py

    from gradscape import _files
    from gradscape.landscape.engine import rounds

    force(form)

    rounds._SAVE_SECONDS, rounds._SHARE = 0.005, 0
    chance = random.Random(seed)
    left = [chance.randint(3, 60)]

    def dying(function: Callable) -> Callable:
        def step(*arguments: object, **options: object) -> object:
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)

        return step

    h5py.Group.__setitem__ = dying(h5py.Group.__setitem__)
    _files._flush = dying(_files._flush)
    evaluate(path)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["module"], indirect=True)
@pytest.mark.parametrize("job", [_killed_at_a_random_moment, _killed_inside_a_write])
def test_a_killed_run_leaves_a_file_that_reads_and_goes_on_to_the_same_bits(
    tmp_path: Path, job: Callable[[Path, int, str], None], form: str
) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.landscape.test_resume"])
    path, killed, evaluated = tmp_path / "s.h5", 0, [0]
    for seed in range(30):
        process = context.Process(target=job, args=(path, seed, form))
        process.start()
        process.join(60)
        if path.exists():
            evaluated.append(int(Surface.load(path).count.sum()))
            assert evaluated[-1] >= evaluated[-2]
        if process.exitcode == 0:
            path.unlink()  # finished too early: begin anew until ten runs were killed
            evaluated = [0]
        else:
            assert process.exitcode == -signal.SIGKILL
            killed += 1
        if killed == 10:
            break
    assert killed == 10
    assert_equal_to_the_bit(evaluate(path), evaluate(None))
    assert [file.name for file in tmp_path.iterdir()] == ["s.h5"]
