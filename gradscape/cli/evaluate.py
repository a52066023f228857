"""gradscape evaluate."""

from pathlib import Path
from typing import Annotated

import typer

from gradscape._refuge import save_or_keep
from gradscape.cli import look_options, options
from gradscape.cli.console import image_bar, say, say_table, say_written, tuned_process
from gradscape.cli.numbers import MOST_BATCH
from gradscape.cli.time_table import with_profile

__all__ = ["evaluate"]


@with_profile
@look_options.with_look(*look_options.MAP)
def evaluate(
    checkpoints: options.Checkpoints,
    *,
    data: options.Data,
    output: options.Output = Path("evaluation"),
    split: options.SplitName = "test",
    limit: options.Limit = None,
    store: Annotated[
        bool,
        typer.Option("--store", help="Write the scores into the checkpoints too, from where figures take them."),
    ] = False,
    batch_size: Annotated[
        int,
        typer.Option(
            min=1, max=MOST_BATCH, help="Images in a forward pass; counts for networks with evaluation=batch alone."
        ),
    ] = 64,
    data_root: options.DataRoot = None,
    download: options.Download = False,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    quiet: options.Quiet = False,
) -> None:
    """Score networks on a split, with intervals: loss, top-1, top-5, calibration error, and what they confuse."""
    device = tuned_process(device)
    from gradscape.data import load_split
    from gradscape.studies import evaluation_files as files
    from gradscape.studies.evaluation import evaluate_networks
    from gradscape.studies.networks import common_image_size, load_models
    from gradscape.studies.stored_scores import check_storable, store_scores

    models = load_models(checkpoints, device)
    images = load_split(
        data,
        split,
        root=data_root,
        image_size=common_image_size(models),
        batch_size=batch_size,
        limit=limit,
        seed=seed,
        download=download,
    )
    if store:
        check_storable(models, images)
    with image_bar(quiet=quiet) as report:
        found = evaluate_networks(models, images, seed=seed, report=report)
    written = save_or_keep(lambda folder: files.save_evaluation(found, folder), output)
    stored = store_scores(models, found) if store else []
    if not quiet:
        say_table(files.SCORE_HEADINGS, files.tabulate_scores(found))
        if found.differences:
            say_table(files.ANSWER_DIFFERENCE_HEADINGS, files.tabulate_answer_differences(found))
        say("\n".join(found.remarks))
        say_written(written)
        for path in stored:
            say(f"stored in {path}")
