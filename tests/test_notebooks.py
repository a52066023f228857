"""The notebooks as they are stored, and as they run: from top to bottom, without a network or the user's home."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
MOST_BYTES = 300_000

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])


def code_cells(path: Path) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]


def kinds_of_outputs(path: Path) -> list[set[str]]:
    """Of every cell: the names of streams, the kinds of data, and errors."""
    return [
        {kind for output in cell["outputs"] for kind in output.get("data", [output.get("name", "error")])}
        for cell in code_cells(path)
    ]


def execute(path: Path, work: Path, output: Path, home: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "JUPYTER", "IPY"))}
    environment.update(HOME=str(home), MPLCONFIGDIR=str(work / "matplotlib"))
    command = [sys.executable, str(FOLDER / "execute.py"), str(path), "--work", str(work), "--output", str(output)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all, since a later notebook reads what an earlier one has trained, if it did."""
    return tmp_path_factory.mktemp("notebooks")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def test_there_are_the_seven_notebooks() -> None:
    assert [path.stem for path in NOTEBOOKS] == [
        "01_first_landscape",
        "02_comparing_architectures",
        "03_your_own_model_data_and_loss",
        "04_what_it_looks_at",
        "05_attention_and_fusion",
        "06_figures_of_a_paper",
        "07_paths_and_curvature",
    ]


@each_notebook
def test_a_stored_notebook_is_small_and_ran_from_top_to_bottom_without_complaint(path: Path) -> None:
    assert path.stat().st_size < MOST_BYTES
    cells = code_cells(path)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    kinds = kinds_of_outputs(path)
    assert sum("image/png" in cell for cell in kinds) >= 2
    assert not any({"stderr", "error"} & cell for cell in kinds)


@each_notebook
def test_a_stored_notebook_says_nothing_of_the_machine_it_ran_on(path: Path) -> None:
    stored = json.loads(path.read_text(encoding="utf-8"))
    assert stored["metadata"] == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    assert not any(cell["metadata"] for cell in stored["cells"])
    assert not re.search(r"/(home|root|tmp|Users|work)/", json.dumps(stored))


@pytest.mark.slow
@each_notebook
def test_a_notebook_runs_offline_and_gives_the_kinds_of_outputs_that_are_stored(
    path: Path, work: Path, home: Path, tmp_path: Path
) -> None:
    done = execute(path, work, tmp_path, home)
    assert done.returncode == 0, done.stderr[-4000:]
    # On another machine another network is trained, and a warning of one of its heatmaps is no fault.
    assert [kinds - {"stderr"} for kinds in kinds_of_outputs(tmp_path / path.name)] == kinds_of_outputs(path)
    assert (tmp_path / path.name).stat().st_size < MOST_BYTES
    assert list(home.iterdir()) == []


@pytest.mark.slow
def test_a_notebook_that_fails_is_told_and_finds_no_network(home: Path, tmp_path: Path) -> None:
    source = "import urllib.request\nurllib.request.urlopen('http://example.org', timeout=9)"
    blank: dict[str, Any] = {"execution_count": None, "metadata": {}, "outputs": []}
    cell = {"cell_type": "code", "id": "a", **blank, "source": source}
    path = tmp_path / "asking.ipynb"
    path.write_text(json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    done = execute(path, tmp_path, tmp_path / "never", home)
    assert done.returncode != 0
    assert "Connection refused" in done.stderr
    assert not (tmp_path / "never").exists()
