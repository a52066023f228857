"""Kinds of results: a new one needs an entry among them, and nothing else."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

import gradscape
from gradscape._provenance import Provenance
from gradscape.data.pictures import ShownPictures
from gradscape.studies.report import write_report
from gradscape.studies.report.commands import command, network_path
from gradscape.studies.report.definition import ReportKind, Section, Shown, Suggestion
from gradscape.studies.report.facts import Fact, state
from gradscape.studies.report.found import Found, ReportedNetwork, owned
from gradscape.studies.report.kinds import KINDS
from gradscape.studies.report.tables import Cell, Row, Table
from tests.figures.results import make_surface

TEMPLATES = Path(gradscape.__file__).parent / "figures" / "web" / "templates" / "report" / "sections"


@dataclass(frozen=True)
class Size:
    """A result of a kind that gradscape does not have."""

    meters: float


def read_size(path: Path) -> Found[Size]:
    meters, weights = path.read_text().split()
    return Found(path, Size(float(meters)), Provenance.of({"weights": weights, "ruler": "wooden"}))


def show_sizes(networks: Sequence[ReportedNetwork], _: Sequence[Found[ShownPictures]]) -> Shown | None:
    rows = [Row(network.title, "m", (Cell(str(found.result.meters)),)) for network, found in owned(networks, Size)]
    return Shown(Table("How tall they are.", "network", ("size",), tuple(rows))) if rows else None


def describe_sizes(network: ReportedNetwork) -> list[Fact]:
    return [state("size", found, unit="meter") for found in network.of(Size)]


def measure_again(networks: Sequence[ReportedNetwork]) -> list[str]:
    return [command("size", network_path(network), "-o", found.path.parent) for network, found in owned(networks, Size)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Results of one network, with a kind among the others that has no template of its own."""
    kind = ReportKind(
        section=Section("sizes", "Sizes"),
        readers={"size.txt": read_size},
        show=show_sizes,
        describe=describe_sizes,
        commands=measure_again,
        suggestion=Suggestion("sizes", "size {network}"),
        template="table",
    )
    monkeypatch.setitem(KINDS, "sizes", kind)
    make_surface(model="giant", weights="0123").save(tmp_path / "surface.h5")
    return tmp_path


def test_a_new_kind_needs_one_entry_to_be_found_shown_described_and_made_again(folder: Path) -> None:
    (folder / "size.txt").write_text("2.5 0123")
    text = write_report([folder], folder / "report.html").read_text()
    assert re.findall(r'<section id="(\w+)"', text) == ["summary", "landscapes", "sizes", "provenance", "appendix"]
    shown = text.partition('<section id="sizes"')[2].partition("</section>")[0]
    assert re.findall(r'<th scope="row">(\w+)', shown) == ["giant"]
    assert '<td class="number" data-column="size"><span>2.5</span></td>' in shown
    assert f"<code>gradscape size CKPT -o {folder}</code>" in text
    assert "<dt>unit</dt><dd>meter</dd>" in text
    assert "<dt>ruler</dt><dd>wooden</dd>" in text
    assert "<dt>sizes</dt>" not in text


def test_a_new_kind_is_suggested_where_there_is_none(folder: Path) -> None:
    text = write_report([folder], folder / "report.html").read_text()
    assert 'id="sizes"' not in text
    assert "<dt>sizes</dt><dd><code>gradscape size CKPT -o out</code></dd>" in text


def test_a_new_kind_that_cannot_be_read_is_left_out_by_name(folder: Path) -> None:
    (folder / "size.txt").write_text("tall 0123")
    text = write_report([folder], folder / "report.html").read_text()
    assert 'id="sizes"' not in text
    assert "could not convert string to float" in text


def test_every_kind_has_its_template_and_files_of_its_own() -> None:
    marks = [mark for kind in KINDS.values() for mark in kind.readers]
    assert len(marks) == len(set(marks))
    for name, kind in KINDS.items():
        assert (TEMPLATES / f"{kind.template or name}.html").is_file()


def test_kinds_of_one_section_follow_each_other() -> None:
    sections = [kind.section for kind in KINDS.values()]
    changes = [one for one, before in zip(sections, [None, *sections], strict=False) if one != before]
    assert len(changes) == len(set(sections))
