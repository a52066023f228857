from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.figures.results import make_surface


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A folder with a landscape in it."""
    make_surface().save(tmp_path / "run" / "net" / "surface.h5")
    return tmp_path / "run"


def test_a_report_is_written_where_it_is_wanted(gradscape: Command, run: Path, tmp_path: Path) -> None:
    page = tmp_path / "new" / "page.html"
    done = gradscape("report", run, "-o", page)
    assert (done.code, done.out, done.err) == (0, f"wrote {page}\n", "")
    assert "<h1>net</h1>" in page.read_text()


def test_without_an_output_it_lies_in_the_current_folder(
    gradscape: Command, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = gradscape("report", "run", "-q")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert (tmp_path / "report.html").is_file()


def test_a_damaged_file_is_told_and_the_rest_is_shown(
    gradscape: Command, run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (run / "broken.npz").write_bytes(b"nonsense")
    done = gradscape("report", run, "-q", "-o", tmp_path / "page.html")
    assert done.code == 0
    (message,) = caplog.messages
    assert message.startswith(f"{run / 'broken.npz'} is left out: ")
    assert "\n" not in message
    assert (tmp_path / "page.html").is_file()


@pytest.mark.parametrize(
    ("folder", "text"),
    [
        ("none", "there is no folder none"),
        ("empty", "`RUN_DIR` must hold results of gradscape"),
        ("file", "file must be a folder that a command wrote, but is a file"),
    ],
)
def test_a_folder_that_cannot_be_reported_is_one_line(
    gradscape: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    done = gradscape("report", folder)
    assert done.code == 2, done.err
    assert text in done.err
    assert done.err.count("\n") == 1, done.err
    assert not (tmp_path / "report.html").exists()
