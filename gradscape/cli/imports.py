"""gradscape import."""

import re
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import typer

from gradscape.cli import options
from gradscape.cli.console import say_written
from gradscape.cli.numbers import MOST_CLASSES, MOST_SIDE
from gradscape.cli.output_paths import check_file

__all__ = ["import_", "parse_channels"]

_DECIMAL = re.compile(r"[+-]?(\d{1,30}\.?\d{0,30}|\.\d{1,30})(e[+-]?\d{1,2})?", re.ASCII | re.IGNORECASE)


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="State dict: .pt .pth .ckpt .th .t7 .pkl .safetensors")],
    *,
    model: Annotated[str, typer.Option(help="The model's name; `gradscape models` lists them.")],
    mean: Annotated[
        str,
        typer.Option(metavar="a,b,c", help="Mean of each channel, one for gray; fractions such as 125.3/255 will do."),
    ],
    std: Annotated[str, typer.Option(metavar="a,b,c", help="Standard deviation of each channel.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The .safetensors file to write.", callback=check_file)
    ],
    num_classes: Annotated[
        int | None, typer.Option(min=1, max=MOST_CLASSES, help="From the file if it can be told.")
    ] = None,
    image_size: Annotated[int, typer.Option(min=1, max=MOST_SIDE, help="Side in pixels.")] = 32,
    labels: Annotated[Path | None, typer.Option(metavar="FILE", help="Class names, one a line.")] = None,
    weights: Annotated[
        str | None,
        typer.Option(metavar="model|ema|PLACE", help="Which, where the file holds the network more than once."),
    ] = None,
    prefix: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Take what has names that begin so, and remove it.")
    ] = None,
    quiet: options.Quiet = False,
) -> None:
    """Turn a state dict from elsewhere into a checkpoint; every key must fit."""
    from gradscape.models import import_checkpoint

    means, deviations = parse_channels(mean, "--mean"), parse_channels(std, "--std")
    if len(means) != len(deviations):
        raise ValueError(f"`--mean` and `--std` must be of as many channels, got {mean!r} and {std!r}")
    import_checkpoint(
        file,
        output,
        name=model,
        num_classes=num_classes,
        image_size=image_size,
        mean=means,
        std=deviations,
        labels=labels,
        weights=weights,
        prefix=prefix,
    )
    if not quiet:
        say_written([output])


def parse_channels(text: str, option: str) -> list[float]:
    """Read a number or fraction for each channel, such as `125.3/255,123.0/255,113.9/255`."""
    try:
        return [_number(part) for part in text.split(",")]
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"`{option}` must be numbers or fractions, one for each channel, got {text!r}") from None


def _number(text: str) -> float:
    numerator, _, denominator = (part.strip() for part in text.partition("/"))
    for part in (numerator, denominator or "1"):
        if not _DECIMAL.fullmatch(part):  # a fraction of 1e999999999 would be computed to the last digit
            raise ValueError(f"{part!r} is no number")
    return float(Fraction(numerator) / Fraction(denominator or "1"))
