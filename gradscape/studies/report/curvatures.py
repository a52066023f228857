"""Hessians: eigenvalues, with what these are worth on other images, and traces, a table for each set of images."""

from collections.abc import Sequence
from pathlib import Path

from gradscape._names import one_line
from gradscape._provenance import Provenance
from gradscape.data.pictures import ShownPictures
from gradscape.landscape import Curvature
from gradscape.studies.curvature import HEADINGS, remarks_on, tabulate_curvatures
from gradscape.studies.report.commands import command, data_options, function_options, network_paths
from gradscape.studies.report.definition import ReportKind, Section, Shown, Suggestion
from gradscape.studies.report.facts import Fact, state
from gradscape.studies.report.found import Found, ReportedNetwork, together
from gradscape.studies.report.tables import NONE, Cell, Row, Table

__all__ = ["CURVATURES"]

_Group = Sequence[tuple[ReportedNetwork, Found[Curvature]]]


def _read(path: Path) -> Found[Curvature]:
    curvature = Curvature.load(path)
    return Found(path, curvature, Provenance.of(curvature.meta))


def _show(networks: Sequence[ReportedNetwork], _: Sequence[Found[ShownPictures]]) -> Shown | None:
    tables = [_table(group) for group in together(networks, Curvature, _images)]
    return Shown(tables) if tables else None


def _images(found: Found[Curvature]) -> object:
    """What Hessians of one table share."""
    shared = ("data", "split", "images", "population", "seed", "parameters", "ignore", "functions")
    return [str(found.meta.get(name)) for name in shared]


def _table(group: _Group) -> Table:
    curvatures = {network.title: found.result for network, found in group}
    data, *remarks = remarks_on(curvatures)
    rows = [
        Row(f"{name}: {called}", "", tuple(Cell(text or NONE) for text in numbers))
        for name, called, *numbers in tabulate_curvatures(curvatures)
    ]
    return Table(
        caption=f"Hessian on {one_line(str(group[0][1].meta.data))}: {data}.",
        corner="network",
        columns=tuple(heading.strip() for heading in HEADINGS[2:]),
        rows=tuple(rows),
        remarks=tuple(remarks),
    )


def _describe(network: ReportedNetwork) -> list[Fact]:
    return [state("curvature", found) for found in network.of(Curvature)]


def _commands(networks: Sequence[ReportedNetwork]) -> list[str]:
    return [_command(group) for group in together(networks, Curvature, _run)]


def _run(found: Found[Curvature]) -> object:
    """What Hessians of one run share."""
    return [str(found.path.parent.parent), _images(found)]


def _command(group: _Group) -> str:
    found = group[0][1]
    spectrum, meta = found.result.spectrum, found.meta
    parts: list[object] = [*network_paths(group), *data_options(found)]
    parts += ["--top", spectrum.top, "--bottom", len(spectrum.values) - spectrum.top]
    parts += ["--trace"] if found.result.trace else []
    parts += ["--density"] if found.result.density else []
    parts += function_options(found, judged=False)
    for name, usual in (("parameters", "*"), ("ignore", "none")):
        parts += [f"--{name}", meta[name]] if meta.get(name, usual) != usual else []
    parts += ["--seed", meta.seed] if meta.seed else []
    folder = found.path.parent
    return command("curvature", *parts, "-o", folder.parent if len(group) > 1 else folder)


CURVATURES = ReportKind(
    section=Section("curvature", "Curvature"),
    readers={".npz:curvature": _read},
    show=_show,
    describe=_describe,
    commands=_commands,
    suggestion=Suggestion(
        "eigenvalues and trace of the Hessian", "curvature {networks} --data {data} --limit 1000 --trace"
    ),
    template="evaluations",
)
