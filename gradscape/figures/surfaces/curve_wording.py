"""What is said of a curve between two networks: its shape, its length, and whether it is lower than the line."""

from collections.abc import Mapping
from typing import Any

from gradscape._names import data_name, one_line
from gradscape._schema import fitting
from gradscape.figures.style import short_number
from gradscape.landscape import Line
from gradscape.landscape.paths.curve_kinds import CURVE, CURVE_NAMES

__all__ = ["curve_name", "describe_curve", "describe_highest", "follows_curve"]

_PARTS = {"loss": (1, "loss"), "error": (100, "error")}
_UNITS = {"loss": "", "error": " %"}


def follows_curve(line: Line) -> bool:
    """Whether a line's alphas are places along a curve."""
    return bool(_curve(line.meta))


def curve_name(line: Line) -> str:
    """What kind of curve a line follows."""
    return CURVE_NAMES.get(_curve(line.meta).get("kind", ""), "curve")


def describe_curve(meta: Mapping[str, Any]) -> str:
    """Kind, length and origin of a curve that a line follows or a plane shows; "" of others."""
    curve = _curve(meta)
    if not curve:
        return ""
    said = CURVE_NAMES.get(curve["kind"], "curve")
    said += f" of length {short_number(curve['length'], 4)}, its ends {short_number(curve['distance'], 4)} apart"
    taught = fitting(curve, "taught", dict[str, str]) or {}
    if "epochs" in curve and taught:
        epochs = f"{curve['epochs']:,} epoch{'s' if curve['epochs'] != 1 else ''}"
        said += f", fitted in {epochs} on {data_name(taught.get('data') or '')}"
        said += f" ({one_line(taught['split'])})" if taught.get("split") else ""
    return said


def describe_highest(line: Line) -> list[str]:
    """By how much the highest loss and error along a curve differ from those of the straight line, in sentences."""
    highest = fitting(_curve(line.meta), "highest", dict[str, dict[str, Any]]) or {}
    return [_compared(value, found) for value, found in highest.items() if value in _PARTS]


def _curve(meta: Mapping[str, Any]) -> dict[str, Any]:
    return dict(fitting(meta, CURVE, dict[str, Any]) or {})


def _compared(value: str, found: Mapping[str, Any]) -> str:
    factor, name = _PARTS[value]
    unit = _UNITS[value]

    def told(number: Any, digits: int = 3) -> str:
        return f"{short_number(factor * number, digits)}{unit}" if isinstance(number, float) else "not finite"

    said = (
        f"highest {name} {told(found.get('curve_highest'))} along the curve (t {found['curve_at']:.3g}), "
        f"{told(found.get('line_highest'))} along the line (alpha {found['line_at']:.3g})"
    )
    if not isinstance(found.get("difference"), float):
        return said
    images = f"{found['images']:,} images"
    gap, stderr = abs(found["difference"]), found.get("stderr")
    way = "lower" if found["difference"] < 0 else "higher"
    if not gap and stderr is None:  # both at one of the networks, mostly
        return f"{said}: the same on these {images}"
    if stderr is None:
        return f"{said}: {told(gap)} {way} on these {images}, too few for a standard error"
    error = f" ± {told(stderr, 2)}" if stderr else ""
    basis = f"paired standard error over {images}" if stderr else f"all {images}"
    if found["verdict"] == "not told apart":
        return f"{said}: not told apart, the difference is {told(found['difference'])}{error} ({basis})"
    return f"{said}: the curve is {way} by {told(gap)}{error} ({basis})"
