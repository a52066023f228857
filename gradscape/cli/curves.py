"""The part of gradscape line that fits a curve between two networks."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gradscape.cli.console import epoch_bar
from gradscape.cli.numbers import MOST_EPOCHS, MOST_STEPS, positive

if TYPE_CHECKING:
    from gradscape.data import Split
    from gradscape.landscape import Options
    from gradscape.models import Classifier
    from gradscape.studies.curves import CurvePath
    from gradscape.studies.line import LinePath

__all__ = ["CurveEpochs", "CurveKind", "CurveRate", "PlaneSteps", "check_curve", "fit_way"]

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


def fit_way(
    line: "LinePath",
    models: "Mapping[str, Classifier]",
    taught: "Split",
    output: Path,
    *,
    kind: str,
    epochs: int,
    learning_rate: float,
    seed: int,
    options: "Options",
    until: float | None,
    quiet: bool,
) -> "CurvePath | None":
    """Fit a curve beside a line until some moment, and show how far it is; None where it has to go on."""
    from gradscape.studies.curves import fit_beside

    with epoch_bar("fitting the curve", epochs, quiet=quiet) as told:
        return fit_beside(
            line,
            models,
            taught,
            output / "curve.safetensors",
            kind=kind,
            epochs=epochs,
            learning_rate=learning_rate,
            seed=seed,
            options=options,
            until=until,
            report=told,
        )
