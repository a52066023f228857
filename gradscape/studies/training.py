"""Train networks by name on data by name, all alike: checkpoints, metrics and curves."""

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gradscape._digest import digest_tensors
from gradscape._intervals import accuracy_over_images, mean_of, spread_of
from gradscape._left_as_before import process_left_as_before
from gradscape._names import tell_apart
from gradscape._recipe_record import RECIPE, USUAL_LOSSES, describe_trained_loss
from gradscape.models import create_model, load_backbone, save_checkpoint, targets_of
from gradscape.studies.image_records import record_test
from gradscape.studies.networks import file_name
from gradscape.studies.papers.wording import path_end
from gradscape.studies.recipe_choice import describe_choice
from gradscape.studies.tested_images import describe_test
from gradscape.studies.training_data import TrainingSplit, square_side
from gradscape.studies.training_identity import BACKBONE
from gradscape.training import Recipe, TrainingRun, train_model, train_seeds
from gradscape.training.score_columns import describe_column

__all__ = ["describe_runs", "describe_training", "train_alike", "train_networks"]


@process_left_as_before
def train_alike(
    names: Sequence[str],
    train: TrainingSplit,
    test: TrainingSplit,
    *,
    recipe: Recipe,
    recipe_name: str,
    output: str | os.PathLike[str],
    seeds: int | None = None,
    backbone: str | os.PathLike[str] | None = None,
    report: Callable[[str], object] | None = None,
    **options: Any,
) -> dict[str, list[TrainingRun]]:
    """Create and train networks one after the other, by one recipe and from the same seeds.

    Args:
        names: The models' names, options included, each once.
        train: Training images.
        test: Test images.
        recipe: How to train all of them.
        recipe_name: The recipe's name, for the checkpoints.
        output: Folder to write; of several networks each gets a folder of its name in it.
        seeds: How many runs of each; None: as many as the recipe says.
        backbone: As for `train_networks`, of all of them.
        report: Called with lines that say how the training is done, and which network's begins.
        **options: Those of `train_networks`.

    Returns:
        What the folder of a network is called -> its runs.

    Raises:
        ValueError: A name comes twice, or makes no network for these images: nothing is trained then.
        RuntimeError: A loss is no longer finite; what was trained before is kept.
    """
    settings: dict[str, Any] = {"recipe": recipe, "recipe_name": recipe_name, "seeds": seeds, **options}
    settings["backbone"] = backbone
    if len(names) == 1:
        return {file_name(names[0]): train_networks(names[0], train, test, output=output, report=report, **settings)}
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                f"`models` must be different networks, got {name} twice; `--seeds` trains one several times"
            )
        _create(name, train, seed=0, backbone=backbone)
    _announce(report, names, train, test, recipe=recipe, recipe_name=recipe_name, seeds=seeds)
    trained = {}
    titles = tell_apart([[file_name(name) for name in names]])
    for number, (title, name) in enumerate(zip(titles, names, strict=True), 1):
        if report is not None:
            report(f"network {number} of {len(names)}: {name}")
        try:
            trained[title] = train_networks(name, train, test, output=Path(output) / title, **settings)
        except RuntimeError as problem:
            raise RuntimeError(f"{name}: {problem}") from problem
    return trained


