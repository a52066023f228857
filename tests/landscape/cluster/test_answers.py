"""What workers send that no honest one would."""

import logging
import pickle
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("ray")

from ray.exceptions import RaySystemError

from gradscape.landscape import Surface, random_directions
from gradscape.landscape.cluster.answers import Answer, Refusal, UnusableReplyError, checked_answer, question_digest
from gradscape.landscape.cluster.pool import Cluster
from gradscape.landscape.cluster.remote import SharedBatches
from gradscape.landscape.engine import Job, Work, Workers, cut_blocks, plain_plan
from gradscape.landscape.engine.rounds import Limits
from gradscape.landscape.engine.run import Run
from gradscape.landscape.engine.task import Task
from gradscape.landscape.engine.trials import ChosenPlan
from tests.landscape.cluster.pretended_ray import Fault, pretended
from tests.landscape.networks import images_and_labels, small_net

AXES = {"alphas": np.linspace(-1, 1, 4), "betas": np.linspace(-1, 1, 3)}
IMAGES, BATCH_SIZE = 20, 8


@pytest.fixture(autouse=True)
def _restored_modes() -> Iterator[None]:
    """A pretended worker is this process, whose modes a real one sets for as long as it lives."""
    with torch.enable_grad():
        yield


def _work() -> Work:
    net = small_net()
    points = np.stack([axis.ravel() for axis in np.meshgrid(*AXES.values())], axis=1)
    return Work(
        model=net,
        directions=random_directions(net, seed=3),
        coordinates=np.concatenate([np.zeros((1, 2)), points]),
        shape=[3, 4],
        task=Task(),
        first=next(cut_blocks([images_and_labels(IMAGES)], BATCH_SIZE)),
        images=IMAGES,
        population=None,
        seconds=None,
    )


def _run(work: Work) -> tuple[Run[Surface], ChosenPlan]:
    chosen = ChosenPlan(plain_plan(work.model, precision="fp32", batch_size=BATCH_SIZE))
    return Run(Surface, AXES, work, chosen, {}), chosen


def _evaluate(run: Run[Surface], workers: Workers, path: Path | None = None) -> Surface:
    blocks = cut_blocks([images_and_labels(IMAGES)], BATCH_SIZE)
    run.evaluate(workers, blocks, Limits(), path=path, report=None, preview=None)
    return run.result()


def _surface(work: Work, path: Path | None = None, *, going_on: bool = False) -> Surface:
    run, chosen = _run(work)
    if going_on:
        assert path is not None
        run.resume(Surface.load(path), allow_plan_change=False)
    with Cluster("local", work, chosen.plan) as workers:
        return _evaluate(run, workers, path)


@pytest.fixture(scope="module")
def honest() -> Surface:
    with pretended(None):
        return _surface(_work())


def _assert_equal_to_the_bit(one: Surface, other: Surface) -> None:
    for place in ("blocks", "origin"):
        for name in ("count", "mean", "m2", "right", "nonfinite"):
            np.testing.assert_array_equal(getattr(getattr(one, place), name), getattr(getattr(other, place), name))


def _answer(**fields: Any) -> Answer:
    """An answer to "here" about 6 images, but for some fields."""
    values: dict[str, Any] = {
        "losses": np.arange(6.0),
        "right": np.ones(6),
        "seconds": 0.5,
        "question": "here",
    } | fields
    if "digest" not in values:
        values["digest"] = Answer.of(values["losses"], values["right"], seconds=0.5, question="").digest
    return _unpickled(**values)


def _unpickled(**fields: Any) -> Answer:
    """As unpickling makes it: nobody looks at the fields."""
    made = object.__new__(Answer)
    vars(made).update(fields)
    return made


