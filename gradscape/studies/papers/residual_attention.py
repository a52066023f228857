"""Figures of the reproduction of residual attention networks: six trainings' curves, and what they reached."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple, final

import numpy as np

from gradscape.figures.charts.tables import figure_table
from gradscape.figures.charts.training import figure_curve
from gradscape.studies.papers.figure import Drawing, PaperFigure
from gradscape.studies.papers.from_tables import TableFigure
from gradscape.studies.papers.from_trainings import TrainingFigure
from gradscape.studies.papers.published import PublishedRow
from gradscape.studies.papers.training_log import TrainingLog, describe_epochs, describe_logs
from gradscape.studies.papers.wording import path_end

__all__ = ["ACCURACIES", "FIGURES", "TIMES"]

_RECIPES = {"56": "residual_attention", "92": "residual_attention_92"}
_DATA = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}
_LONGEST_DATA = 12


@final
@dataclass(frozen=True)
class Configuration:
    """What the report's six trainings differ in, besides the data.

    Attributes:
        depth: "56" or "92".
        learning: "arl" or "nal".
        activation: "mixed" or "spatial".
    """

    depth: str
    learning: str
    activation: str

    @classmethod
    def of(cls, model: str) -> "Configuration | None":
        """That of a network by its name; None of another network than the report's."""
        name, _, listed = model.partition("@")
        base = name.removesuffix("_as_reported")
        depth = base.removeprefix("attention")
        if depth not in _RECIPES or base == depth:
            return None
        options = dict(option.split("=", 1) for option in listed.split(",") if option)
        return cls(depth, options.get("learning", "arl"), options.get("activation", "mixed"))

    @property
    def model(self) -> str:
        """The network that the report ran, by its name here."""
        options = {"learning": (self.learning, "arl"), "activation": (self.activation, "mixed")}
        changed = ",".join(f"{key}={value}" for key, (value, usual) in options.items() if value != usual)
        return f"attention{self.depth}_as_reported" + (f"@{changed}" if changed else "")

    def __str__(self) -> str:
        return f"Attention-{self.depth} {self.learning.upper()} {self.activation}"


class _Reached(NamedTuple):
    """A number of ours, and the name of the data behind it."""

    value: float
    data: str


def _draw_curve(
    logs: Sequence[TrainingLog], *, configuration: Configuration, value: Literal["accuracy", "loss"], training: str
) -> Drawing:
    (log,) = logs
    _check_training(log, configuration, value, training)
    # The test images, which we follow besides, are not in the report's curves.
    columns = ("epoch", f"train_{value}", f"validation_{value}")
    runs = [{column: run[column] for column in columns} for run in log.runs]
    network = configuration if "name" in log.meta else log.title
    page = figure_curve(runs, value=value, title=" ".join(filter(None, [_data_label(log), str(network)])))
    arrays = {f"{number}.{name}": column for number, run in enumerate(runs) for name, column in run.items()}
    said = f"{log.meta.get('name', log.title)} {describe_logs(logs)}"
    return Drawing(page, arrays, said)


def _check_training(log: TrainingLog, configuration: Configuration, value: str, training: str) -> None:
    made = f"make one with `gradscape train {training}`"
    name = log.meta.get("name")
    if name is not None and Configuration.of(name) != configuration:
        raise ValueError(f"`RUN_DIR` must be a training of {configuration.model}, got {name}; {made}")
    if any(f"validation_{value}" not in run for run in log.runs):
        raise ValueError(
            f"`RUN_DIR` must have a column validation_{value}, for which the recipe holds images out, and {log.title} "
            f"has none; {made}"
        )


def _draw_accuracies(rows: Sequence[PublishedRow], logs: Sequence[TrainingLog]) -> Drawing:
    printed, measured = [row.accuracy for row in rows], _beside(rows, logs, _final_accuracy)
    return _draw_table(rows, logs, printed, measured, unit="%", digits=".2f", said="test accuracy after the last epoch")


def _draw_times(rows: Sequence[PublishedRow], logs: Sequence[TrainingLog]) -> Drawing:
    printed, measured = [row.seconds for row in rows], _beside(rows, logs, _epoch_seconds)
    said = "mean time of an epoch, without the first where there are more; measured with the evaluation after it"
    return _draw_table(rows, logs, printed, measured, unit="s", digits=".3g", said=said)


def _draw_table(
    rows: Sequence[PublishedRow],
    logs: Sequence[TrainingLog],
    printed: Sequence[float | None],
    measured: Mapping[int, _Reached],
    *,
    unit: str,
    digits: str,
    said: str,
) -> Drawing:
    # Beside printed numbers, those of other data must not pass for better or worse.
    headings = ("data", "network", "optimizer", "attention", "learning", f"printed, {unit}", f"measured, {unit}", "on")
    cells = []
    for place, (row, value) in enumerate(zip(rows, printed, strict=True)):
        own = (format(measured[place].value, digits), measured[place].data) if place in measured else ("–", "–")
        cells.append((_DATA[row.data], *row.row.split(", "), format(value, digits), *own))
    known = [f"{_DATA[row.data]}, {row.row}: {row.note}" for row in rows if row.note]
    measuring = [f"measured {describe_epochs(logs)}".strip() + f": {describe_logs(logs)}"] if logs else []
    page = figure_table(headings, cells, numbers=3, caption=" · ".join([said, *known, *measuring]))
    arrays = {
        "printed": np.array(printed, dtype=float),
        "measured": np.array([measured[place].value if place in measured else np.nan for place in range(len(rows))]),
    }
    return Drawing(page, arrays)


