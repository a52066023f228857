"""Measure whether one version of gradscape reads and shows stored results more slowly than another.

Run it from anywhere: `python benchmarks/reading.py OLD NEW FOLDER [--turns 9]`, with the roots of two checked-out
versions and a folder of results that holds two surfaces (`surface.h5`, as `gradscape demo` leaves them). Both versions
live in a process of their own that has loaded everything, and take turns, every other turn backwards: each turn loads
the surfaces, and gives the commands `convert`, `plot`, `compare` and `report` about a copy of the folder. Seconds are
those of the processor, which other programs on the machine hardly change; the ratio of a turn is new by old. It fails
if a median ratio is above 1.1 while its lower quartile is above 1.
"""

import argparse
import contextlib
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

MOST = 1.1
LOADS = 20  # of the surfaces in a turn: a single one takes milliseconds

Times = dict[str, list[float]]


def main() -> int:
    """Measure; the exit status."""
    parser = argparse.ArgumentParser(description="Compare how fast two versions read and show stored results.")
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve()
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        results = Path(shutil.copytree(arguments.folder, f"{scratch}/results"))
        commands = commands_about(results, Path(scratch))
        with Version(arguments.old) as old, Version(arguments.new) as new:
            for version in (old, new):  # which loads what the commands need, and makes caches
                version.turn(commands)
            times: tuple[Times, Times] = ({name: [] for name in commands}, {name: [] for name in commands})
            for turn in range(arguments.turns):
                order = list(zip((old, new), times, strict=True))
                for version, taken in order[:: -1 if turn % 2 else 1]:
                    for name, seconds in version.turn(commands).items():
                        taken[name].append(seconds)
    return int(tell(*times))


def commands_about(results: Path, scratch: Path) -> dict[str, list[str]]:
    """What follows `gradscape`, by name; of "load" the surfaces."""
    surfaces = sorted(map(str, results.rglob("surface.h5")))[:2]
    if len(surfaces) < 2:
        sys.exit(f"{results} must hold two surfaces")
    return {
        "load": surfaces,
        "convert": ["convert", surfaces[0], "--to", "csv", "-o", f"{scratch}/converted.csv", "-q"],
        "plot": ["plot", surfaces[0], "-o", f"{scratch}/plotted.png", "-q"],
        "compare": ["compare", *surfaces, "-o", f"{scratch}/compared", "-q"],
        "report": ["report", str(results), "-o", f"{scratch}/report", "-q"],
    }


@final
class Version:
    """A process that has loaded one version.

    Args:
        root: Of its files.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.resolve(strict=True)

    def __enter__(self) -> "Version":
        environment = os.environ | {"PYTHONPATH": str(self._root), "OMP_NUM_THREADS": "1"}
        words = [sys.executable, __file__, "--serve", ".", ".", "."]
        self._process = subprocess.Popen(
            words, env=environment, cwd=self._root, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def turn(self, commands: Mapping[str, Sequence[str]]) -> dict[str, float]:
        """Seconds of each command."""
        return {name: self._ask(name, command) for name, command in commands.items()}

    def _ask(self, name: str, command: Sequence[str]) -> float:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([name, command]), file=self._process.stdin, flush=True)
        answer: Any = json.loads(self._process.stdout.readline() or '"it ended"')
        if not isinstance(answer, float):
            sys.exit(f"{self._root}: gradscape {' '.join(command)}: {answer}")
        return answer


def serve() -> None:
    """In the process of a version: do what is asked, and tell how long it took."""
    from gradscape.cli.app import app
    from gradscape.landscape import Surface

    for line in sys.stdin:
        name, words = json.loads(line)
        printed = io.StringIO()
        began = time.process_time()
        with contextlib.redirect_stdout(printed):
            if name == "load":
                for _ in range(LOADS):
                    for path in words:
                        Surface.load(path)
                code = 0
            else:
                code = app(words, standalone_mode=False) or 0
        seconds = time.process_time() - began
        print(json.dumps(seconds if code == 0 else f"exit code {code}"), flush=True)


def tell(old: Times, new: Times) -> bool:
    """Print medians and ratios with their quartiles; whether something has become slower."""
    slower = False
    print(f"{'':<8} {'old, s':>8} {'new, s':>8}  new / old (quartiles)")
    for name, before in old.items():
        ratios = [after / earlier for after, earlier in zip(new[name], before, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        medians = (statistics.median(before), statistics.median(new[name]))
        print(f"{name:<8} {medians[0]:8.3f} {medians[1]:8.3f}  {middle:.3f} ({low:.3f} to {high:.3f})")
        slower |= middle > MOST and low > 1
    return slower


if __name__ == "__main__":
    sys.exit(main())
