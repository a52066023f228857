"""gradscape convert."""

from pathlib import Path
from typing import Annotated

import typer

from gradscape.cli import options
from gradscape.cli.console import say_written
from gradscape.cli.output_paths import check_file

__all__ = ["convert"]


def convert(
    surface: Annotated[Path, typer.Argument(metavar="SURFACE.h5", help="A surface, or a line.")],
    *,
    to: Annotated[str, typer.Option(help="vtp (ParaView), csv, npz or goldstein.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The file; beside the surface by default.", callback=check_file),
    ] = None,
    quiet: options.Quiet = False,
) -> None:
    """Write a surface for other programs."""
    from gradscape.landscape import FORMATS, CurvatureMap, Line, load_landscape

    if to not in FORMATS:
        raise ValueError(f"`--to` must be one of {', '.join(FORMATS)}, got {to!r}")
    suffix, save = FORMATS[to]
    path = output or surface.with_suffix(suffix)
    result = load_landscape(surface)
    if isinstance(result, CurvatureMap):
        raise ValueError(f"{surface} is a map of the curvature, whose table lies beside it: give a surface or a line")
    if isinstance(result, Line) and to not in ("csv", "npz"):
        raise ValueError(f"a line can be written as csv or npz, not as {to}")
    save(result, path)
    if not quiet:
        say_written([path])
