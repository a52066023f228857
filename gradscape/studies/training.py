"""Train a network by name on data by name: checkpoints, metrics and curves."""

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gradscape._intervals import mean_of, proportion, spread_of
from gradscape.data import Split
from gradscape.models import create_model, save_checkpoint
from gradscape.models.registry import ATTENTIONS, MODELS
from gradscape.studies.papers.wording import path_end
from gradscape.studies.tested_images import describe_test, record_test
from gradscape.training import Recipe, TrainingRun, train_model, train_seeds
from gradscape.training.recipes import find_recipe

__all__ = ["describe_runs", "recipe_for", "square_side", "train_networks"]


def train_networks(
    name: str,
    train: Split,
    test: Split,
    *,
    recipe: Recipe,
    recipe_name: str,
    output: str | os.PathLike[str],
    seed: int = 0,
    seeds: int | None = None,
    report: Callable[[str], object] | None = None,
    **options: Any,
) -> list[TrainingRun]:
    """Create and train a network, or the same from several seeds; the checkpoints tell everything that made them.

    Args:
        name: The model's name, options included.
        train: Training images.
        test: Test images, of the same size and none of the same; `load_train_and_test` gives both.
        recipe: How to train; normalizes with the training images' own statistics if it has no others.
        recipe_name: The recipe's name, for the checkpoint.
        output: Folder to write; from several seeds, folders `seed0`, `seed1`, … and summary.csv in it.
        seed: Of the weights and of everything random in training; the first where there are several.
        seeds: How many runs; None: as many as the recipe says.
        report: Called before the training with lines that say how it is done, and with which images.
        **options: Those of `train_model`.
    """
    mean, std = (recipe.mean, recipe.std) if recipe.mean and recipe.std else train.channel_statistics()
    seeds = recipe.seeds if seeds is None else seeds
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
            test=record_test(test),
            scores=scores,
        )

    settings = {"recipe": recipe, "mean": mean, "std": std, "save": save, **options}
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        network = make()
    # Not sooner: a name or a size that makes no network is told alone.
    if report is not None:
        report(_describe_recipe(recipe_name, recipe, seeds))
        report(_describe_data(train, test))
    if seeds != 1:
        return list(train_seeds(make, train.dataset, test, seeds=seeds, seed=seed, output=output, **settings).runs)
    return [train_model(network, train.dataset, test, seed=seed, output=output, **settings)]


def recipe_for(model_name: str, data_name: str) -> str:
    """Name of the recipe that a model's paper has for a data set.

    Digits have a recipe of their own. Otherwise attention that a paper proposes decides, then the backbone. What
    belongs to no paper gets UPANets'.

    Args:
        model_name: As `create_model` takes it.
        data_name: As `load_split` takes it.

    Returns:
        A key of `RECIPES`.
    """
    network, *attentions = (part.partition("@")[0] for part in model_name.split("+"))
    entries = [MODELS.get(network), *(ATTENTIONS.get(attention) for attention in attentions)]
    families = [entry.recipe for entry in entries if entry is not None and entry.recipe is not None]
    return find_recipe(families, network=network, data=data_name)


def describe_runs(runs: Sequence[TrainingRun], *, images: int | None = None) -> str:
    """Say the accuracy after the last epoch and the best of any; of several runs mean, median and spread.

    Args:
        runs: Of one network.
        images: How many images they were tested on; the last accuracy of a single run then has Wilson's interval. The
            best one has none: it was chosen by these images.
    """
    final, best = ([100 * getattr(run, accuracy) for run in runs] for accuracy in ("final_accuracy", "best_accuracy"))
    if len(runs) == 1:
        interval = _over_images(final[0], images) if images else ""
        return f"test accuracy {final[0]:.2f} %{interval} after the last epoch, {best[0]:.2f} % after the best"
    moments = (("after the last epoch", final), ("after the best", best))
    return f"test accuracy of {len(runs)} runs in percent " + "; ".join(
        f"{moment}: {_over_seeds(values)}" for moment, values in moments
    )


def _over_images(percent: float, images: int) -> str:
    found = proportion(round(percent / 100 * images), images)
    return f" (95 % over images: {100 * found.low:.2f} to {100 * found.high:.2f})"


def _over_seeds(percents: Sequence[float]) -> str:
    found = mean_of(percents)
    interval = f"95 % over seeds: {found.low:.2f} to {found.high:.2f}"
    return f"mean {found.value:.2f} {spread_of(percents)}, {interval}"


def _describe_recipe(name: str, recipe: Recipe, seeds: int) -> str:
    epochs = f"{recipe.epochs} epoch{'s' if recipe.epochs > 1 else ''}"
    rate = recipe.learning_rate_at(recipe.warmup_epochs)
    runs = f", {seeds} runs" if seeds > 1 else ""
    steps = f"{recipe.batch_size} images a step, {recipe.optimizer}, learning rate {rate:g}, {recipe.schedule}"
    return f"recipe {name}: {epochs}, {steps}{runs}"


def _describe_data(train: Split, test: Split) -> str:
    own = f" ({train.split})" if train.held_out is None else ""
    images = f"{train.num_images:,} images of {path_end(train.name)}{own}"
    return f"trained on {images}, tested on {describe_test(record_test(test))}"


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
