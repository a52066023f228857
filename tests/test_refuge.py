import errno
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from gradscape._files import replacing
from gradscape._refuge import save_or_keep


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The current folder and that for temporary files."""
    here, temporary = tmp_path / "here", tmp_path / "temporary"
    for folder in (here, temporary):
        folder.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    return here, temporary


def _saving(*, full: Path, files: int = 1) -> Callable[[Path], list[Path]]:
    """Writes files into a folder; below `full` there is room for all but the last."""

    def save(folder: Path) -> list[Path]:
        written = []
        for number in range(files):
            with replacing(folder / f"{number}.txt") as partial:
                if full in folder.parents and number == files - 1:
                    raise OSError(errno.ENOSPC, "full")
                partial.write_text("numbers")
            written.append(folder / f"{number}.txt")
        return written

    return save


def test_what_can_be_saved_is_saved_where_it_belongs(tmp_path: Path) -> None:
    save = _saving(full=tmp_path / "other")
    assert save_or_keep(save, tmp_path / "out") == [tmp_path / "out" / "0.txt"]
    assert not list(tmp_path.glob("kept*"))


def test_a_result_whose_disk_is_full_is_kept_in_the_current_folder(places: tuple[Path, Path], tmp_path: Path) -> None:
    here, _ = places
    (here / "kept-out").mkdir()  # of an earlier run, which stays as it is
    with pytest.raises(OSError, match=r"out/1.txt: No space left on device; .*is kept in .*: move it") as caught:
        save_or_keep(_saving(full=tmp_path / "disk", files=2), tmp_path / "disk" / "out", go_on="move it")
    assert str(here / "kept-1-out") in str(caught.value)
    assert sorted(file.name for file in (here / "kept-1-out").iterdir()) == ["0.txt", "1.txt"]
    assert not list((here / "kept-out").iterdir())


@pytest.mark.parametrize("output", [Path(), Path("..")])
def test_what_belongs_into_a_folder_without_a_name_is_kept_as_results(places: tuple[Path, Path], output: Path) -> None:
    def save(folder: Path) -> None:
        if folder == output:
            raise OSError(errno.ENOSPC, "full")

    with pytest.raises(OSError, match=r"is kept in .*here/kept-results$"):
        save_or_keep(save, output)


def test_where_the_current_folder_is_full_too_the_temporary_one_takes_it(places: tuple[Path, Path]) -> None:
    here, temporary = places
    with pytest.raises(OSError, match=r"is kept in .*temporary/kept-out"):
        save_or_keep(_saving(full=here, files=2), here / "out")
    assert len(list((temporary / "kept-out").iterdir())) == 2
    assert [folder.name for folder in here.iterdir()] == ["out"]  # no half of it beside


def test_where_nothing_can_be_written_that_is_said(places: tuple[Path, Path]) -> None:
    with pytest.raises(OSError, match="nothing could be kept in the current and the temporary folder either"):
        save_or_keep(_saving(full=places[0].parent), places[0] / "out")


def test_a_current_folder_that_was_removed_does_not_hinder(places: tuple[Path, Path]) -> None:
    here, temporary = places
    here.rmdir()
    with pytest.raises(OSError, match="temporary/kept-a"):
        save_or_keep(_saving(full=here), here / "a")
    assert [folder.name for folder in temporary.iterdir()] == ["kept-a"]