UNUSABLE = {
    "it gave an object of the type dict, which is no result": {"losses": np.arange(6.0)},
    "its results have the form of another version": _unpickled(losses=np.arange(6.0), right=None, seconds=0.5),
    "of other points, images or another network": _answer(question="there"),
    "of other points, .* than it was asked for": _answer(question=np.arange(3)),
    r"losses are float64 \(5,\), not float64 \(6,\)": _answer(losses=np.arange(5.0)),
    r"losses are float64 \(6, 1\), not float64 \(6,\)": _answer(losses=np.ones((6, 1))),
    r"losses are float32 \(6,\), not": _answer(losses=np.ones(6, np.float32)),
    r"losses are object \(6,\), not": _answer(losses=np.ones(6, object), digest=""),
    "losses are an object of the type list, not an array": _answer(losses=[1.0] * 6, digest=""),
    "right answers are an object of the type NoneType": _answer(right=None),
    r"right answers are bool \(6,\), not": _answer(right=np.ones(6, bool)),
    "right answers are not from 0 to 1 for each image": _answer(right=np.array([1, 0, np.nan, 0, 0, 1.0])),
    "right answers are not from 0 to": _answer(right=np.array([1, 0, -1.0, 0, 0, 0])),
    "it worked for nan s": _answer(seconds=float("nan")),
    "it worked for 'long' s": _answer(seconds="long"),
    "were damaged on their way": _answer(digest="0123456789abcdef"),
}


@pytest.mark.parametrize("why", UNUSABLE)
def test_what_cannot_be_an_answer_is_none(why: str) -> None:
    with pytest.raises(UnusableReplyError, match=why):
        checked_answer(UNUSABLE[why], question="here", images=6, judged=True)


def test_losses_may_be_anything_and_without_a_metric_there_are_no_right_answers() -> None:
    wild = np.array([np.nan, np.inf, -np.inf, -5.0, 0.0, 1e308])
    for right in (np.array([0.0, 1.0, 0.25, 1.0, 0.0, 0.0]), None):
        answer = pickle.loads(pickle.dumps(_answer(losses=wild, right=right)))
        assert checked_answer(answer, question="here", images=6, judged=right is not None) is answer
    with pytest.raises(UnusableReplyError, match="it gave right answers, though there is no metric"):
        checked_answer(_answer(), question="here", images=6, judged=False)


class _ElsewhereError(Exception):
    """An exception of a module that only workers have."""

    def __reduce__(self) -> Any:
        return _made_elsewhere, ()


def _made_elsewhere() -> None:
    raise ModuleNotFoundError("elsewhere")


@pytest.mark.parametrize(
    ("exception", "why"),
    [
        (b"\x80", r"it raised what cannot be read here \(OddError: no luck\)"),
        (pickle.dumps(_ElsewhereError()), "it raised what cannot be read here"),
        (pickle.dumps(5), "it raised an object of the type int, which is no exception"),
    ],
)
def test_an_exception_that_cannot_be_read_is_told_by_what_it_said(exception: bytes, why: str) -> None:
    with pytest.raises(UnusableReplyError, match=why):
        Refusal(exception, "OddError: no luck").problem()


def test_what_cannot_be_read_is_told_in_one_short_line() -> None:
    old = object.__new__(Refusal)
    for refusal in (Refusal(b"\x80", "OddError: no\n" + 1000 * "luck "), old):
        with pytest.raises(UnusableReplyError) as caught:
            refusal.problem()
        assert len(str(caught.value)) < 400
        assert "\n" not in str(caught.value)


def _changed(change: Callable[[Answer], Any]) -> Fault:
    """Whatever is measured is changed on its way."""
    return lambda method, answer: change(answer()) if method == "measure" else answer()


def _one_bit(answer: Answer) -> Answer:
    losses = answer.losses.copy()
    losses.view(np.uint8)[3] ^= 1
    return replace(answer, losses=losses)


def _unreadable(_: Answer) -> None:
    raise RaySystemError(ModuleNotFoundError("No module named 'elsewhere'"), "Traceback (most recent call last):\n…")


def _joins_with(reply: object) -> Fault:
    return lambda method, answer: reply if method == "prepare" else answer()


FAULTS = {
    "it gave an object of the type dict, which is no result": _changed(vars),
    "its results were damaged on their way": _changed(_one_bit),
    "it sent what cannot be read (System error: No module named 'elsewhere')": _changed(_unreadable),
    "it raised what cannot be read here (OddError: no luck)": _changed(lambda _: Refusal(b"\x80", "OddError: no luck")),
    "it joined with an object of the type NoneType, which is no digest": _joins_with(None),
    "the network, the directions or the plan that reached it are not those that were sent": _joins_with("0123456789ab"),
}


