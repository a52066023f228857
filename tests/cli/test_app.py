"""What ends a command from outside."""

from pathlib import Path

import pytest

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
