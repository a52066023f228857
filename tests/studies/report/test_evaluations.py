"""Evaluations in a report: a table with intervals, and the command that makes it again."""

from pathlib import Path

import pytest

from gradscape.data import load_split
from gradscape.models import load_checkpoint
from gradscape.studies.evaluation import Evaluation, evaluate_networks
from gradscape.studies.evaluation_files import save_evaluation
from gradscape.studies.report import write_report
from gradscape.studies.report.collect import collect
from gradscape.studies.report.evaluations import EVALUATIONS
from gradscape.studies.report.found import ReportedNetwork
from gradscape.studies.report.networks import sort_by_network
from gradscape.studies.report.tables import Table
from tests.studies.networks import save_network


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("evaluated")


@pytest.fixture(scope="module")
def evaluation(folder: Path) -> Evaluation:
    files = [save_network(folder / name, "resnet20", seed=seed) for seed, name in enumerate("ab")]
    models = {name: load_checkpoint(file) for name, file in zip("ab", files, strict=True)}
    found = evaluate_networks(models, load_split("digits", "test", limit=40, seed=2), seed=2)
    save_evaluation(found, folder / "out")
    return found


@pytest.fixture
def networks(folder: Path, evaluation: Evaluation) -> list[ReportedNetwork]:
    return sort_by_network(collect([folder]))


def test_a_table_has_every_score_with_its_interval(networks: list[ReportedNetwork], evaluation: Evaluation) -> None:
    shown = EVALUATIONS.show(networks, [])
    assert shown is not None
    tables = shown.given
    assert isinstance(tables, list)
    table: Table = tables[0]
    assert table.caption == "Answers to 40 of 355 images of digits (test), with intervals."
    assert table.columns == ("loss", "top-1, %", "top-5, %", "calibration error, %")
    top1 = evaluation.scores["a"]["top1"]
    cell = table.rows[0].cells[1]
    assert (cell.text, cell.range) == (f"{100 * top1.value:.2f}", f"{100 * top1.low:.2f} to {100 * top1.high:.2f}")
    assert any(remark.startswith("top-1, ") for remark in table.remarks)
    assert EVALUATIONS.show([], []) is None


def test_the_command_makes_it_again(networks: list[ReportedNetwork], folder: Path) -> None:
    files = " ".join(str(folder / name / "resnet20" / "model.safetensors") for name in "ab")
    assert EVALUATIONS.commands(networks) == [
        f"gradscape evaluate {files} --data digits --limit 40 --seed 2 -o {folder / 'out'}"
    ]


def test_the_page_shows_it(networks: list[ReportedNetwork], folder: Path, tmp_path: Path) -> None:
    page = write_report([folder], tmp_path / "report.html").read_text()
    assert 'id="evaluation"' in page
    assert "calibration error" in page
