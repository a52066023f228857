"""Workers of Ray on this machine and on simulated nodes."""

import importlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, final

import numpy as np
import psutil
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

ray = pytest.importorskip("ray")

from gradscape.landscape import Surface, random_directions  # noqa: E402
from gradscape.landscape.cluster import pool, session  # noqa: E402
from gradscape.landscape.cluster.leases import LeaseQueue  # noqa: E402
from gradscape.landscape.cluster.pool import Cluster  # noqa: E402
from gradscape.landscape.cluster.remote import SharedBatches, check_machine  # noqa: E402
from gradscape.landscape.engine.blocks import Batch, cut_blocks  # noqa: E402
from gradscape.landscape.engine.ledger import Judgment  # noqa: E402
from gradscape.landscape.engine.logits import cross_entropy  # noqa: E402
from gradscape.landscape.engine.network import evaluable, ready_network  # noqa: E402
from gradscape.landscape.engine.plan import ExecutionPlan, plain_plan  # noqa: E402
from gradscape.landscape.engine.recalibration import Recalibration  # noqa: E402
from gradscape.landscape.engine.rounds import Limits  # noqa: E402
from gradscape.landscape.engine.run import Run  # noqa: E402
from gradscape.landscape.engine.task import LossFunction, Task  # noqa: E402
from gradscape.landscape.engine.trials import ChosenPlan  # noqa: E402
from gradscape.landscape.engine.trust import trusted_graph  # noqa: E402
from gradscape.landscape.engine.work import Work  # noqa: E402
from gradscape.landscape.engine.workers import Evaluator, Job, Workers  # noqa: E402
from tests.landscape.networks import images_and_labels, small_net  # noqa: E402

AXES = {"alphas": np.linspace(-1, 1, 17), "betas": np.linspace(-1, 1, 13)}
IMAGES, BATCH_SIZE = 68, 16


def make_work(net: nn.Module, loss: LossFunction = cross_entropy) -> Work:
    points = np.stack([axis.ravel() for axis in np.meshgrid(*AXES.values())], axis=1)
    return Work(
        model=net,
        directions=random_directions(net, seed=0),
        coordinates=np.concatenate([np.zeros((1, 2)), points]),
        shape=[13, 17],
        task=Task(loss=loss),
        first=next(cut_blocks([images_and_labels(IMAGES)], BATCH_SIZE)),
        images=IMAGES,
        population=1000,
        seconds=None,
    )


def make_plan(net: nn.Module, **changes: Any) -> ExecutionPlan:
    return replace(plain_plan(net, precision="fp32", batch_size=BATCH_SIZE), **changes)


def evaluate(work: Work, plan: ExecutionPlan, workers: Workers) -> Surface:
    run = Run(Surface, AXES, work, ChosenPlan(plan), {})
    blocks = cut_blocks([images_and_labels(IMAGES)], BATCH_SIZE)
    run.evaluate(workers, blocks, Limits(), path=None, report=None, preview=None)
    return run.result()


def evaluate_here(work: Work, plan: ExecutionPlan) -> Surface:
    with evaluable(work.model):
        graph = trusted_graph(work) if plan.traced else None
        given = work.model, work.directions, work.task.forward, plan, graph
        with ready_network(*given, recalibration=work.recalibration) as network:
            device = torch.device("cpu")
            return evaluate(work, plan, Evaluator(network, work.coordinates, work.task, plan, device=device))


def assert_equal_to_the_bit(one: Surface, other: Surface) -> None:
    for place in ("blocks", "origin"):
        for name in ("count", "mean", "m2", "right", "nonfinite"):
            np.testing.assert_array_equal(getattr(getattr(one, place), name), getattr(getattr(other, place), name))


@final
class Watched(Workers):
    """Workers to whom something happens after so many results."""

    def __init__(self, workers: Workers, events: Mapping[int, Callable[[], None]]) -> None:
        self._workers, self._events, self._seen = workers, events, 0

    def load(self, batches: Sequence[Batch]) -> None:
        self._workers.load(batches)

    def measure(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, list[Judgment]]]:
        for result in self._workers.measure(jobs):
            self._seen += 1
            self._events.get(self._seen, lambda: None)()
            yield result


