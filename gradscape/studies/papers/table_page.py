"""A paper's table as texts in columns, whatever they are set with: printed numbers, and ours to their right."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from gradscape._intervals import ConfidenceInterval
from gradscape.models.printed import SIZES, PrintedCell
from gradscape.studies.papers.paper_table import PaperTable
from gradscape.studies.papers.table_lines import TableLine

__all__ = ["DATA_TITLES", "PageColumn", "TablePage", "lay_out"]

DATA_TITLES = {
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "tiny_imagenet": "Tiny ImageNet",
    "imagenet32": "ImageNet 32 × 32",
    "imagenet": "ImageNet",
    "food101": "Food-101",
    "cub200": "Birds",
    "stanford_dogs": "Dogs",
    "coco": "COCO",
    "voc2007": "VOC 2007",
}

_LABELS = {
    "parameters": "params",
    "parameters and statistics": "params + stats",
    "parameters of the head": "head's params",
    "macs": "FLOPs",
    "operations": "FLOPs",
    "accuracy (share)": "accuracy",
    "error (share)": "error",
    "parameters, ratio": "params / ULSAM's",
    "macs, ratio": "FLOPs / ULSAM's",
    "spread": "std",
    "seconds": "epoch",
}
_PERCENT = {"accuracy", "top-5 accuracy", "error", "top-5 error", "recall", "mAP", "spread"}
_UNITS = {"seconds": "s", "efficiency": "%/M"}
_WRONG = ("miss", "contradiction")
_MOST_ROWS = 3


@final
@dataclass(frozen=True)
class PageColumn:
    """One or two columns of numbers under one title.

    Attributes:
        title: The quantity and its unit.
        parts: What stands below: "printed", and "here" where there is anything of ours.
    """

    title: str
    parts: tuple[str, ...]


@final
@dataclass(frozen=True)
class TablePage:
    """A table, ready to be set.

    Attributes:
        heading: Paper, number and title.
        names: Titles of the columns of words, one or two.
        columns: Those of numbers.
        rows: Per line a text for each column of words, and for each part of those of numbers.
        notes: What stands below.
    """

    heading: str
    names: tuple[str, ...]
    columns: tuple[PageColumn, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


def lay_out(table: PaperTable, lines: Sequence[TableLine], *, changes: bool = True) -> TablePage:
    """Arrange a table's lines in columns.

    Args:
        table: The table.
        lines: What `gather_lines` gave of it.
        changes: Whether printed changes stand behind their numbers, as in the paper.
    """
    quantities = tuple(dict.fromkeys(quantity for line in lines for quantity in line.cells))
    units = {quantity: _common_unit(lines, quantity) for quantity in quantities}
    ours = [quantity for quantity in quantities if any(_ours(line, quantity, units[quantity]) for line in lines)]
    several = len({line.data for line in lines}) > 1
    rows = []
    for line in lines:
        row = [line.row, *([DATA_TITLES.get(line.data, line.data)] if several else [])]
        for quantity in quantities:
            row.append(_printed(line, quantity, units[quantity], changes=changes))
            row += [_ours(line, quantity, units[quantity])] if quantity in ours else []
        rows.append(tuple(row))
    columns = tuple(
        PageColumn(_title(quantity, units[quantity]), ("printed", "here") if quantity in ours else ("printed",))
        for quantity in quantities
    )
    names = ("network", "data") if several else ("network",)
    return TablePage(table.heading, names, columns, tuple(rows), tuple(_notes(lines, ours)))


def _common_unit(lines: Sequence[TableLine], quantity: str) -> str | None:
    """The unit of all numbers of a column, which then stands above them; None where they differ."""
    units = {line.cells[quantity].unit for line in lines if quantity in line.cells}
    return next(iter(units)) if len(units) == 1 else None


def _title(quantity: str, unit: str | None) -> str:
    label = _LABELS.get(quantity, quantity)
    shown = unit or _UNITS.get(quantity, "%" if quantity in _PERCENT else "")
    return f"{label} ({shown})" if shown and shown != "×" else label


def _printed(line: TableLine, quantity: str, unit: str | None, *, changes: bool) -> str:
    cell = line.cells.get(quantity)
    if cell is None:
        return ""
    text = cell.number if unit else cell.printed
    return f"{text} ({line.changes[quantity].number})" if changes and quantity in line.changes else text


def _ours(line: TableLine, quantity: str, unit: str | None) -> str:
    """What is counted or measured here for one number; "" for nothing."""
    cell = line.cells.get(quantity)
    if line.measured is not None and quantity in line.measured.intervals and (cell is None or quantity not in SIZES):
        return "" if cell is None else _spelled(line.measured.intervals[quantity], cell.decimals) + _elsewhere(line)
    if cell is None:
        return ""
    if cell.verdict == "not built" and quantity in SIZES:
        return "–"
    mark = " ≠" if cell.verdict in _WRONG else ""
    if quantity not in SIZES:
        return mark.strip()
    if cell.count is None:
        return mark.strip()
    if not cell.unit:
        return f"{cell.count:,}{mark}"
    return f"{cell.count / cell.factor:.{cell.decimals + 1}f}{'' if unit else cell.unit}{mark}"


def _elsewhere(line: TableLine) -> str:
    return "" if line.measured is None or line.measured.data == line.data else " *"


def _spelled(interval: ConfidenceInterval, decimals: int) -> str:
    digits = max(1, decimals)
    ends = "" if np.isnan(interval.low) else f" ({interval.low:.{digits}f}–{interval.high:.{digits}f})"
    return f"{interval.value:.{digits}f}{ends}"


def _notes(lines: Sequence[TableLine], ours: Iterable[str]) -> Iterable[str]:
    cells = [cell for line in lines for cell in (*line.cells.values(), *line.changes.values())]
    if any(quantity in SIZES for quantity in ours):
        yield "here: counted on our network, with a digit more than printed"
    if any(cell.verdict in _WRONG for cell in cells):
        yield "≠: not the printed number; why is told below"
    yield from _measurements(lines)
    reasons: dict[tuple[str, str], list[PrintedCell]] = {}
    for cell in cells:
        if cell.reason:
            reasons.setdefault((_LABELS.get(cell.quantity, cell.quantity), cell.reason), []).append(cell)
    for (label, reason), about in reasons.items():
        rows = list(dict.fromkeys(cell.row for cell in about))
        more = f" and {len(rows) - _MOST_ROWS} more" if len(rows) > _MOST_ROWS else ""
        yield f"{label} of {'; '.join(rows[:_MOST_ROWS])}{more}: {reason}"


def _measurements(lines: Sequence[TableLine]) -> Iterable[str]:
    """Which trainings stand in the table, and what their intervals are."""
    for line in lines:
        if line.measured is None:
            continue
        several = f"{line.measured.trainings} trainings" if line.measured.trainings > 1 else "one training"
        methods = dict.fromkeys(
            interval.method for interval in line.measured.intervals.values() if not np.isnan(interval.low)
        )
        where = "" if line.measured.data == line.data else f", * on {line.measured.data} and not the paper's data"
        with_intervals = f"; intervals of 95 %, {' and '.join(methods)}" if methods else ""
        yield f"measured, {line.row}: {several} ({', '.join(line.measured.titles)}){where}{with_intervals}"
