"""What was tried in all campaigns: a journal of each seed, a table that adds up, and a page of it."""

import csv
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import final, get_args

from tests.fuzz.attempt import Verdict, Word
from tests.fuzz.kinds import KINDS
from tests.fuzz.workers import Tried
from tests.page_tables import ROBUSTNESS, put_table

__all__ = ["Journal", "write_page", "write_table"]

TABLE = Path(__file__).with_name("table.csv")
_WORDS: tuple[str, ...] = get_args(Word)


@final
class Journal:
    """The inputs of one seed that were tried, one a line.

    Args:
        path: The file, which may be there; None keeps it in memory alone.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.tried: list[Tried] = []
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            *lines, _ = path.read_text(encoding="utf-8").split("\n")  # the last one may be half of one
            self.tried = [_tried(line) for line in lines]
            path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    def add(self, one: Tried) -> None:
        """Note an input."""
        self.tried.append(one)
        if self._path is None:
            return
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(one)) + "\n")


def _tried(line: str) -> Tried:
    entries = json.loads(line)
    return Tried(**{**entries, "verdict": Verdict(**entries["verdict"])})


def write_table(seed: int, tried: Iterable[Tried], table: Path = TABLE) -> None:
    """Put what a seed came to into the table of all, in place of what it had come to.

    Args:
        seed: The seed.
        tried: All its inputs so far.
        table: The table.
    """
    others = [row for row in _rows(table) if row["seed"] != str(seed)]
    counts = {kind: Counter(one.verdict.word for one in tried if one.kind == kind) for kind in KINDS}
    rows = [
        {"seed": seed, "kind": kind, "inputs": count.total(), **{word: count[word] for word in get_args(Word)}}
        for kind, count in counts.items()
        if count
    ]
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ("seed", "kind", "inputs", *_WORDS), lineterminator="\n")
        writer.writeheader()
        writer.writerows([*others, *rows])


def write_page(table: Path = TABLE, page: Path = ROBUSTNESS) -> None:
    """Put the table into the page: every kind with its sums over all seeds."""
    rows = _rows(table)
    columns = ("inputs", *_WORDS)
    sums = {kind: [sum(int(row[name]) for row in rows if row["kind"] == kind) for name in columns] for kind in KINDS}
    sums["**all**"] = [sum(column) for column in zip(*sums.values(), strict=True)]
    lines = ["| kind | inputs | refused | equal | other | findings |", "|---|---:|---:|---:|---:|---:|"]
    lines += [f"| {kind} | {' | '.join(f'{number:,}' for number in numbers)} |" for kind, numbers in sums.items()]
    seeds = sorted({int(row["seed"]) for row in rows})
    lines += ["", f"Seeds: {', '.join(map(str, seeds)) or 'none'}."]
    put_table(page, "python -m tests.fuzz", "\n".join(lines))


def _rows(table: Path) -> list[dict[str, str]]:
    if not table.exists():
        return []
    with table.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
