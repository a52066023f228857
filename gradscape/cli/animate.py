"""gradscape animate."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from gradscape.cli import look_options, options
from gradscape.cli.console import (
    progress_bar,
    say,
    say_precision,
    say_stopped,
    say_written,
    tuned_process,
    waiting,
)
from gradscape.cli.grids import parse_grid
from gradscape.cli.numbers import MOST_STEPS
from gradscape.cli.start import moment_after_start
from gradscape.cli.time_table import with_profile

if TYPE_CHECKING:
    from gradscape.landscape.batch_norm import BatchNorm
    from gradscape.landscape.engine import Precision

__all__ = ["animate"]


@with_profile
@look_options.with_look("zmin", "zmax", "levels", "cmap", "font", "style")
def animate(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="A training with --keep-every, or a folder of its checkpoints.")
    ],
    *,
    data: options.Data,
    output: options.Output,
    split: options.SplitName = "train",
    limit: options.Limit = None,
    steps: Annotated[
        int, typer.Option(min=2, max=MOST_STEPS, help="Points on the longer side of the grid, around all networks.")
    ] = 25,
    grid: Annotated[
        str | None,
        typer.Option(metavar="a0:a1:A,b0:b1:B", help="Any grid instead; the last network is at 0, 0."),
    ] = None,
    batch_norm: options.BatchNorm = None,
    calibration: options.Calibration = None,
    loss: options.Loss = "cross_entropy",
    metric: options.Metric = "top1",
    precision: options.Precision = "auto",
    batch_size: options.BatchSize = None,
    tolerance: options.Tolerance = None,
    seconds: options.Time = None,
    allow_plan_change: options.AllowPlanChange = False,
    data_root: options.DataRoot = None,
    download: options.Download = False,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    quiet: options.Quiet = False,
) -> None:
    """Show the landscape around every network that a training kept, in one plane and on one scale, as a movie."""
    axes = None if grid is None else parse_grid(grid)
    until = moment_after_start(seconds)
    device = tuned_process(device)
    from gradscape.data import load_split
    from gradscape.landscape import Options, find_loss, find_metric
    from gradscape.studies import animation as study
    from gradscape.studies.recalibration import load_calibration

    with waiting("reading the networks", quiet=quiet):
        training = study.open_training(run, device=device)
    shown: dict[str, Any] = {
        "root": data_root,
        "image_size": training.last.image_size,
        "seed": seed,
        "download": download,
    }
    images = load_split(data, split, limit=sys.maxsize if limit is None else limit, **shown)
    evaluation = Options(
        loss=find_loss(loss),
        metric=find_metric(metric),
        batch_norm=cast("BatchNorm | None", batch_norm),  # which `Options` checks
        calibration=load_calibration(batch_norm, data, calibration=calibration, **shown),
        precision=cast("Precision", precision),  # which `Options` checks
        batch_size=batch_size,
        tolerance=tolerance,
        allow_plan_change=allow_plan_change,
    )
    axes = axes or training.axes(steps)
    with progress_bar(quiet=quiet) as report:
        surfaces = study.evaluate_frames(training, images, axes, output, until=until, report=report, options=evaluation)
    written = study.draw_frames(training, surfaces, axes, output)
    if not quiet:
        say_precision(surfaces)
        limits = [name for name, value in (("--time", seconds), ("--tolerance", tolerance)) if value is not None]
        say_stopped(dict(zip(training.path.labels, surfaces, strict=True)), limits)
        if missing := study.missing_formats():
            say(missing)
        say_written(written)
