"""Measure how much longer a command takes beside a process that keeps one core busy.

Run it from anywhere on a quiet machine: `python benchmarks/busy_machine.py [--turns 3] [--spinning] [COMMAND …]`, with
a command of gradscape without its output, `demo` by default: each run gets an empty folder. Turns are quiet and busy in
alternation. With `--spinning` each also runs with OpenMP's own default, by which threads that wait spin: what letting
them sleep costs on a quiet machine, and what it saves on a busy one. It fails if the command as it is takes more than
2.5 times its quiet time beside the busy process.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

MOST = 2.5
SETTINGS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
SPINNING = {"GOMP_SPINCOUNT": "300000"}  # what libgomp does by itself; as the user's choice the program leaves it
PROGRAM = "from gradscape.cli import main; main()"

Situation = tuple[str, bool]  # how idle threads wait, and whether another process is there


def main() -> int:
    """Measure; the exit status."""
    parser = argparse.ArgumentParser(description="Measure how much longer a command takes on a busy machine.")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--spinning", action="store_true", help="Also let idle threads spin.")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="What follows `gradscape`; demo by default.")
    arguments = parser.parse_args()
    command = [word for word in arguments.command if word != "--"] or ["demo"]
    waits: dict[str, Mapping[str, str]] = {"sleeping": {}, **({"spinning": SPINNING} if arguments.spinning else {})}
    print(f"gradscape {' '.join(command)}, {os.cpu_count()} cores, {arguments.turns} turns")
    seconds: dict[Situation, list[float]] = {(wait, busy): [] for busy in (False, True) for wait in waits}
    for turn in range(arguments.turns):
        # Every other turn goes backwards: what slows the machine for a while does not always meet the same one.
        for wait, busy in list(seconds)[:: -1 if turn % 2 else 1]:
            took = seconds_of(command, waits[wait], busy=busy)
            seconds[wait, busy].append(took)
            print(f"  turn {turn + 1}, {wait}, {'busy' if busy else 'quiet'}: {took:.1f} s", flush=True)
    return int(tell(seconds) > MOST)


def tell(seconds: Mapping[Situation, Sequence[float]]) -> float:
    """Print medians and ratios; the ratio of busy to quiet of the program as it is."""
    for (wait, busy), took in seconds.items():
        print(f"{wait}, {'busy' if busy else 'quiet'}: median {statistics.median(took):.1f} s")
    for wait in dict.fromkeys(wait for wait, _ in seconds):
        print(f"{wait}: busy / quiet {ratio(seconds[wait, True], seconds[wait, False]):.2f}")
    if ("spinning", False) in seconds:
        cost = ratio(seconds["sleeping", False], seconds["spinning", False])
        saving = ratio(seconds["spinning", True], seconds["sleeping", True])
        print(f"sleeping instead of spinning: quiet {cost:.2f} times the time; busy {saving:.2f} times as fast")
    return ratio(seconds["sleeping", True], seconds["sleeping", False])


def ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """Median over the turns of one time by another."""
    return statistics.median(one / other for one, other in zip(above, below, strict=True))


def seconds_of(command: Sequence[str], setting: Mapping[str, str], *, busy: bool) -> float:
    """Time of a run, start of Python included."""
    environment = {name: value for name, value in os.environ.items() if name not in SETTINGS} | dict(setting)
    with tempfile.TemporaryDirectory() as folder, busy_core(wanted=busy):
        words = [sys.executable, "-c", PROGRAM, *command, "-o", f"{folder}/out", "--quiet"]
        began = time.perf_counter()
        subprocess.run(words, env=environment, check=True)
        return time.perf_counter() - began


@contextmanager
def busy_core(*, wanted: bool) -> Iterator[None]:
    """A process that keeps a core busy, if it is wanted."""
    if not wanted:
        yield
        return
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    sys.exit(main())
