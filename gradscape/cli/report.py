"""gradscape report."""

from pathlib import Path
from typing import Annotated

import typer

from gradscape.cli import options
from gradscape.cli.console import say_written, waiting
from gradscape.cli.output_paths import check_file

__all__ = ["report"]


def report(
    folders: Annotated[
        list[Path], typer.Argument(metavar="RUN_DIR...", help="Folders that other commands wrote, with all in them.")
    ],
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="The page.", callback=check_file)] = Path(
        "report.html"
    ),
    quiet: options.Quiet = False,
) -> None:
    """Put everything in folders on one page that needs no network: tables, landscapes, heatmaps, provenance."""
    from gradscape.studies.report import write_report

    with waiting("writing the report", quiet=quiet):
        page = write_report(folders, output)
    if not quiet:
        say_written([page])