def test_workers_that_send_what_cannot_be_are_dropped_and_named_and_no_bit_changes(
    honest: Surface, caplog: pytest.LogCaptureFixture
) -> None:
    with pretended(None, *FAULTS.values()) as ray:
        surface = _surface(_work())
    _assert_equal_to_the_bit(surface, honest)
    said = {record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING}
    assert said == {
        f"ray: process {number} on the moon was dropped because {why}; others do its work"
        for number, why in enumerate(FAULTS, 1)
    }
    assert len(caplog.records) == len(said)
    assert sorted(ray.killed) == list(range(len(FAULTS) + 1))  # the honest one when all was done
    assert len(ray.actors) == len(FAULTS) + 1  # nobody was asked for in their place


def test_results_of_other_points_are_not_taken(honest: Surface, caplog: pytest.LogCaptureFixture) -> None:
    first: list[Answer] = []

    def again(answer: Answer) -> Answer:
        first.append(answer)
        return first[0]

    with pretended(None, _changed(again)):
        surface = _surface(_work())
    assert len(first) == 2
    _assert_equal_to_the_bit(surface, honest)
    assert "dropped because its results are of other points, images or another network" in caplog.text


def test_results_of_other_images_are_not_taken(honest: Surface, caplog: pytest.LogCaptureFixture) -> None:
    disturbed = [False]

    def other_images(method: str, answer: Callable[[], Any]) -> Any:
        if method == "prepare":
            return answer()
        with pytest.MonkeyPatch.context() as patch:
            whole = SharedBatches.digest

            def brighter(shared: SharedBatches) -> str:
                disturbed[0] = True
                return whole(replace(shared, contents=[content ^ 1 for content in shared.contents]))

            patch.setattr(SharedBatches, "digest", brighter)
            return answer()

    with pretended(None, other_images):
        surface = _surface(_work())
    assert disturbed[0]
    _assert_equal_to_the_bit(surface, honest)
    assert "dropped because its results are of other points, images or another network" in caplog.text


def test_when_all_are_dropped_what_was_computed_is_kept_and_the_run_goes_on_later(
    honest: Surface, tmp_path: Path
) -> None:
    path, answers = tmp_path / "surface.h5", [0]

    def tiring(answer: Answer) -> Answer:
        answers[0] += 1
        return answer if answers[0] < 6 else _one_bit(answer)

    message = (
        r"^`ray` gave no worker whose results can be used: process \d on the moon was dropped because its results were "
        r"damaged on their way\. Do all nodes have the same installation\? The same run goes on from what was saved$"
    )
    with pretended(_changed(tiring), _changed(tiring)), pytest.raises(RuntimeError, match=message):
        _surface(_work(), path)
    kept = Surface.load(path)
    assert 0 < kept.blocks.count.sum() < honest.blocks.count.sum()
    with pretended(None):
        _assert_equal_to_the_bit(_surface(_work(), path, going_on=True), honest)


def test_a_question_is_named_by_all_that_it_is_about() -> None:
    jobs = [Job((1, 2), (0,)), Job((3,), (0, 1))]
    names = {
        question_digest("work", "images", jobs),
        question_digest("work", "images", jobs[::-1]),
        question_digest("work", "images", [jobs[0], Job((4,), (0, 1))]),
        question_digest("work", "images", [jobs[0], Job((3,), (1,))]),
        question_digest("work", "other", jobs),
        question_digest("other", "images", jobs),
    }
    assert len(names) == 6
    assert question_digest("work", "images", tuple(jobs)) in names


def test_an_exception_that_cannot_be_sent_keeps_its_name_and_message() -> None:
    class TwoArgumentsError(Exception):
        def __init__(self, first: str, second: str) -> None:
            super().__init__(f"{first} {second}")

    found = Refusal.of(TwoArgumentsError("no", "luck")).problem()
    assert (type(found), str(found)) == (RuntimeError, "TwoArgumentsError: no luck")
