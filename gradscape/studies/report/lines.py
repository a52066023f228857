"""Landscapes along a line: loss and error of all lines whose alphas count the same in one chart each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from gradscape._names import one_line, tell_apart, telling_parts
from gradscape._provenance import Provenance
from gradscape._schema import fitting
from gradscape.data.pictures import ShownPictures
from gradscape.figures.surfaces.curve_wording import curve_name, describe_highest, follows_curve
from gradscape.figures.surfaces.line_wording import alpha_label, describe_barrier, leads_between
from gradscape.figures.surfaces.norm_wording import describe_batch_norm, describe_stored_ends
from gradscape.figures.surfaces.wording import with_differences
from gradscape.figures.web.line_chart import Chart, ChartCurve, place_chart
from gradscape.landscape import Line
from gradscape.landscape.paths.curve_kinds import CURVE
from gradscape.studies.alignment import ALIGNMENT
from gradscape.studies.report.commands import (
    UNKNOWN,
    USUAL_MAKING,
    command,
    data_options,
    evenly,
    exact,
    function_options,
    making_options,
    network_path,
)
from gradscape.studies.report.definition import ReportKind, Shown
from gradscape.studies.report.facts import Fact, state
from gradscape.studies.report.found import Found, ReportedNetwork, owned
from gradscape.studies.report.landscapes import LANDSCAPES

__all__ = ["LINES"]

_BETWEEN = {"space": "states"}
_RATE = 0.03  # of fitting a curve, where nothing else is asked for


@final
@dataclass(frozen=True, eq=False)
class _NamedLine:
    """A line and what the page calls it.

    Attributes:
        name: What the legend says.
        line: The line.
        first: The network at 0.
        other: The network at 1; "" where the line leads along a random direction.
    """

    name: str
    line: Line
    first: str
    other: str


@final
@dataclass(frozen=True, eq=False)
class _LineGroup:
    """Lines whose alphas count the same, in charts with one legend.

    Attributes:
        heading: What they are.
        charts: Of loss and error.
        remarks: Barriers between networks.
    """

    heading: str
    charts: tuple[Chart, ...]
    remarks: tuple[str, ...]


def _read(path: Path) -> Found[Line]:
    line = Line.load(path)
    if not line.count.any():
        raise ValueError("no point of it was evaluated")
    return Found(path, line, Provenance.of(line.meta))


def _show(networks: Sequence[ReportedNetwork], _: Sequence[Found[ShownPictures]]) -> Shown | None:
    named = _named(networks)
    groups = [
        _group("Between two networks", [one for one in named if one.other]),
        _group("Along random directions", [one for one in named if not one.other]),
    ]
    shown = [group for group in groups if group]
    return Shown(shown) if shown else None


def _named(networks: Sequence[ReportedNetwork]) -> list[_NamedLine]:
    """All lines by names that say what differs: the networks, then directions and images, else their folders."""
    several = list(owned(networks, Line))
    titles = {network.weights: network.title for network in networks if network.weights}
    others = [
        titles.get(str(found.meta.get("other_weights")), one_line(found.meta.get("other", ""))) for _, found in several
    ]
    called = [
        f"{network.title} → {other}{_along(found.result)}" if other else network.title
        for (network, found), other in zip(several, others, strict=True)
    ]
    names = with_differences(called, [found.meta for _, found in several])
    folders = telling_parts([found.path.with_suffix("") for _, found in several])
    apart = tell_apart([names, [f"{name} ({own})" for name, own in zip(names, folders, strict=True)]])
    return [
        _NamedLine(name, found.result, network.title, other)
        for name, (network, found), other in zip(apart, several, others, strict=True)
    ]


def _findings(line: Line) -> list[str]:
    """The barrier, what became of batch norms, and how high a curve is beside the straight line."""
    said = (describe_barrier(line), describe_batch_norm(line.meta), describe_stored_ends(line))
    return [*filter(None, said), *describe_highest(line)]


def _along(line: Line) -> str:
    return f", {curve_name(line)}" if follows_curve(line) else ""


def _group(heading: str, lines: Sequence[_NamedLine]) -> _LineGroup | None:
    possible = (
        _chart(lines, "loss", lambda line: line.loss),
        _chart(lines, "error (%)", lambda line: 100 * line.error, linear=True),
    )
    charts = tuple(chart for chart in possible if chart)
    remarks = tuple(f"{one.name}: {said}" for one in lines for said in _findings(one.line))
    return _LineGroup(heading, charts, remarks) if charts else None


def _chart(
    lines: Sequence[_NamedLine], label: str, heights: Callable[[Line], np.ndarray], *, linear: bool = False
) -> Chart | None:
    curves = [
        ChartCurve(one.name, one.line.alphas, heights(one.line), number)
        for number, one in enumerate(lines)
        if np.isfinite(heights(one.line)).any()
    ]
    if not curves:
        return None
    ends = {(one.first, one.other) for one in lines}
    (first, other), several = next(iter(ends)), len(ends) > 1
    alpha = f"alpha (0: {first}, 1: {other})" if other and not several else alpha_label([one.line for one in lines])
    return place_chart(curves, x_label=alpha, y_label=label, linear=linear)


def _describe(network: ReportedNetwork) -> list[Fact]:
    return [state("line", found) for found in network.of(Line)]


def _commands(networks: Sequence[ReportedNetwork]) -> list[str]:
    paths = {network.weights: network_path(network) for network in networks if network.weights}
    known = [one for one in owned(networks, Line) if "data" in one[1].meta]  # else they are of another program
    curved = {found.path.parent for _, found in known if follows_curve(found.result)}  # made with their straight line
    return [
        _command(network, found, paths)
        for network, found in known
        if follows_curve(found.result) or not (found.path.parent in curved and leads_between(found.result))
    ]


def _command(network: ReportedNetwork, found: Found[Line], paths: Mapping[str, str]) -> str:
    meta, parts = found.meta, [network_path(network)]
    if between := leads_between(found.result):
        own = paths.get(str(meta.get("other_weights")))
        parts += [own] if own else [str(meta.get("other_checkpoint", UNKNOWN)), *map(str, _aligned_options(meta))]
    making = making_options(found, _BETWEEN if between else USUAL_MAKING)
    seed = [] if between else ["--seed", meta.get("seed", 0)]
    asked = [*data_options(found), *function_options(found), *_grid(found.result.alphas, between=between)]
    return command("line", *parts, *asked, *seed, *_curve_options(meta), *making, "-o", found.path.parent)


def _aligned_options(meta: Mapping[str, Any]) -> list[object]:
    """Spell how the second network was aligned, where it is only there as it was before."""
    made = fitting(meta, ALIGNMENT, dict[str, Any]) or {}
    if made.get("of") is None or made["of"] != meta.get("other_checkpoint"):
        return []
    return ["--align", "--restarts", len(made["objectives"]), *(["--seed", made["seed"]] if made.get("seed") else [])]


def _curve_options(meta: Mapping[str, Any]) -> list[object]:
    """Spell how a curve was fitted; of a straight line there is nothing to spell."""
    curve = fitting(meta, CURVE, dict[str, Any]) or {}
    if "kind" not in curve:
        return []
    parts: list[object] = ["--curve", curve["kind"]]
    parts += ["--curve-epochs", curve["epochs"]] if "epochs" in curve else []
    parts += ["--curve-learning-rate", curve["learning_rate"]] if curve.get("learning_rate", _RATE) != _RATE else []
    return [*parts, *(["--seed", curve["seed"]] if curve.get("seed") else [])]


def _grid(alphas: np.ndarray, *, between: bool) -> list[object]:
    """Spell the points that were asked for: the networks themselves may have come on top of even ones."""
    added = ([], [0.0], [1.0], [0.0, 1.0]) if between else ([], [0.0])
    possible = [alphas[~np.isin(alphas, points)] for points in added]
    even = next((one for one in possible if len(one) > 1 and _is_even(one)), alphas)
    if between and (even[0], even[-1]) == (0, 1):
        return ["--steps", len(even)]
    if not between and even[0] == -even[-1] < 0:
        return ["--span", exact(even[-1]), "--steps", len(even)]
    return ["--grid", evenly(even)]


def _is_even(axis: np.ndarray) -> bool:
    return np.allclose(axis, np.linspace(axis[0], axis[-1], len(axis)), rtol=0, atol=1e-9 * np.ptp(axis))


LINES = ReportKind(
    section=LANDSCAPES.section, readers={".h5": _read}, show=_show, describe=_describe, commands=_commands
)
