"""gradscape models."""

from pathlib import Path
from typing import Annotated

import typer

from gradscape.cli import options
from gradscape.cli.console import say_table, say_written

__all__ = ["models"]


def models(
    pattern: Annotated[
        str | None, typer.Argument(help="Shell pattern, such as 'upanet*' in quotes; all our own if left out.")
    ] = None,
    *,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write the table as Markdown too.")] = None,
    quiet: options.Quiet = False,
) -> None:
    """List models: parameters, multiply-adds, paper, printed sizes and whether they are met."""
    from gradscape.models import describe_models
    from gradscape.studies.model_table import HEADINGS, tabulate_models, write_model_table

    described = describe_models(pattern)
    if not described:
        raise ValueError(f"no model matches {pattern!r}; `gradscape models` lists all")
    if output is not None:
        write_model_table(described, output)
    if not quiet:
        if output is None:
            say_table(HEADINGS, tabulate_models(described))
        else:
            say_written([output])
