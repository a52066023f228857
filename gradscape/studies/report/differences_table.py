"""The table that says how networks differ, and which of them is higher."""

from collections.abc import Sequence

import numpy as np

from gradscape.figures.style import short_number
from gradscape.landscape.metrics.measure import Measure
from gradscape.studies.differences import PairDifference, tell_verdicts
from gradscape.studies.report.tables import NONE, Cell, Row, Table

__all__ = ["differences_table", "range_text", "spaced"]


def differences_table(differences: Sequence[PairDifference], *, of: str, confidence: float) -> Table:
    """Tabulate differences with their intervals and verdicts.

    Args:
        differences: Of every pair of networks in every metric.
        of: What is subtracted, for the caption.
        confidence: With which all intervals hold together.
    """
    verdicts, reasons = tell_verdicts([one.verdict for one in differences])
    rows = [
        Row(
            f"{spaced(one.metric)}, {one.first} − {one.second}",
            "",
            (
                Cell(short_number(one.difference) if np.isfinite(one.difference) else NONE, range_text(one)),
                Cell(verdict),
            ),
        )
        for one, verdict in zip(differences, verdicts, strict=True)
    ]
    return Table(
        caption=f"Differences of {of}; all intervals together hold with {100 * confidence:g} %.",
        corner="difference",
        columns=("value", "verdict"),
        rows=tuple(rows),
        remarks=tuple(reasons),
    )


def range_text(one: Measure | PairDifference) -> str:
    """Spell an interval; "" where there is none."""
    return "" if np.isnan([one.low, one.high]).any() else f"{_end(one.low)} to {_end(one.high)}"


def spaced(name: str) -> str:
    """Spell a metric's name as words."""
    return name.replace("_", " ")


def _end(value: float) -> str:
    return short_number(value) if np.isfinite(value) else "∞" if value > 0 else "−∞"
