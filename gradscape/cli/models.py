"""gradscape models."""

from pathlib import Path
from typing import Annotated

import typer

from gradscape.cli import options
from gradscape.cli.console import say, say_written
from gradscape.cli.output_paths import check_file

__all__ = ["models"]

_MOST_NEAR = 4


def models(
    pattern: Annotated[
        str | None,
        typer.Argument(
            metavar="[PATTERN|NAME]", help="Shell pattern, such as 'spa*' in quotes; of one name everything is told."
        ),
    ] = None,
    *,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Write the table as Markdown too.", callback=check_file),
    ] = None,
    quiet: options.Quiet = False,
) -> None:
    """List models: size, and how many of the numbers that papers print they have; many share lines by backbone."""
    from gradscape.models import describe_models, list_models
    from gradscape.studies.model_table import describe_model, list_models_briefly, write_model_table

    described = describe_models(pattern)
    if not described:
        near = sorted(list_models(f"*{pattern}*"), key=lambda name: not name.startswith(str(pattern)))[:_MOST_NEAR]
        advice = f"did you mean {' or '.join(near)}?" if near else "`gradscape models` lists all"
        raise ValueError(f"no model matches {pattern!r}; {advice}")
    if output is not None:
        write_model_table(described, output)
    if not quiet:
        if output is not None:
            say_written([output])
        elif pattern == described[0].name:
            say("\n".join(describe_model(described[0])))
        else:
            say("\n".join(list_models_briefly(described)), cut=True)
