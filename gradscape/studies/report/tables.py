"""The report's tables: what networks cost and reach, how their landscapes measure, how faithful their heatmaps are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gradscape.explain.faithfulness import Mean
from gradscape.figures.style import short_number
from gradscape.landscape import Surface
from gradscape.landscape.metrics.measure import METRICS, Measure
from gradscape.studies.compare import Comparison, compare_surfaces
from gradscape.studies.differences import PairDifference
from gradscape.studies.report.networks import Network

__all__ = ["Cell", "Row", "Table", "faithfulness_table", "metric_tables", "network_table"]

_NONE = "–"
_BETTER = {"deletion": "↓", "insertion": "↑", "drop": "↓", "increase": "↑", "road": "↑"}
_ERROR_DIGITS = 2


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


def network_table(networks: Sequence[Network]) -> Table:
    """A line for each network: accuracy, parameters, multiply-adds, efficiency, loss where it was trained to."""
    columns = ["test accuracy", "parameters", "MACs", "E"]
    landscapes = any(network.surfaces for network in networks)
    rows = []
    for network in networks:
        parameters, macs, accuracy = network.parameters, network.macs, network.accuracy
        efficient = accuracy is not None and parameters
        cells = [
            Cell(_NONE if accuracy is None else f"{100 * accuracy:.2f} %"),
            Cell(_NONE if parameters is None else f"{parameters:,}"),
            Cell(_NONE if macs is None else f"{macs / 1e6:,.1f} M"),
            Cell(f"{100 * accuracy / (parameters / 1e6):,.1f}" if efficient else _NONE),  # type: ignore[operator]
        ]
        rows.append(Row(network.title, "", (*cells, _origin(network)) if landscapes else tuple(cells)))
    return Table(
        caption="Sizes, and the accuracy that the checkpoint records.",
        corner="network",
        columns=(*columns, "loss at the center") if landscapes else tuple(columns),
        rows=tuple(rows),
        terms=(
            ("MACs", "multiply-adds of convolution and linear layers, for one image"),
            ("E", "test accuracy in percent for a million parameters"),
            *(
                (("loss at the center", "of the trained network, on the images of its landscape"),)
                if landscapes
                else ()
            ),
        ),
    )


def metric_tables(networks: Sequence[Network]) -> list[Table]:
    """Landscape metrics of each network, and how they differ where several directions were drawn; none of none."""
    surfaces = {network.title: [found.result for found in network.surfaces] for network in networks if network.surfaces}
    if not surfaces:
        return []
    comparisons, notes = _compare(surfaces)
    means = {name: found for one in comparisons for name, found in one.means.items()}
    tables = [_mean_table(means, notes)] if means else []
    return tables + [_difference_table(one) for one in comparisons if _tells_differences(one)]


def faithfulness_table(networks: Sequence[Network]) -> Table | None:
    """A line for each network and method: means over the images; None where nothing was measured."""
    rows = []
    for network in networks:
        for method, means in _faithfulness(network):
            rows.append(Row(f"{network.title}, {method}", "", tuple(_mean_cell(mean) for mean in means)))
    if not rows:
        return None
    return Table(
        caption="How faithful the heatmaps are: means ± standard errors over the images. ↑ higher is better, ↓ lower.",
        corner="network, method",
        columns=tuple(f"{name.upper() if name == 'road' else name} {arrow}" for name, arrow in _BETTER.items()),
        rows=tuple(rows),
    )


def _origin(network: Network) -> Cell:
    if not network.surfaces:
        return Cell(_NONE)
    origin = network.surfaces[0].result.origin
    if not np.isfinite(origin.loss):
        return Cell(_NONE)
    stderr = float(origin.stderr)
    return Cell(short_number(float(origin.loss)), f"± {short_number(stderr, 2)}" if stderr > 0 else "")


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
    text = short_number(measure.value) if np.isfinite(measure.value) else _NONE
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
                Cell(short_number(one.difference) if np.isfinite(one.difference) else _NONE, _interval(one)),
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


def _faithfulness(network: Network) -> Iterator[tuple[str, list[Mean]]]:
    for found in network.faithfulness:
        means = found.result.means
        yield str(found.result.meta.get("method", "")), [means[name] for name in _BETTER]
    measured = [row for row in network.heatmap_rows if row.get("road")]
    # What several runs found alike is of the same images, which count once.
    distinct = list({tuple(row.items()): row for row in measured}.values())
    layers = {row.get("target_layer", "") for row in distinct}
    for method, layer in dict.fromkeys((row.get("method", ""), row.get("target_layer", "")) for row in distinct):
        rows = [row for row in distinct if (row.get("method", ""), row.get("target_layer", "")) == (method, layer)]
        name = f"{method}, {layer}" if len(layers) > 1 else method
        yield name, [_mean([row.get(measure, "") for row in rows]) for measure in _BETTER]


def _mean(texts: Sequence[str]) -> Mean:
    values = np.array([float(text) for text in texts if text])
    values = values[np.isfinite(values)]
    count = len(values)
    error = float(values.std(ddof=1) / np.sqrt(count)) if count > 1 else np.nan
    return Mean(float(values.mean()) if count else np.nan, error, count)


def _mean_cell(mean: Mean) -> Cell:
    if not mean.count:
        return Cell(_NONE)
    error = f"± {short_number(mean.standard_error, _ERROR_DIGITS)}" if np.isfinite(mean.standard_error) else ""
    return Cell(f"{mean.value:.3f}", error)
