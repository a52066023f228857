"""Train a network by name on data by name: checkpoints, metrics and curves."""

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import nn

from gradscape.data import Split
from gradscape.models import create_model, save_checkpoint
from gradscape.training import Recipe, TrainingRun, train_model, train_seeds


def train_networks(
    name: str,
    train: Split,
    test: Split,
    *,
    recipe: Recipe,
    recipe_name: str,
    output: str | os.PathLike[str],
    seed: int = 0,
    seeds: int = 1,
    **options: Any,
) -> list[TrainingRun]:
    """Create and train a network, or the same from several seeds; the checkpoints tell everything that made them.

    Args:
        name: The model's name, options included.
        train: Training images.
        test: Test images, of the same size.
        recipe: How to train.
        recipe_name: The recipe's name, for the checkpoint.
        output: Folder to write; from several seeds, folders `seed0`, `seed1`, … and summary.csv in it.
        seed: Of the weights and of everything random in training; the first where there are several.
        seeds: How many runs.
        **options: Those of `train_model`.
    """
    mean, std = train.channel_statistics()
    shape = {"num_classes": len(train.classes), "image_size": square_side(train)}

    def make() -> nn.Module:
        return create_model(name, **shape).to(memory_format=torch.channels_last)

    def save(path: Path, network: nn.Module, scores: dict[str, Any]) -> None:
        save_checkpoint(
            path,
            network,
            name=name,
            **shape,
            mean=mean,
            std=std,
            labels=train.classes,
            recipe={"name": recipe_name, **asdict(recipe)},
            data={"name": train.name, "images": train.num_images},
            scores=scores,
        )

    settings = {"recipe": recipe, "mean": mean, "std": std, "save": save, **options}
    if seeds > 1:
        return list(train_seeds(make, train.dataset, test, seeds=seeds, seed=seed, output=output, **settings).runs)
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        network = make()
    return [train_model(network, train.dataset, test, seed=seed, output=output, **settings)]


def describe_runs(runs: Sequence[TrainingRun]) -> str:
    """Accuracy after the last epoch and the best of any; of several runs the median and the range."""
    final, best = ([100 * getattr(run, accuracy) for run in runs] for accuracy in ("final_accuracy", "best_accuracy"))
    if len(runs) == 1:
        return f"test accuracy {final[0]:.2f} % after the last epoch, {best[0]:.2f} % after the best"
    moments = (("after the last epoch", final), ("after the best", best))
    return f"test accuracy of {len(runs)} runs " + ", ".join(
        f"{moment}: median {median(values):.2f} % ({min(values):.2f} to {max(values):.2f})"
        for moment, values in moments
    )


def square_side(split: Split) -> int:
    """Side of the images in pixels.

    Raises:
        ValueError: The images are not square.
    """
    if not isinstance(split.image_size, int):
        raise ValueError(
            f"`image_size` must be given, since the images of {split.name} are {split.image_size}, not square"
        )
    return split.image_size
