"""`--profile`: where the time of a command went."""

import re
from pathlib import Path

import pytest
import typer

from gradscape.cli.app import app
from gradscape.cli.time_table import HEADINGS, tabulate_parts, with_profile
from tests.cli.conftest import Command

ROW = re.compile(r"(?P<part>\S.*\S) +(?P<seconds>\d+\.\d\d) +(?P<share>\d+\.\d) %")


def rows_of(printed: str) -> dict[str, float]:
    """Seconds by what a row begins with."""
    lines = filter(None, map(ROW.fullmatch, map(str.strip, printed.splitlines())))
    return {line["part"].partition(":")[0]: float(line["seconds"]) for line in lines}


def test_every_part_has_a_row_and_the_last_one_is_the_whole() -> None:
    spent = {"starting": 1.0, "data": 0.5, "planning": 2.0, "points": 12.0, "writing": 0.25, "drawing": 4.0}
    rows = tabulate_parts({**spent, "rest": 0.25})  # type: ignore[dict-item]
    assert all(len(row) == len(HEADINGS) for row in rows)
    assert [row[1:] for row in rows] == [
        ("1.00", "5.0 %"),
        ("0.50", "2.5 %"),
        ("2.00", "10.0 %"),
        ("12.00", "60.0 %"),
        ("0.25", "1.2 %"),
        ("4.00", "20.0 %"),
        ("0.25", "1.2 %"),
        ("20.00", "100.0 %"),
    ]


def test_a_line_tells_where_its_time_went(gradscape: Command, checkpoint: Path, tmp_path: Path) -> None:
    asked = ("line", checkpoint, "--data", "digits", "--limit", 40, "--steps", 4, "-o", tmp_path / "out")
    ended = gradscape(*asked, "--profile")
    assert ended.code == 0
    rows = rows_of(ended.out)
    whole = rows.pop("all together")
    assert list(rows) == ["starting", "data", "planning", "points", "writing files", "drawing", "the rest"]
    assert sum(rows.values()) == pytest.approx(whole, abs=0.005 * len(rows) + 0.005)  # as they are rounded
    assert min(rows["planning"], rows["points"], rows["drawing"]) > 0


def test_it_is_printed_also_where_everything_else_is_not(gradscape: Command, checkpoint: Path, tmp_path: Path) -> None:
    asked = ("evaluate", checkpoint, "--data", "digits", "--limit", 30, "--quiet", "-o", tmp_path)
    ended = gradscape(*asked, "--profile")
    assert ended.out.splitlines()[0].split() == ["part", "seconds", "share"]
    assert "all together" in rows_of(ended.out)
    assert gradscape(*asked).out == ""


def test_it_changes_no_number(gradscape: Command, checkpoint: Path, tmp_path: Path) -> None:
    asked = ("line", checkpoint, "--data", "digits", "--limit", 40, "--steps", 4, "--batch-size", 32, "--quiet", "-o")
    gradscape(*asked, tmp_path / "told", "--profile")
    gradscape(*asked, tmp_path / "untold")
    one, other = ((tmp_path / name / "line.csv").read_bytes() for name in ("told", "untold"))
    assert one == other


def test_a_mistake_ends_without_a_table(gradscape: Command, tmp_path: Path) -> None:
    ended = gradscape("line", tmp_path / "none.safetensors", "--data", "digits", "-o", tmp_path, "--profile")
    assert ended.code == 2
    assert ended.out == ""
    assert len(ended.err.splitlines()) == 1


def test_of_other_processes_it_is_said_that_this_one_waits(capsys: pytest.CaptureFixture[str]) -> None:
    def command(*, ray: str | None) -> None:
        """Evaluate nothing."""

    with_profile(command)(ray="local", profile=True)
    assert "processes of Ray: this one only waits" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["animate", "curvature", "decision", "evaluate", "landscape", "line", "sharpness"])
def test_commands_that_evaluate_have_the_option(name: str) -> None:
    commands = typer.main.get_group(app).commands
    assert "--profile" in [option for parameter in commands[name].params for option in parameter.opts]
