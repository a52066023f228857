"""gradscape plot."""

from pathlib import Path
from typing import Annotated

import typer

from gradscape.cli import options
from gradscape.cli.console import say_written

__all__ = ["plot"]


def plot(
    files: Annotated[
        list[Path], typer.Argument(metavar="SURFACE.h5...", help="Surfaces or lines; also goldstein's files.")
    ],
    *,
    kind: Annotated[
        str, typer.Option(help="contour, filled, heat, surface or interactive; of surfaces only.")
    ] = "filled",
    value: Annotated[str, typer.Option(help="loss, error, stderr, count or nonfinite.")] = "loss",
    scale: Annotated[
        str,
        typer.Option(help="raw, log, minmax or minmax-column; auto is log where values exceed two decades, or raw."),
    ] = "auto",
    smooth: Annotated[
        bool, typer.Option("--smooth", help="With --kind surface: interpolate a finer relief between the points.")
    ] = False,
    difference: Annotated[
        bool, typer.Option("--difference", help="Draw the first surface's loss minus the second's, image by image.")
    ] = False,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Path of the picture without ending.")] = None,
    quiet: options.Quiet = False,
) -> None:
    """Draw stored surfaces: one, or several side by side on one scale. Neither model nor data is needed."""
    from gradscape.landscape import load_landscape
    from gradscape.studies.drawing import draw_difference, draw_one

    results = [load_landscape(file) for file in files]
    if difference and value != "loss":
        raise ValueError(f"`--difference` is one of losses: leave out `--value {value}`")
    if difference and smooth:
        raise ValueError("`--difference` is drawn as it was evaluated: leave out `--smooth`")
    shown = "difference" if difference else value
    stem = output or files[0].with_name(f"{files[0].stem}_{shown}_{kind}" + ("" if scale == "auto" else f"_{scale}"))
    if difference:
        written = draw_difference(results, files, stem, kind=kind, scale=scale)
    else:
        written = draw_one(results, files, stem, kind=kind, value=value, scale=scale, smoothed=smooth)
    if not quiet:
        say_written(written)
