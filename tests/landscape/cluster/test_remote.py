import types
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from torch import Tensor
from torch.nn import functional as F

pytest.importorskip("ray")

from gradscape.landscape import random_directions
from gradscape.landscape.cluster.remote import Parcel, RemoteEvaluator
from gradscape.landscape.engine import Job, Work, evaluable, specimen
from gradscape.landscape.engine.blocks import Batch, cut_blocks
from gradscape.landscape.engine.plan import plain_plan
from gradscape.landscape.engine.task import Task
from tests.landscape.networks import images_and_labels, small_net

settings = types.ModuleType("settings")


def _scaled(output: Tensor, labels: Tensor) -> Tensor:
    return settings.scale * F.cross_entropy(output, labels, reduction="none")


def _work(loss: Any = None) -> Work:
    net = small_net()
    return Work(
        model=net,
        directions=random_directions(net, seed=0),
        coordinates=np.array([(0.0, 0.0), (0.0, 1.0), (1.0, 1.0)]),
        shape=[1, 2],
        task=Task(loss=loss or (lambda output, labels: output[:, 0] + net.get_parameter("7.weight").square().sum())),
        first=next(cut_blocks([images_and_labels(16)], 16)),
        images=16,
        population=None,
        seconds=None,
    )


@contextmanager
def _worker(work: Work) -> Iterator[RemoteEvaluator]:
    """A worker in this process, made of what the driver packs."""
    with evaluable(work.model):
        plan = replace(plain_plan(work.model, precision="fp32", batch_size=16), traced=True)
        parcel = Parcel.of(work, plan, specimen(work))
    worker = RemoteEvaluator()
    try:
        worker._prepare(parcel)
        yield worker
    finally:
        worker._contexts.close()


def test_a_loss_that_reads_the_network_reads_the_one_in_its_process() -> None:
    work = _work()
    with evaluable(work.model):
        expected = specimen(work)["loss"].numpy()
    with _worker(work) as worker:
        worker._evaluator.load([Batch(work.first.inputs, work.first.labels, 0, 16)])
        found = [worker._evaluator.measure_one(Job((point,), (0,)))[0].losses for point in range(3)]
    np.testing.assert_allclose(found[2], expected, rtol=1e-5)
    assert not np.allclose(found[0], found[1], rtol=1e-3)


def test_a_worker_for_which_a_module_holds_something_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "scale", 1.0, raising=False)
    work = _work(_scaled)
    with _worker(work):
        pass
    unpacked = Parcel.unpacked

    def elsewhere(parcel: Parcel) -> Work:
        monkeypatch.setattr(settings, "scale", 2.0)
        return unpacked(parcel)

    monkeypatch.setattr(Parcel, "unpacked", elsewhere)
    with pytest.raises(ValueError, match="`loss` gives other numbers in a process of `ray` than here"), _worker(work):
        pass
