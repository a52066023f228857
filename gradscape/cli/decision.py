"""gradscape decision."""

from typing import Annotated, Literal

import typer

from gradscape._refuge import save_or_keep
from gradscape.cli import image_paths, look_options, options
from gradscape.cli.console import image_bar, say, say_table, say_written, tuned_process
from gradscape.cli.numbers import MOST_STEPS, positive, unsigned
from gradscape.cli.time_table import with_profile

__all__ = ["decision"]


@with_profile
@look_options.with_look(*look_options.PAGE)
def decision(
    paths: image_paths.Paths,
    *,
    images: image_paths.Images,
    output: options.Output,
    steps: Annotated[
        int | None, typer.Option(min=2, max=MOST_STEPS, help="Points along the longer side; 81, or 41 of one image.")
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(
            help="How far the map goes beyond three images, as a share of their extent; 0.25.",
            callback=unsigned("--margin"),
        ),
    ] = None,
    norm: Annotated[
        Literal["sign", "l2"] | None,
        typer.Option(help="Of one image: along the gradient's signs (the default), or along it by its length."),
    ] = None,
    radius: Annotated[
        float | None,
        typer.Option(
            help="Of one image: half-width of the map, as change of each pixel (sign; 32/255) or distance (l2).",
            callback=positive("--radius"),
        ),
    ] = None,
    class_index: Annotated[
        str | None,
        typer.Option("--class", help="Of one image: class whose loss it is; by default what each network predicts."),
    ] = None,
    batch_size: options.BatchSize = 64,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    quiet: options.Quiet = False,
) -> None:
    """Draw which class networks see over the plane through three images, or the loss around one along its gradient."""
    checkpoints, images = image_paths.split_paths(paths, images)
    device = tuned_process(device)
    from gradscape.data.pictures import load_pictures
    from gradscape.studies import decision as study
    from gradscape.studies.networks import common_image_size, load_finite_models

    models = load_finite_models(checkpoints, device)
    shown = load_pictures(images, common_image_size(models))
    with image_bar(quiet=quiet) as report:
        found = study.map_pictures(
            models,
            shown,
            steps=steps,
            margin=margin,
            norm=norm,
            radius=radius,
            class_index=class_index,
            seed=seed,
            batch_size=batch_size or 64,
            report=report,
        )
    written = save_or_keep(found.save, output)
    if not quiet:
        say_table(study.IMAGE_HEADINGS, study.tabulate_images(found))
        say_table(study.REGION_HEADINGS, study.tabulate_regions(found))
        say(study.describe_range(found))
        say_written(written)
