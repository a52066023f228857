import errno
import hashlib
import tarfile
from http.client import BadStatusLine, RemoteDisconnected
from pathlib import Path

import pytest

from gradscape.data.download import Archive, unpack_archives


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """An archive of one file."""
    (tmp_path / "list.txt").write_text("1 one\n")
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        archive.add(tmp_path / "list.txt", "list.txt")
    return tmp_path / "set.tar"


def sha256(file: Path) -> str:
    return f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"


def test_an_archive_that_is_there_is_not_fetched_again(packed: Path, tmp_path: Path) -> None:
    nowhere = Archive("http://127.0.0.1:9/set.tar", sha256(packed))
    unpack_archives([nowhere], tmp_path, tmp_path / "set")
    assert (tmp_path / "set" / "list.txt").read_text() == "1 one\n"


def test_a_damaged_archive_is_kept_and_not_unpacked(packed: Path, tmp_path: Path) -> None:
    archive = Archive("http://127.0.0.1:9/set.tar", sha256(packed))
    packed.write_bytes(packed.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"set.tar is not what was published at http.* \(sha256\); remove it and load"):
        unpack_archives([archive], tmp_path, tmp_path / "set")
    assert packed.exists()
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("place", ["{server}/nothing.tar", "http://127.0.0.1:9/nothing.tar"])
def test_what_cannot_be_fetched_is_told_in_one_line_and_leaves_nothing(place: str, tmp_path: Path, server: str) -> None:
    url = place.format(server=server)
    root = tmp_path / "data"
    with pytest.raises(
        ConnectionError, match=f"{url} cannot be fetched: .*; try again later, or put the file into"
    ) as told:
        unpack_archives([Archive(url, "md5:0")], root, root / "set")
    assert "\n" not in str(told.value)
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("error", [RemoteDisconnected("hung up"), BadStatusLine("hung up"), TimeoutError("hung up")])
def test_a_server_that_breaks_off_is_told_with_the_address(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("torch.hub.download_url_to_file", fail)
    with pytest.raises(ConnectionError, match=r"^http://nowhere/set.tar cannot be fetched: hung up; try again later"):
        unpack_archives([Archive("http://nowhere/set.tar", "md5:0")], tmp_path, tmp_path / "set")


def test_where_the_disk_is_full_nothing_half_written_stays(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(_file: Path, folder: Path, **_: object) -> None:
        folder.mkdir()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("shutil.unpack_archive", fill)
    with pytest.raises(OSError, match="No space left"):
        unpack_archives([Archive("http://127.0.0.1:9/set.tar", sha256(packed))], tmp_path, tmp_path / "set")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["list.txt", "set.tar"]


def test_what_a_killed_process_left_is_no_part_of_the_data_set(packed: Path, tmp_path: Path) -> None:
    (tmp_path / ".partial-set").mkdir()
    (tmp_path / ".partial-set" / "half.txt").touch()
    unpack_archives([Archive("http://127.0.0.1:9/set.tar", sha256(packed))], tmp_path, tmp_path / "set")
    assert [file.name for file in (tmp_path / "set").iterdir()] == ["list.txt"]


def test_an_archive_cannot_write_outside_its_folder(tmp_path: Path) -> None:
    (tmp_path / "evil.txt").write_text("evil")
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        archive.add(tmp_path / "evil.txt", "../../evil-twin.txt")
    with pytest.raises(tarfile.OutsideDestinationError):
        unpack_archives(
            [Archive("http://127.0.0.1:9/set.tar", sha256(tmp_path / "set.tar"))],
            tmp_path / ".",
            tmp_path / "a" / "set",
        )
    assert not list(tmp_path.rglob("evil-twin.txt"))