@final
class SlowLoss:
    """Cross-entropy that takes its time, so that whatever comes between does, and tells which processes ask."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, output: Tensor, labels: Tensor) -> Tensor:
        (self._folder / f"{os.getpid()} {ray.get_runtime_context().get_node_id()}").touch()
        time.sleep(0.003)
        return cross_entropy(output, labels)

    def processes(self) -> list[tuple[int, str]]:
        """Their numbers, and those of their nodes."""
        names = [path.name.split() for path in self._folder.iterdir()]
        return [(int(pid), node) for pid, node in names]


def descendants() -> set[psutil.Process]:
    """All processes that this one started, directly or not; told apart from later ones of the same number."""
    return set(psutil.Process().children(recursive=True))


def listened_on(processes: Iterable[psutil.Process]) -> set[str]:
    """Addresses on which processes wait for connections."""
    found = [one for process in processes for one in process.net_connections("inet") if one.status == "LISTEN"]
    return {one.laddr.ip.removeprefix("::ffff:") for one in found}


@pytest.mark.slow
def test_this_machines_cores_give_the_same_bits_silently_out_of_others_reach_and_nothing_stays(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    net = small_net()
    work = make_work(net)
    plan = make_plan(net, traced=True, memory_format="channels_last")
    reference = evaluate_here(work, plan)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(session, "_own_cores", lambda: 1)
    before, handler, environment = descendants(), signal.getsignal(signal.SIGTERM), dict(os.environ)
    put, sent = ray.put, []
    running: set[psutil.Process] = set()
    seen: dict[str, Any] = {}

    def counted_put(value: object) -> Any:
        sent.append(type(value).__name__)
        return put(value)

    def look() -> None:
        running.update(descendants() - before)
        seen["listening"] = listened_on([*running, psutil.Process()])
        seen["folder"] = Path(ray._private.worker._global_node.get_session_dir_path()).parents[1]
        seen["rights"] = seen["folder"].stat().st_mode & 0o777
        seen["mode"] = os.environ["RAY_AUTH_MODE"]

    monkeypatch.setattr(ray, "put", counted_put)
    with Cluster("local", work, plan) as workers:
        surface = evaluate(work, plan, Watched(workers, {30: look}))
    assert_equal_to_the_bit(surface, reference)
    assert sent == ["Parcel", *["SharedBatches"] * 4]  # 16, 16, 32 and 4 images
    assert capfd.readouterr() == ("", "")
    assert seen["listening"] == {"127.0.0.1"}
    assert (seen["rights"], seen["mode"]) == (0o700, "token")
    assert not seen["folder"].exists()
    assert not (tmp_path / ".ray").exists()
    assert not ray.is_initialized()
    assert dict(os.environ) == environment
    assert signal.getsignal(signal.SIGTERM) == handler
    assert len(running) > 2
    assert not psutil.wait_procs(list(running), timeout=10)[1]


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    """A head that does not work and a node with one core, all on this machine."""
    from ray.cluster_utils import Cluster as SimulatedCluster

    quick = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 300, "health_check_timeout_ms": 1000}
    settings = {"num_cpus": 0, "include_dashboard": False, "_system_config": quick}
    cluster = SimulatedCluster(initialize_head=True, head_node_args=settings)
    cluster.add_node(num_cpus=1)
    yield cluster
    cluster.shutdown()


def _wrong_shape(output: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(output, labels)


def _end_the_process_at_the_last_images(output: Tensor, labels: Tensor) -> Tensor:
    if len(labels) < BATCH_SIZE:
        os._exit(1)
    return cross_entropy(output, labels)


@final
class _Damaging:
    """A worker that is ready for what it was sent, and then makes nothing of it."""

    def prepare(self, parcel: Any) -> str:
        return ray.get(parcel[0]).sent

    def measure(self, *_: Any) -> tuple[()]:
        return ()


def evaluate_on(nodes: Any, loss: LossFunction, **changes: Any) -> Surface:
    net = small_net()
    work, plan = make_work(net, loss), make_plan(net, **changes)
    with Cluster(nodes.address, work, plan) as workers:
        return evaluate(work, plan, workers)


@pytest.mark.slow
def test_an_exception_of_the_users_code_reaches_the_caller_as_it_is(nodes: Any) -> None:
    message = r"^`loss` must give one number per image, \(16,\), got the shape \(\)"
    with pytest.raises(ValueError, match=message) as caught:
        evaluate_on(nodes, _wrong_shape)
    assert type(caught.value) is ValueError


@pytest.mark.slow
def test_workers_recalibrate_to_the_same_bits(nodes: Any) -> None:
    net = small_net()
    calibration = Recalibration(net, [images_and_labels(40, seed=3)])
    work = replace(make_work(net), batch_norm="recalibrated", recalibration=calibration)
    plan = make_plan(net)
    with Cluster(nodes.address, work, plan) as workers:
        surface = evaluate(work, plan, workers)
    reference = evaluate_here(work, plan)
    assert_equal_to_the_bit(surface, reference)
    assert (surface.loss != evaluate_here(make_work(net), plan).loss).any()


@pytest.mark.slow
def test_a_cluster_whose_nodes_are_too_small_is_refused(nodes: Any) -> None:
    with pytest.raises(RuntimeError, match=r"^`ray` must give a cluster that has a node with 2 CPU for a worker"):
        evaluate_on(nodes, cross_entropy, threads=2)


@pytest.mark.slow
def test_a_worker_whose_results_are_damaged_is_named_by_process_and_node(
    nodes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "RemoteEvaluator", _Damaging)
    message = (
        r"^`ray` gave no worker whose results can be used: process \d+ on [\d.]+ was dropped because it gave an object "
        r"of the type tuple, which is no result\."
    )
    with pytest.raises(RuntimeError, match=message):
        evaluate_on(nodes, cross_entropy)


@pytest.mark.slow
def test_points_that_kill_every_worker_end_the_run(nodes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_MOST_DEATHS", 2)
    with pytest.raises(RuntimeError, match=r"^2 workers died over the same points: the last one ended so: The actor"):
        evaluate_on(nodes, _end_the_process_at_the_last_images)


@final
class Tenant:
    """Somebody else's program on the cluster."""

    def settle(self) -> None:
        pass


