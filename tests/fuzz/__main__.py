"""Run a campaign, go on with one, or try one input again.

python -m tests.fuzz --seed 1 --inputs 100000
python -m tests.fuzz --seed 1 --only 4711
"""

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import torch

from tests.fuzz.attempt import Input
from tests.fuzz.journal import Journal, write_page, write_table
from tests.fuzz.kept_inputs import keep_input, kept_input, kept_rows
from tests.fuzz.kinds import KINDS, Kinds
from tests.fuzz.originals import KEPT
from tests.fuzz.workers import Tried, try_inputs

__all__ = ["main"]

_JOURNALS = Path(__file__).parents[2] / "build" / "fuzz"
_TOLD_EVERY = 30  # seconds


def main() -> None:
    """Read the command line, and run."""
    asked = _parser().parse_args()
    if asked.page:
        write_page()
        return
    _warm()
    with tempfile.TemporaryDirectory(prefix="gradscape-fuzz-") as folder:
        kinds = Kinds(Path(folder))
        if asked.keep:
            for number in asked.only:
                place = Path(folder) / f"kept-{number}"
                place.mkdir()
                print(keep_input(kinds, asked.seed, number, finding=asked.keep, place=place))  # noqa: T201
            return
        sys.exit(_run(asked, kinds))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--inputs", type=int, default=2000, help="numbers 0 … N−1")
    parser.add_argument("--only", type=int, nargs="+", help="numbers of inputs to try, whatever the journal says")
    parser.add_argument("--kind", choices=sorted(KINDS), help="all inputs of one kind")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--journal", type=Path, help="write here what was tried, and do not touch the table")
    parser.add_argument("--kept", action="store_true", help="try what was found once, too")
    parser.add_argument("--keep", metavar="FINDING", help="keep the files of the inputs of `--only`")
    parser.add_argument("--page", action="store_true", help="only put the table into docs/robustness.md")
    return parser


def _run(asked: argparse.Namespace, kinds: Kinds) -> int:
    """Try what is asked for; the exit code says whether there was a finding."""
    counted = not (asked.journal or asked.only or asked.kind)  # else the table would mix
    journal = Journal(asked.journal or (_JOURNALS / f"seed-{asked.seed}.jsonl" if counted else None))
    for one in _tried(asked, kinds, {one.number for one in journal.tried}):
        journal.add(one)
        if asked.only or one.verdict.word == "finding":
            print(_line(one), flush=True)  # noqa: T201
    if counted:
        write_table(asked.seed, journal.tried)
        write_page()
    words = Counter(one.verdict.word for one in journal.tried)
    print(", ".join(f"{count} {word}" for word, count in sorted(words.items())))  # noqa: T201
    return int(words["finding"] > 0)


def _tried(asked: argparse.Namespace, kinds: Kinds, done: set[int]) -> Iterator[Tried]:
    """Every input that is asked for and not done; kept ones have numbers below 0."""
    rows = kept_rows() if asked.kept else []

    def make(number: int, place: Path) -> tuple[str, Input]:
        if number < 0:
            return rows[-1 - number].kind, kept_input(kinds, rows[-1 - number], place)
        return kinds.make(asked.seed, number, place, kind=asked.kind)

    numbers = [*(-1 - index for index in range(len(rows))), *(asked.only or range(asked.inputs))]
    left = [number for number in numbers if number not in done]
    told = time.monotonic()
    for index, one in enumerate(try_inputs(make, left, jobs=asked.jobs)):
        yield one
        if time.monotonic() - told > _TOLD_EVERY:
            told = time.monotonic()
            print(f"{index + 1} of {len(left)}", file=sys.stderr, flush=True)  # noqa: T201


def _line(one: Tried) -> str:
    said = " ".join(one.verdict.said.split())
    return f"{one.number} {one.kind}: {one.verdict.word}: {one.how}: {said} ({one.seconds:.1f} s)"


def _warm() -> None:
    """Load all that inputs need, so that a forked process has it at once."""
    sys.path.insert(0, str(KEPT))  # where the kept files' network is
    os.environ["HF_HUB_OFFLINE"] = "1"
    mpl.use("agg")
    torch.set_num_threads(1)


if __name__ == "__main__":
    main()
