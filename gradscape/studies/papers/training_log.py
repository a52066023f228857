"""A network's training as its folder tells it: metrics of one seed or several, and the checkpoint's words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np

from gradscape._names import tell_apart, telling_parts
from gradscape._recipe_record import describe_recipe_differences, recorded_recipe
from gradscape._recorded import recorded
from gradscape.models import count_parameters, load_checkpoint
from gradscape.studies.papers.wording import short_name, training_data
from gradscape.studies.tested_images import scored_elsewhere
from gradscape.training import load_metrics

__all__ = ["TrainingLog", "describe_epochs", "describe_logs", "load_logs"]

_METRICS = "metrics.csv"
_CHECKPOINT = "model.safetensors"


@final
@dataclass(frozen=True, eq=False)
class TrainingLog:
    """How a network was trained.

    Attributes:
        title: What pictures call it.
        runs: For each seed the columns of its metrics.csv; none where only a checkpoint is there.
        meta: What the checkpoint says: name, recipe, data, scores …; empty where there is none.
        parameters: Of the network; None without a checkpoint.
    """

    title: str
    runs: tuple[dict[str, np.ndarray], ...]
    meta: Mapping[str, Any]
    parameters: int | None


def load_logs(paths: Sequence[Path]) -> list[TrainingLog]:
    """Read run folders of `gradscape train`, their metrics.csv, or checkpoints, under titles that tell them apart.

    A title is the network's name without its options; without a checkpoint the folder's name; where two are alike, what
    the folders' paths do not share.

    Args:
        paths: Folders and files that are there.

    Raises:
        ValueError: One holds no training.
    """
    logs = [_load(path) for path in paths]
    folders = [_folder(path).name for path in paths]
    networks = [short_name(log.meta["name"]) if log.meta else folder for log, folder in zip(logs, folders, strict=True)]
    titles = tell_apart([networks, telling_parts([_folder(path) for path in paths])])
    return [replace(log, title=title) for log, title in zip(logs, titles, strict=True)]


def describe_logs(logs: Sequence[TrainingLog], *, but: Sequence[str] = ()) -> str:
    """Say what runs were trained on and by which recipe, as far as their checkpoints tell: once what several share.

    Args:
        logs: What was trained.
        but: Fields of the recipe that are told elsewhere, should they differ.
    """
    titles: dict[str, list[str]] = {}
    for log in logs:
        titles.setdefault(_training(log), []).append(log.title)
    said = "; ".join(f"{', '.join(several)} {how}" for how, several in titles.items())
    # A recipe of one name is not one training where a command changed something.
    names = dict.fromkeys(str(recorded_recipe(log.meta).get("name")) for log in logs)
    alike = ([log for log in logs if recorded_recipe(log.meta).get("name") == name] for name in names)
    changed = (describe_recipe_differences({log.title: log.meta for log in several}, but=but) for several in alike)
    return " · ".join(filter(None, [said if len(titles) > 1 else next(iter(titles)), *changed]))


def describe_epochs(logs: Sequence[TrainingLog]) -> str:
    """Say after how many epochs the runs ended; of checkpoints alone it is not known: an empty text."""
    counts = sorted({len(run["epoch"]) for log in logs for run in log.runs})
    if not counts:
        return ""
    if len(counts) > 1:
        return f"after {counts[0]} to {counts[-1]} epochs"
    return f"after {counts[0]} epoch{'s' if counts[0] > 1 else ''}"


def _folder(path: Path) -> Path:
    return (path if path.is_dir() else path.parent).resolve()


def _load(path: Path) -> TrainingLog:
    folder = _folder(path)
    metrics = _found(folder, _METRICS)
    checkpoints = [path] if path.suffix == ".safetensors" else _found(folder, _CHECKPOINT)
    if not metrics and not checkpoints:
        raise ValueError(f"{path} must be a run folder of `gradscape train`, but holds no {_METRICS} or {_CHECKPOINT}")
    runs = tuple(load_metrics(one) for one in metrics)
    if not checkpoints:
        return TrainingLog("", runs, {}, None)
    model = load_checkpoint(checkpoints[0])
    return TrainingLog("", runs, recorded(model.meta), count_parameters(model))


def _found(folder: Path, name: str) -> list[Path]:
    """The folder's file of this name, or those of its seeds."""
    return [folder / name] if (folder / name).is_file() else sorted(folder.glob(f"seed*/{name}"))


def _training(log: TrainingLog) -> str:
    data, recipe = training_data(log.meta), recorded_recipe(log.meta)
    known = [f"trained on {data}"] if data else []
    if "name" in recipe:
        known.append(f"by the recipe {recipe['name']}")
    told = " ".join(known) or "of a training that is not recorded"
    tested = "" if log.runs else scored_elsewhere(log.meta)
    return f"{told}, tested on {tested}" if tested else told
