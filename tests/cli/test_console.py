"""What is printed on few columns."""

import os

import pytest

from gradscape.cli import console


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
