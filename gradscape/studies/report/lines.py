"""Landscapes along a line: loss and error of all networks in one chart each."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from gradscape._provenance import Provenance
from gradscape.data.pictures import ShownPictures
from gradscape.figures.web.line_chart import Chart, Curve, place_chart
from gradscape.landscape import Line
from gradscape.studies.report.commands import UNKNOWN, command, data_options, function_options, network_path
from gradscape.studies.report.definition import ReportKind, Shown
from gradscape.studies.report.facts import Fact, state
from gradscape.studies.report.found import Found, ReportedNetwork, owned
from gradscape.studies.report.landscapes import LANDSCAPES

__all__ = ["LINES"]


def _read(path: Path) -> Found[Line]:
    line = Line.load(path)
    if not line.count.any():
        raise ValueError("no point of it was evaluated")
    return Found(path, line, Provenance.of(line.meta))


def _show(networks: Sequence[ReportedNetwork], _: Sequence[Found[ShownPictures]]) -> Shown | None:
    possible = (
        _chart(networks, "loss", lambda line: line.loss),
        _chart(networks, "error (%)", lambda line: 100 * line.error, linear=True),
    )
    charts = [chart for chart in possible if chart]
    return Shown(charts) if charts else None


def _chart(
    networks: Sequence[ReportedNetwork], label: str, heights: Callable[[Line], np.ndarray], *, linear: bool = False
) -> Chart | None:
    curves = [
        Curve(network.title, found.result.alphas, heights(found.result), number)
        for number, network in enumerate(networks)
        for found in network.of(Line)
        if np.isfinite(heights(found.result)).any()
    ]
    return place_chart(curves, x_label="alpha", y_label=label, linear=linear) if curves else None


def _describe(network: ReportedNetwork) -> list[Fact]:
    return [state("line", found) for found in network.of(Line)]


def _commands(networks: Sequence[ReportedNetwork]) -> list[str]:
    return [_command(network, found) for network, found in owned(networks, Line)]


def _command(network: ReportedNetwork, found: Found[Line]) -> str:
    alphas, meta = found.result.alphas, found.meta
    between = "other" in meta
    parts: list[object] = [network_path(network), *([UNKNOWN] if between else [])]
    parts += [*data_options(found), *function_options(found), "--steps", len(alphas)]
    if not between:
        parts += ["--span", f"{np.abs(alphas).max():g}", "--seed", meta.get("seed", 0)]
    return command("line", *parts, "-o", found.path.parent)


LINES = ReportKind(
    section=LANDSCAPES.section, readers={".h5": _read}, show=_show, describe=_describe, commands=_commands
)
