"""Sharpness: how far each network's loss rises where its weights are disturbed, a table for each set of images."""

from collections.abc import Sequence
from pathlib import Path

from gradscape._provenance import Provenance
from gradscape.data.pictures import ShownPictures
from gradscape.figures.style import short_number
from gradscape.landscape import Sharpness
from gradscape.landscape.sharpness.kinds import list_cases
from gradscape.studies.report.commands import command, data_options, exact, function_options, network_paths
from gradscape.studies.report.definition import ReportKind, Section, Shown, Suggestion
from gradscape.studies.report.differences_table import differences_table, range_text, spaced
from gradscape.studies.report.facts import Fact, state
from gradscape.studies.report.found import Found, ReportedNetwork, together
from gradscape.studies.report.tables import Cell, Row, Table
from gradscape.studies.sharpness_comparison import compare_sharpness

__all__ = ["SHARPNESS"]

_Group = Sequence[tuple[ReportedNetwork, Found[Sharpness]]]

_SHARED = ("functions", "steps", "draws", "seed", "parameters", "data", "split")


def _read(path: Path) -> Found[Sharpness]:
    found = Sharpness.load(path)
    return Found(path, found, Provenance.of(found.meta))


def _show(networks: Sequence[ReportedNetwork], _: Sequence[Found[ShownPictures]]) -> Shown | None:
    tables = [table for group in together(networks, Sharpness, _way) for table in _tables(group)]
    return Shown(tables) if tables else None


def _way(found: Found[Sharpness]) -> object:
    """What sharpness that can be compared shares."""
    one = found.result
    return [one.cases, one.m, one.norm, one.population, list(one.meta["blocks"])[:1], *map(one.meta.get, _SHARED)]


def _tables(group: _Group) -> list[Table]:
    comparison = compare_sharpness({network.title: found.result for network, found in group})
    names = list(next(iter(comparison.means.values())))
    rows = [
        Row(
            spaced(name),
            "",
            tuple(Cell(short_number(of[name].value), range_text(of[name])) for of in comparison.means.values()),
        )
        for name in names
    ]
    notes = dict.fromkeys(
        f"{network}, {spaced(name)}: {one.note}"
        for network, of in comparison.means.items()
        for name, one in of.items()
        if one.note
    )
    table = Table(
        caption=f"{comparison.about[0][0].upper()}{comparison.about[0][1:]}, with 95 % intervals.",
        corner="rise, nats" if group[0][1].result.unit else "rise",
        columns=tuple(comparison.means),
        rows=tuple(rows),
        remarks=(*comparison.about[1:], *notes),
    )
    if not comparison.differences:
        return [table]
    return [table, differences_table(comparison.differences, of="sharpness", confidence=comparison.confidence)]


def _describe(network: ReportedNetwork) -> list[Fact]:
    return [state("sharpness", found, m=found.result.m, norm=found.result.norm) for found in network.of(Sharpness)]


def _commands(networks: Sequence[ReportedNetwork]) -> list[str]:
    return [_command(group) for group in together(networks, Sharpness, _run)]


def _run(found: Found[Sharpness]) -> object:
    """What files of one run share."""
    return [str(found.path.parent.parent), _way(found)]


def _command(group: _Group) -> str:
    found = group[0][1]
    one, meta = found.result, found.meta
    parts: list[object] = [*network_paths(group), *data_options(found)]
    for kind in dict.fromkeys(kind for kind, _ in one.cases):
        parts += ["--kind", kind]
    if tuple(one.cases) != tuple(list_cases(list(dict.fromkeys(kind for kind, _ in one.cases)), None, one.norm)):
        for rho in dict.fromkeys(rho for _, rho in one.cases):
            parts += ["--rho", exact(rho)]
    parts += function_options(found, judged=False)
    parts += ["--parameters", meta["parameters"]] if meta.get("parameters", "*") != "*" else []
    parts += ["--m", one.m, "--norm", one.norm, "--steps", meta.get("steps"), "--draws", meta.get("draws")]
    parts += ["--seed", meta.seed] if meta.seed else []
    folder = found.path.parent
    return command("sharpness", *parts, "-o", folder.parent if len(group) > 1 else folder)


SHARPNESS = ReportKind(
    section=Section("sharpness", "Sharpness"),
    readers={".npz:sharpness": _read},
    show=_show,
    describe=_describe,
    commands=_commands,
    suggestion=Suggestion("sharpness with intervals", "sharpness {networks} --data {data}"),
    template="evaluations",
)
