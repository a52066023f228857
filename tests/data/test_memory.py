import os
from pathlib import Path

import pytest

from gradscape.data import memory

GIB = 2**30


@pytest.fixture
def meminfo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "meminfo"
    file.write_text("MemTotal:       16777216 kB\nMemFree:         1048576 kB\nMemAvailable:    8388608 kB\n")
    monkeypatch.setattr(memory, "_MEMINFO", file)
    monkeypatch.setattr(memory, "_CONTAINER_LIMIT", tmp_path / "memory.max")
    return file


def test_free_memory_is_what_the_kernel_calls_available(meminfo: Path) -> None:
    assert memory.free_memory() == 8 * GIB


@pytest.mark.parametrize(("limit", "expected"), [(f"{GIB}\n", GIB), (f"{64 * GIB}\n", 8 * GIB), ("max\n", 8 * GIB)])
def test_free_memory_is_never_more_than_the_limit_of_the_container(meminfo: Path, limit: str, expected: int) -> None:
    (meminfo.parent / "memory.max").write_text(limit)
    assert memory.free_memory() == expected


def test_free_memory_is_half_of_all_where_the_kernel_does_not_say(
    meminfo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meminfo.unlink()
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 1000, "SC_PAGE_SIZE": 4096}.__getitem__)
    assert memory.free_memory() == 500 * 4096


def test_free_memory_is_four_gib_where_nothing_says(meminfo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meminfo.unlink()
    monkeypatch.delattr(os, "sysconf")
    assert memory.free_memory() == 4 * GIB
