"""Where nothing can be written is known before anything is computed."""

import errno
import os
from pathlib import Path

import pytest
import typer

from gradscape.cli.output_paths import check_file, check_output, check_picture


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with things in it that are no folders."""
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    Path("folder").mkdir()
    os.mkfifo("pipe")
    Path("away").symlink_to("/not/mounted")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("file", "file is a file: name a folder"),
        ("pipe", "pipe is neither a folder nor a file: name a folder"),
        ("/dev/null", "name a folder"),
        ("away", "away is a link to /not/mounted, which is not there"),
        ("away/out", "leads to /not/mounted, which is not there"),
        ("file/out", "Not a directory"),
        ("n" * 256, "File name too long; choose a shorter name"),
        ("out/" + "é" * 128, "File name too long"),
        ("p/" * 2100, "File name too long"),
    ],
)
def test_a_folder_that_cannot_be_is_refused(here: Path, path: str, said: str) -> None:
    before = sorted(here.iterdir())
    with pytest.raises(typer.BadParameter) as refused:
        check_output(Path(path))
    assert said in refused.value.format_message()
    assert sorted(here.iterdir()) == before


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("folder", "folder is a folder: name a file"),
        ("pipe", "pipe is a pipe: name a file"),
        ("/dev/full", "/dev/full is a device: name a file"),
        ("file/x.csv", "Not a directory"),
        ("n" * 256, "File name too long"),
    ],
)
@pytest.mark.usefixtures("here")
def test_a_file_that_cannot_be_is_refused(path: str, said: str) -> None:
    with pytest.raises(typer.BadParameter) as refused:
        check_file(Path(path))
    assert said in refused.value.format_message()


def test_what_can_be_is_taken_and_leaves_nothing(here: Path) -> None:
    before = sorted(here.rglob("*"))
    for path in (Path(), Path("folder"), Path("new/in/new"), Path("n" * 255)):
        assert check_output(path) == path
    for path in (Path("file"), Path("new/x.csv"), Path("n" * 255)):
        assert check_file(path) == path
    assert check_picture(Path("folder")) == Path("folder")  # which becomes folder.pdf and folder.png
    assert check_file(None) is None
    assert sorted(here.rglob("*")) == before


@pytest.mark.parametrize(
    ("number", "remedy"),
    [(errno.ENOSPC, "make room"), (errno.EROFS, "a place that can be written"), (errno.EACCES, "umask")],
)
def test_what_hinders_writing_is_known_before_with_its_remedy(
    here: Path, monkeypatch: pytest.MonkeyPatch, number: int, remedy: str
) -> None:
    def refuse(path: Path, *_: object) -> int:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(typer.BadParameter, match=rf"folder cannot be written: {os.strerror(number)}; .*{remedy}"):
        check_output(here / "folder")
    assert not list((here / "folder").iterdir())
