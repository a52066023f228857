"""The other side of a cluster: what goes to worker processes, and what they do."""

import hashlib
import io
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TypeVar, final

import numpy as np
import ray
import torch
from ray import cloudpickle
from ray.exceptions import RayError
from torch import Tensor

from gradscape._allocator import keep_freed_memory
from gradscape._model_state import model_device
from gradscape.landscape.cluster.answers import Answer, Refusal, question_digest
from gradscape.landscape.engine import (
    Batch,
    Evaluator,
    ExecutionPlan,
    Job,
    Work,
    evaluable,
    map_tensors,
    plain_plan,
    ready_network,
    same_output,
    specimen,
    tensors_in,
    trusted_graph,
)

__all__ = ["Answered", "Parcel", "RemoteEvaluator", "SharedBatches", "check_machine"]

Answered = TypeVar("Answered")

_SAME = 1e-4  # of the largest loss: processes may round otherwise


@dataclass(frozen=True, eq=False)
class Parcel:
    """What a worker has to know.

    Attributes:
        plan: How it evaluates.
        work: What, as `torch.save` writes it.
        expected: What the driver found at a point: a worker has to find the same. None if that is not compared.
        sent: `digest` when it was packed.
    """

    plan: ExecutionPlan
    work: np.ndarray
    expected: Mapping[str, Tensor] | None
    sent: str

    @classmethod
    def of(cls, work: Work, plan: ExecutionPlan, expected: Mapping[str, Tensor] | None = None) -> "Parcel":
        """Pack it.

        Raises:
            TypeError: Something in it cannot be sent.
        """
        file = io.BytesIO()
        try:
            # Pickled, a graph loses what is known of its nodes, so that every worker traces the model anew.
            torch.save(replace(work, graphs={}), file, pickle_module=cloudpickle)
        except Exception as problem:  # whatever the pickling of a user's objects raises
            raise TypeError(
                f"`model`, `loss`, `metric` and `forward` must be such that pickle can send them to workers: {problem}"
            ) from problem
        # As an array: those Ray keeps once on a node, in memory that all of its processes read without a copy.
        packed = np.frombuffer(file.getbuffer(), np.uint8)
        return cls(plan, packed, expected, _parcel_digest(plan, packed))

    def digest(self) -> str:
        """Name for plan and work, as they are here."""
        return _parcel_digest(self.plan, self.work)

    def unpacked(self) -> Work:
        """What was packed, on this process's device if the plan's is of that kind.

        That may execute code: a user's network, loss, metric and `forward` are code. Ray has unpickled this process's
        very class and arguments with the same trust: who can send anything here can execute anything here.
        """
        device = "cuda" if self.plan.device.startswith("cuda") and torch.cuda.is_available() else "cpu"
        return torch.load(io.BytesIO(self.work.data), map_location=device, weights_only=False)


@dataclass(frozen=True, eq=False)
class SharedBatches:
    """Batches that all processes of a node can read from the same memory.

    Attributes:
        batches: With "meta" tensors, which have shapes, types and strides, but no content.
        contents: The bytes of each tensor, in order.
    """

    batches: list[Batch]
    contents: list[np.ndarray]

    @classmethod
    def of(cls, batches: Sequence[Batch], *, memory_format: str) -> "SharedBatches":
        """Lay images (4 axes) out in a memory format, so that nobody has to do it again."""
        layout = torch.channels_last if memory_format == "channels_last" else torch.contiguous_format

        def dense(tensor: Tensor) -> Tensor:
            return (
                tensor.detach().cpu().contiguous(memory_format=layout if tensor.dim() == 4 else torch.contiguous_format)
            )

        laid_out = [_mapped(dense, batch) for batch in batches]
        # As bytes, since numpy has no bfloat16; shapes, types and strides travel with the "meta" tensors.
        contents = [_bytes(tensor) for batch in laid_out for tensor in tensors_in((batch.inputs, batch.labels))]
        return cls([_mapped(lambda tensor: tensor.to("meta"), batch) for batch in laid_out], contents)

    def digest(self) -> str:
        """Name for their bits and layout, as they are here."""
        sha = hashlib.sha256()
        for batch in self.batches:
            layout = [(one.dtype, one.shape, one.stride()) for one in tensors_in((batch.inputs, batch.labels))]
            sha.update(f"{batch.first} {batch.count} {layout}\n".encode())
        for content in self.contents:
            sha.update(content.data)
        return sha.hexdigest()[:16]

    def restored(self, *, writable: bool) -> list[Batch]:
        """The batches, over the shared memory itself unless they are to be writable."""
        contents = iter(self.contents)

        def tensor(like: Tensor) -> Tensor:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch says that the memory is read-only
                content = torch.from_numpy(next(contents))
            whole = (content.clone() if writable else content).view(like.dtype)
            return whole.as_strided(like.shape, like.stride())

        return [_mapped(tensor, batch) for batch in self.batches]


