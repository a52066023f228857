"""Topology of landscapes: counts of minima, saddles and hills that are more than noise, and the page of all."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from gradscape._names import tell_apart
from gradscape._provenance import Provenance
from gradscape.data.pictures import ShownPictures
from gradscape.figures.surfaces.topology import figure_topology
from gradscape.landscape import Topology
from gradscape.studies.report.commands import command
from gradscape.studies.report.definition import ReportKind, Shown
from gradscape.studies.report.facts import Fact, state
from gradscape.studies.report.found import Found, ReportedNetwork, owned, together
from gradscape.studies.report.landscapes import LANDSCAPES
from gradscape.studies.report.still_pictures import StillPicture, still_picture
from gradscape.studies.report.tables import Cell, Row, Table
from gradscape.studies.topology import COUNT_HEADINGS, tabulate_counts

__all__ = ["TOPOLOGIES"]

_Group = Sequence[tuple[ReportedNetwork, Found[Topology]]]


@final
@dataclass(frozen=True, eq=False)
class _ShownTopologies:
    """Topologies of one value.

    Attributes:
        table: How many critical points each surface has.
        picture: All on one scale.
    """

    table: Table
    picture: StillPicture


def _read(path: Path) -> Found[Topology]:
    topology = Topology.load(path)
    return Found(path, topology, Provenance.of(topology.meta))


def _show(networks: Sequence[ReportedNetwork], _: Sequence[Found[ShownPictures]]) -> Shown | None:
    groups = [_shown(group) for group in together(networks, Topology, lambda found: found.result.value)]
    return Shown(groups) if groups else None


def _shown(group: _Group) -> _ShownTopologies:
    titles = [network.title for network, _ in group]
    folders = [f"{title} ({found.path.parent})" for title, (_, found) in zip(titles, group, strict=True)]
    several = dict(zip(tell_apart([titles, folders]), (found.result for _, found in group), strict=True))
    first = next(iter(several.values()))
    rows = [Row(name, "", tuple(map(Cell, cells))) for name, *cells in tabulate_counts(several)]
    table = Table(
        caption=f"Minima, saddles and hills of the {first.value} that stand out of twice the band.",
        corner="network",
        columns=tuple(heading.strip() for heading in COUNT_HEADINGS[1:]),
        rows=tuple(rows),
        remarks=tuple(f"{name}: {note}" for name, one in several.items() for note in one.notes),
    )
    page = figure_topology(list(several.values()), titles=list(several))
    return _ShownTopologies(table, still_picture(page, f"Merge tree and persistence diagram of {', '.join(several)}"))


def _describe(network: ReportedNetwork) -> list[Fact]:
    return [
        state("topology", found, value=found.result.value, band=found.result.band, confidence=found.result.confidence)
        for found in network.of(Topology)
    ]


def _commands(networks: Sequence[ReportedNetwork]) -> list[str]:
    return [_command(found) for _, found in owned(networks, Topology)]


def _command(found: Found[Topology]) -> str:
    topology = found.result
    parts: list[object] = [found.meta.get("surface_file", "SURFACE.h5")]
    parts += ["--value", topology.value] if topology.value != "loss" else []
    parts += ["--confidence", topology.confidence] if topology.confidence != 0.95 else []
    parts += ["--seed", seed] if (seed := found.meta.get("bootstrap_seed")) else []
    return command("topology", *parts, "-o", found.path.parent)


TOPOLOGIES = ReportKind(
    section=LANDSCAPES.section,
    readers={".npz:topology": _read},
    show=_show,
    describe=_describe,
    commands=_commands,
)
