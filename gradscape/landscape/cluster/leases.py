"""Jobs in portions that a worker is lent and, should it die, another one is lent again."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

from gradscape.landscape.engine import Job

__all__ = ["Lease", "LeaseQueue"]


@dataclass(eq=False)
class Lease:
    """What a worker does in one go.

    Attributes:
        jobs: In their order.
        size: Images times points.
        deaths: Workers that died over it.
    """

    jobs: tuple[Job, ...]
    size: int
    deaths: int = 0


@final
class LeaseQueue:
    """Jobs that wait.

    Args:
        jobs: What is to be done; a job with many batches may be divided between leases.
        counts: Images in each batch.
    """

    def __init__(self, jobs: Iterable[Job], counts: Sequence[int]) -> None:
        self._jobs, self._counts = deque(jobs), counts
        self._returned: deque[Lease] = deque()
        self.size = sum(self._size(job, job.batches) for job in self._jobs)

    def __bool__(self) -> bool:
        return bool(self._jobs or self._returned)

    def take(self, size: float) -> Lease:
        """The next lease, of so many images times points or fewer, but at least one batch; returned ones first."""
        # Returned ones first and whole: what nobody could finish is known early, and deaths are counted by the lease.
        if self._returned:
            lease = self._returned.popleft()
        else:
            jobs: list[Job] = []
            left = size
            # At least one batch: a worker whose speed is unknown asks for a size of 0, and its first lease has to tell.
            while self._jobs and (part := self._next_part(left, at_least=0 if jobs else 1)):
                jobs.append(part)
                left -= self._size(part, part.batches)
            lease = Lease(tuple(jobs), sum(self._size(job, job.batches) for job in jobs))
        self.size -= lease.size
        return lease

    def give_back(self, lease: Lease) -> None:
        """Take back what a worker did not finish."""
        self._returned.append(lease)
        self.size += lease.size

    def _next_part(self, size: float, *, at_least: int) -> Job | None:
        """As many batches of the first job as fit; they leave the queue."""
        job = self._jobs[0]
        number = at_least
        while number < len(job.batches) and self._size(job, job.batches[: number + 1]) <= size:
            number += 1
        if number == 0:
            return None
        # What is left of a job stays first, so that points are finished in order and soon.
        self._jobs.popleft()
        if number < len(job.batches):
            self._jobs.appendleft(Job(job.points, job.batches[number:]))
        return Job(job.points, job.batches[:number])

    def _size(self, job: Job, batches: Sequence[int]) -> int:
        return len(job.points) * sum(self._counts[number] for number in batches)
