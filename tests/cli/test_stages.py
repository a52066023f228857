from pathlib import Path

import pytest

from gradscape.cli import stages
from gradscape.cli.stages import told_stages

USUAL = {"train": 60.0, "draw": 30.0, "write": 30.0}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Moments in which the stages begin."""
    moments: list[float] = []
    monkeypatch.setattr(stages.time, "monotonic", lambda: moments.pop(0))
    return moments


def test_stages_say_how_long_the_rest_takes_at_the_pace_so_far(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    clock += [0.0, 180.0, 240.0]
    with told_stages(USUAL, quiet=False) as told:
        for stage in USUAL:
            told.begin(stage)
        told.show(Path("out/curves.png"))
    assert capsys.readouterr().out.splitlines() == [
        "[1/3] train (about 2 min left)",
        "[2/3] draw (about 3 min left)",
        "[3/3] write (about 80 s left)",
        "      look at out/curves.png",
    ]


def test_a_stage_whose_work_was_done_before_says_nothing_about_the_pace(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    clock += [0.0, 1.0]
    with told_stages(USUAL, quiet=False) as told:
        told.begin("train")
        told.begin("draw")
    assert "[2/3] draw (about 60 s left)" in capsys.readouterr().out


def test_quiet_stages_say_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with told_stages(USUAL, quiet=True) as told:
        told.begin("train")
        told.show(Path("out/curves.png"))
    assert capfd.readouterr() == ("", "")
