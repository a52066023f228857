"""What the papers print and their figures plot: one row of a table for each line of published.csv."""

import csv
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

__all__ = ["PUBLISHED", "PublishedRow", "published_table"]

_NUMBERS = ("accuracy", "size", "efficiency", "error", "seconds")


@dataclass(frozen=True)
class PublishedRow:
    """One row of a paper's table; what it does not print is None.

    Attributes:
        paper: The paper, as in the names of its figures.
        table: The table's number; of residual attention, whose tables are called figures, the figure's.
        data: Name of the data set.
        row: What the row is called there.
        model: The network by its name here, "" where there is none.
        accuracy: Test accuracy, percent.
        size: Parameters, millions.
        efficiency: Percent of accuracy per million parameters.
        error: Test error, percent.
        seconds: Time of an epoch, s.
        note: What is known against the row.
    """

    paper: str
    table: str
    data: str
    row: str
    model: str
    accuracy: float | None
    size: float | None
    efficiency: float | None
    error: float | None
    seconds: float | None
    note: str


def published_table(paper: str, table: str) -> tuple[PublishedRow, ...]:
    """Return a table's rows in its order.

    Args:
        paper: The paper, as in the names of its figures.
        table: The table's number.
    """
    return tuple(row for row in PUBLISHED if (row.paper, row.table) == (paper, table))


def _read_rows() -> tuple[PublishedRow, ...]:
    text = files("gradscape.studies.papers").joinpath("published.csv").read_text(encoding="utf-8")
    rows: list[dict[str, Any]] = list(csv.DictReader(text.splitlines()))
    return tuple(
        PublishedRow(**{**row, **{name: float(row[name]) if row[name] else None for name in _NUMBERS}}) for row in rows
    )


PUBLISHED = _read_rows()
