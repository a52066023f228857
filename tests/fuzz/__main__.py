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
from pathlib import Path

import matplotlib as mpl
import torch

from tests.fuzz.journal import Journal, write_page, write_table
from tests.fuzz.kinds import KINDS, Kinds
from tests.fuzz.originals import KEPT
from tests.fuzz.workers import Tried, try_inputs

__all__ = ["main"]

_JOURNALS = Path(__file__).parents[2] / "build" / "fuzz"
_TOLD_EVERY = 30  # seconds


def main() -> None:
    """Read the command line, and run."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--inputs", type=int, default=2000, help="numbers 0 … N−1")
    parser.add_argument("--only", type=int, nargs="+", help="numbers of inputs to try, whatever the journal says")
    parser.add_argument("--kind", choices=sorted(KINDS), help="all inputs of one kind, without a journal")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--unkept", action="store_true", help="neither journal nor table")
    parser.add_argument("--page", action="store_true", help="only write docs/robustness.md of the table")
    asked = parser.parse_args()
    if asked.page:
        write_page()
        return
    _warm()
    with tempfile.TemporaryDirectory(prefix="gradscape-fuzz-") as folder:
        sys.exit(_run(asked, Kinds(Path(folder))))


def _run(asked: argparse.Namespace, kinds: Kinds) -> int:
    """Try what is asked for; the number of findings, at most 1, is the exit code."""
    kept = not (asked.unkept or asked.only or asked.kind)
    journal = Journal(_JOURNALS / f"seed-{asked.seed}.jsonl") if kept else None
    done = {one.number for one in journal.tried} if journal else set()
    numbers = [number for number in asked.only or range(asked.inputs) if number not in done]
    tried = list(journal.tried) if journal else []
    told = time.monotonic()
    for one in try_inputs(
        lambda number, place: kinds.make(asked.seed, number, place, kind=asked.kind), numbers, jobs=asked.jobs
    ):
        tried.append(one)
        if journal:
            journal.add(one)
        if asked.only or one.verdict.word == "finding":
            print(_line(one), flush=True)  # noqa: T201
        if time.monotonic() - told > _TOLD_EVERY:
            told = time.monotonic()
            print(f"{len(tried)} of {len(done) + len(numbers)}", file=sys.stderr, flush=True)  # noqa: T201
    if journal:
        write_table(asked.seed, journal.tried)
        write_page()
    words = Counter(one.verdict.word for one in tried)
    print(", ".join(f"{count} {word}" for word, count in sorted(words.items())))  # noqa: T201
    return int(words["finding"] > 0)


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