@pytest.mark.slow
def test_without_any_worker_the_run_ends_after_a_while_and_leaves_the_users_session(
    nodes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_FIRST_PATIENCE", 1.0)
    ray.init(nodes.address, log_to_driver=False, logging_level="ERROR")
    try:
        tenant = ray.remote(num_cpus=1)(Tenant).remote()
        ray.get(tenant.settle.remote())
        with pytest.raises(RuntimeError, match=r"^`ray` gave no worker for [12] s: none was offered"):
            evaluate_on(nodes, cross_entropy)
        assert ray.is_initialized()
    finally:
        ray.shutdown()


@pytest.mark.slow
def test_a_killed_worker_and_a_lost_node_change_no_bit(
    nodes: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    loss = SlowLoss(tmp_path)
    net = nn.Sequential(nn.ReLU(inplace=True), *small_net())  # it writes into its images
    work, plan = make_work(net, loss), make_plan(net)
    reference = evaluate_here(replace(work, task=Task()), plan)
    lost = nodes.add_node(num_cpus=1)
    killed: list[int] = []

    def kill_worker() -> None:
        killed.extend(pid for pid, node in loss.processes() if node != lost.node_id)
        os.kill(killed[0], signal.SIGKILL)

    events = {200: kill_worker, 400: lambda: nodes.remove_node(lost, allow_graceful=False)}
    capfd.readouterr()
    with Cluster(nodes.address, work, plan) as workers:
        surface = evaluate(work, plan, Watched(workers, events))
    assert_equal_to_the_bit(surface, reference)
    assert capfd.readouterr() == ("", "")
    assert len(killed) == 1
    assert len(loss.processes()) == 3


@given(st.data())
def test_every_batch_of_every_job_is_lent_once(data: st.DataObject) -> None:
    counts = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=5))
    numbers = st.lists(st.integers(0, len(counts) - 1), min_size=1, unique=True).map(tuple)
    jobs = [
        Job((2 * number, 2 * number + 1), batches)
        for number, batches in enumerate(data.draw(st.lists(numbers, max_size=6)))
    ]
    queue = LeaseQueue(jobs, counts)
    done, returned = [], []
    while queue:
        left = queue.size
        size = data.draw(st.floats(0, 60))
        lease = queue.take(size)
        assert queue.size == left - lease.size
        assert lease.size == sum(2 * counts[number] for job in lease.jobs for number in job.batches)
        smallest = len(lease.jobs) == 1 and len(lease.jobs[0].batches) == 1
        assert lease.size <= size or smallest or lease in returned
        if data.draw(st.booleans()):
            queue.give_back(lease)
            returned.append(lease)
        else:
            done += [(job.points, number) for job in lease.jobs for number in job.batches]
    assert sorted(done) == sorted((job.points, number) for job in jobs for number in job.batches)


