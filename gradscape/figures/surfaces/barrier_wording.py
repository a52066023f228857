"""What is said of barriers and of alignment: a table for a terminal, and a few words for a caption."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from gradscape._names import one_line
from gradscape._schema import fitting
from gradscape.figures.style import short_number
from gradscape.landscape import Barrier, Line
from gradscape.landscape.barrier import Definition, Rise

__all__ = ["describe_aligned", "describe_alignment", "describe_barriers"]

_ROWS: Final[dict[Definition, str]] = {
    "chord": "highest above the straight line",
    "ends": "highest above the mean of both",
    "midpoint": "in the middle above their mean",
}
_ALIGNMENT = "alignment"
_SHOWN = 3


def describe_barriers(line: Line) -> str:
    """The barrier by all definitions for loss and error, in lines; "" where there is none to tell.

    Args:
        line: Any; a table is made of those between two networks.
    """
    if "other" not in line.meta:
        return ""
    try:
        barrier: Barrier = line.barrier()
    except ValueError:
        return ""
    columns = {"loss": (barrier.loss, 1.0), "error (%)": (barrier.error, 100.0)}
    known = {name: rises for name, rises in columns.items() if rises[0]}
    cells = {name: {row: _cell(rise, factor) for row, rise in rises.items()} for name, (rises, factor) in known.items()}
    widths = {name: max(len(name), *map(len, rows.values())) for name, rows in cells.items()}
    first = max(map(len, _ROWS.values()))
    intervals = any(np.isfinite(rise.low) and rise.stderr > 0 for rises, _ in known.values() for rise in rises.values())
    head = "barrier" + (", 95 % interval" if intervals else "")
    table = [f"{head:<{first}}  {'  '.join(f'{name:<{width}}' for name, width in widths.items())}"]
    for row in barrier.loss:
        shown = (f"{cells[name][row]:<{width}}" for name, width in widths.items())
        table.append(f"{_ROWS[row]:<{first}}  {'  '.join(shown)}")
    return "\n".join(map(str.rstrip, table))


def describe_alignment(meta: Mapping[str, Any]) -> str:
    """How a network came to be aligned, in lines; "" where it was not.

    Args:
        meta: Provenance of a line to it, or of the network itself.
    """
    made = _entry(meta)
    if made is None:
        return ""
    reached = made["objectives"]
    said = (
        f"aligned with {one_line(made['with'])} by weight matching: cosine of the weights "
        f"{made['cosine_before']:.4f} -> {made['cosine']:.4f}\n"
        f"objective {made['objective_before']:.1f} -> {max(reached):.1f}, the best of {len(reached)} "
        f"restart{'s' if len(reached) > 1 else ''}"
    )
    said += f" ({min(reached):.1f} to {max(reached):.1f})" if len(reached) > 1 else ""
    channels = sum(made["groups"].values())
    said += f"\n{channels:,} channels in {len(made['groups'])} groups changed places; "
    said += f"outputs differ by {made['deviation']:.0e} of the largest"
    if others := {name: why for name, why in made["fixed"].items() if why != "they are the output"}:
        shown = [f"{one_line(name)} ({why})" for name, why in list(others.items())[:_SHOWN]]
        more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
        said += f"\nchannels that stay: {', '.join(shown)}{more}"
    return said


def describe_aligned(meta: Mapping[str, Any]) -> str:
    """That the network at alpha = 1 was aligned, for a caption; "" where it was not.

    Args:
        meta: Provenance of a line.
    """
    made = _entry(meta)
    if made is None:
        return ""
    count = len(made["objectives"])
    best = f", best of {count} restarts" if count > 1 else ""
    return f"channels of {one_line(meta.get('other', 'the second'))} in the order of {one_line(made['with'])}{best}"


def _cell(rise: Rise, factor: float) -> str:
    if np.isinf(rise.height):
        return f"infinite at {short_number(rise.alpha)}"
    said = short_number(factor * rise.height)
    if np.isnan(rise.low):
        said += " (no interval: too few images)"
    elif rise.stderr != 0 and not rise.reliable:
        said += " (no interval: few images carry it)"
    elif rise.stderr != 0:
        said += f" ({short_number(factor * rise.low)} to {short_number(factor * rise.high)})"
    return f"{said} at {short_number(rise.alpha)}"


def _entry(meta: Mapping[str, Any]) -> dict[str, Any] | None:
    made = fitting(meta, _ALIGNMENT, dict)
    return made if made and made.get("objectives") else None