@process_left_as_before
def train_networks(
    name: str,
    train: TrainingSplit,
    test: TrainingSplit,
    *,
    recipe: Recipe,
    recipe_name: str,
    output: str | os.PathLike[str],
    backbone: str | os.PathLike[str] | None = None,
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
        backbone: Checkpoint of a classifier, whose weights a detector or segmenter gets before it is trained.
        seed: Of the weights and of everything random in training; the first where there are several.
        seeds: How many runs; None: as many as the recipe says.
        report: Called before the training with lines that say how it is done, and with which images.
        **options: Those of `train_model`.
    """
    mean, std = (recipe.mean, recipe.std) if recipe.mean and recipe.std else train.channel_statistics()
    seeds = recipe.seeds if seeds is None else seeds
    shape = _shape(train)
    network = _create(name, train, seed=seed, backbone=backbone).to(memory_format=torch.channels_last)
    begun = None if backbone is None else _digest_of_backbone(network)
    begun_with: dict[str, Any] = {BACKBONE: {"checkpoint": os.fspath(backbone), "weights": begun}} if backbone else {}

    def make() -> nn.Module:
        return _made(name, train, backbone).to(memory_format=torch.channels_last)

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
            **begun_with,
            # A clock's number would make files differ whose weights are the same.
            scores={column: score for column, score in scores.items() if column != "seconds"},
        )

    settings = {"recipe": recipe, "mean": mean, "std": std, "save": save, "started_from": begun, **options}
    # Not sooner: a name or a size that makes no network is told alone.
    _announce(report, [name], train, test, recipe=recipe, recipe_name=recipe_name, seeds=seeds)
    if seeds != 1:
        return list(train_seeds(make, train.dataset, test, seeds=seeds, seed=seed, output=output, **settings).runs)
    return [train_model(network, train.dataset, test, seed=seed, output=output, **settings)]


def describe_runs(runs: Sequence[TrainingRun], *, images: int | None = None) -> str:
    """Say the score after the last epoch and the best of any; of several runs mean, median and spread.

    Args:
        runs: Of one network.
        images: How many images they were tested on; the last accuracy of a single run then has Wilson's interval. The
            best one has none: it was chosen by these images. Other scores have none either: they are no shares of
            images.
    """
    final, best = ([100 * getattr(run, accuracy) for run in runs] for accuracy in ("final_accuracy", "best_accuracy"))
    score, called = runs[0].score, describe_column(runs[0].score)
    if len(runs) == 1:
        interval = _over_images(final[0], images) if images and score == "test_accuracy" else ""
        return f"{called} {final[0]:.2f} %{interval} after the last epoch, {best[0]:.2f} % after the best"
    moments = (("after the last epoch", final), ("after the best", best))
    return f"{called} of {len(runs)} runs in percent " + "; ".join(
        f"{moment}: {_over_seeds(values)}" for moment, values in moments
    )


def _over_images(percent: float, images: int) -> str:
    found = accuracy_over_images(percent / 100, images)
    return f" (95 % over images: {100 * found.low:.2f} to {100 * found.high:.2f})"


def _over_seeds(percents: Sequence[float]) -> str:
    found = mean_of(percents, bounds=(0.0, 100.0))
    interval = f"95 % over seeds: {found.low:.2f} to {found.high:.2f}"
    return f"mean {found.value:.2f} {spread_of(percents)}, {interval}"


def _announce(
    report: Callable[[str], object] | None,
    names: Sequence[str],
    train: TrainingSplit,
    test: TrainingSplit,
    *,
    recipe: Recipe,
    recipe_name: str,
    seeds: int | None,
) -> None:
    """Say how and with which images networks are trained."""
    if report is None:
        return
    report(_describe_recipe(recipe_name, recipe, recipe.seeds if seeds is None else seeds))
    if choice := describe_choice(recipe_name, names, train.name):
        report(choice)
    report(_describe_data(train, test))


def describe_training(recipe: Recipe, test: TrainingSplit) -> str:
    """Say what curves are of: the images tested on, and the loss where it is not the cross-entropy.

    Args:
        recipe: How it was trained.
        test: Images that it was tested on.
    """
    tested = f"tested on {describe_test(record_test(test))}"
    trained = describe_trained_loss({RECIPE: asdict(recipe)}, drawn=False)
    return f"{trained}; {tested}" if trained else tested


def _create(name: str, train: TrainingSplit, *, seed: int, backbone: str | os.PathLike[str] | None = None) -> nn.Module:
    """The network, with the first weights of a seed; the caller's random state does not move."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        return _made(name, train, backbone)


def _made(name: str, train: TrainingSplit, backbone: str | os.PathLike[str] | None) -> nn.Module:
    network = create_model(name, **_shape(train))
    if backbone is not None:
        if targets_of(name) == "classes":
            raise ValueError(f"`backbone` must be left out for {name}, which is no detector or segmenter")
        load_backbone(network, backbone)
    return network


def _digest_of_backbone(network: nn.Module) -> str:
    backbone: Any = network.backbone
    return digest_tensors(backbone.state_dict().items())


def _shape(train: TrainingSplit) -> dict[str, int]:
    return {"num_classes": len(train.classes), "image_size": square_side(train)}


def _describe_recipe(name: str, recipe: Recipe, seeds: int) -> str:
    epochs = f"{recipe.epochs} epoch{'s' if recipe.epochs > 1 else ''}"
    rate = recipe.learning_rate_at(recipe.warmup_epochs)
    runs = f", {seeds} runs" if seeds > 1 else ""
    loss = f", {recipe.loss} loss" if recipe.loss not in USUAL_LOSSES else ""
    late = bool(recipe.milestones) and recipe.milestones[0] >= recipe.epochs
    schedule = recipe.schedule + (" that all come after the last epoch" if late else "")
    steps = f"{recipe.batch_size} images a step, {recipe.optimizer}, learning rate {rate:g}, {schedule}"
    return f"recipe {name}: {epochs}, {steps}{loss}{runs}"


def _describe_data(train: TrainingSplit, test: TrainingSplit) -> str:
    own = f" ({train.split})" if train.held_out is None else ""
    images = f"{train.num_images:,} images of {path_end(train.name)}{own}"
    return f"trained on {images}, tested on {describe_test(record_test(test))}"
