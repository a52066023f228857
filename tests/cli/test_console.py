"""What is printed is what a name says: nothing in it is markup, a picture word, or a command to the terminal."""

import pytest

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
