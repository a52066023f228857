"""gradscape models."""

from typing import Annotated

import typer

from gradscape.cli import options
from gradscape.cli.console import say_table


def models(
    pattern: Annotated[
        str | None, typer.Argument(help="Shell pattern, such as 'upanet*' in quotes; all our own if left out.")
    ] = None,
    *,
    quiet: options.Quiet = False,
) -> None:
    """List models: parameters, multiply-adds, paper, printed sizes and whether they are met."""
    from gradscape.models import describe_models

    described = describe_models(pattern)
    if not described:
        raise ValueError(f"no model matches {pattern!r}; `gradscape models` lists all")
    if quiet:
        return
    headings = ("model", "parameters ", "MACs ", "paper", "printed (millions) and verdict")
    say_table(
        headings,
        (
            (
                model.name,
                f"{model.parameters:,}",
                f"{model.macs / 1e6:,.1f} M",
                model.paper,
                "; ".join(f"{row.millions} {row.verdict}" for row in model.printed),
            )
            for model in described
        ),
    )
