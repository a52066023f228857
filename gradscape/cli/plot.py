"""gradscape plot."""

from pathlib import Path
from typing import Annotated

import typer

from gradscape.cli import look_options, options
from gradscape.cli.console import say_written
from gradscape.cli.output_paths import check_picture

__all__ = ["plot"]


@look_options.with_look(*look_options.SURFACE)
def plot(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="SURFACE.h5...", help="Surfaces, lines or maps of the curvature; also goldstein's files."
        ),
    ],
    *,
    kind: Annotated[
        str | None,
        typer.Option(help="contour, filled (the default), heat, surface or interactive; of surfaces only."),
    ] = None,
    value: Annotated[
        str | None,
        typer.Option(
            help="Of surfaces loss (by default), error, stderr, count, nonfinite; of curvature ratio, max_eig, min_eig."
        ),
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(
            help="raw, log, minmax or minmax-column, of a page the one shown first; by itself log where values exceed "
            "two decades, else raw."
        ),
    ] = None,
    smooth: Annotated[
        bool, typer.Option("--smooth", help="Interpolate between the points, which get dots; not for heat.")
    ] = False,
    difference: Annotated[
        bool, typer.Option("--difference", help="Draw the first surface's loss minus the second's, image by image.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="The picture: x.pdf, x.png, x.svg or x.html; x is written as x.pdf and x.png.",
            callback=check_picture,
        ),
    ] = None,
    quiet: options.Quiet = False,
) -> None:
    """Draw stored surfaces: one, or several side by side on one scale. Neither model nor data is needed."""
    from gradscape.landscape import load_landscape
    from gradscape.studies.stored import draw_stored

    results = [load_landscape(file) for file in files]
    asked = {"kind": kind, "value": value, "scale": scale}
    written = draw_stored(results, files, output, **asked, difference=difference, smoothed=smooth)
    if not quiet:
        say_written(written)
