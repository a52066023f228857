"""Landscape metrics in tables: of each network, and how they differ."""

from collections.abc import Mapping, Sequence

import numpy as np

from gradscape.figures.style import short_number
from gradscape.landscape import Surface
from gradscape.landscape.metrics.measure import METRICS, Measure
from gradscape.studies.compare import Comparison, compare_surfaces
from gradscape.studies.differences import PairDifference
from gradscape.studies.report.found import ReportedNetwork
from gradscape.studies.report.tables import NONE, Cell, Row, Table

__all__ = ["metric_tables"]


def metric_tables(networks: Sequence[ReportedNetwork]) -> list[Table]:
    """Landscape metrics of each network, and how they differ where several directions were drawn; none of none."""
    found = {network.title: [one.result for one in network.of(Surface)] for network in networks}
    surfaces = {title: several for title, several in found.items() if several}
    if not surfaces:
        return []
    comparisons, notes = _compare(surfaces)
    means = {name: several for one in comparisons for name, several in one.means.items()}
    tables = [_mean_table(means, notes)] if means else []
    return tables + [_difference_table(one) for one in comparisons if _tells_differences(one)]


def _compare(surfaces: Mapping[str, Sequence[Surface]]) -> tuple[list[Comparison], list[str]]:
    """All networks side by side, or each one alone where they cannot be compared; and what must be known."""
    try:
        comparison = compare_surfaces(surfaces)
        # The last one is about the differences, whose own table says it.
        return [comparison], comparison.remarks[: -1 if comparison.differences else None]
    except ValueError as problem:
        if len(surfaces) == 1:
            return [], [f"not measured: {problem}"]
        notes = [f"not to be compared: {problem}"]
    found = []
    for name, several in surfaces.items():
        comparisons, problems = _compare({name: several})
        found += comparisons
        notes += [] if comparisons else [f"{name} {problem}" for problem in problems]
    return found, notes


def _mean_table(means: Mapping[str, Mapping[str, Measure]], remarks: Sequence[str]) -> Table:
    notes: dict[str, int] = {}
    rows = [
        Row(
            _spaced(name),
            "" if metric.unit == "1" else metric.unit,
            tuple(_metric_cell(found[name], notes) for found in means.values()),
        )
        for name, metric in METRICS.items()
    ]
    return Table(
        caption="The landscapes in numbers, with 95 % intervals.",
        corner="metric",
        columns=tuple(means),
        rows=tuple(rows),
        notes=tuple(notes),
        remarks=tuple(remarks),
        terms=tuple((_spaced(name), f"{one.definition}. {one.source}") for name, one in METRICS.items()),
    )


def _metric_cell(measure: Measure, notes: dict[str, int]) -> Cell:
    text = short_number(measure.value) if np.isfinite(measure.value) else NONE
    note = notes.setdefault(measure.note, len(notes) + 1) if measure.note else 0
    return Cell(text, _interval(measure), note)


def _tells_differences(comparison: Comparison) -> bool:
    return any(np.isfinite(one.low) for one in comparison.differences)


def _difference_table(comparison: Comparison) -> Table:
    rows = [
        Row(
            f"{_spaced(one.metric)}, {one.first} − {one.second}",
            "",
            (
                Cell(short_number(one.difference) if np.isfinite(one.difference) else NONE, _interval(one)),
                Cell(one.verdict),
            ),
        )
        for one in comparison.differences
    ]
    confidence = f"{100 * comparison.confidence:g} %"
    return Table(
        caption=f"Differences of the means over directions; all intervals together hold with {confidence}.",
        corner="difference",
        columns=("value", "verdict"),
        rows=tuple(rows),
    )


def _interval(one: Measure | PairDifference) -> str:
    return "" if np.isnan([one.low, one.high]).any() else f"{_end(one.low)} to {_end(one.high)}"


def _end(value: float) -> str:
    return short_number(value) if np.isfinite(value) else "∞" if value > 0 else "−∞"


def _spaced(name: str) -> str:
    return name.replace("_", " ")
