"""Many devices and many machines: workers in processes that Ray runs."""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, final

try:
    import ray
except ImportError as problem:
    raise ImportError('`ray` needs Ray, which is not installed: pip install "gradscape[ray]"') from problem
from ray.exceptions import RayError, RaySystemError
from torch import Tensor

from gradscape._profile import spent_on
from gradscape.landscape.cluster.answers import (
    Answer,
    Refusal,
    UnusableReplyError,
    check_joined,
    checked_answer,
    question_digest,
)
from gradscape.landscape.cluster.leases import Lease, LeaseQueue
from gradscape.landscape.cluster.remote import Parcel, RemoteEvaluator, SharedBatches
from gradscape.landscape.cluster.session import ray_session, whereabouts
from gradscape.landscape.engine import Batch, ExecutionPlan, Job, Judgment, Work, Workers

__all__ = ["Cluster", "Reference"]

_log = logging.getLogger(__name__)

_LEASE_SECONDS = 1.0
_LEASES = 2  # of each worker at a time: it works on one while the answer to the other is on its way
_MOST_DEATHS = 3  # of workers over the same lease
_PULSE_SECONDS = 1.0
_FIRST_PATIENCE = 300.0  # s without any worker, at the start: many processes may load torch from one slow disk
_PATIENCE = 60.0  # s without any worker, later
_LINE_LETTERS = 300  # of what Ray says

Reference = Any  # ray.ObjectRef, of which Ray's own annotations are not sure


@dataclass(eq=False)
class _Worker:
    """A process as the driver knows it: it is joining, or it has leases."""

    actor: Any
    joining: Reference | None
    leases: dict[Reference, Lease] = field(default_factory=dict)
    rate: float = 0.0  # images times points per second; 0 while unknown

    def awaited(self) -> list[Reference]:
        """What it will answer."""
        return list(self.leases) if self.joining is None else [self.joining]


