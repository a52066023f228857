"""How much memory this process may still take."""

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["free_memory"]

_MEMINFO = Path("/proc/meminfo")
_CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")
_UNKNOWN = 4 * 2**30  # a machine that tells nothing (Windows) is taken to have 4 GiB


def free_memory() -> int:
    """Bytes that can be used without swapping; never more than the container's limit."""
    free = _available()
    try:
        return min(free, int(_CONTAINER_LIMIT.read_text()))
    except (OSError, ValueError):  # no container, or its limit is the word "max"
        return free


def _available() -> int:
    with suppress(OSError, StopIteration):  # where there is no such file or line, the next best is asked
        lines = _MEMINFO.read_text().splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    try:
        # macOS does not count free pages; half of all its pages are the guess.
        return os.sysconf("SC_PHYS_PAGES") // 2 * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return _UNKNOWN
