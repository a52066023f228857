"""gradscape line."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from gradscape.cli import curves, look_options, options
from gradscape.cli.console import (
    progress_bar,
    say,
    say_batch_norm,
    say_precision,
    say_stopped,
    say_written,
    tuned_process,
)
from gradscape.cli.grids import parse_line_grid
from gradscape.cli.numbers import MOST_POINTS, MOST_RESTARTS, positive
from gradscape.cli.start import moment_after_start
from gradscape.cli.time_table import with_profile

if TYPE_CHECKING:
    from gradscape.landscape.batch_norm import BatchNorm
    from gradscape.landscape.engine import Precision

__all__ = ["line"]


@with_profile
@look_options.with_look("zmin", "zmax", *look_options.PAGE)
def line(
    checkpoint: options.Checkpoint,
    other: Annotated[
        Path | None, typer.Argument(metavar="[CKPT2]", help="Go to this network; else along a random direction.")
    ] = None,
    *,
    data: options.Data,
    output: options.Output,
    split: options.SplitName = "train",
    limit: options.Limit = None,
    span: Annotated[
        float | None,
        typer.Option(help="Half-width along a random direction; 1 by default.", callback=positive("--span")),
    ] = None,
    steps: Annotated[
        int, typer.Option(min=2, max=MOST_POINTS, help="Points of the line; the networks themselves always are some.")
    ] = 51,
    grid: Annotated[
        str | None, typer.Option(metavar="a0:a1:A", help="Any points instead, and the networks themselves.")
    ] = None,
    normalize: options.Normalize = None,
    ignore: options.Ignore = None,
    space: Annotated[str | None, typer.Option(help="weights or states; between networks states by default.")] = None,
    parameters: options.Parameters = "*",
    batch_norm: options.BatchNorm = None,
    calibration: options.Calibration = None,
    align: Annotated[
        bool, typer.Option("--align", help="Bring the channels of CKPT2 into the order of the first network's before.")
    ] = False,
    restarts: Annotated[int, typer.Option(min=1, max=MOST_RESTARTS, help="Of --align; the best is taken.")] = 10,
    curve: curves.CurveKind = None,
    curve_epochs: curves.CurveEpochs = 30,
    curve_learning_rate: curves.CurveRate = 0.03,
    plane: curves.PlaneSteps = 21,
    loss: options.OwnLoss = None,
    metric: options.OwnMetric = None,
    precision: options.Precision = "auto",
    batch_size: options.BatchSize = None,
    plan: options.Plan = None,
    tolerance: options.Tolerance = None,
    seconds: options.Time = None,
    ray: options.Ray = None,
    allow_plan_change: options.AllowPlanChange = False,
    data_root: options.DataRoot = None,
    download: options.Download = False,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    quiet: options.Quiet = False,
) -> None:
    """Evaluate loss and error along a random direction, or from one network (alpha 0) to another (1), and draw them."""
    making = {"normalize": normalize, "ignore": ignore, "parameters": None if parameters == "*" else parameters}
    _check_asked(other, {"span": span, **making}, align=align)
    curves.check_curve(curve, between=other is not None, space=space)
    alphas = None if grid is None else parse_line_grid(grid)
    until = moment_after_start(seconds)
    device = tuned_process(device, many=ray is not None)
    from gradscape.data import load_split
    from gradscape.landscape import Options
    from gradscape.studies import ways as study
    from gradscape.studies.alignment import ALIGNED_FILE, align_second
    from gradscape.studies.curves import settled_norm
    from gradscape.studies.line import make_path
    from gradscape.studies.networks import common_image_size, load_models
    from gradscape.studies.recalibration import load_calibration
    from gradscape.studies.tasks import task_of

    models = load_models([checkpoint, *([other] if other else [])], device)
    shown: dict[str, Any] = {
        "root": data_root,
        "image_size": common_image_size(models),
        "seed": seed,
        "download": download,
    }
    task = task_of(models, data, loss=loss, metric=metric)
    if curve and task.kind != "classes":
        raise ValueError("`--curve` is fitted between classifiers: leave it out, or fit_curve takes any batches")
    images = task.load(split, limit=sys.maxsize if limit is None else limit, **shown)
    models = align_second(models, images, output, restarts=restarts, seed=seed) if align else models
    path = make_path(
        models,
        images,
        span=span or 1.0,
        steps=steps,
        seed=seed,
        alphas=alphas,
        space=space,
        metric=task.metric,
        **making,
    )
    settled = settled_norm(models, batch_norm) if curve else batch_norm
    taught = calibration if curve and settled != "recalibrated" else None  # of the curve alone
    evaluation = Options(
        loss=task.loss,
        metric=task.metric,
        forward=task.forward,
        batch_norm=cast("BatchNorm | None", settled),  # which `Options` checks
        calibration=load_calibration(settled, data, calibration=None if taught else calibration, **shown),
        precision=cast("Precision", precision),  # which `Options` checks
        batch_size=batch_size,
        plan=plan,
        tolerance=tolerance,
        ray=ray,
        allow_plan_change=allow_plan_change,
    )
    way = curve and curves.fit_way(
        path,
        models,
        load_split(calibration or data, "train", limit=sys.maxsize, **shown),
        output,
        kind=curve,
        epochs=curve_epochs,
        learning_rate=curve_learning_rate,
        seed=seed,
        options=evaluation,
        until=until,
        quiet=quiet,
    )
    with progress_bar(quiet=quiet) as report:
        ways = study.evaluate_ways(
            path, way or None, images, output, plane=plane, until=until, report=report, options=evaluation
        )
    if not quiet:
        for found in ways.findings:
            say(found)
        say_batch_norm([ways.lines["line"]])
        say_precision([ways.lines["line"]])
        limits = [name for name, value in (("--time", seconds), ("--tolerance", tolerance)) if value is not None]
        say_stopped(ways.lines, limits)
        say_written([*([output / ALIGNED_FILE] if align else []), *ways.written])


def _check_asked(other: Path | None, random: Mapping[str, object], *, align: bool) -> None:
    """Refuse options of a random direction between two networks, and of a second network where there is none."""
    if other and any(option is not None for option in random.values()):
        raise ValueError(
            "`--span`, `--normalize`, `--ignore` and `--parameters` are for random directions, not between two networks"
        )
    if align and other is None:
        raise ValueError("`--align` brings a second network into the order of the first: give a second one")
