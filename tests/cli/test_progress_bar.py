"""The bar of an evaluation: what is not known is not printed."""

import math

import pytest

from gradscape.cli.console import progress_bar
from gradscape.landscape import Progress


@pytest.mark.parametrize(("stderr", "said"), [(0.25, "median standard error 0.25"), (math.nan, "")])
def test_a_standard_error_is_told_where_there_is_one(
    stderr: float, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    with progress_bar(quiet=False) as report:
        report(
            "job",
            Progress(done=3.0, total=3, images=9, points_per_second=1.0, seconds_left=0.0, median_stderr=stderr),
        )
    shown = capsys.readouterr().err
    assert "3/3 points" in shown
    assert said in shown
    assert "nan" not in shown
