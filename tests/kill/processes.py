"""Commands as processes that can be killed: forked from a warm one, or started cold."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, final

from tests.kill.jobs import KEPT, Job

__all__ = ["Ended", "Kill", "Processes"]

_LONGEST = 600.0  # s, on a machine that does much else
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Kill:
    """A signal, and when it comes.

    Attributes:
        signal: Its number.
        after: Processor seconds after the start, which a busy machine does not move; None where `write` says it.
        write: It comes at so many steps of writing; None where `after` says it.
        cold: In a process that has loaded nothing yet.
    """

    signal: int
    after: float | None = None
    write: int | None = None
    cold: bool = False


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes:
        code: Exit code, as `subprocess` has it.
        errors: What it wrote to stderr.
        cpu: Processor seconds that it took; of a cold one 0.
        orphans: Processes of its session that outlived it.
    """

    code: int
    errors: str
    cpu: float
    orphans: tuple[str, ...]


@final
class Processes:
    """A warm process, as a context."""

    def __enter__(self) -> "Processes":
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(_ROOT), "MPLBACKEND": "agg"}
        command = [sys.executable, "-m", "tests.kill.zygote"]
        self._warm = subprocess.Popen(
            command, cwd=_ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self._environment = environment
        self._answer()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._warm.stdin
        assert self._warm.stdout
        self._warm.kill()  # it has nothing to save, and a second of modules to let go of
        self._warm.wait()
        self._warm.stdin.close()
        self._warm.stdout.close()

    def run(self, job: Job, command: Sequence[str], folder: Path, *, kill: Kill | None = None) -> Ended:
        """Run a command to its end, or kill it.

        Args:
            job: Its settings.
            command: Its words.
            folder: For its stdout and stderr; the output is in it.
            kill: What comes between.
        """
        folder.mkdir(parents=True, exist_ok=True)
        if kill and kill.cold:
            code, cpu = self._cold(command, folder, kill), 0.0
        else:
            code, cpu = self._forked(job, command, folder, kill)
        return Ended(code, (folder / "stderr").read_text(errors="replace"), cpu, _orphans(self._session))

    def _forked(self, job: Job, command: Sequence[str], folder: Path, kill: Kill | None) -> tuple[int, float]:
        request = {
            "command": list(command),
            "environment": {"TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor")},
            "folder": str(KEPT),
            "output": str(folder / job.output),
            "settings": job.settings,
            "signal": kill.signal if kill else 0,
            "stderr": str(folder / "stderr"),
            "stdout": str(folder / "stdout"),
            "steps": str(folder / "steps"),
            "write": (kill.write or 0) if kill else 0,
        }
        assert self._warm.stdin
        self._warm.stdin.write(f"{json.dumps(request)}\n")
        self._session = self._answer()["pid"]
        if kill and kill.after is not None:
            _wait_for_cpu(self._session, kill.after)
            _send(self._session, kill.signal)
        answer = self._answer()
        return answer["status"], answer["cpu"]

    def _cold(self, command: Sequence[str], folder: Path, kill: Kill) -> int:
        program = str(Path(sys.executable).with_name("gradscape"))
        with (folder / "stdout").open("w") as out, (folder / "stderr").open("w") as errors:
            process = subprocess.Popen(
                [program, *command[1:]],
                cwd=KEPT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=errors,
                start_new_session=True,
            )
            self._session = process.pid
            # Before that Python itself starts, and has its own way with Ctrl-C.
            while process.poll() is None and not _catches(process.pid, signal.SIGTERM):
                time.sleep(0.002)
            _wait_for_cpu(process.pid, _cpu(process.pid) + (kill.after or 0))
            _send(process.pid, kill.signal)
            return process.wait(_LONGEST)

    def _answer(self) -> Any:
        assert self._warm.stdout
        return json.loads(self._warm.stdout.readline())


def _wait_for_cpu(process: int, seconds: float) -> None:
    """Wait until a process has worked for so long, or has ended."""
    began = time.monotonic()
    while _cpu(process) < seconds and _is_there(process) and time.monotonic() - began < _LONGEST:
        time.sleep(0.002)


def _cpu(process: int) -> float:
    try:
        return int(Path(f"/proc/{process}/schedstat").read_text().split()[0]) / 1e9
    except (OSError, IndexError):
        return 0.0


def _is_there(process: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[:1]
    except OSError:
        return False


def _catches(process: int, number: int) -> bool:
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return True
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


def _send(process: int, number: int) -> None:
    """Ctrl-C and a terminal that closes reach all processes of a session, the other signals one."""
    try:
        if number in (signal.SIGINT, signal.SIGHUP):
            os.killpg(process, number)
        else:
            os.kill(process, number)
    except ProcessLookupError:
        pass  # it has ended by itself


def _orphans(session: int) -> tuple[str, ...]:
    """What is left of a session some seconds later: helpers of a killed process need a moment to see it."""
    for _ in range(100):
        left = _of_session(session)
        if not left:
            return ()
        time.sleep(0.1)
    for number, _ in left:
        os.kill(number, signal.SIGKILL)
    return tuple(name for _, name in left)


def _of_session(session: int) -> list[tuple[int, str]]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                name, _, rest = (entry / "stat").read_text().rpartition(")")
            except OSError:
                continue
            state, *_ = fields = rest.split()
            if int(fields[3]) == session and state != "Z":
                found.append((int(entry.name), name.partition("(")[2]))
    return found
