"""Landscape metrics in tables: of each network, and how they differ."""

from collections.abc import Mapping, Sequence

import numpy as np

from gradscape._names import tell_apart
from gradscape.figures.style import short_number
from gradscape.landscape import Surface
from gradscape.landscape.metrics.measure import METRICS, Measure
from gradscape.studies.compare import compare_surfaces
from gradscape.studies.comparison import Comparison
from gradscape.studies.report.differences_table import differences_table, range_text, spaced
from gradscape.studies.report.found import ReportedNetwork
from gradscape.studies.report.tables import NONE, Cell, Row, Table
from gradscape.studies.training_identity import common_name, group_alike, read_identity

__all__ = ["metric_tables"]


def metric_tables(networks: Sequence[ReportedNetwork]) -> list[Table]:
    """Landscape metrics of each network, and how they differ where several directions were drawn; none of none.

    Trainings that differ in nothing but the seed are one network here.
    """
    surfaces = _grouped([network for network in networks if network.of(Surface)])
    if not surfaces:
        return []
    comparisons, notes = _compare(surfaces)
    means = {name: several for one in comparisons for name, several in one.means.items()}
    tables = [_mean_table(means, notes)] if means else []
    return tables + [
        differences_table(one.differences, of="the means", confidence=one.confidence)
        for one in comparisons
        if _tells_differences(one)
    ]


def _grouped(networks: Sequence[ReportedNetwork]) -> dict[str, list[Surface]]:
    known = {network.title: network for network in networks}
    found = {title: [one.result for one in network.of(Surface)] for title, network in known.items()}
    groups, _ = group_alike({title: read_identity(several[0].meta) for title, several in found.items()})
    alone = [group[0] if len(group) == 1 else known[group[0]].name for group in groups]
    called = tell_apart([alone, [common_name(group) for group in groups]])
    return {
        name: [surface for title in group for surface in found[title]]
        for name, group in zip(called, groups, strict=True)
    }


def _compare(surfaces: Mapping[str, Sequence[Surface]]) -> tuple[list[Comparison], list[str]]:
    """All networks side by side, or each one alone where they cannot be compared; and what must be known."""
    try:
        comparison = compare_surfaces(surfaces)
        # How the differences' intervals hold together their own table says.
        return [comparison], [*comparison.about, *([comparison.computed] if comparison.computed else [])]
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
            spaced(name),
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
        terms=tuple((spaced(name), f"{one.definition}. {one.source}") for name, one in METRICS.items()),
    )


def _metric_cell(measure: Measure, notes: dict[str, int]) -> Cell:
    text = short_number(measure.value) if np.isfinite(measure.value) else NONE
    note = notes.setdefault(measure.note, len(notes) + 1) if measure.note else 0
    return Cell(text, range_text(measure), note)


def _tells_differences(comparison: Comparison) -> bool:
    return any(np.isfinite(one.low) for one in comparison.differences)
