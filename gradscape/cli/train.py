"""gradscape train."""

from pathlib import Path
from typing import Annotated

import typer

from gradscape.cli import options
from gradscape.cli.console import say, say_written, tuned_process
from gradscape.cli.numbers import MOST_BATCH, MOST_EPOCHS, MOST_RUNS, MOST_SIDE, MOST_WORKERS, unsigned

__all__ = ["train"]


def train(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...",
            help="Models' names, which `gradscape models` lists; several are trained alike, each into its folder.",
        ),
    ],
    *,
    data: options.Data,
    output: options.Output,
    test: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="Test on another data set; else on the test images of --data, or a fifth held out where it has none.",
        ),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Recipe of a paper for all; else that of the paper which the models share.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, max=MOST_EPOCHS, help="Instead of the recipe's.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Instead of the recipe's.", callback=unsigned("--learning-rate"))
    ] = None,
    batch_size: Annotated[int | None, typer.Option(min=2, max=MOST_BATCH, help="Instead of the recipe's.")] = None,
    loss: Annotated[
        str | None,
        typer.Option(help="cross_entropy, focal, or ohem: the hardest half of each step; else the recipe's."),
    ] = None,
    backbone: Annotated[
        Path | None,
        typer.Option(
            metavar="CKPT", help="A trained classifier, whose weights a detector or segmenter on it begins with."
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1, max=MOST_RUNS, help="Train so many times, with seeds that follow each other; else the recipe's."
        ),
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(min=1, max=MOST_SIDE, help="Side in pixels; the data set's by default.")
    ] = None,
    limit: options.Limit = None,
    early_stopping: Annotated[
        int | None,
        typer.Option(min=1, max=MOST_EPOCHS, help="Epochs without progress before the end; else the recipe's."),
    ] = None,
    precision: Annotated[str, typer.Option(help="Lightning's: 32-true, bf16-mixed, 16-mixed or 64-true.")] = "32-true",
    keep_every: Annotated[
        str | None,
        typer.Option(
            metavar="N[epochs|steps]", help="Keep the weights after every so many epochs or steps, in OUTPUT/kept."
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=0, max=MOST_WORKERS, help="Processes that augment images.")] = 0,
    data_root: options.DataRoot = None,
    download: options.Download = False,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    quiet: options.Quiet = False,
) -> None:
    """Train networks, several by one recipe, that of their paper; a stopped run goes on where it was."""
    tuned_process("cpu")
    from gradscape.studies import training as study
    from gradscape.studies.drawing import draw_trainings
    from gradscape.studies.recipe_choice import choose_recipe
    from gradscape.studies.training_data import load_training_data

    name, chosen = choose_recipe(
        models,
        data,
        recipe=recipe,
        test=test,
        epochs=epochs,
        learning_rate=learning_rate,
        batch_size=batch_size,
        loss=loss,
        early_stopping_patience=early_stopping,
    )
    taught, tested = load_training_data(
        models,
        data,
        recipe=chosen,
        test=test,
        root=data_root,
        image_size=image_size,
        limit=limit,
        seed=seed,
        download=download,
    )
    trained = study.train_alike(
        models,
        taught,
        tested,
        recipe=chosen,
        recipe_name=name,
        output=output,
        backbone=backbone,
        seed=seed,
        seeds=seeds,
        precision=precision,
        keep_every=keep_every,
        workers=workers,
        device=device,
        progress=not quiet,
        report=None if quiet else say,
    )
    metrics = {title: [run.metrics for run in runs] for title, runs in trained.items()}
    written = draw_trainings(metrics, output, about=study.describe_training(chosen, tested))
    if not quiet:
        for title, runs in trained.items():
            say(f"{f'{title}: ' if len(trained) > 1 else ''}{study.describe_runs(runs, images=tested.num_images)}")
        say_written([*(run.checkpoint for runs in trained.values() for run in runs), *written])