@final
class Cluster(Workers):
    """Processes on one or many machines, each with an `Evaluator`; a context manager.

    Model, directions and task go to each node once, the images of a round likewise. Jobs are lent in portions of
    about a second. What a worker had when it died others do, and a new worker is asked for. One whose results cannot be
    what it was asked for is dropped and named, and none is asked for in its place: it would be likely to do the same.

    Args:
        address: "local" for all GPUs or cores of this machine, "auto" or HOST:PORT for a cluster that runs.
        work: What is evaluated.
        plan: How. A worker has one GPU, or as many cores as the plan has threads.
        expected: What `specimen` gives here: workers that find something else are refused. None does not compare.
    """

    def __init__(
        self, address: str, work: Work, plan: ExecutionPlan, *, expected: Mapping[str, Tensor] | None = None
    ) -> None:
        self._address, self._work, self._plan, self._expected = address, work, plan, expected
        self._needs = {"GPU": 1} if plan.device.startswith("cuda") else {"CPU": plan.threads}
        self._workers: list[_Worker] = []
        self._counts: list[int] = []
        self._round = self._dropped = 0
        self._joined_once = False
        self._trouble = "none was offered"

    @spent_on("planning")
    def __enter__(self) -> "Cluster":
        """Begin a session, and ask for workers.

        Raises:
            TypeError: The model or one of the functions cannot be sent.
            ValueError: The address is of another form.
            RuntimeError: There is no such cluster, or none of its nodes has room for a worker.
        """
        # Before a cluster is started or asked: what cannot be pickled is refused at once.
        parcel = Parcel.of(self._work, self._plan, self._expected)
        with ExitStack() as undo:
            undo.enter_context(ray_session(self._address, cores=self._plan.threads))
            undo.callback(self._dismiss)
            cpus, gpus = (self._needs.get(name, 0) for name in ("CPU", "GPU"))
            self._actors: Any = ray.remote(num_cpus=cpus, num_gpus=gpus)(RemoteEvaluator)
            self._sent, self._parcel = parcel.sent, ray.put(parcel)
            self._hire()
            if not self._workers:
                asked = " and ".join(f"{amount} {name}" for name, amount in self._needs.items())
                raise RuntimeError(
                    f"`ray` must give a cluster that has a node with {asked} for a worker, but it has none: "
                    "ask for fewer threads, or for the cpu"
                )
            self._undo = undo.pop_all()  # until here, an exception undoes what was begun
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all workers, and Ray if it was started for them."""
        self._undo.close()

    def load(self, batches: Sequence[Batch]) -> None:
        """Put the images where all workers can fetch them, and ask for workers on nodes that are new."""
        self._counts = [batch.count for batch in batches]
        shared = SharedBatches.of(batches, memory_format=self._plan.memory_format)
        self._images_digest, self._images = shared.digest(), ray.put(shared)
        self._round += 1
        self._hire()

    def measure(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, list[Judgment]]]:
        """Lend the jobs, or parts of them, and give what comes back as it comes.

        Raises:
            Exception: What the user's code raised in a worker.
            RuntimeError: There has been no worker for a while, several died over the same jobs, or all were dropped.
        """
        # Patience is with the cluster, not with a lease: a slow worker works, however long it takes, and Ray tells when
        # one has died.
        queue = LeaseQueue(jobs, self._counts)
        seen = time.monotonic()
        while queue or any(worker.leases for worker in self._workers):
            self._lend(queue)
            ready, _ = ray.wait([one for worker in self._workers for one in worker.awaited()], timeout=_PULSE_SECONDS)
            for reference in ready:
                worker = next(worker for worker in self._workers if reference in worker.awaited())
                try:
                    reply = self._reply(worker, reference)
                except UnusableReplyError as problem:
                    self._drop(worker, problem, queue)
                    continue
                except RayError as problem:
                    self._replace(worker, problem, queue)
                    continue
                if isinstance(reply, Exception):
                    raise reply
                yield from self._accept(worker, reference, reply)
            if any(worker.joining is None for worker in self._workers):
                seen = time.monotonic()
            elif not ready:
                self._wait_on(time.monotonic() - seen)

    def _lend(self, queue: LeaseQueue) -> None:
        """Give every worker what it can do in a while; less when there is not enough left for all."""
        working = [worker for worker in self._workers if worker.joining is None]
        # One lease to each before any gets its second, so that a short queue reaches all of them.
        for _ in range(_LEASES):
            for worker in working:
                if queue and len(worker.leases) < _LEASES:
                    lease = queue.take(min(worker.rate * _LEASE_SECONDS, queue.size / len(working) / _LEASES))
                    # Within a list a reference arrives as one, and is fetched once a round; Ray would fetch a bare
                    # argument before every call.
                    answer = worker.actor.measure.remote(self._round, [self._images], lease.jobs)
                    worker.leases[answer] = lease

    def _reply(self, worker: _Worker, reference: Reference) -> Answer | Exception | None:
        """What a worker found, or what the user's code raised there; None if it has joined.

        Raises:
            UnusableReplyError: It can be neither.
            RayError: It has died.
        """
        try:
            reply = ray.get(reference)
        except RaySystemError as problem:  # so Ray calls what it cannot unpickle
            raise UnusableReplyError(f"it sent what cannot be read ({_first_line(problem)})") from problem
        if isinstance(reply, Refusal):
            return reply.problem()
        if worker.joining is not None:
            check_joined(reply, self._sent)
            return None
        lease = worker.leases[reference]
        question = question_digest(self._sent, self._images_digest, lease.jobs)
        return checked_answer(reply, question=question, images=lease.size, judged=self._work.task.metric is not None)

    def _accept(
        self, worker: _Worker, reference: Reference, answer: Answer | None
    ) -> Iterator[tuple[Job, list[Judgment]]]:
        if answer is None:
            worker.joining = None
            self._joined_once = True
            return
        lease = worker.leases.pop(reference)
        worker.rate = lease.size / max(answer.seconds, 1e-9)
        begin = 0
        for job in lease.jobs:
            images = sum(self._counts[number] for number in job.batches)
            measured = []
            for _ in job.points:
                measured.append(answer.part(slice(begin, begin + images)))
                begin += images
            yield job, measured

    def _replace(self, worker: _Worker, problem: RayError, queue: LeaseQueue) -> None:
        """Take back what a dead worker had, and ask for another one, unless it died while it joined.

        Raises:
            RuntimeError: Too many have died over what it was doing.
        """
        self._trouble = f"the last one ended so: {_first_line(problem)}"
        self._end(worker, queue)  # one that only seemed dead, cut off from the network, must not go on
        # It was at work on the oldest of its leases; those that waited behind it have done it no harm.
        for lease in list(worker.leases.values())[:1]:
            lease.deaths += 1
            if lease.deaths == _MOST_DEATHS:
                raise RuntimeError(f"{_MOST_DEATHS} workers died over the same points: {self._trouble}") from problem
        # One that dies as it joins would do so again and again, without a pause; `_wait_on` hires with pauses.
        if worker.joining is None:
            self._hire(1)

    def _drop(self, worker: _Worker, problem: UnusableReplyError, queue: LeaseQueue) -> None:
        """Do without a worker.

        Raises:
            RuntimeError: It was the last one, and there is no room for others.
        """
        who = whereabouts(worker.actor)
        self._end(worker, queue)
        self._dropped += 1
        self._trouble = f"{who} was dropped because {problem}"
        if not self._workers and self._room() <= self._dropped:
            raise RuntimeError(
                f"`ray` gave no worker whose results can be used: {self._trouble}. Do all nodes have the same "
                "installation? The same run goes on from what was saved"
            ) from problem
        _log.warning("ray: %s; others do its work", self._trouble)

    def _end(self, worker: _Worker, queue: LeaseQueue) -> None:
        """End a worker, and take back what it has not done."""
        self._workers.remove(worker)
        ray.kill(worker.actor)
        for lease in worker.leases.values():
            queue.give_back(lease)

    def _wait_on(self, seconds: float) -> None:
        """Go on without any worker, or not.

        Raises:
            RuntimeError: It has been too long, or none could be started at all.
        """
        patience = _PATIENCE if self._joined_once else _FIRST_PATIENCE
        if seconds > patience or not (self._workers or self._joined_once):
            raise RuntimeError(f"`ray` gave no worker for {seconds:.0f} s: {self._trouble}")
        if not self._workers:
            time.sleep(_PULSE_SECONDS)
        self._hire()

    def _hire(self, number: int | None = None) -> None:
        """Ask for so many workers, or for as many as the nodes have room for beside those there are or were dropped."""
        room = self._room() - self._dropped - len(self._workers)
        for _ in range(room if number is None else number):
            actor = self._actors.remote()
            self._workers.append(_Worker(actor, actor.prepare.remote([self._parcel])))

    def _room(self) -> int:
        """How many workers all nodes have room for."""
        # Of what nodes have in all: what is free just now leaves out what our own workers hold.
        return sum(
            min(int(node["Resources"].get(name, 0)) // amount for name, amount in self._needs.items())
            for node in ray.nodes()
            if node["Alive"]
        )

    def _dismiss(self) -> None:
        for worker in self._workers:
            ray.kill(worker.actor)


def _first_line(problem: RayError) -> str:
    return str(problem).strip().splitlines()[0][:_LINE_LETTERS]
