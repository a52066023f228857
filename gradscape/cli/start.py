"""When the program started."""

import time

__all__ = ["STARTED", "moment_after_start", "seconds_since_start"]

STARTED = time.monotonic()
"""Moment on the monotonic clock, s: `program` loads this file before anything that takes long."""


def moment_after_start(seconds: float | None) -> float | None:
    """The moment on the monotonic clock so many seconds after the program started."""
    return None if seconds is None else STARTED + seconds


def seconds_since_start() -> float:
    """How long the program runs."""
    return time.monotonic() - STARTED
