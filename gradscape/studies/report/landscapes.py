"""Landscapes over a plane: to be turned side by side, on paper as contours, and in numbers."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gradscape._names import one_line
from gradscape._provenance import Provenance
from gradscape._schema import fitting
from gradscape.data.pictures import ShownPictures
from gradscape.figures.surfaces.layout import DrawingKind
from gradscape.figures.surfaces.shading import Scale
from gradscape.figures.web.report_surface import plotly_script, surface_content, surface_picture
from gradscape.landscape import Surface
from gradscape.landscape.paths.curve_kinds import CURVE
from gradscape.studies.report.commands import (
    USUAL_MAKING,
    command,
    data_options,
    evenly,
    exact,
    function_options,
    making_options,
    network_paths,
)
from gradscape.studies.report.definition import ReportKind, Section, Shown, Suggestion
from gradscape.studies.report.facts import Fact, state
from gradscape.studies.report.found import Found, ReportedNetwork, together
from gradscape.studies.report.landscape_metrics import metric_tables

__all__ = ["LANDSCAPES"]

_Group = Sequence[tuple[ReportedNetwork, Found[Surface]]]


def _read(path: Path) -> Found[Surface] | None:
    surface = Surface.load(path)
    if (frame := surface.meta.get("frame")) and frame["number"] < frame["frames"] - 1:
        return None  # of a movie the report shows the end
    if not surface.count.any():
        raise ValueError("no point of it was evaluated")
    return Found(path, surface, Provenance.of(surface.meta))


def _show(networks: Sequence[ReportedNetwork], _: Sequence[Found[ShownPictures]]) -> Shown | None:
    surfaces, measured = _drawable(networks), metric_tables(networks)
    if not surfaces:
        return Shown({"surfaces": None, "metrics": measured}) if measured else None
    content = _content(networks, surfaces)
    given = {"surfaces": content, "stills": _stills(surfaces, content["start"]["loss"]), "metrics": measured}
    return Shown(given, content, libraries=(plotly_script(),))


def _stills(surfaces: Mapping[str, Surface], scale: Scale) -> list[dict[str, str]]:
    """Relief and map for paper, where nothing can be turned."""
    shown: dict[DrawingKind, str] = {"surface": "The loss as a relief", "filled": "Filled contours of the loss"}
    titles, several = list(surfaces), list(surfaces.values())
    pictures = {kind: surface_picture(several, titles=titles, kind=kind, scale=scale) for kind in shown}
    return [
        {
            "url": f"data:image/png;base64,{base64.b64encode(picture).decode('ascii')}",
            "said": f"{shown[kind]} over alpha and beta, of {', '.join(titles)}, on one scale",
        }
        for kind, picture in pictures.items()
    ]


def _drawable(networks: Sequence[ReportedNetwork]) -> dict[str, Surface]:
    """What can be drawn in three dimensions, by a title that tells networks and seeds apart."""
    named: dict[str, Surface] = {}
    for network in networks:
        surfaces = network.of(Surface)
        for found in surfaces:
            if min(found.result.loss.shape) < 2 or not np.isfinite(found.result.loss).any():
                continue
            title = network.title + (_distinction(found, surfaces) if len(surfaces) > 1 else "")
            named[title if title not in named else f"{title} ({found.path.parent})"] = found.result
    return named


def _distinction(found: Found[Surface], others: Sequence[Found[Surface]]) -> str:
    """What tells one of a network's surfaces from the others: the seed, else the folder."""
    seeds = [other.meta.get("seed") for other in others]
    if len(set(seeds)) == len(seeds):
        return f", seed {one_line(found.meta.get('seed'))}"
    return f", {found.path.parent.name}/{found.path.name}"


def _content(networks: Sequence[ReportedNetwork], surfaces: Mapping[str, Surface]) -> dict[str, Any]:
    """Surfaces side by side; those that are shown before anyone chooses, one of each network, are called first."""
    drawn = surface_content(list(surfaces.values()), titles=list(surfaces))
    owners = [
        next(network.title for network in networks for found in network.of(Surface) if found.result is surface)
        for surface in surfaces.values()
    ]
    for number, panel in enumerate(drawn["panels"]):
        panel["first"] = owners.index(owners[number]) == number
    return drawn


def _describe(network: ReportedNetwork) -> list[Fact]:
    return [state("landscape", found) for found in network.of(Surface)]


def _commands(networks: Sequence[ReportedNetwork]) -> list[str]:
    return [line for group in together(networks, Surface, _run) for line in _rebuild(group)]


def _run(found: Found[Surface]) -> object:
    """What surfaces of one run share."""
    settings = {
        name: found.meta.get(name) for name in ("data", "split", "images", "functions", "direction_file", *USUAL_MAKING)
    }
    return [str(_run_folder(found)), settings, found.result.alphas.tolist(), found.result.betas.tolist()]


def _run_folder(found: Found[Surface]) -> Path:
    """The folder of the run: above the folders of networks and of seeds, if the file lies in such."""
    folder = found.path.parent
    if folder.name == f"seed{found.meta.get('seed')}":
        folder = folder.parent
    return folder.parent


def _rebuild(group: _Group) -> list[str]:
    """One command for networks that lie in folders of one run, else one for each."""
    found = group[0][1]
    if "data" not in found.meta or CURVE in found.meta:
        return []  # of another program, or made with a curve
    if "frame" in found.meta:
        return [_movie_command(found)]
    seeds = sorted({one.meta.get("seed", 0) for _, one in group})
    output = found.path.parent.parent if len(seeds) > 1 else found.path.parent
    if len(network_paths(group)) > 1:
        output = _run_folder(found)
    return [_command(group, seeds, output)]


def _command(group: _Group, seeds: Sequence[int], output: Path) -> str:
    first = group[0][1]
    meta = first.meta
    parts: list[object] = [*network_paths(group), *data_options(first), *function_options(first), *_grid(first.result)]
    parts += making_options(first, USUAL_MAKING)
    file = meta.get("direction_path") or meta.get("direction_file")
    parts += ["--directions", file] if file else ["--seed", seeds[0]]
    for run in fitting(meta, "trajectory_paths", list[str]) or ():
        parts += ["--trajectory", run]
    if len(seeds) > 1:
        parts += ["--repeats", len(seeds)]
    return command("landscape", *parts, "-o", output)


def _movie_command(last: Found[Surface]) -> str:
    """What makes all frames again: the grid is that of the last one, in `frames/NETWORK` of the movie's folder."""
    run = str(last.meta.get("direction_path", "RUN")).removeprefix("pca:")
    parts: list[object] = [run, *data_options(last), *function_options(last)]
    parts += ["--grid", ",".join(map(evenly, (last.result.alphas, last.result.betas)))]
    parts += making_options(last, {})
    return command("animate", *parts, "-o", last.path.parent.parent.parent)


def _grid(surface: Surface) -> list[object]:
    alphas, betas = surface.alphas, surface.betas
    if np.array_equal(alphas, betas) and np.isclose(alphas[0], -alphas[-1]):
        return ["--span", exact(alphas[-1]), "--steps", len(alphas)]
    return ["--grid", ",".join(map(evenly, (alphas, betas)))]


LANDSCAPES = ReportKind(
    section=Section("landscapes", "Landscapes"),
    readers={".h5:ycoordinates": _read},
    show=_show,
    describe=_describe,
    commands=_commands,
    suggestion=Suggestion("landscapes", "landscape {networks} --data {data}"),
)
