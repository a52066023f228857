"""A paper's table beside what is counted and measured here: a line for each network and data set."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, final

import numpy as np

from gradscape._intervals import ConfidenceInterval, accuracy_over_images, mean_of
from gradscape._names import data_name, parse_options
from gradscape.models.printed import PrintedCell
from gradscape.models.registry import ATTENTIONS, MODELS
from gradscape.studies.papers.paper_table import PaperTable
from gradscape.studies.papers.training_log import TrainingLog
from gradscape.studies.tested_images import as_trained

__all__ = ["Attained", "TableLine", "gather_lines", "network_key"]

_CHANGE = "change of "
_AS_REPORTED = "_as_reported"
_Key = tuple[tuple[str, frozenset[tuple[str, Any]]], ...]


@final
@dataclass(frozen=True)
class Attained:
    """What trainings here reached, for one line.

    Attributes:
        intervals: By the quantity, as `PrintedCell` calls it and in its unit; without ends where nothing tells them.
        data: Name of the data set.
        trainings: How many.
        titles: What the run folders are called.
    """

    intervals: Mapping[str, ConfidenceInterval]
    data: str
    trainings: int
    titles: tuple[str, ...]


@final
@dataclass(frozen=True)
class TableLine:
    """One network on one data set.

    Attributes:
        row: What the network is called in the paper.
        data: Name of the data set; "" for a module alone.
        cells: Printed numbers by quantity.
        changes: The changes that are printed behind them.
        measured: What was reached here, if anything.
    """

    row: str
    data: str
    cells: Mapping[str, PrintedCell] = field(default_factory=dict)
    changes: Mapping[str, PrintedCell] = field(default_factory=dict)
    measured: Attained | None = None


def gather_lines(table: PaperTable, logs: Sequence[TrainingLog] = ()) -> list[TableLine]:
    """Return a table's lines in its order.

    Trainings belong to the lines with their network: to those on their own data, or to the first where there are none.

    Args:
        table: The table.
        logs: Trainings of its networks; several of one network on the same data are taken together.

    Raises:
        ValueError: A training has no checkpoint, or is of a network that the table does not have.
    """
    groups: dict[tuple[str, str], list[PrintedCell]] = {}
    for cell in table.cells:
        groups.setdefault((cell.row, cell.data), []).append(cell)
    reached = _place(table, list(groups.values()), logs)
    return [
        TableLine(
            row,
            data,
            {cell.quantity: cell for cell in cells if not cell.quantity.startswith(_CHANGE)},
            {cell.quantity.removeprefix(_CHANGE): cell for cell in cells if cell.quantity.startswith(_CHANGE)},
            _measure(reached[place]) if place in reached else None,
        )
        for place, ((row, data), cells) in enumerate(groups.items())
    ]


def network_key(name: str) -> _Key:
    """What two names of one network share: options at their defaults count as not given.

    Args:
        name: As `create_model` takes it.

    Example:
        >>> network_key("mobilenet_v2+ulsam@replace=17,groups=4") == network_key("mobilenet_v2+ulsam@replace=17")
        True
    """
    base, *attentions = name.split("+")
    builders = [MODELS.get(_word(base)), *(ATTENTIONS.get(_word(part)) for part in attentions)]
    makers = [getattr(entry, "build", getattr(entry, "attach", None)) for entry in builders]
    return tuple(
        (_word(part).removesuffix(_AS_REPORTED), _changed_options(part, maker))
        for part, maker in zip((base, *attentions), makers, strict=True)
    )


def _word(part: str) -> str:
    return part.partition("@")[0]


def _changed_options(part: str, maker: Any) -> frozenset[tuple[str, Any]]:
    listed = part.partition("@")[2]
    if not listed:
        return frozenset()
    parameters = inspect.signature(maker).parameters if maker is not None else {}
    bound = maker.keywords if isinstance(maker, partial) else {}
    changed: set[tuple[str, Any]] = set()
    for name, value in parse_options(listed).items():
        usual = bound.get(name, parameters[name].default if name in parameters else inspect.Parameter.empty)
        given = tuple(value) if isinstance(value, list) else value
        if isinstance(usual, tuple) and not isinstance(given, tuple):
            given = (given,)
        if given != usual:
            changed.add((name, given))
    return frozenset(changed)


def _place(
    table: PaperTable, groups: Sequence[Sequence[PrintedCell]], logs: Sequence[TrainingLog]
) -> dict[int, list[TrainingLog]]:
    """Trainings by the place of the line that they belong to; those of other data do not mix with those of its own."""
    keys = [{network_key(cell.model) for cell in cells if cell.model} for cells in groups]
    placed: dict[int, list[TrainingLog]] = {}
    for log in logs:
        if not log.meta:
            raise ValueError(f"`RUN` must hold a checkpoint, which tells its network, and {log.title} has none")
        fitting = [place for place, known in enumerate(keys) if network_key(log.meta["name"]) in known]
        # A line of sizes alone has no place for an accuracy, where another of the network has.
        tested = [place for place in fitting if any(cell.quantity in _MEASURES for cell in groups[place])] or fitting
        own = [place for place in tested if groups[place][0].data == _data(log)] or tested
        if not own:
            models = dict.fromkeys(cell.model for cells in groups for cell in cells if cell.model)
            raise ValueError(
                f"`RUN` must be a training of a network of {table.name}, and {log.title} is of {log.meta['name']}; "
                f"the table has {', '.join(models)}"
            )
        free = [place for place in own if all(_data(other) == _data(log) for other in placed.get(place, []))]
        placed.setdefault((free or own)[0], []).append(log)
    return placed


def _data(log: TrainingLog) -> str:
    return data_name((log.meta.get("data") or {}).get("name", ""))


def _measure(logs: Sequence[TrainingLog]) -> Attained:
    found = {quantity: interval for quantity, measure in _MEASURES.items() if (interval := measure(logs)) is not None}
    runs = sum(max(1, len(log.runs)) for log in logs)
    return Attained(found, _data(logs[0]), runs, tuple(log.title for log in logs))


def _last(logs: Sequence[TrainingLog], column: str) -> list[float]:
    """A column of metrics.csv after the last epoch of every training; of checkpoints alone what they keep of it."""
    values: list[float] = []
    for log in logs:
        if log.runs:
            values += [float(run[column][-1]) for run in log.runs if column in run]
        elif isinstance(kept := (log.meta.get("scores") or {}).get(column), int | float):
            values.append(float(kept))
    return values


def _share(logs: Sequence[TrainingLog], column: str) -> ConfidenceInterval | None:
    """A share of test images: Student's interval over trainings, over images where there is one training."""
    values = _last(logs, column)
    meta = as_trained(logs[0].meta) if logs[0].runs else logs[0].meta
    images = (meta.get("test") or {}).get("images")
    if len(values) == 1 and isinstance(images, int):
        return accuracy_over_images(values[0], images)
    return mean_of(values, bounds=(0.0, 1.0)) if values else None


