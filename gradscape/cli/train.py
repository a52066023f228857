"""gradscape train."""

from typing import Annotated

import typer

from gradscape.cli import options
from gradscape.cli.console import say, say_written, tuned_process

__all__ = ["train"]


def train(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model's name; `gradscape models` lists them.")],
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
    recipe: Annotated[str | None, typer.Option(help="Recipe of a paper; the model's own by default.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Instead of the recipe's.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=2, help="Instead of the recipe's.")] = None,
    seeds: Annotated[
        int | None,
        typer.Option(min=1, help="Train so many times, with seeds that follow each other; else the recipe's."),
    ] = None,
    image_size: Annotated[int | None, typer.Option(min=1, help="Side in pixels; the data set's by default.")] = None,
    limit: options.Limit = None,
    early_stopping: Annotated[
        int | None, typer.Option(min=1, help="Epochs without progress before the end; else the recipe's.")
    ] = None,
    precision: Annotated[str, typer.Option(help="Lightning's: 32-true, bf16-mixed, 16-mixed or 64-true.")] = "32-true",
    workers: Annotated[int, typer.Option(min=0, help="Processes that augment images.")] = 0,
    data_root: options.DataRoot = None,
    download: options.Download = False,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    quiet: options.Quiet = False,
) -> None:
    """Train a network with its paper's recipe; a stopped run goes on where it was."""
    tuned_process("cpu")
    from gradscape.data import load_train_and_test
    from gradscape.studies.drawing import draw_training
    from gradscape.studies.tested_images import describe_test, record_test
    from gradscape.studies.training import describe_runs, recipe_for, train_networks
    from gradscape.training import create_recipe

    name = recipe or recipe_for(model, data)
    chosen = create_recipe(
        name,
        epochs=epochs,
        learning_rate=learning_rate,
        batch_size=batch_size,
        early_stopping_patience=early_stopping,
    )
    taught, tested = load_train_and_test(
        data, test=test, root=data_root, image_size=image_size, limit=limit, seed=seed, download=download
    )
    runs = train_networks(
        model,
        taught,
        tested,
        recipe=chosen,
        recipe_name=name,
        output=output,
        seed=seed,
        seeds=seeds,
        precision=precision,
        workers=workers,
        device=device,
        progress=not quiet,
        report=None if quiet else say,
    )
    about = f"tested on {describe_test(record_test(tested))}"
    written = draw_training([run.metrics for run in runs], output, about=about)
    if not quiet:
        say(describe_runs(runs, images=tested.num_images))
        say_written([*(run.checkpoint for run in runs), *written])