@pytest.mark.parametrize("writable", [False, True])
@pytest.mark.parametrize("memory_format", ["contiguous", "channels_last"])
def test_shared_batches_come_back_as_they_were(memory_format: str, *, writable: bool) -> None:
    images = torch.rand(6, 3, 5, 7)[1::2]
    inputs: dict[str, Any] = {
        "image": images,
        "ids": (torch.arange(6).view(3, 2).T.contiguous().T, torch.ones(1).expand(3)),
    }
    labels = [torch.rand(3, 4).bfloat16(), torch.tensor([True, False, True])]
    shared = SharedBatches.of([Batch(inputs, labels, 4, 3)], memory_format=memory_format)
    for content in shared.contents:
        content.setflags(write=False)
    (batch,) = shared.restored(writable=writable)
    assert (batch.first, batch.count) == (4, 3)
    layout = torch.channels_last if memory_format == "channels_last" else torch.contiguous_format
    assert batch.inputs["image"].is_contiguous(memory_format=layout)
    found = [batch.inputs["image"], *batch.inputs["ids"], *batch.labels]
    for one, other in zip(found, [images, *inputs["ids"], *labels], strict=True):
        assert one.dtype == other.dtype
        assert torch.equal(one, other)
    assert (found[0].data_ptr() == shared.contents[0].ctypes.data) is not writable


def test_another_device_or_version_of_torch_is_refused() -> None:
    plan = make_plan(small_net(), device="cuda NVIDIA H100")
    check_machine(plan, replace(plan, instructions="of another CPU"))
    with pytest.raises(
        ValueError, match=r"^`ray` must give workers whose torch is .* as in the plan, but one has 1\.0"
    ):
        check_machine(plan, replace(plan, torch="1.0"))
    with pytest.raises(ValueError, match="whose device is cuda NVIDIA H100 as in the plan, but one has cuda NVIDIA T4"):
        check_machine(plan, replace(plan, device="cuda NVIDIA T4"))


def test_a_model_that_cannot_be_sent_is_refused() -> None:
    net = small_net()
    net.register_forward_pre_hook(lambda *_, generator=(number for number in range(3)): None)
    with pytest.raises(TypeError, match="must be such that pickle can send them to workers: cannot pickle 'generator'"):
        Cluster("local", make_work(net), make_plan(net)).__enter__()


def test_an_address_of_rays_client_is_refused() -> None:
    net = small_net()
    with pytest.raises(ValueError, match=r"^`ray` must be local, auto or HOST:PORT of a cluster"):
        Cluster("ray://head:10001", make_work(net), make_plan(net)).__enter__()


def test_an_address_where_nobody_is_is_refused() -> None:
    net = small_net()
    with pytest.raises(RuntimeError, match=r"^`ray` found no cluster at 127.0.0.1:1 that it can join: .*refused"):
        Cluster("127.0.0.1:1", make_work(net), make_plan(net)).__enter__()


def test_without_ray_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "gradscape.landscape.cluster.pool")
    with pytest.raises(ImportError, match=r"^`ray` needs Ray, which is not installed: pip install .gradscape\[ray\].$"):
        importlib.import_module("gradscape.landscape.cluster.pool")
