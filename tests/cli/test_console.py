"""What is printed is what a name says: nothing in it is markup, a picture word, or a command to the terminal."""

import os

import pytest

from gradscape.cli import console
from gradscape.cli.console import errors, progress_bar, say
from gradscape.landscape import Progress

NAME = "runs:fire:[bold][/red] x"


def test_names_keep_their_colons_and_brackets(capsys: pytest.CaptureFixture[str]) -> None:
    say(NAME)
    errors.print(NAME, markup=False, highlight=False, soft_wrap=True)
    assert capsys.readouterr() == (f"{NAME}\n", f"{NAME}\n")


def test_the_name_of_a_bar_is_text(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    with progress_bar(quiet=False) as report:
        report(
            f"{NAME}\x1b[31m\udcff",
            Progress(done=3.0, total=3, images=9, points_per_second=1.0, seconds_left=0.0, median_stderr=0.5),
        )
    assert f"{NAME}\\x1b[31m\\udcff" in capsys.readouterr().err


@pytest.mark.parametrize("columns", [0, 1, 20])
def test_names_and_numbers_stay_whole_on_few_columns(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    for one in (console.errors, console._output):
        monkeypatch.setattr(one, "_width", columns)
    console.widen_narrow()
    assert int(os.environ["COLUMNS"]) >= 40
    console.say("a line that is longer than all of forty columns together are")
    headings = ("network", "accuracy ", "loss ", "what it was tested on", "of which it is said")
    console.say_table(
        headings, [("mobilenet_v2+spa_a@replace=14:17,groups=4", "93.25", "0.3125", "a b c " * 9, "d " * 9)]
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("forty columns together are")
    for whole in ("mobilenet_v2+spa_a@replace=14:17,groups=4", "93.25", "0.3125", "accuracy", "loss"):
        assert any(whole in line for line in lines[1:])


def test_control_characters_of_names_reach_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    console.say("wrote a\x1b[2Jb.h5\nwrote c")
    console.say_table(["name", "path"], [["\x1b]0;x\x07", "a"]])
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert said.startswith("wrote a\\x1b[2Jb.h5\nwrote c\n")
