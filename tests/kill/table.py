"""The account of all kills so far: tests/kill/table.csv, and the table in docs/robustness.md."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import final

from gradscape._files import save_rows
from tests.kill.chains import SIGNALS, Link
from tests.page_tables import ROBUSTNESS, put_table

__all__ = ["Table"]

_FILE = Path(__file__).with_name("table.csv")
_KEYS, _COUNTS = ("command", "signal", "place"), ("kills", "late", "equal", "findings")


@final
class Table:
    """Counts by command, signal and place.

    Args:
        counts: (command, signal, place) -> kills, signals that came too late, kills after which the command went on to
            the same bits, findings.
    """

    def __init__(self, counts: dict[tuple[str, str, str], list[int]]) -> None:
        self._counts = counts

    @classmethod
    def load(cls) -> "Table":
        """The table as it is in the project."""
        if not _FILE.exists():
            return cls({})
        with _FILE.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return cls(
            {(row["command"], row["signal"], row["place"]): [int(row[name]) for name in _COUNTS] for row in rows}
        )

    def kills(self, command: str) -> int:
        """How many signals a command got."""
        return sum(kills + late for (name, *_), (kills, late, *_) in self._counts.items() if name == command)

    def add(self, command: str, chain: Sequence[Link]) -> None:
        """Count a chain: all its kills are equal, or none is."""
        equal = not any(link.findings for link in chain)
        for link in chain:
            counts = self._counts.setdefault((command, link.signal, link.place), [0] * len(_COUNTS))
            for number, more in enumerate((not link.late, link.late, equal and not link.late, len(link.findings))):
                counts[number] += more

    def save(self) -> None:
        """Write the table, and put it into the page."""
        rows = [
            dict(zip((*_KEYS, *_COUNTS), (*key, *counts), strict=True)) for key, counts in sorted(self._counts.items())
        ]
        save_rows(_FILE, (*_KEYS, *_COUNTS), rows)
        put_table(ROBUSTNESS, "python -m tests.kill", self._drawn())

    def _drawn(self) -> str:
        lines = [f"| command | {' | '.join(SIGNALS)} | equal | findings |", f"|---{'|---:' * (len(SIGNALS) + 2)}|"]
        commands = sorted({command for command, *_ in self._counts})
        for command in commands:
            lines.append(self._line(command, [command]))
        return "\n".join([*lines, self._line("**all**", commands)])

    def _line(self, title: str, commands: Iterable[str]) -> str:
        chosen = {key: counts for key, counts in self._counts.items() if key[0] in commands}
        by_signal = [sum(counts[0] for key, counts in chosen.items() if key[1] == name) for name in SIGNALS]
        totals = [sum(counts[number] for counts in chosen.values()) for number in (2, 3)]
        return f"| {' | '.join([title, *map(str, [*by_signal, *totals])])} |"
