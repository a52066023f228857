"""Two processes on one output: the second is told, and the lock dies with the first."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import get_type_hints

import pytest
import typer

from gradscape.cli import options
from gradscape.cli.app import app
from gradscape.cli.claims import LOCK, claimed, claimed_place
from gradscape.cli.stops import STOPS
from tests.cli.conftest import Command

_KEPT = Path(__file__).parents[1] / "kept"
_HOLD = """
import sys
from pathlib import Path
from gradscape.cli.claims import claimed
with claimed(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def _holder(place: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(place)],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    return process


def test_the_second_command_on_an_output_is_told_until_the_first_is_gone(gradscape: Command, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    with _holder(out / LOCK) as first:
        done = gradscape("compare", _KEPT / "surface.h5", "-o", out)
        assert done.code == 2
        assert done.err.startswith(f"gradscape: another gradscape (process {first.pid} on ")
        assert done.err.endswith(f" is writing to {out}: wait until it has ended, or choose another `--output`\n")
        assert [path.name for path in out.iterdir()] == [LOCK]
        first.kill()
    assert (out / LOCK).exists()
    (tmp_path / "none.h5").touch()
    assert "none.h5" in gradscape("compare", tmp_path / "none.h5", "-o", out).err  # nobody holds it any more
    assert list(out.iterdir()) == []


def test_the_lock_of_a_file_lies_beside_it_and_makes_no_folder_of_its_name() -> None:
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        kind = get_type_hints(command.callback, include_extras=True)["output"]
        place = claimed_place(name, {"output": Path("out"), "name": "upanets:8"})
        assert place is not None
        assert (Path("out").absolute() in place.parents) == (kind == options.Output), name


def test_a_lock_leaves_neither_itself_nor_the_folders_that_it_made(tmp_path: Path) -> None:
    with claimed(tmp_path / "a" / "b" / LOCK):
        assert (tmp_path / "a" / "b" / LOCK).exists()
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_hold_a_lock_is_left_to_whoever_writes_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with claimed(tmp_path / "file" / "out" / LOCK):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("command", "options", "lock"),
    [
        ("landscape", {"output": Path("/out")}, f"/out/{LOCK}"),
        ("landscape", {"output": Path("/out"), "dry_run": True}, None),
        ("report", {"output": Path("/out/page.html")}, f"/out/{LOCK}-page.html"),
        ("plot", {"output": None}, None),
        ("figure", {"output": Path("/out"), "name": "upanets:8"}, f"/out/{LOCK}-upanets_8"),
        ("figure", {"output": Path("/out"), "name": None}, None),
        ("report", {"output": Path("/")}, f"/{LOCK}-"),
    ],
)
def test_what_a_command_writes_decides_where_its_lock_lies(command: str, options: dict, lock: str | None) -> None:
    place = claimed_place(command, options)
    assert (place and str(place)) == lock


def test_a_signal_amid_the_claim_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, opened = tmp_path / "out" / LOCK, os.open

    def interrupted(path: Path, flags: int, *mode: int) -> int:
        descriptor = opened(path, flags, *mode)
        if flags & os.O_CREAT:
            os.close(descriptor)
            raise KeyboardInterrupt
        return descriptor

    monkeypatch.setattr(os, "open", interrupted)
    with pytest.raises(KeyboardInterrupt), claimed(place):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_signal_amid_the_release_waits_until_the_lock_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, opened = tmp_path / "out" / LOCK, os.open

    def signaled(path: Path, flags: int, *mode: int) -> int:
        if not flags & os.O_CREAT:
            os.kill(os.getpid(), signal.SIGINT)
        return opened(path, flags, *mode)

    STOPS.watch()
    try:
        monkeypatch.setattr(os, "open", signaled)
        with claimed(place):
            pass
        assert STOPS.received == signal.SIGINT
    finally:
        STOPS.leave()
    assert list(tmp_path.iterdir()) == []
