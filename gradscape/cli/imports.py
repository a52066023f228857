"""gradscape import."""

from fractions import Fraction
from pathlib import Path
from typing import Annotated

import typer

from gradscape.cli import options
from gradscape.cli.console import say_written

__all__ = ["import_", "parse_channels"]


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="State dict: .pt .pth .th .t7 .pkl .safetensors")],
    *,
    model: Annotated[str, typer.Option(help="The model's name; `gradscape models` lists them.")],
    mean: Annotated[
        str, typer.Option(metavar="a,b,c", help="Mean of each channel; fractions such as 125.3/255 will do.")
    ],
    std: Annotated[str, typer.Option(metavar="a,b,c", help="Standard deviation of each channel.")],
    output: options.Output,
    num_classes: Annotated[int | None, typer.Option(min=1, help="From the file if it can be told.")] = None,
    image_size: Annotated[int, typer.Option(min=1, help="Side in pixels.")] = 32,
    labels: Annotated[Path | None, typer.Option(metavar="FILE", help="Class names, one a line.")] = None,
    quiet: options.Quiet = False,
) -> None:
    """Turn a state dict from elsewhere into a checkpoint; every key must fit."""
    from gradscape.models import import_checkpoint

    import_checkpoint(
        file,
        output,
        name=model,
        num_classes=num_classes,
        image_size=image_size,
        mean=parse_channels(mean, "--mean"),
        std=parse_channels(std, "--std"),
        labels=labels.read_text(encoding="utf-8").splitlines() if labels else None,
    )
    if not quiet:
        say_written([output])


def parse_channels(text: str, option: str) -> tuple[float, float, float]:
    """Read three numbers or fractions, such as `125.3/255,123.0/255,113.9/255`."""
    try:
        red, green, blue = (_number(part) for part in text.split(","))
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"`{option}` must be three numbers or fractions a,b,c, got {text!r}") from None
    return red, green, blue


def _number(text: str) -> float:
    numerator, _, denominator = text.partition("/")
    return float(Fraction(numerator.strip()) / Fraction(denominator.strip() or "1"))
