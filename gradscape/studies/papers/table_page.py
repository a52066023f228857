"""A paper's table as texts in columns, whatever they are set with: printed numbers, and ours to their right."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from gradscape._intervals import ConfidenceInterval
from gradscape._names import one_line
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
    "imagenet299": "299 px",
    "food101": "Food-101",
    "cub200": "Birds",
    "stanford_dogs": "Dogs",
    "coco": "COCO",
    "voc2007": "VOC 2007",
}

_LABELS = {
    "top-5 accuracy": "top-5",
    "top-5 error": "top-5",
    "AP small": "AP S",
    "AP medium": "AP M",
    "AP large": "AP L",
    "parameters": "params",
    "parameters and statistics": "params + stats",
    "parameters of the head": "head's params",
    "trained parameters": "params",
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
_SAME = "="
_WITH_STATISTICS = "parameters and statistics"
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
    placed = _place_in_columns(lines)
    quantities = tuple(dict.fromkeys(quantity for cells in placed for quantity in cells))
    units = {
        quantity: _common_unit([cells[quantity] for cells in placed if quantity in cells]) for quantity in quantities
    }
    texts = {
        quantity: [
            _set(line, cells.get(quantity), units[quantity], brief=brief)
            for line, cells in zip(lines, placed, strict=True)
        ]
        for quantity in quantities
    }
    double = {quantity for quantity in quantities if {ours for _, ours in texts[quantity]} - {"", _NOTHING}}
    several = len({line.data for line in lines}) > 1
    rows = []
    for place, line in enumerate(lines):
        row = [line.row, *([DATA_TITLES.get(line.data, line.data)] if several else [])]
        for quantity in quantities:
            printed, ours = texts[quantity][place]
            row += [printed, ours] if quantity in double else [printed]
        rows.append(tuple(row))
    columns = tuple(
        PageColumn(
            _LABELS.get(quantity, quantity),
            _unit(quantity, units[quantity]),
            ("printed", "here") if quantity in double else ("printed",),
        )
        for quantity in quantities
    )
    names = ("network", "data") if several else ("network",)
    return TablePage(table.heading, names, columns, tuple(rows), tuple(_notes(lines, placed)))


def _place_in_columns(lines: Sequence[TableLine]) -> list[dict[str, PrintedCell]]:
    """A line's numbers by column; parameters with and without statistics share one where no network has both."""
    apart = any({_WITH_STATISTICS, "parameters"} <= line.cells.keys() for line in lines)
    return [
        {
            "parameters" if quantity == _WITH_STATISTICS and not apart else quantity: cell
            for quantity, cell in line.cells.items()
        }
        for line in lines
    ]


def _common_unit(cells: Sequence[PrintedCell]) -> str | None:
    """The unit of all numbers of a column, which then stands above them; None where they differ."""
    units = {cell.unit for cell in cells}
    return next(iter(units)) if len(units) == 1 else None


def _unit(quantity: str, unit: str | None) -> str:
    return (unit or "").removesuffix("×") or _UNITS.get(quantity, "%" if quantity in _PERCENT else "")


def _set(line: TableLine, cell: PrintedCell | None, unit: str | None, *, brief: bool) -> tuple[str, str]:
    """One number as printed, and what is counted or measured here for it."""
    if cell is None:
        return "", ""
    printed = cell.number if unit else cell.printed
    mark = " ≠" if cell.verdict in _WRONG else ""
    change = line.changes.get(cell.quantity)
    if change is not None and not brief:
        printed += f" ({change.number})"
    if line.measured is not None and cell.quantity in line.measured.intervals:
        interval = line.measured.intervals[cell.quantity]
        return printed + mark, _spelled(interval, cell.decimals, brief=brief) + _elsewhere(line)
    if cell.quantity not in SIZES:
        return printed + mark, ""
    if cell.count is None:
        return printed, _NOTHING
    if not cell.unit:
        return printed, _SAME if cell.count == cell.value else f"{cell.count:,}{mark}"
    return printed, f"{cell.count / cell.factor:.{cell.decimals + 1}f}{'' if unit else cell.unit}{mark}"


def _elsewhere(line: TableLine) -> str:
    return "" if line.measured is None or line.measured.data == line.data else " *"


def _spelled(interval: ConfidenceInterval, decimals: int, *, brief: bool = False) -> str:
    digits = max(1, decimals)
    ends = "" if brief or np.isnan(interval.low) else f" ({interval.low:.{digits}f}–{interval.high:.{digits}f})"
    return f"{interval.value:.{digits}f}{ends}"


def _notes(lines: Sequence[TableLine], placed: Sequence[Mapping[str, PrintedCell]]) -> Iterable[str]:
    cells = [cell for line in lines for cell in (*line.cells.values(), *line.changes.values())]
    if any(cell.quantity in SIZES and cell.unit and cell.count is not None for cell in cells):
        yield "here: counted on our network, with one digit more than printed"
    if any(cell.quantity in SIZES and not cell.unit and cell.count == cell.value for cell in cells):
        yield "=: the printed number, to its last digit"
    if any(cell.verdict in _WRONG for cell in cells):
        yield "≠: not the printed number, or not what follows from others; why is told below"
    yield from _measurements(lines)
    counted = [
        cell for columns in placed for column, cell in columns.items() if cell.quantity == _WITH_STATISTICS != column
    ]
    if counted and len(counted) < sum("parameters" in columns for columns in placed):
        yield f"params of {_listed(counted)}: with running means and variances"
    reasons: dict[str, list[PrintedCell]] = {}
    for cell in cells:
        if cell.reason:
            reasons.setdefault(cell.reason, []).append(cell)
    for reason, about in reasons.items():
        labels = dict.fromkeys(_LABELS.get(cell.quantity, cell.quantity) for cell in about)
        yield f"{', '.join(labels)} of {_listed(about)}: {reason}"


def _listed(cells: Sequence[PrintedCell]) -> str:
    """Their rows, the first few by name."""
    rows = list(dict.fromkeys(cell.row for cell in cells))
    return "; ".join(rows[:_MOST_ROWS]) + (f" and {len(rows) - _MOST_ROWS} more" if len(rows) > _MOST_ROWS else "")


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
        titles = ", ".join(map(one_line, line.measured.titles))
        several = f"{line.measured.trainings} trainings" if line.measured.trainings > 1 else "one training"
        methods = dict.fromkeys(interval.method for interval in found.values() if not np.isnan(interval.low))
        where = "" if line.measured.data == line.data else f", * on {line.measured.data} and not the paper's data"
        said = f"; 95 % intervals, {' and '.join(methods)}" if methods else ""
        yield f"measured, {line.row}: {values or 'nothing'}; {several} ({titles}){where}{said}"
