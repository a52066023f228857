"""Bubble plots of UPANets, arXiv:2103.08640: figures 10 and 11, accuracy against efficiency of tables 4 and 5.

The efficiency that is drawn is the printed one: in some rows it is not that of the printed size, but of the network
that was trained.
"""

from collections.abc import Sequence

import numpy as np

from gradscape.figures.bubbles import Bubble, figure_bubbles
from gradscape.studies.paper_figure import Drawing, PaperFigure
from gradscape.studies.published import PublishedRow
from gradscape.studies.table_figure import TableFigure
from gradscape.studies.training_description import describe_epochs, describe_logs
from gradscape.studies.training_log import TrainingLog

__all__ = ["BUBBLES"]

_NAMES = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}


def _draw_bubbles(rows: Sequence[PublishedRow], logs: Sequence[TrainingLog]) -> Drawing:
    published = [_published(row) for row in rows]
    own = [_own(log) for log in logs]
    bubbles = [*published, *own]
    data, table = _NAMES[rows[0].data], rows[0].table
    page = figure_bubbles(
        bubbles, title=data, highlighted="UPANets", caption=f"UPANets, table {table}: {data} · areas: parameters"
    )
    arrays = {
        "network": np.array([bubble.name for bubble in bubbles]),
        **{key: np.array([getattr(bubble, key) for bubble in bubbles]) for key in ("accuracy", "size", "efficiency")},
        "own": np.array([bubble.group == "own" for bubble in bubbles]),
    }
    notes = [f"{row.row}: {row.note}" for row in rows if row.note]
    said = [f"own: {describe_logs(logs)} {describe_epochs(logs)}".rstrip()] if logs else []
    return Drawing(page, arrays, " · ".join([*notes, *said]))


def _published(row: PublishedRow) -> Bubble:
    assert row.accuracy is not None
    assert row.size is not None
    assert row.efficiency is not None
    highlighted = row.row.startswith("UPANets")
    return Bubble(row.row, row.accuracy, row.size, row.efficiency, "highlighted" if highlighted else "published")


def _own(log: TrainingLog) -> Bubble:
    """A network of one's own: E = test accuracy in percent / parameters in millions; of several seeds the median."""
    scores = log.meta.get("scores") or {}
    accuracy = scores.get("test_accuracy") if isinstance(scores, dict) else None
    if log.runs and all("test_accuracy" in run for run in log.runs):
        accuracy = float(np.median([run["test_accuracy"][-1] for run in log.runs]))
    if accuracy is None or log.parameters is None:
        raise ValueError(f"{log.title} must have a test accuracy in its checkpoint, to be laid over a table")
    size = log.parameters / 1e6
    return Bubble(log.title, 100 * accuracy, size, 100 * accuracy / size, "own")


def _bubbles(table: str, data: str) -> TableFigure:
    return TableFigure(
        title=f"accuracy against efficiency on {_NAMES[data]}, bubbles as large as networks",
        original=f"the same values, of networks trained for 200 epochs on {_NAMES[data]}",
        paper="upanets",
        table=table,
        training=f"upanet16 --data {data}",
        draw=_draw_bubbles,
    )


BUBBLES: dict[str, PaperFigure] = {"upanets:10": _bubbles("4", "cifar10"), "upanets:11": _bubbles("5", "cifar100")}
