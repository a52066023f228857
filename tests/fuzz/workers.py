"""Processes that inputs are tried in: forked from a warm one, with limits, and replaced when they die or hang."""

import json
import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from tests.fuzz.attempt import Input, Streams, Verdict, judge

__all__ = ["Tried", "try_inputs"]

MEMORY = 2 * 2**30  # above that of the warm process
SECONDS = 10  # of processor time: a busy machine is no hang
WAITED = 90  # seconds on the clock, for what waits and computes nothing
_PER_WORKER = 250
_FILE_SIZE = 2**28


@dataclass(frozen=True)
class Tried:
    """An input that was tried.

    Attributes:
        number: Of the input.
        kind: Of the input.
        how: How it was made.
        verdict: What came of it.
        seconds: On the clock.
    """

    number: int
    kind: str
    how: str
    verdict: Verdict
    seconds: float


Make = Callable[[int, Path], tuple[str, Input]]


def try_inputs(make: Make, numbers: Iterable[int], *, jobs: int = 1) -> Iterator[Tried]:
    """Try inputs in processes of their own, some hundred in each.

    Args:
        make: Makes input `number` in an empty folder: its kind, and the input.
        numbers: Which inputs.
        jobs: How many processes at a time.

    Yields:
        Each input as soon as it is tried, in no order.
    """
    left = deque(numbers)
    workers: list[_Worker] = []
    try:
        while left or workers:
            while left and len(workers) < jobs:
                workers.append(_Worker(make, [left.popleft() for _ in range(min(_PER_WORKER, len(left)))]))
            ready = select.select([one.pipe for one in workers], [], [], 0.2)[0]
            for worker in list(workers):
                ended = worker.pipe in ready and not worker.receive()
                yield from worker.tried()
                if not ended and worker.overdue():
                    worker.end()
                    ended = True
                if ended:
                    workers.remove(worker)
                    yield from worker.bury()
                    left.extendleft(reversed(worker.numbers))
    finally:
        for worker in workers:
            worker.end()


@final
@dataclass(eq=False)
class _Worker:
    """A process, and what it has still to do.

    Attributes:
        make: Makes its inputs.
        numbers: Inputs that it has not told of.
    """

    make: Make
    numbers: list[int]
    pid: int = 0
    pipe: int = -1
    _told: bytes = b""
    _begun: dict[str, object] = field(default_factory=dict)
    _clock: float = 0.0
    _used: float = 0.0
    _why: str = ""

    def __post_init__(self) -> None:
        sys.stdout.flush()
        self.pipe, end = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.pipe)
            _work(self.make, self.numbers, end)
        os.close(end)
        self._clock = time.monotonic()

    def receive(self) -> bool:
        """Read what it tells; False when it has ended."""
        data = os.read(self.pipe, 2**16)
        self._told += data
        return bool(data)

    def tried(self) -> Iterator[Tried]:
        """The inputs that it has told of since."""
        *lines, self._told = self._told.split(b"\n")
        for line in lines:
            told = json.loads(line)
            if "broken" in told:
                raise RuntimeError(told["broken"])
            if "verdict" not in told:
                self._begun, self._clock, self._used = told, time.monotonic(), _processor_seconds(self.pid)
                continue
            self.numbers.remove(told["number"])
            self._begun = {}
            yield Tried(told["number"], told["kind"], told["how"], Verdict(*told["verdict"]), told["seconds"])

    def overdue(self) -> bool:
        """Whether the input that it is at takes too long."""
        if self._begun:
            used, waited = _processor_seconds(self.pid) - self._used, time.monotonic() - self._clock
            self._why = (
                f"hangs: {used:.0f} s of processor time in {waited:.0f} s" if used > SECONDS or waited > WAITED else ""
            )
        return bool(self._why)

    def end(self) -> None:
        """Kill it."""
        os.kill(self.pid, signal.SIGKILL)

    def bury(self) -> Iterator[Tried]:
        """The input that it died of, if it did."""
        os.close(self.pipe)
        _, status = os.waitpid(self.pid, 0)
        if not self._begun and self.numbers and not self._why:
            raise RuntimeError(f"a worker ended between two inputs, with status {status}")
        if self._begun:
            number = int(str(self._begun["number"]))
            self.numbers.remove(number)
            why = self._why or f"the process died: status {status}"
            waited = time.monotonic() - self._clock
            yield Tried(number, str(self._begun["kind"]), str(self._begun["how"]), Verdict("finding", why), waited)


def _work(make: Make, numbers: list[int], pipe: int) -> None:
    """The life of a worker."""
    code = 1
    try:
        with tempfile.TemporaryDirectory(prefix="gradscape-fuzz-") as folder:
            streams = Streams(Path(folder) / "told")
            _limit()
            for number in numbers:
                _try(make, number, Path(folder) / "input", streams, pipe)
        code = 0
    except BaseException:  # a fault of ours, in making an input
        _tell(pipe, {"broken": traceback.format_exc()})
    finally:
        os._exit(code)


def _try(make: Make, number: int, place: Path, streams: Streams, pipe: int) -> None:
    place.mkdir()
    kind, one = make(number, place)
    about = {"number": number, "kind": kind, "how": one.how[:300]}
    _tell(pipe, about)
    begun = time.monotonic()
    verdict = judge(one, streams)
    _tell(pipe, {**about, "verdict": [verdict.word, verdict.said], "seconds": time.monotonic() - begun})
    shutil.rmtree(place)


def _tell(pipe: int, entries: dict[str, object]) -> None:
    data = json.dumps(entries).encode() + b"\n"
    while data:
        data = data[os.write(pipe, data) :]


def _limit() -> None:
    """Let this process have so much more memory, and write no large files."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_FILE_SIZE, _FILE_SIZE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
