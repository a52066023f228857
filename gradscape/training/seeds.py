"""The same training from several seeds, and how far the runs lie apart."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset

from gradscape._left_as_before import process_left_as_before
from gradscape.training.augmentation import Item
from gradscape.training.fit import TrainingRun, train_model
from gradscape.training.history import save_metrics
from gradscape.training.score_columns import best_column
from gradscape.training.supervised import TrainingBatch

__all__ = ["SeedRuns", "summarize_runs", "train_seeds"]

_SUMMARIZED = (
    "train_loss",
    "train_accuracy",
    *(
        f"{split}_{quantity}"
        for split in ("test", "validation")
        for quantity in ("loss", "accuracy", "top5_accuracy", "ap", "ap50", "iou")
    ),
)


@dataclass(frozen=True)
class SeedRuns:
    """Runs that differ in nothing but the seed.

    Attributes:
        runs: One a seed.
        summary: Column of summary.csv -> array, one number an epoch: `epoch`, and `NAME_mean`, `NAME_std`
            (of a sample; NaN of one run), `NAME_median`, `NAME_min`, `NAME_max` over the seeds for the losses and
            scores of metrics.csv and for `best_accuracy`, the highest test accuracy up to that epoch; of detectors that
            is `best_ap50`, of segmenters `best_iou`. A run that stopped early counts with its last values. So the last
            entries are those of the final and of the best score.
    """

    runs: tuple[TrainingRun, ...]
    summary: dict[str, np.ndarray]


@process_left_as_before
def train_seeds(
    make_network: Callable[[], nn.Module],
    train: Dataset[Item],
    test: Iterable[TrainingBatch],
    *,
    seeds: int,
    output: str | os.PathLike[str],
    seed: int = 0,
    **options: Any,
) -> SeedRuns:
    """Train from `seeds` seeds in a row, into output/seed0, output/seed1, …, and write output/summary.csv.

    Args:
        make_network: Makes an untrained network; it is called with torch's random numbers seeded, so that a run's
            first weights belong to its seed too.
        train: As `train_model` takes it.
        test: As `train_model` takes it.
        seeds: How many runs.
        output: Folder of the runs' folders; what it holds already is gone on with.
        seed: The first of the seeds.
        options: As `train_model` takes them.

    Returns:
        The runs and their summary.

    Raises:
        ValueError: `seeds` is below 1; and what `train_model` raises.
    """
    if seeds < 1:
        raise ValueError(f"`seeds` must be at least 1, got {seeds}; choose how many runs you want")
    folder = Path(output)
    runs = []
    for each in range(seed, seed + seeds):
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            torch.manual_seed(each)
            network = make_network()
        runs.append(train_model(network, train, test, seed=each, output=folder / f"seed{each}", **options))
    summary = summarize_runs(runs)
    rows = [{name: column[epoch].item() for name, column in summary.items()} for epoch in range(len(summary["epoch"]))]
    save_metrics(folder / "summary.csv", rows)
    return SeedRuns(tuple(runs), summary)


def summarize_runs(runs: list[TrainingRun]) -> dict[str, np.ndarray]:
    """Mean, standard deviation, median and range over runs, epoch by epoch: see `SeedRuns.summary`."""
    epochs = max(len(run.metrics["epoch"]) for run in runs)
    summary: dict[str, np.ndarray] = {"epoch": np.arange(1, epochs + 1)}
    score = runs[0].score
    # An older version's runs lack some columns.
    recorded = set.intersection(*(set(run.metrics) for run in runs))
    columns = {name: [run.metrics[name] for run in runs] for name in _SUMMARIZED if name in recorded}
    columns[best_column(score)] = [np.maximum.accumulate(run.metrics[score]) for run in runs]
    for name, of_runs in columns.items():
        values = np.stack([np.pad(column, (0, epochs - len(column)), mode="edge") for column in of_runs])
        summary[f"{name}_mean"] = values.mean(axis=0)
        summary[f"{name}_std"] = values.std(axis=0, ddof=1) if len(runs) > 1 else np.full(epochs, np.nan)
        summary[f"{name}_median"] = np.median(values, axis=0)
        summary[f"{name}_min"] = values.min(axis=0)
        summary[f"{name}_max"] = values.max(axis=0)
    return summary
