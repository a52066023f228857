"""What the papers print and their figures plot: the rows of a table, from gradscape/models/printed.csv."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

from gradscape.models.printed import CELLS, PrintedCell

__all__ = ["PAPERS", "PUBLISHED", "PublishedRow", "published_table"]

PAPERS = {
    "upanets": "UPANets",
    "spanet": "SPANet",
    "ulsam": "ULSAM",
    "residual_attention": "Residual attention (report)",
    "ba2m": "BA2M",
}
"""The five papers by the names of their figures and tables: as they are called in printed.csv."""

_KEYS = {paper: key for key, paper in PAPERS.items()}
_NUMBERS = {
    "accuracy": "accuracy",
    "parameters": "size",
    "efficiency": "efficiency",
    "error": "error",
    "seconds": "seconds",
}
_MEASURED = ("accuracy", "error", "seconds")


@final
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


def _gather_rows() -> tuple[PublishedRow, ...]:
    rows: dict[tuple[str, str, str, str], list[PrintedCell]] = {}
    for cell in CELLS:
        if cell.paper in _KEYS and cell.quantity in _NUMBERS:
            rows.setdefault((_KEYS[cell.paper], cell.table, cell.data, cell.row), []).append(cell)
    return tuple(_row(names, cells) for names, cells in rows.items())


def _row(names: tuple[str, str, str, str], cells: Sequence[PrintedCell]) -> PublishedRow:
    numbers: dict[str, Any] = dict.fromkeys(_NUMBERS.values(), None) | {
        _NUMBERS[cell.quantity]: cell.value * cell.factor / (1e6 if cell.quantity == "parameters" else 1)
        for cell in cells
    }
    measured = next((cell for cell in cells if cell.quantity in _MEASURED), cells[0])
    note = measured.reason if measured.quantity in _MEASURED else ""
    return PublishedRow(*names, measured.model, note=note, **numbers)


PUBLISHED = _gather_rows()
