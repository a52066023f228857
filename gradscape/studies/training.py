"""Train networks by name on data by name, all alike: checkpoints, metrics and curves."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gradscape._intervals import accuracy_over_images, mean_of, spread_of
from gradscape._left_as_before import process_left_as_before
from gradscape._names import parse_options, tell_apart
from gradscape._recipe_record import RECIPE, describe_trained_loss
from gradscape.data import Split
from gradscape.models import create_model, save_checkpoint
from gradscape.models.registry import ATTENTIONS, MODELS
from gradscape.studies.image_records import record_test
from gradscape.studies.networks import file_name
from gradscape.studies.papers.wording import path_end
from gradscape.studies.tested_images import describe_test
from gradscape.training import Recipe, TrainingRun, train_model, train_seeds
from gradscape.training.families import ABLATION, TABLES, Candidate, agree_on_recipe, other_recipes

__all__ = [
    "describe_choice",
    "describe_runs",
    "describe_training",
    "recipe_for",
    "shared_recipe",
    "square_side",
    "train_alike",
    "train_networks",
]

# What UPANets' tables 2, 3, 7 and 8 vary.
_ABLATED = {"attention", "groups", "pooling", "shuffle", "width"}


@process_left_as_before
def train_alike(
    names: Sequence[str],
    train: Split,
    test: Split,
    *,
    recipe: Recipe,
    recipe_name: str,
    output: str | os.PathLike[str],
    seeds: int | None = None,
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
        report: Called with lines that say how the training is done, and which network's begins.
        **options: Those of `train_networks`.

    Returns:
        What the folder of a network is called -> its runs.

    Raises:
        ValueError: A name comes twice, or makes no network for these images: nothing is trained then.
        RuntimeError: A loss is no longer finite; what was trained before is kept.
    """
    settings: dict[str, Any] = {"recipe": recipe, "recipe_name": recipe_name, "seeds": seeds, **options}
    if len(names) == 1:
        return {file_name(names[0]): train_networks(names[0], train, test, output=output, report=report, **settings)}
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                f"`models` must be different networks, got {name} twice; `--seeds` trains one several times"
            )
        _create(name, train, seed=0)
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
    shape = _shape(train)

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
            # A clock's number would make files differ whose weights are the same.
            scores={column: score for column, score in scores.items() if column != "seconds"},
        )

    settings = {"recipe": recipe, "mean": mean, "std": std, "save": save, **options}
    network = _create(name, train, seed=seed).to(memory_format=torch.channels_last)
    # Not sooner: a name or a size that makes no network is told alone.
    _announce(report, [name], train, test, recipe=recipe, recipe_name=recipe_name, seeds=seeds)
    if seeds != 1:
        return list(train_seeds(make, train.dataset, test, seeds=seeds, seed=seed, output=output, **settings).runs)
    return [train_model(network, train.dataset, test, seed=seed, output=output, **settings)]


def shared_recipe(model_names: Sequence[str], data_name: str) -> str:
    """Name of the one recipe by which networks are trained to be compared, as a paper trains the rows of a table.

    Digits have a recipe of their own. Otherwise it is that of the paper which the networks have in common: by attention
    that a paper proposes, then by a network that it proposes. What belongs to no paper is trained as the others are, so
    that a baseline gets its attention's recipe; by itself it gets that of a table in which it stands without attention.
    `upanet16` among its variants is trained as they are, for 100 epochs; by itself for 200.

    Args:
        model_names: As `create_model` takes them; at least one.
        data_name: As `load_split` takes it.

    Returns:
        A key of `RECIPES`.

    Raises:
        ValueError: They are of several papers, or of one that trains them differently.
    """
    return agree_on_recipe(_candidates(model_names), data=data_name)


def recipe_for(model_name: str, data_name: str) -> str:
    """Name of the recipe for a network that is trained by itself: see `shared_recipe`.

    Args:
        model_name: As `create_model` takes it.
        data_name: As `load_split` takes it.

    Returns:
        A key of `RECIPES`.
    """
    return shared_recipe([model_name], data_name)


def describe_choice(recipe_name: str, model_names: Sequence[str], data_name: str) -> str:
    """Say of which table a recipe is, and which others a paper would have taken; "" for recipes of no table.

    Args:
        recipe_name: The recipe that is taken.
        model_names: The networks.
        data_name: Name of the data set.
    """
    if recipe_name not in TABLES:
        return ""
    said = f"it is the recipe of {TABLES[recipe_name]}"
    others = other_recipes(list(_candidates(model_names).values()), data=data_name, besides=recipe_name)
    if not others:
        return said
    *first, last = others
    listed = f"{', '.join(first)} or {last}" if first else last
    return f"{said}; as a baseline of another paper: `--recipe` {listed}"


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
    found = accuracy_over_images(percent / 100, images)
    return f" (95 % over images: {100 * found.low:.2f} to {100 * found.high:.2f})"


def _over_seeds(percents: Sequence[float]) -> str:
    found = mean_of(percents, bounds=(0.0, 100.0))
    interval = f"95 % over seeds: {found.low:.2f} to {found.high:.2f}"
    return f"mean {found.value:.2f} {spread_of(percents)}, {interval}"


def _announce(
    report: Callable[[str], object] | None,
    names: Sequence[str],
    train: Split,
    test: Split,
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


def describe_training(recipe: Recipe, test: Split) -> str:
    """Say what curves are of: the images tested on, and the loss where it is not the cross-entropy.

    Args:
        recipe: How it was trained.
        test: Images that it was tested on.
    """
    tested = f"tested on {describe_test(record_test(test))}"
    trained = describe_trained_loss({RECIPE: asdict(recipe)}, drawn=False)
    return f"{trained}; {tested}" if trained else tested


def _create(name: str, train: Split, *, seed: int) -> nn.Module:
    """The network, with the first weights of a seed; the caller's random state does not move."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        return create_model(name, **_shape(train))


def _shape(train: Split) -> dict[str, int]:
    return {"num_classes": len(train.classes), "image_size": square_side(train)}


def _candidates(model_names: Sequence[str]) -> Mapping[str, Candidate]:
    return {name: _candidate(name) for name in model_names}


def _candidate(model_name: str) -> Candidate:
    network, *attentions = model_name.split("+")
    network, _, options = network.partition("@")
    entries = [MODELS.get(network), *(ATTENTIONS.get(attention.partition("@")[0]) for attention in attentions)]
    families = [entry.recipe for entry in entries if entry is not None and entry.recipe is not None]
    if "upanets" in families and options and not _ABLATED.isdisjoint(parse_options(options)):
        families.append(ABLATION)
    return Candidate(network, tuple(families))


def _describe_recipe(name: str, recipe: Recipe, seeds: int) -> str:
    epochs = f"{recipe.epochs} epoch{'s' if recipe.epochs > 1 else ''}"
    rate = recipe.learning_rate_at(recipe.warmup_epochs)
    runs = f", {seeds} runs" if seeds > 1 else ""
    loss = f", {recipe.loss} loss" if recipe.loss != "cross_entropy" else ""
    late = bool(recipe.milestones) and recipe.milestones[0] >= recipe.epochs
    schedule = recipe.schedule + (" that all come after the last epoch" if late else "")
    steps = f"{recipe.batch_size} images a step, {recipe.optimizer}, learning rate {rate:g}, {schedule}"
    return f"recipe {name}: {epochs}, {steps}{loss}{runs}"


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
