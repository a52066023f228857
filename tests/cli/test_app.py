"""What ends a command from outside."""

from pathlib import Path

import numpy as np
import pytest

from gradscape import _files
from gradscape.landscape import Surface
from gradscape.landscape.statistics import BlockStatistics
from tests.cli.conftest import Command


def test_a_current_folder_that_was_removed_is_told(
    gradscape: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    done = gradscape("models", "spa*")
    assert (done.code, done.out) == (2, "")
    assert done.err == "gradscape: the current folder was removed: change to one that is there\n"


def test_memory_that_does_not_suffice_is_told(gradscape: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pattern: str | None) -> None:
        raise MemoryError

    monkeypatch.setattr("gradscape.models.describe_models", refuse)
    done = gradscape("models", "spa*")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("gradscape: the memory does not suffice: take fewer images")
    assert done.err.count("\n") == 1


def test_a_comparison_whose_disk_is_full_is_kept_elsewhere(
    gradscape: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last picture does not fit; all is written again to a place that has room."""
    monkeypatch.chdir(tmp_path)
    count = np.full((8, 3, 3), 4)
    values = count * np.arange(9.0).reshape(3, 3)
    blocks = BlockStatistics(count, values, 0.1 * values, count * np.nan, 0 * count, 32)
    origin = BlockStatistics.empty(8, (), 32)
    axis = np.linspace(-1, 1, 3)
    for name in ("a", "b"):
        meta = {"model": name, "blocks": list("abcdefgh"), "data": "digits", "split": "train"}
        Surface(alphas=axis, betas=axis, blocks=blocks, origin=origin, meta=meta).save(tmp_path / f"{name}.h5")
    flush = _files._flush

    def full(path: Path) -> None:
        if "disk" in path.parts and path.name.endswith("differences.csv"):
            raise OSError(28, "full", str(path))
        flush(path)

    monkeypatch.setattr(_files, "_flush", full)
    done = gradscape("compare", "a.h5", "b.h5", "-o", "disk/out")
    assert (done.code, done.out) == (2, ""), done.err
    assert done.err.count("\n") == 1
    assert done.err.startswith("gradscape: disk/out/")
    assert f"No space left on device; make room, or choose another place. What was computed is kept in {tmp_path}" in (
        done.err
    )
    assert list((tmp_path / "kept-out").glob("differences.csv"))
