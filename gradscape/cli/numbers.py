"""Bounds of numbers on the command line: what lies outside is a slip of the hand, and is told before any work."""

import math
from collections.abc import Callable

import typer

__all__ = [
    "MOST_BATCH",
    "MOST_CLASSES",
    "MOST_DETECTIONS",
    "MOST_EPOCHS",
    "MOST_IMAGES",
    "MOST_POINTS",
    "MOST_RESTARTS",
    "MOST_RUNS",
    "MOST_SEED",
    "MOST_SIDE",
    "MOST_STEPS",
    "MOST_WORKERS",
    "at_least_one",
    "corners",
    "finite",
    "positive",
    "share",
    "unsigned",
]

MOST_BATCH = 1_000_000  # images
MOST_CLASSES = 1_000_000
MOST_DETECTIONS = 1_000_000  # in a picture
MOST_EPOCHS = 1_000_000
MOST_IMAGES = 1_000_000_000
MOST_POINTS = 100_000  # of a line
MOST_RESTARTS = 1000
MOST_RUNS = 1000
MOST_SEED = 2**32 - 1  # which NumPy, torch and scikit-learn all take
MOST_SIDE = 16_384  # pixels
MOST_STEPS = 2000  # on a side of a grid: as many points as a printed page has pixels
MOST_WORKERS = 1024  # processes

_Check = Callable[[float | None], float | None]


def finite(option: str) -> _Check:
    """Refuse infinity and what is no number, for an option of this name."""
    return _check(option, "a finite number", math.isfinite)


def positive(option: str) -> _Check:
    """Refuse what is not above 0 and finite."""
    return _check(option, "positive and finite", lambda value: 0 < value < math.inf)


def unsigned(option: str) -> _Check:
    """Refuse what is below 0 or not finite."""
    return _check(option, "0 or more, and finite", lambda value: 0 <= value < math.inf)


def at_least_one(option: str) -> _Check:
    """Refuse what is below 1 or not finite."""
    return _check(option, "at least 1", lambda value: 1 <= value < math.inf)


def share(option: str) -> _Check:
    """Refuse what is not between 0 and 1."""
    return _check(option, "between 0 and 1", lambda value: 0 < value < 1)


def corners(option: str) -> Callable[[str | None], tuple[int, int, int, int] | None]:
    """Read x1,y1,x2,y2, and refuse other numbers."""

    def read(text: str | None) -> tuple[int, int, int, int] | None:
        if text is None:
            return None
        parts = [part.strip() for part in text.split(",")]
        if len(parts) != 4 or not all(part.isdecimal() for part in parts):
            raise typer.TyperException(f"`{option}` must be x1,y1,x2,y2 in whole pixels, got {text}")
        left, top, right, bottom = map(int, parts)
        return left, top, right, bottom

    return read


def _check(option: str, required: str, fits: Callable[[float], bool]) -> _Check:
    def check(value: float | None) -> float | None:
        if value is not None and not fits(value):
            raise typer.TyperException(f"`{option}` must be {required}, got {value:g}")
        return value

    return check
