"""Maps of the curvature: both ends of the Hessian's spectrum around each network, in a table."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gradscape._provenance import Provenance
from gradscape.data.pictures import ShownPictures
from gradscape.figures.style import short_number
from gradscape.landscape import CURVATURE_FIELDS, CurvatureMap
from gradscape.studies.report.commands import command, data_options, evenly, function_options, network_path
from gradscape.studies.report.definition import ReportKind, Section, Shown
from gradscape.studies.report.facts import Fact, state
from gradscape.studies.report.found import Found, ReportedNetwork, owned
from gradscape.studies.report.tables import NONE, Cell, Row, Table

__all__ = ["CURVATURE_MAPS"]


def _read(path: Path) -> Found[CurvatureMap]:
    found = CurvatureMap.load(path)
    if not found.products.any():
        raise ValueError("no point of it was evaluated")
    return Found(path, found, Provenance.of(found.meta))


def _show(networks: Sequence[ReportedNetwork], _: Sequence[Found[ShownPictures]]) -> Shown | None:
    maps = list(owned(networks, CurvatureMap))
    return Shown([_table(network, found) for network, found in maps]) if maps else None


def _table(network: ReportedNetwork, found: Found[CurvatureMap]) -> Table:
    one = found.result
    done = one.products > 0
    left = f", {int((~done).sum()):,} of them not evaluated" if not done.all() else ""
    rows = []
    for value, (label, _) in CURVATURE_FIELDS.items():
        field = one.field(value)
        finite = field.values[np.isfinite(field.values)]
        ends = [short_number(float(end)) for end in (finite.min(), finite.max())] if len(finite) else [NONE, NONE]
        at_origin = short_number(field.origin[0].value) if field.origin else NONE
        rows.append(Row(label, "", tuple(Cell(text) for text in (at_origin, *ends))))
    return Table(
        caption=f"Curvature of {network.title} over {done.size:,} points{left}, on {found.meta.images:,} images.",
        corner="eigenvalues",
        columns=("at the network", "lowest", "highest"),
        rows=tuple(rows),
        remarks=(f"{int((done & ~one.converged).sum()):,} points are not converged to the tolerance",),
    )


def _describe(network: ReportedNetwork) -> list[Fact]:
    return [state("curvature map", found) for found in network.of(CurvatureMap)]


def _commands(networks: Sequence[ReportedNetwork]) -> list[str]:
    return [_command(network, found) for network, found in owned(networks, CurvatureMap)]


def _command(network: ReportedNetwork, found: Found[CurvatureMap]) -> str:
    one, meta = found.result, found.meta
    parts: list[object] = [network_path(network), *data_options(found)]
    parts += ["--map", ",".join(map(evenly, (one.alphas, one.betas))), "--ignore", meta.get("ignore", "none")]
    parts += function_options(found, judged=False)
    parts += ["--parameters", meta["parameters"]] if meta.get("parameters", "*") != "*" else []
    parts += ["--seed", meta.seed] if meta.seed else []
    return command("curvature", *parts, "-o", found.path.parent)


CURVATURE_MAPS = ReportKind(
    section=Section("curvature-maps", "Maps of the curvature"),
    readers={".h5:max_eig": _read},
    show=_show,
    describe=_describe,
    commands=_commands,
    template="evaluations",
)
