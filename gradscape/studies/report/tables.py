"""Tables of the report, as its templates read them."""

from dataclasses import dataclass
from typing import final

__all__ = ["NONE", "Cell", "Row", "Table"]

NONE = "–"
"""What stands where there is no number."""


@final
@dataclass(frozen=True)
class Cell:
    """A number in a table.

    Attributes:
        text: As it is read.
        range: Its interval or standard error; "" without one.
        note: Number of the note about it, from 1; 0 without one.
    """

    text: str
    range: str = ""
    note: int = 0


@final
@dataclass(frozen=True)
class Row:
    """A line of a table.

    Attributes:
        heading: What the line is about.
        unit: Unit of its numbers; "" where the columns have units of their own.
        cells: The numbers.
    """

    heading: str
    unit: str
    cells: tuple[Cell, ...]


@final
@dataclass(frozen=True)
class Table:
    """A table with its heading lines.

    Attributes:
        caption: What it shows.
        corner: What the first column is.
        columns: What the others are.
        rows: The lines.
        notes: About single numbers.
        remarks: About all of them.
        terms: Words and what they mean.
    """

    caption: str
    corner: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    terms: tuple[tuple[str, str], ...] = ()
