"""Chains of kills: a command is killed again and again, goes on, and ends with the bits of an undisturbed run."""

import random
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.kill.jobs import JOBS
from tests.kill.processes import Ended, Kill, Processes
from tests.kill.trees import differences, leftovers

__all__ = ["SIGNALS", "Link", "Whole", "break_chain", "run_whole"]

SIGNALS = {name: getattr(signal, name) for name in ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")}

_MOST = 0.9  # of the processor time: what follows is Python's own end
_COLD = 3.0  # processor seconds that loading takes about


@dataclass(frozen=True)
class Whole:
    """An undisturbed run.

    Attributes:
        folder: Its own.
        cpu: Processor seconds that it took.
        errors: What it wrote to stderr.
        steps: Of its writing.
    """

    folder: Path
    cpu: float
    errors: str
    steps: int


@dataclass
class Link:
    """One kill of a chain.

    Attributes:
        signal: Its name.
        place: "moment", "write" or "loading".
        late: Whether the command had ended before.
        findings: What went wrong, here or, for the last of a chain, after it.
    """

    signal: str
    place: str
    late: bool
    findings: list[str]


def run_whole(processes: Processes, name: str, folder: Path) -> Whole:
    """Run a command undisturbed: twice where a plan is followed, since the first one chooses it.

    Raises:
        RuntimeError: It failed.
    """
    job, plan = JOBS[name], None
    if job.plan:
        plan = folder.with_name(f"{folder.name}, planned")
        _run_well(processes, name, plan, None)
    return Whole(folder, *_run_well(processes, name, folder, plan))


def break_chain(
    processes: Processes, name: str, whole: Whole, folder: Path, *, seed: str, kills: int
) -> Iterator[Link]:
    """Kill a command so many times, then let it end; yields each kill, the last one after the end.

    Args:
        processes: Where it runs.
        name: Of the command.
        whole: The undisturbed run.
        folder: A new one, removed if nothing was wrong.
        seed: Of the moments.
        kills: How many.
    """
    chance, job = random.Random(seed), JOBS[name]
    command = job.command(folder, whole.folder)
    links = []
    for done in range(kills):
        share = 0.5 if done else 1.0  # what goes on has less to do
        number = chance.choice(list(SIGNALS))
        place = chance.choices(["moment", "write", "loading"], [20, 19, 1])[0]
        moment = chance.uniform(0, _COLD if place == "loading" else _MOST * share * whole.cpu)
        kill = Kill(SIGNALS[number], cold=place == "loading", after=moment)
        if place == "write":
            kill = Kill(SIGNALS[number], write=chance.randint(1, max(1, int(share * whole.steps))))
        before = leftovers(folder / job.output)  # of kills that cannot be caught
        ended = processes.run(job, command, folder, kill=kill)
        left = [file for file in leftovers(folder / job.output) if file not in before]
        late = ended.code == 0 or (ended.code == -kill.signal != -signal.SIGKILL)
        found = _wrong(ended, kill, whole, late=late, left=left)
        if late and ended.code:  # silently, when all was written
            found += differences(whole.folder / job.output, folder / job.output)
        links.append(Link(number, place, late, [f"{kill}: {one}" for one in found]))
    links[-1].findings += _end(processes, name, whole, folder)
    if not any(link.findings for link in links):
        shutil.rmtree(folder)
    yield from links


def _end(processes: Processes, name: str, whole: Whole, folder: Path) -> list[str]:
    job = JOBS[name]
    ended = processes.run(job, job.command(folder, whole.folder), folder)
    found = [f"went on to exit code {ended.code}: {ended.errors[-500:]}"] if ended.code else []
    found += [f"orphan {orphan}" for orphan in ended.orphans]
    found += [f"left {file}" for file in leftovers(folder / job.output)]
    return found + [f"after going on, {file}" for file in differences(whole.folder / job.output, folder / job.output)]


def _wrong(ended: Ended, kill: Kill, whole: Whole, *, late: bool, left: list[str]) -> list[str]:
    found = [f"orphan {orphan}" for orphan in ended.orphans]
    if "Traceback" in ended.errors or "Exception ignored" in ended.errors:
        found.append(f"traceback: {ended.errors[-1500:]}")
    if kill.signal == signal.SIGKILL or late:
        return found + ([] if late or ended.code == -signal.SIGKILL else [f"exit code {ended.code}"])
    lines = [line for line in ended.errors.splitlines() if line not in whole.errors.splitlines()]
    if ended.code != 128 + kill.signal:
        found.append(f"exit code {ended.code}")
    if len(lines) != 1 or not lines[0].startswith("gradscape: stopped"):
        found.append(f"said {lines}")
    return found + [f"left {file}" for file in left]


def _run_well(processes: Processes, name: str, folder: Path, plan: Path | None) -> tuple[float, str, int]:
    job = JOBS[name]
    ended = processes.run(job, job.command(folder, plan), folder)
    if ended.code or ended.orphans:
        raise RuntimeError(f"{name} ended with {ended}")
    return ended.cpu, ended.errors, int((folder / "steps").read_text())
