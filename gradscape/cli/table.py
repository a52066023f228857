"""gradscape table."""

from pathlib import Path
from typing import Annotated

import typer

from gradscape.cli import options
from gradscape.cli.console import say, say_written
from gradscape.cli.output_paths import check_file

__all__ = ["table"]


def table(
    name: Annotated[str | None, typer.Argument(metavar="[PAPER:N]", help="Such as spanet:III or spanet:3.")] = None,
    runs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[RUN...]", help="Run folders or checkpoints of networks that the table has."),
    ] = None,
    *,
    listed: Annotated[
        bool, typer.Option("--list", help="List the tables; with -o as a page with every number that is missed.")
    ] = False,
    form: Annotated[
        str | None, typer.Option("--format", help="md, csv or tex; else by the ending of --output.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The file to write; else it is printed.", callback=check_file),
    ] = None,
    quiet: options.Quiet = False,
) -> None:
    """Show a table of a paper as published, beside what is counted and measured here."""
    from gradscape.studies.papers.published_cells import list_tables, write_published_cells
    from gradscape.studies.papers.typesetting import set_table, write_table

    if listed and name is not None:
        raise ValueError(f"`--list` lists the tables of all papers: leave out {name}, or leave out `--list`")
    if listed or name is None:
        if output is not None:
            write_published_cells(output)
        elif not quiet:
            say("\n".join(list_tables()), cut=True)
    elif output is not None:
        write_table(output, name, runs or [], form=form)
    elif not quiet:
        say(set_table(name, runs or [], form=form).rstrip())
    if output is not None and not quiet:
        say_written([output])
