"""gradscape line."""

import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from gradscape.cli import curves, look_options, options
from gradscape.cli.console import (
    epoch_bar,
    moment_after_start,
    progress_bar,
    say,
    say_precision,
    say_stopped,
    say_written,
    tuned_process,
)
from gradscape.cli.grids import parse_line_grid
from gradscape.cli.numbers import MOST_POINTS, MOST_RESTARTS, positive

if TYPE_CHECKING:
    from gradscape.landscape.batch_norm import BatchNorm
    from gradscape.landscape.engine import Precision

__all__ = ["line"]


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
    normalize: Annotated[
        str | None, typer.Option(help="Of a random direction: filter, layer, weight, dfilter, dlayer or none.")
    ] = None,
    ignore: Annotated[str | None, typer.Option(help="Of a random direction: biasbn or none.")] = None,
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
    loss: options.Loss = "cross_entropy",
    metric: options.Metric = "top1",
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
    if other and (parameters != "*" or any(option is not None for option in (span, normalize, ignore))):
        raise ValueError(
            "`--span`, `--normalize`, `--ignore` and `--parameters` are for random directions, not between two networks"
        )
    if align and other is None:
        raise ValueError("`--align` brings a second network into the order of the first: give a second one")
    curves.check_curve(curve, between=other is not None, space=space)
    alphas = None if grid is None else parse_line_grid(grid)
    until = moment_after_start(seconds)
    device = tuned_process(device, many=ray is not None)
    from gradscape.data import load_split
    from gradscape.figures.surfaces.barrier_wording import describe_alignment, describe_barriers
    from gradscape.figures.surfaces.line_wording import describe_findings
    from gradscape.landscape import Options, find_loss, find_metric
    from gradscape.studies import line as study
    from gradscape.studies.alignment import align_second
    from gradscape.studies.curves import fit_beside, settled_norm
    from gradscape.studies.drawing import draw_line
    from gradscape.studies.networks import common_image_size, load_models
    from gradscape.studies.recalibration import load_calibration

    models = load_models([checkpoint, *([other] if other else [])], device)
    size = common_image_size(models)
    load = functools.partial(load_split, root=data_root, image_size=size, seed=seed, download=download)
    images = load(data, split, limit=sys.maxsize if limit is None else limit)
    if align:
        models = align_second(models, images, output / "aligned.safetensors", restarts=restarts, seed=seed)
    making = {"normalize": normalize or "filter", "ignore": ignore or "biasbn"} if other is None else {}
    making |= {} if parameters == "*" else {"parameters": parameters}
    counted = find_metric(metric)
    path = study.make_path(
        models, images, span=span or 1.0, steps=steps, seed=seed, alphas=alphas, space=space, metric=counted, **making
    )
    if curve:
        batch_norm = settled_norm(models, batch_norm)
    evaluation = Options(
        loss=find_loss(loss),
        metric=counted,
        batch_norm=cast("BatchNorm | None", batch_norm),  # which `Options` checks
        calibration=load_calibration(
            batch_norm,
            data,
            calibration=calibration if curve is None or batch_norm == "recalibrated" else None,
            root=data_root,
            image_size=size,
            seed=seed,
            download=download,
        ),
        precision=cast("Precision", precision),  # which `Options` checks
        batch_size=batch_size,
        plan=plan,
        tolerance=tolerance,
        ray=ray,
        allow_plan_change=allow_plan_change,
    )
    if curve:
        with epoch_bar("fitting the curve", curve_epochs, quiet=quiet) as told:
            way = fit_beside(
                path,
                models,
                load(calibration or data, "train", limit=sys.maxsize),
                output / "curve.safetensors",
                kind=curve,
                epochs=curve_epochs,
                learning_rate=curve_learning_rate,
                seed=seed,
                options=evaluation,
                report=told,
            )
    with progress_bar(quiet=quiet) as report:
        result = path.evaluate(images, output / "line.h5", until=until, report=report, options=evaluation)
    written = [*([output / "aligned.safetensors"] if align else []), *draw_line(result, output)]
    if not quiet:
        for found in filter(
            None, [*describe_findings(result), describe_barriers(result), describe_alignment(result.meta)]
        ):
            say(found)
    results = {"line": result}
    if curve:
        results["curve"], drawn = curves.add_curve(
            way, result, images, output, plane=plane, until=until, options=evaluation, quiet=quiet
        )
        written += [output / "curve.safetensors", *drawn]
    if not quiet:
        say_precision([result])
        limits = [name for name, value in (("--time", seconds), ("--tolerance", tolerance)) if value is not None]
        say_stopped(results, limits)
        say_written(written)
