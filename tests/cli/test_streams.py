"""Standard output and error that cannot take what is printed."""

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gradscape.cli.streams import with_safe_streams


def _say(text: str, stream: Any = None) -> None:
    stream = stream or sys.stdout
    stream.write(f"{text}\n")
    stream.flush()


def _ended(program: Callable[[], object], code: int = 0) -> int:
    def run() -> None:
        program()
        sys.exit(code)

    with pytest.raises(SystemExit) as ended:
        with_safe_streams(run)()
    return int(ended.value.code or 0)


def test_a_pipe_that_nobody_reads_ends_nothing_early(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done: list[str] = []

    def work() -> None:
        for text in ("a", "b" * 9000):
            _say(text)
            done.append(text[0])

    with os.fdopen(writing, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert _ended(work) == 141
        assert _ended(lambda: _say("a"), code=2) == 2  # a mistake stays one
    assert done == ["a", "b"]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_letters_that_an_encoding_lacks_are_spelled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, encoding: str
) -> None:
    path = tmp_path / "out.txt"
    with path.open("w", encoding=encoding) as file:
        monkeypatch.setattr(sys, "stdout", file)
        assert _ended(lambda: _say("2 → 3 · BA²M é \udcff 漢")) == 0
    said = path.read_text(encoding=encoding)
    assert "2 -> 3" in said
    assert said.endswith("\\xff ?\n")
    if encoding == "ascii":
        assert said == "2 -> 3 . BA2M e \\xff ?\n"


def test_a_name_that_is_no_text_is_printed_in_any_encoding(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "out.txt").open("w", encoding="utf-8") as file:
        monkeypatch.setattr(sys, "stdout", file)
        assert _ended(lambda: _say("wrote ·\udc80.h5")) == 0
    assert (tmp_path / "out.txt").read_text(encoding="utf-8") == "wrote ·\\x80.h5\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_output_that_is_lost_is_told_once_and_errors_that_are_lost_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(OSError, match="standard output") as caught:
            _ended(lambda: _say("a"))
        assert caught.value.filename == "standard output"
        monkeypatch.setattr(sys, "stdout", io.StringIO())
        monkeypatch.setattr(sys, "stderr", full)
        assert _ended(lambda: _say("a", sys.stderr)) == 0


def test_streams_that_are_not_there_take_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert _ended(lambda: _say("a")) == 0
    assert _ended(lambda: _say("b", sys.stderr)) == 0
    assert (sys.stdout, sys.stderr) == (None, None)


def test_a_file_never_takes_the_number_of_a_closed_stream(tmp_path: Path) -> None:
    """Else what is printed, also by libraries below Python, would go into it."""
    program = (
        "import os, sys; from gradscape.cli.streams import with_safe_streams as safe\n"
        "def run(): number = os.open('a.txt', os.O_CREAT | os.O_WRONLY); print('b'); os.write(1, b'c'); "
        "sys.exit(number)\n"
        "safe(run)()"
    )
    command = ["sh", "-c", f'"$0" -c "{program}" >&- 2>&- <&-', sys.executable]
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode > 2
    assert (tmp_path / "a.txt").read_text() == ""
