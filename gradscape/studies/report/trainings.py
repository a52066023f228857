"""Trainings: score and loss by epoch, and the commands that trained or imported the networks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from gradscape._intervals import spread_of
from gradscape._schema import fitting
from gradscape._text_files import begins_with
from gradscape.data.pictures import ShownPictures
from gradscape.figures.web.line_chart import Chart, ChartCurve, place_chart
from gradscape.studies.accuracies import TrainedRun, compare_trainings, group_runs
from gradscape.studies.comparison import Comparison
from gradscape.studies.report.commands import command, exact
from gradscape.studies.report.definition import ReportKind, Section, Shown, Suggestion
from gradscape.studies.report.differences_table import differences_table
from gradscape.studies.report.facts import Fact, state
from gradscape.studies.report.found import Found, ReportedNetwork, ReportedNetworks
from gradscape.studies.report.tables import NONE, Cell, Row, Table
from gradscape.studies.tested_images import TRAINING_IMAGES, as_trained, scored_elsewhere
from gradscape.studies.training_identity import BACKBONE
from gradscape.training import RECIPES
from gradscape.training.history import load_metrics
from gradscape.training.score_columns import SCORES, describe_column

__all__ = ["TRAININGS", "Training", "seed_tables"]

_SEVERAL = {"test_accuracy": "test accuracies"}
_CHARTS = {
    "accuracy": "accuracy (%)",
    "ap50": "AP50 (%)",
    "ap": "AP (%)",
    "iou": "mean IoU (%)",
    "loss": "loss",
}


@final
@dataclass(frozen=True, eq=False)
class Training:
    """A training's metrics.

    Attributes:
        columns: Name -> one number an epoch.
    """

    columns: Mapping[str, np.ndarray]


def _read(path: Path) -> Found[Training] | None:
    if not begins_with(path, "epoch,"):
        return None  # comparisons of landscapes have a table of that name too
    columns = load_metrics(path)
    if not columns["epoch"].size:
        raise ValueError("it holds no epoch")
    return Found(path, Training(columns))


def _owners(networks: ReportedNetworks, found: Found[object]) -> list[ReportedNetwork]:
    """The network whose last checkpoint lies beside the metrics, or one of which nothing but them is known."""
    folder = found.path.parent
    for network in networks:
        if network.checkpoint and network.checkpoint.path.parent == folder and not network.has_best_checkpoint:
            return [network]
    return [networks.join(ReportedNetwork(folder.name or "training", "", folder), "", "training", str(folder))]


def _show(networks: Sequence[ReportedNetwork], _: Sequence[Found[ShownPictures]]) -> Shown | None:
    charts: list[Chart] = []
    for quantity, label in _CHARTS.items():
        curves = [
            ChartCurve(
                _curve(network, part),
                run["epoch"],
                run[column] * (100 if "%" in label else 1),
                number,
                dashed=part == "train",
            )
            for number, network in enumerate(networks)
            for run in (found.result.columns for found in network.of(Training))
            for part in ("test", "train")
            if (column := f"{part}_{quantity}") in run
        ]
        if curves:
            charts.append(place_chart(curves, x_label="epoch", y_label=label, whole=True, linear="%" in label))
    return Shown({"charts": charts, "tables": seed_tables(networks)}) if charts else None


def seed_tables(networks: Sequence[ReportedNetwork]) -> list[Table]:
    """Tabulate scores over trainings that differ in nothing but the seed, and how networks differ; none of none."""
    runs = [
        TrainedRun(network.checkpoint.path.parent, found.result.columns, as_trained(network.checkpoint.meta))
        for network in networks
        if network.checkpoint
        for found in network.of(Training)
    ]
    return [table for score in SCORES for table in _score_tables(runs, score)]


def _score_tables(runs: Sequence[TrainedRun], score: str) -> list[Table]:
    groups = group_runs(run for run in runs if np.isfinite(run.value(score)))
    if all(len(own) == 1 for own in groups.values()):
        return []
    try:
        comparison = compare_trainings(groups, metrics=[score])
    except ValueError as problem:
        alone = {name: compare_trainings({name: own}, metrics=[score]) for name, own in groups.items() if len(own) > 1}
        return [_mean_table(score, one, [*one.remarks, f"not to be compared: {problem}"]) for one in alone.values()]
    means = _mean_table(score, comparison, comparison.about)
    if not comparison.differences:
        return [means]
    return [
        means,
        differences_table(
            comparison.differences,
            of=f"mean {_SEVERAL.get(score, describe_column(score))} in percent",
            confidence=comparison.confidence,
        ),
    ]


def _mean_table(score: str, comparison: Comparison, remarks: Sequence[str]) -> Table:
    called = describe_column(score).removeprefix("test ")
    rows = []
    for name, found in comparison.means.items():
        (measure,) = found.values()
        (values,) = comparison.draws[name].values()
        spread = spread_of(values) if len(values) > 1 else NONE
        ends = f"{measure.low:.2f} to {measure.high:.2f}" if np.isfinite(measure.low) else ""
        cell = Cell(f"{measure.value:.2f} %", ends)
        rows.append(Row(name, "", (Cell(str(len(values))), cell, Cell(spread))))
    return Table(
        caption=f"Test {called} over trainings, after the last epoch, with 95 % intervals.",
        corner="network",
        columns=("trainings", "mean", "spread in %"),
        rows=tuple(rows),
        remarks=tuple(remarks),
    )


def _curve(network: ReportedNetwork, part: str) -> str:
    """A curve's name, which says "test" of no images that were trained with."""
    meta = network.checkpoint.meta if network.checkpoint and part == "test" else {}
    elsewhere = scored_elsewhere(as_trained(meta))
    return f"{network.title}, {'all images' if elsewhere == TRAINING_IMAGES else part}"


