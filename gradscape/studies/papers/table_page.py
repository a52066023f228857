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
    "top-5 accuracy": "top-5",
    "AP small": "AP S",
    "AP medium": "AP M",
    "AP large": "AP L",
    "parameters": "params",
    "parameters and statistics": "params + stats",
    "parameters of the head": "head's params",
    "macs": "FLOPs",
    "operations": "FLOPs",
    "accuracy (share)": "accuracy",
    "error (share)": "error",
    "parameters, ratio": "params × ULSAM's",
    "macs, ratio": "FLOPs × ULSAM's",
    "spread": "std",
    "seconds": "epoch",
}
_PERCENT = {"accuracy", "top-5 accuracy", "error", "top-5 error", "recall", "mAP", "spread"}
_UNITS = {"seconds": "s", "efficiency": "%/M"}
_WRONG = ("miss", "contradiction")
_NOTHING = "–"
_MOST_ROWS = 3


@final
@dataclass(frozen=True)
class PageColumn:
    """One or two columns of numbers under one title.

    Attributes:
        label: The quantity.
        unit: Its unit, or nothing.
        parts: What stands below: "printed", and "here" where there is anything of ours.
    """

    label: str
    unit: str
    parts: tuple[str, ...]

    @property
    def title(self) -> str:
        """The quantity and its unit."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


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


def lay_out(table: PaperTable, lines: Sequence[TableLine], *, brief: bool = False) -> TablePage:
    """Arrange a table's lines in columns.

    Args:
        table: The table.
        lines: What `gather_lines` gave of it.
        brief: Whether to leave out the changes that papers print behind their numbers, and intervals behind ours, which
            the notes have too.
    """
    quantities = tuple(dict.fromkeys(quantity for line in lines for quantity in line.cells))
    units = {quantity: _common_unit(lines, quantity) for quantity in quantities}
    ours = {
        quantity: [_ours(line, quantity, units[quantity], brief=brief) for line in lines] for quantity in quantities
    }
    shown = [quantity for quantity in quantities if set(ours[quantity]) - {"", _NOTHING}]
    several = len({line.data for line in lines}) > 1
    rows = []
    for place, line in enumerate(lines):
        row = [line.row, *([DATA_TITLES.get(line.data, line.data)] if several else [])]
        for quantity in quantities:
            row.append(_printed(line, quantity, units[quantity], brief=brief))
            row += [ours[quantity][place]] if quantity in shown else []
        rows.append(tuple(row))
    columns = tuple(
        PageColumn(
            _LABELS.get(quantity, quantity),
            _unit(quantity, units[quantity]),
            ("printed", "here") if quantity in shown else ("printed",),
        )
        for quantity in quantities
    )
    names = ("network", "data") if several else ("network",)
    return TablePage(table.heading, names, columns, tuple(rows), tuple(_notes(lines, shown)))


def _common_unit(lines: Sequence[TableLine], quantity: str) -> str | None:
    """The unit of all numbers of a column, which then stands above them; None where they differ."""
    units = {line.cells[quantity].unit for line in lines if quantity in line.cells}
    return next(iter(units)) if len(units) == 1 else None


def _unit(quantity: str, unit: str | None) -> str:
    return (unit or "").removesuffix("×") or _UNITS.get(quantity, "%" if quantity in _PERCENT else "")


def _printed(line: TableLine, quantity: str, unit: str | None, *, brief: bool) -> str:
    cell = line.cells.get(quantity)
    if cell is None:
        return ""
    text = cell.number if unit else cell.printed
    return f"{text} ({line.changes[quantity].number})" if not brief and quantity in line.changes else text


def _ours(line: TableLine, quantity: str, unit: str | None, *, brief: bool) -> str:
    """What is counted or measured here for one number; "" for nothing."""
    cell = line.cells.get(quantity)
    if cell is None:
        return ""
    if line.measured is not None and quantity in line.measured.intervals:
        interval = line.measured.intervals[quantity]
        return _spelled(interval, cell.decimals, brief=brief) + _elsewhere(line)
    mark = " ≠" if cell.verdict in _WRONG else ""
    if quantity not in SIZES:
        return mark.strip()
    if cell.count is None:
        return _NOTHING
    if not cell.unit:
        return f"{cell.count:,}{mark}"
    return f"{cell.count / cell.factor:.{cell.decimals + 1}f}{'' if unit else cell.unit}{mark}"


def _elsewhere(line: TableLine) -> str:
    return "" if line.measured is None or line.measured.data == line.data else " *"


def _spelled(interval: ConfidenceInterval, decimals: int, *, brief: bool = False) -> str:
    digits = max(1, decimals)
    ends = "" if brief or np.isnan(interval.low) else f" ({interval.low:.{digits}f}–{interval.high:.{digits}f})"
    return f"{interval.value:.{digits}f}{ends}"


def _notes(lines: Sequence[TableLine], ours: Iterable[str]) -> Iterable[str]:
    cells = [cell for line in lines for cell in (*line.cells.values(), *line.changes.values())]
    if any(quantity in SIZES for quantity in ours):
        yield "here: counted on our network, with one digit more than printed"
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
    """What was measured, with its intervals, and on which trainings."""
    for line in lines:
        if line.measured is None:
            continue
        found = line.measured.intervals
        values = ", ".join(
            f"{_LABELS.get(quantity, quantity)} {_spelled(found[quantity], cell.decimals)}"
            for quantity, cell in line.cells.items()
            if quantity in found
        )
        several = f"{line.measured.trainings} trainings" if line.measured.trainings > 1 else "one training"
        methods = dict.fromkeys(interval.method for interval in found.values() if not np.isnan(interval.low))
        where = "" if line.measured.data == line.data else f", * on {line.measured.data} and not the paper's data"
        said = f"; 95 % intervals, {' and '.join(methods)}" if methods else ""
        yield f"measured, {line.row}: {values or 'nothing'}; {several} ({', '.join(line.measured.titles)}){where}{said}"
