"""The report: everything in some folders as one page that needs nothing else."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from gradscape._files import replacing_text
from gradscape._names import one_line
from gradscape.figures.web.packed_maps import color_tables
from gradscape.figures.web.pages import render_page
from gradscape.studies.report import provenance
from gradscape.studies.report.collect import Findings, collect
from gradscape.studies.report.definition import Section, Shown
from gradscape.studies.report.found import ReportedNetwork
from gradscape.studies.report.kinds import KINDS
from gradscape.studies.report.networks import sort_by_network
from gradscape.studies.report.summary import network_table

__all__ = ["write_report"]

_SCRIPTS = ("report/page.js", "report/downloads.js", "report/maps.js")

_log = logging.getLogger(__name__)


@final
@dataclass(frozen=True, eq=False)
class _Part:
    """What one template fills in.

    Attributes:
        name: What the page's script knows it by.
        section: Where it stands.
        template: Name of the template.
        shown: What it gets.
    """

    name: str
    section: Section
    template: str
    shown: Shown


def write_report(folders: Sequence[Path], output: Path, *, command: str = "") -> Path:
    """Write one page over every result in folders: networks, what there is of each kind, provenance.

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
        _log.warning("%s is left out: %s", one_line(path), reason)
    text = _render(findings, command)
    with replacing_text(output) as file:
        file.write(text)
    return output


def _render(findings: Findings, command: str) -> str:
    networks = sort_by_network(findings)
    parts = _parts(networks, findings, command)
    sections: dict[Section, list[_Part]] = {}
    for part in parts:
        sections.setdefault(part.section, []).append(part)
    scripted = {part.name: part.shown.content for part in parts if part.shown.content is not None}
    return render_page(
        "report/report.html",
        styles=["report/style.css"],
        scripts=[*_SCRIPTS, *(f"report/sections/{name}.js" for name in scripted)],
        libraries=list(dict.fromkeys(library for part in parts for library in part.shown.libraries)),
        content={"colors": color_tables(), **scripted},
        title=_title(networks),
        sections=list(sections.items()),
    )


def _parts(networks: Sequence[ReportedNetwork], findings: Findings, command: str) -> list[_Part]:
    """What there is to show, in the page's order."""
    first = _Part("summary", Section("summary", "Networks"), "table", Shown(network_table(networks)))
    parts = [
        _Part(name, kind.section, kind.template or name, shown)
        for name, kind in KINDS.items()
        if (shown := kind.show(networks, findings.pictures))
    ]
    about = {
        "command": command,
        "commands": provenance.rebuild_commands(networks),
        "suggestions": provenance.suggest_commands(networks),
        "unread": findings.unread,
    }
    told = [(network, provenance.describe_network(network)) for network in networks]
    last = [
        _Part("provenance", Section("provenance", "Provenance"), "provenance", Shown(about)),
        _Part("appendix", Section("appendix", "Appendix"), "appendix", Shown(told)),
    ]
    return [first, *parts, *last]


def _title(networks: Sequence[ReportedNetwork]) -> str:
    titles = [network.title for network in networks]
    return " and ".join(titles) if len(titles) < 3 else f"{len(titles)} networks"
