"""Faithfulness of heatmaps: a table of means, from files of measures and from the tables beside heatmaps."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import final

import numpy as np

from gradscape._provenance import Provenance
from gradscape._schema import shown
from gradscape._text_files import read_table
from gradscape.data.pictures import ShownPictures
from gradscape.explain.faithfulness import MEASURES, Faithfulness, Mean
from gradscape.explain.heatmap import Heatmaps
from gradscape.figures.images.method_titles import method_title
from gradscape.figures.style import short_number
from gradscape.studies.faithfulness_differences import HIGHER_IS_BETTER, compare_measures
from gradscape.studies.report.definition import ReportKind, Section, Shown, Suggestion
from gradscape.studies.report.differences_table import differences_table
from gradscape.studies.report.facts import Fact, state
from gradscape.studies.report.found import Found, ReportedNetwork, ReportedNetworks
from gradscape.studies.report.tables import NONE, Cell, Row, Table

__all__ = ["FAITHFULNESS", "faithfulness_table", "measured_rows", "paired_table"]

_BETTER = {"deletion": "↓", "insertion": "↑", "drop": "↓", "increase": "↑", "road": "↑"}
_STDERR_DIGITS = 2


@final
@dataclass(frozen=True, eq=False)
class _HeatmapTable:
    """The table beside the heatmaps of a run.

    Attributes:
        rows: One for each network, method and picture, by the names of the columns.
    """

    rows: tuple[dict[str, str], ...]


def measured_rows(network: ReportedNetwork) -> list[dict[str, str]]:
    """Return the rows about a network in which faithfulness was measured, of all tables beside its heatmaps."""
    return [row for found in network.of(_HeatmapTable) for row in _rows_about(network, found.path, found.result)]


def faithfulness_table(networks: Sequence[ReportedNetwork]) -> Table | None:
    """Tabulate means over the images, a line for each network and method; None where nothing was measured."""
    rows = [
        Row(f"{network.title}, {method}", "", tuple(_cell(mean) for mean in means))
        for network in networks
        for method, means in _means(network)
    ]
    if not rows:
        return None
    return Table(
        caption="How faithful the heatmaps are: means ± standard errors over the images. ↑ higher is better, ↓ lower.",
        corner="network, method",
        columns=tuple(f"{name.upper() if name == 'road' else name} {arrow}" for name, arrow in _BETTER.items()),
        rows=tuple(rows),
    )


def paired_table(networks: Sequence[ReportedNetwork]) -> Table | None:
    """Tabulate how networks differ under one method, of a single network how methods do; None where nothing does.

    The images are those that both were measured on, by their names in the tables beside heatmaps.
    """
    found = {
        (network.title, method): {row.get("image", ""): row for row in rows}
        for network in networks
        for method, rows in _by_method(measured_rows(network)).items()
    }
    images = list(dict.fromkeys(image for rows in found.values() for image in rows))
    measured = {
        one: {name: np.array([_number(rows.get(image, {}).get(name)) for image in images]) for name in HIGHER_IS_BETTER}
        for one, rows in found.items()
    }
    several = len({title for title, _ in measured}) > 1
    pairs = [(a, b) for a, b in combinations(measured, 2) if (a[1] == b[1] if several else a[0] == b[0])]
    differences = compare_measures(measured, pairs=pairs)
    if not any(np.isfinite(one.low) for one in differences):
        return None
    return differences_table(differences, of="faithfulness, paired over images", confidence=0.95)


def _number(text: str | None) -> float:
    return float(text) if text else np.nan


def _read_measures(path: Path) -> Found[Faithfulness]:
    measures = Faithfulness.load(path)
    return Found(path, measures, Provenance.of(measures.meta))


def _read_table(path: Path) -> Found[_HeatmapTable]:
    table = read_table(path, "table of heatmaps", needed=("image", "model", "method"))
    rows = [dict(zip(table.names, row, strict=True)) for row in table.rows]
    for number, row in enumerate(rows, 1):
        for name in MEASURES:
            try:
                float(row.get(name) or 0)
            except ValueError:
                raise ValueError(
                    f"{path} must have a number as {name} in row {number}, got {shown(row[name])}"
                ) from None
    return Found(path, _HeatmapTable(tuple(rows)))


def _owners(networks: ReportedNetworks, found: Found[object]) -> list[ReportedNetwork]:
    """A table belongs to all networks that it measures; measures by themselves tell the weights."""
    if isinstance(found.result, _HeatmapTable):
        return [network for network in networks if _rows_about(network, found.path, found.result)]
    return [networks.by_weights(found)]


def _rows_about(network: ReportedNetwork, path: Path, table: _HeatmapTable) -> list[dict[str, str]]:
    """A table names models as the folders below it do; their heatmaps tell the networks."""
    beside = [found for found in network.of(Heatmaps) if found.path.parent.parent == path.parent]
    called = {found.meta.called for found in beside}
    return [row for row in table.rows if row.get("road") and row.get("model") in called]


def _show(networks: Sequence[ReportedNetwork], _: Sequence[Found[ShownPictures]]) -> Shown | None:
    tables = [table for table in (faithfulness_table(networks), paired_table(networks)) if table]
    return Shown(tables) if tables else None


def _means(network: ReportedNetwork) -> Iterator[tuple[str, list[Mean]]]:
    for found in network.of(Faithfulness):
        means = found.result.means
        yield method_title(str(found.meta.get("method", ""))), [means[name] for name in _BETTER]
    # What several runs found alike is of the same images, which count once.
    distinct = list({tuple(row.items()): row for row in measured_rows(network)}.values())
    for name, rows in _by_method(distinct).items():
        yield name, [_mean([row.get(measure, "") for row in rows]) for measure in _BETTER]


def _by_method(rows: Sequence[dict[str, str]]) -> dict[str, list[dict[str, str]]]:
    """A network's rows by method, and by layer where it was explained at several."""
    several = len({row.get("target_layer", "") for row in rows}) > 1
    found: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        method, layer = method_title(row.get("method", "")), row.get("target_layer", "")
        found.setdefault(f"{method}, {layer}" if several else method, []).append(row)
    return found


def _mean(texts: Sequence[str]) -> Mean:
    values = np.array([float(text) for text in texts if text])
    values = values[np.isfinite(values)]
    count = len(values)
    error = float(values.std(ddof=1) / np.sqrt(count)) if count > 1 else np.nan
    return Mean(float(values.mean()) if count else np.nan, error, count)


def _cell(mean: Mean) -> Cell:
    if not mean.count:
        return Cell(NONE)
    error = f"± {short_number(mean.standard_error, _STDERR_DIGITS)}" if np.isfinite(mean.standard_error) else ""
    return Cell(f"{mean.value:.3f}", error)


def _describe(network: ReportedNetwork) -> list[Fact]:
    return [state("faithfulness", found) for found in network.of(Faithfulness)]


FAITHFULNESS = ReportKind(
    section=Section("heatmaps", "Heatmaps"),
    readers={".npz:faithfulness": _read_measures, "cam.csv": _read_table},
    owners=_owners,
    show=_show,
    describe=_describe,
    suggestion=Suggestion("faithfulness of heatmaps", "cam {networks} --images {images} --faithfulness"),
)
