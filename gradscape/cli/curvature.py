"""gradscape curvature."""

from typing import TYPE_CHECKING, Annotated, cast

import typer

from gradscape.cli import look_options, options
from gradscape.cli.console import (
    job_bar,
    say,
    say_table,
    say_written,
    step_bar,
    tuned_process,
)
from gradscape.cli.grids import parse_grid
from gradscape.cli.numbers import MOST_BATCH
from gradscape.cli.start import moment_after_start
from gradscape.cli.time_table import with_profile

if TYPE_CHECKING:
    from gradscape.landscape.directions import Ignore

__all__ = ["curvature"]

_MOST_VALUES = 1000


@with_profile
@look_options.with_look(*look_options.PAGE)
def curvature(
    checkpoints: options.Checkpoints,
    *,
    data: options.Data,
    output: options.Output,
    split: options.SplitName = "train",
    limit: options.Limit = None,
    top: Annotated[int, typer.Option(min=1, max=_MOST_VALUES, help="How many of the largest eigenvalues.")] = 5,
    bottom: Annotated[
        int, typer.Option(min=0, max=_MOST_VALUES, help="How many of the smallest; they take the longest.")
    ] = 1,
    trace: Annotated[
        bool, typer.Option("--trace", help="The trace too, exactly and by layer where that can be.")
    ] = False,
    density: Annotated[
        bool, typer.Option("--density", help="The density of all eigenvalues too, by 120 products.")
    ] = False,
    grid: Annotated[
        str | None,
        typer.Option(
            "--map",
            metavar="a0:a1:A,b0:b1:B",
            help="Instead both ends of the spectrum, and their ratio, at every point of a plane of random directions.",
        ),
    ] = None,
    parameters: options.Parameters = "*",
    ignore: Annotated[
        str, typer.Option(help="none: all of these; biasbn: only tensors with more than one dimension.")
    ] = "none",
    loss: options.Loss = "cross_entropy",
    seconds: options.Time = None,
    batch_size: Annotated[int, typer.Option(min=1, max=MOST_BATCH, help="Images in a forward pass.")] = 64,
    data_root: options.DataRoot = None,
    download: options.Download = False,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    quiet: options.Quiet = False,
) -> None:
    """Measure the Hessians of networks: largest and smallest eigenvalues, read on other images too, trace, density."""
    axes = None if grid is None else parse_grid(grid)
    if ignore not in ("none", "biasbn"):
        raise ValueError(f"`--ignore` must be none or biasbn, got {ignore!r}")
    if axes is not None and (trace or density):
        raise ValueError("`--map` must go without `--trace` and `--density`: run the command once for each")
    until = moment_after_start(seconds)
    device = tuned_process(device)
    from gradscape.data import load_split
    from gradscape.landscape import find_loss
    from gradscape.landscape.hessian.spectrum import Search
    from gradscape.studies import curvature as study
    from gradscape.studies.curvature_map import describe_maps, draw_maps, map_curvatures
    from gradscape.studies.networks import common_image_size, load_models

    models = load_models(checkpoints, device)
    images = load_split(
        data,
        split,
        root=data_root,
        image_size=common_image_size(models),
        limit=limit,
        seed=seed,
        download=download,
    )
    if axes is not None:
        about = {"parameters": parameters, "ignore": ignore, "loss": find_loss(loss), "batch_size": batch_size}
        with job_bar("points", quiet=quiet) as report_points:
            maps = map_curvatures(
                models, images, output, axes, seed=seed, report=report_points, seconds=seconds, **about
            )
        drawn = draw_maps(maps, output)
        if not quiet:
            say("\n".join(describe_maps(maps)))
            say_written(drawn)
        return
    wanted = study.Wanted(
        search=Search(top=top, bottom=bottom, seed=seed),
        trace=trace,
        density=density,
        parameters=parameters,
        ignore=cast("Ignore", ignore),
        loss=find_loss(loss),
        batch_size=batch_size,
    )
    with step_bar(quiet=quiet) as report:
        found = study.measure_curvatures(models, images, output, wanted, until=until, report=report)
    written = study.draw_curvatures(found, output)
    if not quiet:
        say_table(study.HEADINGS, study.tabulate_curvatures(found))
        say("\n".join([*study.remarks_on(found), *study.describe_unfinished(found, wanted)]))
        say_written(written)
