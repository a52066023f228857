"""gradscape landscape."""

import functools
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from gradscape.cli import look_options, options
from gradscape.cli.console import (
    progress_bar,
    say,
    say_batch_norm,
    say_precision,
    say_stopped,
    say_written,
    tuned_process,
    waiting,
)
from gradscape.cli.grids import parse_grid, parse_span
from gradscape.cli.numbers import MOST_RUNS, MOST_STEPS
from gradscape.cli.start import moment_after_start, seconds_since_start
from gradscape.cli.time_table import with_profile

if TYPE_CHECKING:
    from gradscape.landscape.batch_norm import BatchNorm
    from gradscape.landscape.engine import Precision
    from gradscape.landscape.options import Estimator

__all__ = ["landscape"]

_COUNTED = {"pca": ("space",), "plane": ("space",), "hessian": ("parameters",)}
"""What of the options that shape random directions counts for other kinds of them."""


@with_profile
@look_options.with_look(*look_options.SURFACE)
def landscape(
    checkpoints: options.Checkpoints,
    *,
    data: options.Data,
    output: options.Output,
    split: options.SplitName = "train",
    limit: options.Limit = None,
    span: Annotated[
        str, typer.Option(help="auto, or the half-width of the grid; auto frames the networks shown, if any.")
    ] = "auto",
    steps: Annotated[int, typer.Option(min=2, max=MOST_STEPS, help="Points on a side of the grid.")] = 51,
    grid: Annotated[
        str | None, typer.Option(metavar="a0:a1:A,b0:b1:B", help="Any grid instead of span and steps.")
    ] = None,
    directions: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|pca:RUN|plane:B,C|hessian",
            help="Instead of random directions: a file, a training's principal components, through two more "
            "networks, or eigenvectors.",
        ),
    ] = None,
    trajectory: Annotated[
        list[Path] | None,
        typer.Option(metavar="RUN", help="Show the networks of a training, kept or in a folder; several times."),
    ] = None,
    normalize: options.Normalize = None,
    ignore: options.Ignore = None,
    space: options.Space = None,
    parameters: options.Parameters = "*",
    batch_norm: options.BatchNorm = None,
    calibration: options.Calibration = None,
    loss: options.OwnLoss = None,
    metric: options.OwnMetric = None,
    precision: options.Precision = "auto",
    batch_size: options.BatchSize = None,
    plan: options.Plan = None,
    estimator: options.Estimator = "auto",
    tolerance: options.Tolerance = None,
    seconds: options.Time = None,
    live: Annotated[bool, typer.Option("--live", help="Show the surface so far in live.html, which reloads.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Draw loss and error in every kind, not only what people use most.")
    ] = False,
    repeats: Annotated[
        int, typer.Option(min=1, max=MOST_RUNS, help="Random direction pairs; their seeds follow each other.")
    ] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would be done and how long it takes.")] = False,
    ray: options.Ray = None,
    allow_plan_change: options.AllowPlanChange = False,
    data_root: options.DataRoot = None,
    download: options.Download = False,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    quiet: options.Quiet = False,
) -> None:
    """Evaluate the loss and error around trained networks, on one scale, and draw them."""
    making = {"normalize": normalize, "ignore": ignore, "space": space}
    making |= {"parameters": None if parameters == "*" else parameters}
    if directions is not None:
        _check_shaping(directions, making)
    axes = None if grid is None else parse_grid(grid)
    width = None if span == "auto" else parse_span(span)
    until = moment_after_start(seconds)
    device = tuned_process(device, many=ray is not None)
    from gradscape.landscape import SPAN_IMAGES, Options
    from gradscape.studies import planes as study
    from gradscape.studies.networks import common_image_size, load_models
    from gradscape.studies.recalibration import load_calibration
    from gradscape.studies.spanned_planes import span_planes
    from gradscape.studies.subjects import draw_subjects, recommend
    from gradscape.studies.tasks import task_of

    models = load_models(checkpoints, device)
    shown: dict[str, Any] = {
        "root": data_root,
        "image_size": common_image_size(models),
        "seed": seed,
        "download": download,
    }
    task = task_of(models, data, loss=loss, metric=metric)
    load = functools.partial(task.load, split, **shown)
    # Without a limit all images, but in balanced order: folders come class by class.
    images = load(limit=sys.maxsize if limit is None else limit)
    advice = study.advice_before(
        images.num_images, repeats=repeats, population=images.population, batch_size=batch_size
    )
    if advice and not quiet:
        say(advice)
    if (trained := study.advice_on_loss(models, task.loss_name)) and not quiet:
        say(trained)
    evaluation = Options(
        loss=task.loss,
        metric=task.metric,
        forward=task.forward,
        batch_norm=cast("BatchNorm | None", batch_norm),  # which `Options` checks
        calibration=load_calibration(batch_norm, data, calibration=calibration, **shown),
        precision=cast("Precision", precision),  # which `Options` checks
        batch_size=batch_size,
        plan=plan,
        estimator=cast("Estimator", estimator),  # which `Options` checks
        tolerance=tolerance,
        ray=ray,
        allow_plan_change=allow_plan_change,
    )
    with waiting("spanning the plane", quiet=quiet or directions is None):
        planes = (
            span_planes(directions, models, images, space=space, parameters=parameters, options=evaluation)
            if directions
            else None
        )
    subjects = study.make_subjects(
        models,
        images,
        output,
        seeds=range(seed, seed + repeats),
        planes=planes,
        runs=trajectory or (),
        metric=task.metric,
        **{name: value for name, value in making.items() if value is not None},
    )
    axes = axes or (study.framed_axes(subjects, steps) if width is None else None)
    memory = output / "span.json"
    if dry_run:
        from gradscape.studies.estimates import Searched, estimate

        searched = None if axes or width else Searched(load(limit=SPAN_IMAGES), memory)
        grid_of_run = axes or study.span_axes(width or 1.0, steps)
        spent = seconds_since_start()
        with waiting("planning, and trying what takes time", quiet=quiet):
            told = estimate(
                subjects,
                images,
                grid_of_run,
                searched=searched,
                draw=functools.partial(draw_subjects, everything=everything),
                started=spent,
                options=replace(evaluation, seconds=seconds),
            )
        say(str(told))
        return
    with waiting("searching the span", quiet=quiet or width is not None):
        axes, search = study.settle_axes(subjects, load, memory, span=width, steps=steps, grid=axes, options=evaluation)
    if search and not quiet:
        say(study.describe_search(search, subjects))
    with progress_bar(quiet=quiet) as report:
        surfaces = study.evaluate_subjects(
            subjects, images, axes, search=search, until=until, live=live, report=report, options=evaluation
        )
    written = draw_subjects(subjects, surfaces, output, everything=everything)
    if not quiet:
        say(study.describe_directions(subjects))
        say_batch_norm(surfaces)
        say_precision(surfaces)
        limits = [name for name, value in (("--time", seconds), ("--tolerance", tolerance)) if value is not None]
        say_stopped({one.title: surface for one, surface in zip(subjects, surfaces, strict=True)}, limits)
        say_written(written)
        say(recommend(written, output))


def _check_shaping(directions: str, shaping: Mapping[str, str | None]) -> None:
    """Refuse options that shape random directions, where others are taken that they mean nothing for.

    Raises:
        ValueError: Such an option was given.
    """
    kind = directions.partition(":")[0] if directions == "hessian" or not Path(directions).exists() else ""
    for name, value in shaping.items():
        if value is not None and name not in _COUNTED.get(kind, ()):
            raise ValueError(f"`--{name}` shapes random directions and means nothing for `--directions {directions}`")
