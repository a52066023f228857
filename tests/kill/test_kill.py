"""Some kills of the campaign, and that its own eyes see what they are to find."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kill.chains import break_chain, run_whole
from tests.kill.processes import Processes
from tests.kill.trees import differences, leftovers


@pytest.fixture(scope="module")
def processes() -> Iterator[Processes]:
    """A warm process."""
    with Processes() as warm:
        yield warm


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["landscape", "line, curve", "train", "animate", "curvature, map", "compare", "report"]
)
def test_a_command_killed_three_times_ends_with_the_same_bits(processes: Processes, name: str, tmp_path: Path) -> None:
    whole = run_whole(processes, name, tmp_path / "whole")
    links = list(break_chain(processes, name, whole, tmp_path / "killed", seed=f"test {name}", kills=3))
    assert [finding for link in links for finding in link.findings] == []


def test_other_bits_and_missing_files_are_seen(tmp_path: Path) -> None:
    contents = {"a": {"same": "0", "other": "1", "missing": "2"}, "b": {"same": "0", "other": "3", "more": "4"}}
    for folder, files in contents.items():
        (tmp_path / folder / "out").mkdir(parents=True)
        for name, text in files.items():
            (tmp_path / folder / "out" / name).write_text(text)
    assert differences(tmp_path / "a" / "out", tmp_path / "b" / "out") == [
        "out/missing: missing",
        "out/more: not expected",
        "out/other: other bits",
    ]


def test_what_a_clock_measured_may_differ(tmp_path: Path) -> None:
    for folder, seconds in (("a", 0.5), ("b", 0.75)):
        (tmp_path / folder / "out").mkdir(parents=True)
        (tmp_path / folder / "out" / "metrics.csv").write_text(f"epoch,seconds\n1,{seconds}\n")
    assert differences(tmp_path / "a" / "out", tmp_path / "b" / "out") == []
    (tmp_path / "b" / "out" / ".partial-1-00000000-x").touch()
    assert leftovers(tmp_path / "b" / "out") == [".partial-1-00000000-x"]
