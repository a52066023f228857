import csv
import errno
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gradscape._arrays import load_arrays
from gradscape._files import check_readable, replacing, replacing_text, save_rows
from gradscape.data import load_split
from gradscape.data.pixels import decode_file


def test_a_file_is_replaced_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    with replacing(path) as partial:
        partial.write_text("one")
        assert not path.exists()
        assert partial.suffix == ".txt"
    assert path.read_text() == "one"
    assert [file.name for file in path.parent.iterdir()] == ["a.txt"]


def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def interrupted() -> None:
        with replacing(path) as partial:
            partial.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_what_killed_processes_left_is_removed_by_the_next_that_writes_to_the_folder(tmp_path: Path) -> None:
    """All of it, not only files of the same name; never that of a running process, or of an unknown machine."""
    code = "import os\nfrom gradscape._files import replacing\nwith replacing('x.h5') as f:\n f.touch(); os._exit(1)"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=False)
    (left,) = tmp_path.iterdir()
    running = left.with_name(f".partial-{os.getppid()}-{left.name.split('-')[2]}-x.h5")
    strange, old = left.with_name(".partial-1-00000000-x.h5"), left.with_name(".partial-model.safetensors")
    for path in (running, strange, old):
        path.touch()
    os.utime(old, (time.time() - 2 * 86_400,) * 2)
    left.with_suffix(".folder").mkdir()  # as a place is tried
    left.with_suffix(".folder").joinpath("inside").touch()
    another = left.with_name(".partial-folder-of-another-program")
    another.mkdir()
    os.utime(another, (time.time() - 2 * 86_400,) * 2)
    with replacing(tmp_path / "a.txt") as partial:
        partial.touch()
        assert {path.name for path in tmp_path.iterdir()} == {running.name, strange.name, partial.name, another.name}


def test_a_name_may_be_as_long_as_the_file_system_takes_it(tmp_path: Path) -> None:
    path = tmp_path / f"{'é' * 125}.txt"
    with replacing(path) as partial:
        partial.touch()
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_an_error_of_the_system_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with pytest.raises(OSError, match="No space left on device") as caught, replacing(path):
        raise OSError(errno.ENOSPC, "several\nlines of another library")
    assert caught.value.filename == str(path)


def test_a_disk_that_became_read_only_does_not_name_the_neighbor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There even a file that is missing cannot be removed."""

    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(OSError, match="Read-only file system") as caught, replacing(tmp_path / "a.txt") as partial:
        raise OSError(errno.EROFS, "Read-only file system", str(partial))
    assert caught.value.filename == str(tmp_path / "a.txt")


def test_what_hinders_reading_has_its_own_name(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        check_readable(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"there is no direction file .*none.h5"):
        check_readable(tmp_path / "none.h5", "direction file")
    with pytest.raises(IsADirectoryError):
        load_arrays(tmp_path)


def test_a_file_that_may_not_be_read_is_not_said_to_be_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    np.savez(tmp_path / "d.npz", images=np.zeros((2, 3, 3), np.uint8), labels=np.zeros(2, int))
    Image.new("RGB", (3, 3)).save(tmp_path / "x.png")
    monkeypatch.setattr(Image, "open", refuse)
    with pytest.raises(PermissionError, match=r"x.png"):
        decode_file((str(tmp_path / "x.png"),), 0)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(PermissionError, match=r"d.npz"):
        load_split(f"npz:{tmp_path / 'd.npz'}", "train")


@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
def test_what_has_no_contents_of_its_own_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.npz"
    if kind == "pipe":
        os.mkfifo(path)  # opening one waits for who writes to it
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(path))
    else:
        path.symlink_to("/dev/zero")
    for read in (check_readable, load_arrays, lambda file: decode_file((str(file),), 0)):
        with pytest.raises(ValueError, match=rf"a\.npz is a {kind} and no .*: give a file"):
            read(path)


def test_a_circle_of_links_is_told_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.npz").symlink_to(tmp_path / "b.npz")
    (tmp_path / "b.npz").symlink_to(tmp_path / "a.npz")
    with pytest.raises(OSError, match=r"a\.npz"):
        check_readable(tmp_path / "a.npz")


def test_a_name_that_fills_the_folder_entry_is_written(tmp_path: Path) -> None:
    path = tmp_path / f"{'é' * 125}.txt"  # 254 bytes
    with replacing(path) as partial:
        assert partial.suffix == ".txt"
        partial.write_text("one")
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_pipe_or_a_device_does_not_become_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/full")
    for name, said in (("pipe", "a pipe"), ("link", "a device")):
        with pytest.raises(OSError, match=f"{name} is {said}: name a file"), replacing(tmp_path / name):
            pytest.fail("nothing is to be computed for it")
    assert (tmp_path / "pipe").is_fifo()
    assert (tmp_path / "link").is_symlink()


def test_bytes_of_a_name_that_are_no_text_are_spelled_out_and_all_else_stays(tmp_path: Path) -> None:
    with replacing_text(tmp_path / "new" / "a.csv") as file:
        csv.writer(file).writerow(("\udcff猫.png", "=cmd()", "a\x1b[1m,\r\nb"))
    assert (tmp_path / "new" / "a.csv").read_bytes() == '\\udcff猫.png,=cmd(),"a\x1b[1m,\r\nb"\r\n'.encode()
    save_rows(tmp_path / "b.csv", ["a"], [{"a": "half \ud83d"}])
    assert (tmp_path / "b.csv").read_text() == "a\nhalf \\ud83d\n"


def test_an_exception_leaves_the_old_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")

    def interrupted() -> None:
        with replacing_text(tmp_path / "a.txt") as file:
            file.write("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.txt", "old")]