def _scaled(found: ConfidenceInterval | None, factor: float, offset: float = 0.0) -> ConfidenceInterval | None:
    """Its linear image; a negative factor turns it around."""
    if found is None:
        return None
    ends = sorted(offset + factor * end for end in (found.low, found.high))
    return ConfidenceInterval(offset + factor * found.value, ends[0], ends[1], found.confidence, found.method)


def _spread(logs: Sequence[TrainingLog]) -> ConfidenceInterval | None:
    values = _last(logs, "test_accuracy")
    if len(values) < 2:
        return None
    return ConfidenceInterval(100 * float(np.std(values, ddof=1)), np.nan, np.nan, 0.95, "none")


def _efficiency(logs: Sequence[TrainingLog]) -> ConfidenceInterval | None:
    parameters = logs[0].parameters
    return _scaled(_share(logs, "test_accuracy"), 1e8 / parameters) if parameters else None


def _seconds(logs: Sequence[TrainingLog]) -> ConfidenceInterval | None:
    """Mean time of an epoch, without the first where there are more."""
    runs = [run["seconds"] for log in logs for run in log.runs if "seconds" in run]
    times = [float(np.mean(run[1:] if len(run) > 1 else run)) for run in runs]
    return mean_of(times) if times else None


_MEASURES: dict[str, Callable[[Sequence[TrainingLog]], ConfidenceInterval | None]] = {
    "accuracy": lambda logs: _scaled(_share(logs, "test_accuracy"), 100.0),
    "accuracy (share)": lambda logs: _share(logs, "test_accuracy"),
    "top-5 accuracy": lambda logs: _scaled(_share(logs, "test_top5_accuracy"), 100.0),
    "error": lambda logs: _scaled(_share(logs, "test_accuracy"), -100.0, 100.0),
    "error (share)": lambda logs: _scaled(_share(logs, "test_accuracy"), -1.0, 1.0),
    "top-5 error": lambda logs: _scaled(_share(logs, "test_top5_accuracy"), -100.0, 100.0),
    "spread": _spread,
    "loss": lambda logs: mean_of(values) if (values := _last(logs, "test_loss")) else None,
    "seconds": _seconds,
    "efficiency": _efficiency,
}
