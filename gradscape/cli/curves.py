"""The part of gradscape line that fits a curve between two networks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gradscape.cli.console import progress_bar, say
from gradscape.cli.numbers import MOST_EPOCHS, MOST_STEPS, positive

if TYPE_CHECKING:
    from gradscape.data import Split
    from gradscape.landscape import Line, Options
    from gradscape.studies.curves import CurvePath

__all__ = ["CurveEpochs", "CurveKind", "CurveRate", "PlaneSteps", "add_curve", "check_curve"]

CurveKind = Annotated[
    str | None,
    typer.Option(
        "--curve",
        metavar="KIND",
        help="bezier or chain: fit such a curve between the networks, too, on the training images.",
    ),
]
CurveEpochs = Annotated[int, typer.Option(min=1, max=MOST_EPOCHS, help="Epochs of fitting a curve.")]
CurveRate = Annotated[
    float, typer.Option(help="Learning rate of fitting a curve.", callback=positive("--curve-learning-rate"))
]
PlaneSteps = Annotated[
    int, typer.Option(min=0, max=MOST_STEPS, help="Points on the longer side of the plane through a curve; 0: none.")
]


def check_curve(kind: str | None, *, between: bool, space: str | None) -> None:
    """Refuse a curve where there is none.

    Raises:
        ValueError: There is one network, running statistics stay behind, or the kind is unknown.
    """
    if kind is None:
        return
    if kind not in ("bezier", "chain"):
        raise ValueError(f"`--curve` must be bezier or chain, got {kind!r}")
    if not between:
        raise ValueError("`--curve` leads from one network to another: give a second one")
    if space == "weights":
        raise ValueError("`--curve` ends at both networks, which `--space weights` does not: leave that out")


def add_curve(
    way: "CurvePath",
    straight: "Line",
    images: "Split",
    output: Path,
    *,
    plane: int,
    until: float | None,
    options: "Options",
    quiet: bool,
) -> tuple["Line", list[Path]]:
    """Evaluate a curve and its plane, draw both, and say what was found.

    Returns:
        The curve's line, and what was written.
    """
    from gradscape.figures.surfaces.curve_wording import describe_curve, describe_highest

    with progress_bar(quiet=quiet) as report:
        along = way.evaluate(straight, images, output / "curve.h5", until=until, report=report, options=options)
        plain = None
        if plane:
            plain = way.evaluate_plane(
                images, output / "plane" / "surface.h5", steps=plane, until=until, report=report, options=options
            )
    written = way.draw(straight, along, plain, output)
    if not quiet:
        for found in (describe_curve(along.meta), *describe_highest(along)):
            say(found)
    return along, written
