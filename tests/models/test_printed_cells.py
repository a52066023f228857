"""Numbers of the papers' tables that follow from others, and that none is left out."""

import re
from collections import Counter

import pytest

from gradscape.models.printed import CELLS, SIZES, PrintedCell
from tests.models.test_printed import is_printed

_CHANGE = "change of "


def _label(cell: PrintedCell) -> str:
    return f"{cell.paper}-{cell.table}-{cell.row}-{cell.data}-{cell.quantity}"


def _sibling(cell: PrintedCell, quantity: str) -> PrintedCell:
    """Another number of the same row."""
    (found,) = [other for other in CELLS if _place(other) == _place(cell) and other.quantity == quantity]
    return found


def _place(cell: PrintedCell) -> tuple[str, ...]:
    return cell.paper, cell.table, cell.row, cell.data


def _base(cell: PrintedCell) -> PrintedCell:
    """The number that a change is one from: that of the first row of the same network."""
    network = cell.row.partition(" + ")[0]
    return next(
        other
        for other in CELLS
        if (other.paper, other.table, other.data) == (cell.paper, cell.table, cell.data)
        and other.row.startswith(network)
        and other.quantity == cell.quantity.removeprefix(_CHANGE)
    )


def test_no_number_is_listed_twice() -> None:
    places = Counter((*_place(cell), cell.quantity) for cell in CELLS)
    assert [place for place, count in places.items() if count > 1] == []


def test_each_verdict_but_a_hit_has_its_reason_and_no_count_stands_without_a_verdict() -> None:
    for cell in CELLS:
        assert cell.reason or cell.verdict in ("hit", "needs training"), _label(cell)
        assert (cell.count is None) or cell.verdict not in ("needs training", "not built"), _label(cell)
        counted = cell.quantity in SIZES or cell.quantity == "efficiency"
        assert (cell.count is not None) == (counted and cell.verdict != "not built"), _label(cell)
        assert re.fullmatch(r"[\d,]+(\.\d+)?[KMG×]?|[+−]\d+\.\d+", cell.printed), _label(cell)


def test_changes_are_differences_of_printed_numbers() -> None:
    changes = [cell for cell in CELLS if cell.quantity.startswith(_CHANGE)]
    for cell in changes:
        difference = _sibling(cell, cell.quantity.removeprefix(_CHANGE)).value - _base(cell).value
        follows = abs(difference - cell.value) < 0.5 * 10**-cell.decimals + 1e-9
        assert (cell.verdict == "hit") == follows, _label(cell)
    assert len(changes) > 60


def test_operations_with_ba2m_are_counted_on_the_network_that_has_the_baselines() -> None:
    counted = [cell for cell in CELLS if cell.paper == "BA2M" and cell.quantity == "macs" and cell.model]
    baselines = {(cell.model, cell.data) for cell in counted if "+" not in cell.model}
    attended = [cell for cell in counted if "+ba2m" in cell.model]
    for cell in attended:
        assert (cell.model.partition("+")[0], cell.data) in baselines, _label(cell)
    assert len(attended) > 35


def test_errors_as_shares_are_what_accuracies_lack() -> None:
    errors = [cell for cell in CELLS if cell.quantity == "error (share)"]
    for cell in errors:
        share = 1 - _sibling(cell, "accuracy").value / 100
        assert (cell.verdict == "hit") == (abs(share - cell.value) < 5.1e-5), _label(cell)
    assert [(cell.table, cell.row, cell.printed) for cell in errors if cell.verdict == "contradiction"] == [
        ("2", "UPA16 final SPA", "0.2491"),
        ("7", "UPA16 (CNN)", "0.0442"),
    ]


def test_efficiencies_are_accuracies_over_our_parameters() -> None:
    efficiencies = [cell for cell in CELLS if cell.quantity == "efficiency"]
    for cell in efficiencies:
        assert cell.count
        size, accuracy = _sibling(cell, "parameters"), _sibling(cell, "accuracy").value
        assert (cell.model, cell.count) == (size.model, size.count)
        low, high = ((accuracy + half) / (cell.count / 1e6) for half in (-0.005, 0.005))
        assert (cell.verdict == "hit") == (low <= cell.value + 0.005 and high >= cell.value - 0.005), _label(cell)
    assert len(efficiencies) == 57


# Table 1 of ULSAM for m = 512 channels of 14 × 14 pixels, t = m / 8 and r = 16: parameters and multiply-adds.
_M, _R, _PIXELS = 512, 16, 196
_BAM = 4 * _M**2 // _R + 18 * _M**2 // _R**2
_FORMULAS = {
    "Non-local": (2 * _M**2, 2 * _M**2 * _PIXELS),
    "A²-Net": (2 * _M * _M // 8, 2 * _M * _M // 8 * _PIXELS),
    "SE-Net": (2 * _M**2 // _R, 2 * _M**2 // _R),
    "BAM": (_BAM, 2 * _M**2 // _R + _BAM * _PIXELS),
    "CBAM": (2 * _M**2 // _R + 98, 2 * _M**2 // _R + 98 * _PIXELS),
    "ULSAM": (2 * _M, 2 * _M * _PIXELS),
}


@pytest.mark.parametrize("module", _FORMULAS)
def test_costs_of_modules_follow_the_formulas_beside_them(module: str) -> None:
    cells: dict[str, PrintedCell] = {
        cell.quantity: cell for cell in CELLS if (cell.paper, cell.table, cell.row) == ("ULSAM", "1", module)
    }
    for place, quantity in enumerate(("parameters", "macs")):
        cell, ratio = cells[quantity], cells[f"{quantity}, ratio"]
        count = _FORMULAS[module][place]
        assert cell.count == count
        assert (cell.verdict == "hit") == is_printed(cell, count)
        follows = abs(count / _FORMULAS["ULSAM"][place] - ratio.value) <= 0.5 * 10**-ratio.decimals
        assert (ratio.verdict == "hit") == follows