@final
class RemoteEvaluator:
    """An `Evaluator` in a process of its own, to be made an actor of."""

    def __init__(self) -> None:
        self._contexts = ExitStack()  # for as long as the process lives
        self._round = -1

    def prepare(self, parcel: "list[ray.ObjectRef[Parcel]]") -> str | Refusal:
        """Get ready to evaluate; the digest of what is to be evaluated, as it has arrived."""
        return _refusing(lambda: self._prepare(ray.get(parcel[0])))

    def measure(
        self, number: int, shared: "list[ray.ObjectRef[SharedBatches]]", jobs: Sequence[Job]
    ) -> Answer | Refusal:
        """Do jobs about the images of a round, which are fetched when it begins."""
        return _refusing(lambda: self._measure(number, shared, jobs))

    def _prepare(self, parcel: Parcel) -> str:
        self._work = parcel.digest()
        if self._work != parcel.sent:  # the driver compares it, too
            return self._work
        keep_freed_memory()
        torch.set_num_threads(parcel.plan.threads)  # sums over other shares of the work round otherwise
        work, plan = parcel.unpacked(), parcel.plan
        # Before anything is evaluated: results of a machine of another kind would look like any others.
        check_machine(plan, plain_plan(work.model, precision="fp32", batch_size=plan.batch_size))
        self._contexts.enter_context(evaluable(work.model))
        if parcel.expected is not None:
            _check_specimen(parcel.expected, specimen(work))
        graph = trusted_graph(work) if plan.traced else None
        network = self._contexts.enter_context(
            ready_network(work.model, work.directions, work.task.forward, plan, graph, recalibration=work.recalibration)
        )
        device = model_device(work.model)
        self._evaluator = Evaluator(network, work.coordinates, work.task, plan, device=device)
        batch = Batch(work.first.inputs, work.first.labels, 0, work.first.count)
        self._writes = self._changes(batch.to(device, memory_format=plan.memory_format))
        return self._work

    def _changes(self, batch: Batch) -> bool:
        """Whether the model writes into its images (a ReLU in place before all else): shared memory forbids that."""
        # torch counts the writes into a tensor, for autograd's sake.
        tensors = list(tensors_in((batch.inputs, batch.labels)))
        versions = [tensor._version for tensor in tensors]
        self._evaluator.load([batch])
        self._evaluator.measure_one(Job((0,), (0,)))
        return versions != [tensor._version for tensor in tensors]

    def _measure(self, number: int, shared: "list[ray.ObjectRef[SharedBatches]]", jobs: Sequence[Job]) -> Answer:
        if number != self._round:
            images = ray.get(shared[0])
            self._images = images.digest()
            self._evaluator.load(images.restored(writable=self._writes))
            self._round = number
        # Without the time to fetch the images: the rate decides how much is lent next.
        began = time.perf_counter()
        measured = [one for job in jobs for one in self._evaluator.measure_one(job)]
        losses = np.concatenate([one.losses for one in measured])
        rights = [one.right for one in measured if one.right is not None]
        seconds = time.perf_counter() - began
        question = question_digest(self._work, self._images, jobs)
        return Answer.of(losses, np.concatenate(rights) if rights else None, seconds=seconds, question=question)


def _refusing(function: Callable[[], Answered]) -> Answered | Refusal:
    try:
        return function()
    except RayError:  # this process is cut off: others have to do its work
        raise
    except Exception as problem:
        return Refusal.of(problem)


def _check_specimen(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    # A function of a module is sent by its name: what that module's globals hold here is not what they hold there.
    for role, values in expected.items():
        if not same_output(values, found[role], _SAME):
            raise ValueError(
                f"`{role}` gives other numbers in a process of `ray` than here: is what it or `forward` reads (a "
                "module's global, a file, an environment variable) another one there? Let it hold what it needs "
                "itself, such as by functools.partial"
            )


def check_machine(plan: ExecutionPlan, here: ExecutionPlan) -> None:
    """Refuse a machine whose numbers would be others.

    Raises:
        ValueError: Its device, its version of torch or its vector instructions are not the plan's.
    """
    names = ["device", "torch", *(["instructions"] if plan.device == "cpu" else [])]
    for name in names:
        if getattr(here, name) != getattr(plan, name):
            raise ValueError(
                f"`ray` must give workers whose {name} is {getattr(plan, name)} as in the plan, "
                f"but one has {getattr(here, name)}: use machines of one kind with the same installation"
            )


def _parcel_digest(plan: ExecutionPlan, work: np.ndarray) -> str:
    sha = hashlib.sha256(repr(plan).encode())
    sha.update(work.data)
    return sha.hexdigest()[:16]


def _mapped(function: Callable[[Tensor], Tensor], batch: Batch) -> Batch:
    return replace(batch, inputs=map_tensors(function, batch.inputs), labels=map_tensors(function, batch.labels))


def _bytes(tensor: Tensor) -> np.ndarray:
    return tensor.as_strided((tensor.numel(),), (1,)).view(torch.uint8).numpy()
