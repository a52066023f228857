"""Topology of stored surfaces: numbers, tables, and a picture of all side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from gradscape._files import save_rows
from gradscape._names import tell_apart, telling_parts
from gradscape.figures import save_figure
from gradscape.figures.style import short_number
from gradscape.figures.surfaces.fields import drawn_unit
from gradscape.figures.surfaces.topology import figure_topology
from gradscape.figures.surfaces.wording import result_names
from gradscape.landscape import Pair, Surface, Topology, load_landscape
from gradscape.studies.networks import file_name

__all__ = ["COUNT_HEADINGS", "PAIR_HEADINGS", "find_topologies", "save_topologies", "tabulate_counts", "tabulate_pairs"]

COUNT_HEADINGS = ("surface", "minima ", "saddles ", "maxima ", "not kept ", "band ")
PAIR_HEADINGS = ("surface", "pair", "begins ", "ends ", "persistence ", "begins at (alpha, beta) ", "ends at ")

_MOST_ROWS = 8  # of each surface
_COLUMNS = (
    *("dimension", "birth", "death", "persistence", "kept"),
    *("birth_alpha", "birth_beta", "birth_on_edge", "death_alpha", "death_beta", "death_on_edge"),
)
_KINDS = {0: "basin", 1: "ring"}


def find_topologies(
    files: Sequence[Path], *, value: str = "loss", confidence: float = 0.95, seed: int = 0
) -> dict[str, Topology]:
    """Load surfaces and find the topology of each.

    Args:
        files: Surfaces.
        value: "loss" or "error".
        confidence: Of the band around each.
        seed: Of the bootstrap.

    Returns:
        Name that tells it from the others, and that a folder can have -> topology.

    Raises:
        ValueError: A file holds no surface, or not all of one.
    """
    surfaces = []
    for file in files:
        surface = load_landscape(file)
        if not isinstance(surface, Surface):
            raise ValueError(f"{file} holds a line: its minima and maxima are where its curve is; give surfaces")
        surfaces.append(surface)
    own = telling_parts([file.absolute().with_suffix("") for file in files])
    names = tell_apart([[file_name(name) for name in several] for several in (result_names(surfaces), own)])
    found = [surface.topology(value, confidence=confidence, seed=seed) for surface in surfaces]
    told = [
        replace(one, meta={**one.meta, "surface_file": str(file), "bootstrap_seed": seed})  # `seed` is the directions'
        for one, file in zip(found, files, strict=True)
    ]
    return dict(zip(names, told, strict=True))


def save_topologies(topologies: Mapping[str, Topology], folder: Path) -> list[Path]:
    """Write `topology.npz` and the table `topology.csv` of each, in folders of their names if several; and one picture.

    Returns:
        What was written.
    """
    written = []
    for name, topology in topologies.items():
        place = folder / name if len(topologies) > 1 else folder
        topology.save(place / "topology.npz")
        save_rows(place / "topology.csv", _COLUMNS, (_row(pair) for pair in topology.pairs))
        written += [place / "topology.npz", place / "topology.csv"]
    page = figure_topology(list(topologies.values()), titles=list(topologies))
    return [*written, *save_figure(page, folder / "topology")]


def tabulate_counts(topologies: Mapping[str, Topology]) -> list[tuple[str, ...]]:
    """Return how many critical points each has, under `COUNT_HEADINGS`."""
    rows = []
    for name, topology in topologies.items():
        counts = [len(points) for points in (topology.minima, topology.saddles, topology.maxima)]
        counts.append(int((~topology.kept).sum()))
        band = f"±{_spelled(topology, topology.band, 2)}" if np.isfinite(topology.band) else "none"
        rows.append((name, *map(str, counts), band))
    return rows


def tabulate_pairs(topologies: Mapping[str, Topology]) -> list[tuple[str, ...]]:
    """Return the most persistent pairs that are kept, under `PAIR_HEADINGS`."""
    return [
        (
            name,
            _KINDS[pair.dimension],
            _spelled(topology, pair.birth),
            "never" if pair.last is None else _spelled(topology, pair.death),
            "∞" if pair.last is None else _spelled(topology, pair.persistence),
            _place(pair.first.alpha, pair.first.beta, on_edge=pair.first.on_edge),
            "" if pair.last is None else _place(pair.last.alpha, pair.last.beta, on_edge=pair.last.on_edge),
        )
        for name, topology in topologies.items()
        for pair in [pair for pair in topology.pairs if pair.kept][:_MOST_ROWS]
    ]


def _spelled(topology: Topology, number: float, digits: int = 4) -> str:
    factor, unit = drawn_unit(topology.unit)
    return short_number(factor * number, digits) + (f" {unit}" if unit else "")


def _place(alpha: float, beta: float, *, on_edge: bool) -> str:
    return f"{short_number(alpha)}, {short_number(beta)}" + (" (edge)" if on_edge else "")


def _row(pair: Pair) -> dict[str, object]:
    first, last = pair.first, pair.last
    ends = {"death_alpha": last.alpha, "death_beta": last.beta, "death_on_edge": last.on_edge} if last else {}
    return {
        **{name: getattr(pair, name) for name in ("dimension", "birth", "death", "persistence", "kept")},
        "birth_alpha": first.alpha,
        "birth_beta": first.beta,
        "birth_on_edge": first.on_edge,
        **ends,
    }
