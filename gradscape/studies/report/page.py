"""The report: everything in some folders as one page that needs nothing else."""

import base64
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gradscape import __version__
from gradscape._files import replacing
from gradscape._names import one_line
from gradscape.data.pictures import ShownPictures
from gradscape.figures.web.pages import render_page
from gradscape.figures.web.report_chart import Chart, Curve, place_chart
from gradscape.figures.web.report_maps import color_tables
from gradscape.figures.web.report_scatter import Scatter, place_embeddings
from gradscape.figures.web.report_surface import plotly_script, surface_content, surface_map
from gradscape.landscape import Surface
from gradscape.studies.report import commands, gallery, tables
from gradscape.studies.report.collect import Findings, Found, collect
from gradscape.studies.report.networks import Network, sort_by_network
from gradscape.studies.report.provenance import describe_network

__all__ = ["write_report"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Section:
    """A part of the page."""

    name: str
    title: str


def write_report(folders: Sequence[Path], output: Path, *, command: str = "") -> Path:
    """Write one page over every result in folders: tables, landscapes, heatmaps, attention, embeddings, provenance.

    Files that look like results and are none are named on the page and in a warning.

    Args:
        folders: Where to look, with all folders in them.
        output: The page, `.html`.
        command: What made it all, where it was one command.

    Returns:
        The page.

    Raises:
        FileNotFoundError: There is no such folder.
        NotADirectoryError: It is a file.
        ValueError: There is no result in any of them.
    """
    findings = collect(folders)
    for path, reason in findings.unread:
        _log.warning("%s is left out: %s", path, reason)
    text = _render(findings, command)
    with replacing(output) as partial:
        partial.write_text(text, encoding="utf-8")
    return output


def _render(findings: Findings, command: str) -> str:
    networks = sort_by_network(findings)
    shown = _shown(networks, findings.pictures)
    return render_page(
        "report/report.html",
        **shown,
        title=_title(networks),
        sections=_sections(shown),
        content=_content(shown),
        commands=commands.rebuild_commands(networks),
        command=command,
        suggestions=commands.suggest_commands(networks),
        provenance=[(network, describe_network(network)) for network in networks],
        unread=findings.unread,
        plotly=plotly_script() if shown["surfaces"] else "",
        version=__version__,
    )


def _shown(networks: Sequence[Network], pictures: Sequence[Found[ShownPictures]]) -> dict[str, Any]:
    """What the sections show, by the names that their templates know it by."""
    surfaces = _surfaces(networks)
    titles, several = list(surfaces), list(surfaces.values())
    return {
        "summary": tables.network_table(networks),
        "surfaces": _drawn(networks, surfaces) if several else None,
        "still": _data_url(surface_map(several, titles=titles)) if several else "",
        "metrics": tables.metric_tables(networks),
        "lines": _line_charts(networks),
        "heatmaps": gallery.heatmap_galleries(networks, pictures),
        "faithfulness": tables.faithfulness_table(networks),
        "attention": gallery.attention_galleries(networks, pictures),
        "fusion": gallery.fusion_galleries(networks, pictures),
        "scatters": _scatters(networks),
        "trainings": _training_charts(networks),
    }


def _content(shown: Mapping[str, Any]) -> dict[str, Any]:
    """What the page's script draws."""
    return {
        "colors": color_tables(),
        "surfaces": shown["surfaces"],
        "scatters": [
            {"labels": one.labels, "points": [panel.points for panel in one.panels]} for one in shown["scatters"]
        ],
        **{name: [one.content for one in shown[name]] for name in ("heatmaps", "attention", "fusion")},
    }


def _sections(shown: Mapping[str, Any]) -> list[_Section]:
    """What there is to show, in the page's order."""
    possible = (
        ("summary", "Networks", True),
        ("landscapes", "Landscapes", bool(shown["surfaces"] or shown["lines"] or shown["metrics"])),
        ("heatmaps", "Heatmaps", bool(shown["heatmaps"] or shown["faithfulness"])),
        ("attention", "Attention", bool(shown["attention"])),
        ("fusion", "Feature fusion", bool(shown["fusion"])),
        ("embeddings", "Embeddings", bool(shown["scatters"])),
        ("training", "Training", bool(shown["trainings"])),
        ("provenance", "Provenance", True),
    )
    return [_Section(name, title) for name, title, there in possible if there]


def _title(networks: Sequence[Network]) -> str:
    titles = [network.title for network in networks]
    return " and ".join(titles) if len(titles) < 3 else f"{len(titles)} networks"


def _surfaces(networks: Sequence[Network]) -> dict[str, Surface]:
    """What can be drawn in three dimensions, by a title that tells networks and seeds apart."""
    named: dict[str, Surface] = {}
    for network in networks:
        for found in network.surfaces:
            if min(found.result.loss.shape) < 2 or not np.isfinite(found.result.loss).any():
                continue
            title = network.title
            if len(network.surfaces) > 1:
                title += _distinction(found, network.surfaces)
            named[title if title not in named else f"{title} ({found.path.parent})"] = found.result
    return named


def _drawn(networks: Sequence[Network], surfaces: Mapping[str, Surface]) -> dict[str, Any]:
    """Surfaces side by side; those that are shown before anyone chooses, one of each network, are called first."""
    drawn = surface_content(list(surfaces.values()), titles=list(surfaces))
    owners = [
        next(network.title for network in networks for found in network.surfaces if found.result is surface)
        for surface in surfaces.values()
    ]
    for number, panel in enumerate(drawn["panels"]):
        panel["first"] = owners.index(owners[number]) == number
    return drawn


def _distinction(found: Found[Surface], others: Sequence[Found[Surface]]) -> str:
    """What tells one of a network's surfaces from the others: the seed, else the folder."""
    seeds = [other.result.meta.get("seed") for other in others]
    if len(set(seeds)) == len(seeds):
        return f", seed {one_line(found.result.meta.get('seed'))}"
    return f", {found.path.parent.name}/{found.path.name}"


def _scatters(networks: Sequence[Network]) -> list[Scatter]:
    """Embeddings of the same images side by side."""
    groups: dict[tuple[Any, ...], list[tuple[str, Any]]] = {}
    for network in networks:
        for found in network.embeddings:
            one = found.result
            key = (str(one.meta.get("data")), str(one.meta.get("split")), one.classes, one.seed, one.labels.tobytes())
            groups.setdefault(key, []).append((network.title, one))
    return [
        place_embeddings([one for _, one in group], titles=[title for title, _ in group]) for group in groups.values()
    ]


def _training_charts(networks: Sequence[Network]) -> list[Chart]:
    trained = [(number, network) for number, network in enumerate(networks) if network.training]
    charts = []
    for quantity, label, factor in (("accuracy", "accuracy (%)", 100), ("loss", "loss", 1)):
        curves = [
            Curve(f"{network.title}, {part}", run["epoch"] + 1, run[column] * factor, number, dashed=part == "train")
            for number, network in trained
            for run in ([network.training.result] if network.training else [])
            for part in ("test", "train")
            if (column := f"{part}_{quantity}") in run
        ]
        if curves:
            charts.append(place_chart(curves, x_label="epoch", y_label=label, whole=True, linear="%" in label))
    return charts


def _line_charts(networks: Sequence[Network]) -> list[Chart]:
    found = [(number, network.title, one.result) for number, network in enumerate(networks) for one in network.lines]
    charts = []
    for value, label, factor in (("loss", "loss", 1), ("error", "error (%)", 100)):
        curves = [
            Curve(title, line.alphas, getattr(line, value) * factor, number)
            for number, title, line in found
            if np.isfinite(getattr(line, value)).any()
        ]
        if curves:
            charts.append(place_chart(curves, x_label="alpha", y_label=label, linear="%" in label))
    return charts


def _data_url(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
