"""gradscape sharpness."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from gradscape._refuge import save_or_keep
from gradscape.cli import look_options, options
from gradscape.cli.console import job_bar, say, say_stopped, say_table, say_written, tuned_process
from gradscape.cli.numbers import MOST_BATCH, MOST_IMAGES, MOST_RUNS
from gradscape.cli.time_table import with_profile

__all__ = ["sharpness"]


@with_profile
@look_options.with_look(*look_options.PAGE)
def sharpness(
    checkpoints: options.Checkpoints,
    *,
    data: options.Data,
    output: options.Output = Path("sharpness"),
    split: options.SplitName = "train",
    limit: options.Limit = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            help="May be repeated: average, adaptive_average, sam, asam (all four if left out), worst, adaptive_worst."
        ),
    ] = None,
    rho: Annotated[
        list[float] | None,
        typer.Option(
            help="Size of the disturbance, of every kind; may be repeated. Usual ones of each if left out.",
        ),
    ] = None,
    m: Annotated[
        int, typer.Option("--m", min=1, max=MOST_IMAGES, help="Images for which a worst case is sought at once.")
    ] = 64,
    norm: Annotated[str, typer.Option(help="In which rho is the size of worst cases: l2 or linf.")] = "l2",
    steps: Annotated[
        int, typer.Option(min=1, max=MOST_RUNS, help="Of the ascent to the kinds worst and adaptive_worst.")
    ] = 20,
    draws: Annotated[
        int, typer.Option(min=2, max=MOST_RUNS, help="Random disturbances of the average kinds, each with its mirror.")
    ] = 10,
    parameters: Annotated[
        str, typer.Option(help="Names that are disturbed, as patterns: 'layer4*', all but the head '!head*'.")
    ] = "*",
    loss: options.Loss = "cross_entropy",
    batch_size: Annotated[
        int, typer.Option(min=1, max=MOST_BATCH, help="Images in a forward pass; the same result up to rounding.")
    ] = 128,
    seconds: options.Time = None,
    data_root: options.DataRoot = None,
    download: options.Download = False,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    quiet: options.Quiet = False,
) -> None:
    """Measure how far the loss rises where weights are disturbed: average and worst case, as they are and adaptive."""
    device = tuned_process(device)
    from gradscape.data import load_split
    from gradscape.landscape import find_loss
    from gradscape.studies import comparison as tables
    from gradscape.studies import sharpness as study
    from gradscape.studies.networks import common_image_size, load_models
    from gradscape.studies.sharpness_comparison import compare_sharpness
    from gradscape.studies.sharpness_files import save_sharpness

    models = load_models(checkpoints, device)
    images = load_split(
        data,
        split,
        root=data_root,
        image_size=common_image_size(models),
        limit=sys.maxsize if limit is None else limit,
        seed=seed,
        download=download,
    )
    asked: dict[str, Any] = {
        "rhos": rho,
        "m": m,
        "norm": norm,
        "steps": steps,
        "draws": draws,
        "parameters": parameters,
        "seed": seed,
    }
    asked |= {"kinds": kind} if kind else {}
    with job_bar("images", quiet=quiet) as report:
        found = study.measure_networks(
            models,
            images,
            output,
            report=report,
            seconds=seconds,
            loss=find_loss(loss),
            batch_size=batch_size,
            **asked,
        )
    comparison = compare_sharpness(found)
    written = save_or_keep(lambda folder: save_sharpness(comparison, folder), output)
    if not quiet:
        say_table(tables.HEADINGS, tables.tabulate_means(comparison))
        if comparison.differences:
            say_table(tables.DIFFERENCE_HEADINGS, tables.tabulate_differences(comparison))
        say("\n".join([*comparison.shared_notes, *comparison.remarks]))
        say_stopped(found, ["--time"])
        say_written([*(study.sharpness_path(name, output, several=len(found) > 1) for name in found), *written])
