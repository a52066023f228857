"""Ctrl-C, SIGTERM and SIGHUP at bad moments: one line, the exit code of the signal, nothing half-written."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

# The program with a command of the test's own, which needs no second to load.
_PROGRAM = """
import os, signal, sys, time, types
from pathlib import Path
from gradscape._files import replacing

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # also where the tests themselves run under nohup

def stop(name="SIGINT"):
    os.kill(os.getpid(), getattr(signal, name))

{command}

sys.argv = ["gradscape", "-q", "landscape", "x"]
if "command" in globals():
    sys.modules["gradscape.cli.app"] = types.SimpleNamespace(main=command)
from gradscape.cli import main
main()
"""


def _run(command: str, folder: Path) -> tuple[int, list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(command=command)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr.splitlines()


def _assert_stopped(ended: tuple[int, list[str]], number: int) -> None:
    code, lines = ended
    assert (code, len(lines)) == (128 + number, 1), lines
    by = "" if number == signal.SIGINT else f" by {signal.Signals(number).name}"
    assert lines[0].startswith(f"gradscape: stopped{by}; what was computed is saved, the same command goes on")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_saves_and_ends_in_one_line(number: signal.Signals, tmp_path: Path) -> None:
    command = f"""
def command():
    try:
        stop({number.name!r})
        time.sleep(60)
    finally:
        Path("saved").touch()
"""
    _assert_stopped(_run(command, tmp_path), number)
    assert (tmp_path / "saved").exists()


def test_modules_that_are_loading_may_call_a_stop_what_they_like(tmp_path: Path) -> None:
    """Ctrl-C amid an import, which an initialization in C turns into an error of its own."""
    command = """
class Loading:
    def find_spec(self, name, *_):
        if name == "gradscape.cli.app":
            try:
                stop()
                time.sleep(60)
            except KeyboardInterrupt:
                raise SystemError("initialization of _C raised unreported exception") from None

sys.meta_path.insert(0, Loading())
"""
    _assert_stopped(_run(command, tmp_path), signal.SIGINT)


@pytest.mark.parametrize("error", ["RuntimeError('g++ was killed')", "SystemExit(1)", "ImportError('half a module')"])
def test_what_a_compiler_makes_of_a_stop_is_a_stop(error: str, tmp_path: Path) -> None:
    command = f"""
def command():
    try:
        stop()
        time.sleep(60)
    except KeyboardInterrupt as found:
        raise {error} from found
"""
    _assert_stopped(_run(command, tmp_path), signal.SIGINT)


def test_a_stop_that_a_destructor_swallows_comes_again(tmp_path: Path) -> None:
    command = """
class Closing:
    def __del__(self):
        stop()
        time.sleep(0.01)

def command():
    Closing()
    time.sleep(60)
"""
    _assert_stopped(_run(command, tmp_path), signal.SIGINT)


def test_a_second_ctrl_c_ends_a_save_at_once_and_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    command = """
def command():
    try:
        stop()
        time.sleep(60)
    finally:
        with replacing("a.txt") as partial:
            partial.write_text("half")
            time.sleep(0.6)
            stop()
            time.sleep(60)
"""
    _assert_stopped(_run(command, tmp_path), signal.SIGINT)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.txt", "old")]


def test_two_signals_of_one_closing_terminal_let_it_save(tmp_path: Path) -> None:
    command = """
def command():
    try:
        stop("SIGTERM")
        time.sleep(60)
    finally:
        stop("SIGHUP")
        with replacing("a.txt") as partial:
            partial.write_text("new")
"""
    _assert_stopped(_run(command, tmp_path), signal.SIGTERM)
    assert (tmp_path / "a.txt").read_text() == "new"


def test_an_ignored_hang_up_stays_ignored_and_a_fork_ends_by_itself(tmp_path: Path) -> None:
    command = """
signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup has it

def command():
    stop("SIGHUP")
    child = os.fork()
    if child == 0:
        time.sleep(60)
    time.sleep(0.1)
    os.kill(child, signal.SIGTERM)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) + 20)
"""
    assert _run(command, tmp_path) == (20 - signal.SIGTERM, [])