def _describe(network: ReportedNetwork) -> list[Fact]:
    return [state("training", found) for found in network.of(Training)]


def _commands(networks: Sequence[ReportedNetwork]) -> list[str]:
    return [_command(network.checkpoint.path, network.checkpoint.meta) for network in networks if network.checkpoint]


def _command(path: Path, meta: Mapping[str, Any]) -> str:
    recipe, data, scores = (fitting(meta, name, dict) or {} for name in ("recipe", "data", "scores"))
    if "name" in recipe and "name" in data:
        seed = scores.get("seed", 0)
        folder = path.parent.parent if path.parent.name == f"seed{seed}" else path.parent
        parts = ("--recipe", recipe["name"], "--epochs", recipe.get("epochs", 1), *_changes(recipe), "--seed", seed)
        test = (as_trained(meta).get("test") or {}).get("name", data["name"])
        data_parts = ("--data", data["name"], *(("--test", test) if test != data["name"] else ()))
        begun = fitting(meta, BACKBONE, dict) or {}
        parts = (*parts, *(("--backbone", begun["checkpoint"]) if "checkpoint" in begun else ()))
        return command("train", meta["name"], *data_parts, *parts, "-o", folder)
    return _import(path, meta)


def _import(path: Path, meta: Mapping[str, Any]) -> str:
    source = meta.get("imported") or {}
    parts: list[object] = [source.get("file", "FILE"), "--model", meta["name"]]
    parts += ["--num-classes", meta["num_classes"], "--image-size", meta["image_size"]]
    parts += [part for name in ("mean", "std") for part in (f"--{name}", ",".join(map(exact, meta[name])))]
    if meta.get("labels"):
        parts += ["--labels", source.get("labels", "LABELS")]
    parts += [part for name in ("weights", "prefix") if name in source for part in (f"--{name}", source[name])]
    return command("import", *parts, "-o", path)


def _changes(recipe: Mapping[str, Any]) -> list[object]:
    """What was other than the recipe says, as options."""
    usual = RECIPES.get(recipe["name"])
    if usual is None:
        return []
    parts: list[object] = []
    for name in ("batch_size", "learning_rate", "loss"):
        if recipe.get(name) not in (None, getattr(usual, name)):
            parts += [f"--{name.replace('_', '-')}", recipe[name]]
    return parts


TRAININGS = ReportKind(
    section=Section("training", "Training"),
    readers={"metrics.csv": _read},
    owners=_owners,
    show=_show,
    describe=_describe,
    commands=_commands,
    suggestion=Suggestion("training curves", "train {model} --data {data}"),
    precedes=True,
)