def _beside(
    rows: Sequence[PublishedRow], logs: Sequence[TrainingLog], measure: Callable[[TrainingLog], float]
) -> dict[int, _Reached]:
    """A number for each row that one of the trainings belongs to: by its network, and among two rows by its data."""
    measured: dict[int, _Reached] = {}
    # Those on a row's own data first: the others take the places that are left.
    for log in sorted(logs, key=lambda log: _data_name(log) not in {row.data for row in rows}):
        configuration = Configuration.of(log.meta["name"])
        free = [
            place
            for place, row in enumerate(rows)
            if Configuration.of(row.model) == configuration and place not in measured
        ]
        if configuration is None or not free:
            raise ValueError(
                f"`RUN_DIR` must be trainings of the table's networks, each once for a row, and {log.title} is of "
                f"{log.meta['name']}: leave it out, or train {', '.join(dict.fromkeys(row.model for row in rows))}"
            )
        place = next((place for place in free if rows[place].data == _data_name(log)), free[0])
        measured[place] = _Reached(measure(log), _data_label(log))
    return measured


def _data_name(log: TrainingLog) -> str:
    return str((log.meta.get("data") or {}).get("name", ""))


def _data_label(log: TrainingLog) -> str:
    """The data's name as the report writes it; of others a short one, empty if it is not known."""
    data = _data_name(log)
    name = _DATA.get(data, path_end(data))
    return name if len(name) <= _LONGEST_DATA else f"{name[: _LONGEST_DATA - 1]}…"


def _final_accuracy(log: TrainingLog) -> float:
    """Test accuracy after the last epoch, percent; of several seeds the median."""
    if log.runs:
        return 100 * float(np.median([run["test_accuracy"][-1] for run in log.runs]))
    accuracy = (log.meta.get("scores") or {}).get("test_accuracy")
    if not isinstance(accuracy, int | float):
        raise ValueError(
            f"{log.title} must have a test accuracy in its checkpoint, to be laid over a table: "
            "`gradscape evaluate CKPT --data D --store` writes it"
        )
    return 100 * float(accuracy)


def _epoch_seconds(log: TrainingLog) -> float:
    """Mean time of an epoch, in which no first epoch counts that has others after it."""
    return float(
        np.mean(np.concatenate([run["seconds"][1:] if len(run["seconds"]) > 1 else run["seconds"] for run in log.runs]))
    )


def _curve(configuration: Configuration, data: str, value: Literal["accuracy", "loss"]) -> TrainingFigure:
    """One of the twelve figures."""
    folder = f"{configuration.model.replace('_as_reported', '')}-{data}"
    training = f"{configuration.model} --data {data}"
    return TrainingFigure(
        title=f"{value} against epochs in training, {configuration}",
        original=f"{configuration} trained on {_DATA[data]} for up to 250 epochs",
        trainings={folder: training},
        draw=partial(_draw_curve, configuration=configuration, value=value, training=training),
    )


ACCURACIES = TableFigure(
    title="test accuracy of the six trainings, with your own beside them",
    original="trained for up to 250 epochs",
    paper="residual_attention",
    table="30",
    training="attention56_as_reported --data cifar10",
    draw=_draw_accuracies,
)

TIMES = TableFigure(
    title="time of an epoch of the six trainings, with your own beside them",
    original="on a Tesla T4",
    paper="residual_attention",
    table="31",
    training="attention56_as_reported --data cifar10",
    draw=_draw_times,
    log=True,
)

_ARL_MIXED = Configuration("56", "arl", "mixed")
_ARL_SPATIAL = Configuration("56", "arl", "spatial")
_NAL_MIXED = Configuration("56", "nal", "mixed")
_DEEP = Configuration("92", "arl", "spatial")

FIGURES: dict[str, PaperFigure] = {
    "residual_attention:8": _curve(_ARL_MIXED, "cifar10", "accuracy"),
    "residual_attention:9": _curve(_ARL_MIXED, "cifar10", "loss"),
    "residual_attention:12": _curve(_ARL_SPATIAL, "cifar10", "accuracy"),
    "residual_attention:13": _curve(_ARL_SPATIAL, "cifar10", "loss"),
    "residual_attention:16": _curve(_NAL_MIXED, "cifar10", "accuracy"),
    "residual_attention:17": _curve(_NAL_MIXED, "cifar10", "loss"),
    "residual_attention:20": _curve(_DEEP, "cifar10", "accuracy"),
    "residual_attention:21": _curve(_DEEP, "cifar10", "loss"),
    "residual_attention:24": _curve(_NAL_MIXED, "cifar100", "accuracy"),
    "residual_attention:25": _curve(_NAL_MIXED, "cifar100", "loss"),
    "residual_attention:28": _curve(_ARL_SPATIAL, "cifar100", "accuracy"),
    "residual_attention:29": _curve(_ARL_SPATIAL, "cifar100", "loss"),
    "residual_attention:30": ACCURACIES,
    "residual_attention:31": TIMES,
}
