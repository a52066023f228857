"""gradscape topology."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from gradscape._refuge import save_or_keep
from gradscape.cli import look_options, options
from gradscape.cli.console import say, say_table, say_written, waiting
from gradscape.cli.numbers import share

__all__ = ["topology"]


@look_options.with_look("zmin", "zmax", "levels", *look_options.MAP)
def topology(
    files: Annotated[list[Path], typer.Argument(metavar="SURFACE.h5...", help="Surfaces; also goldstein's files.")],
    *,
    value: Annotated[Literal["loss", "error"], typer.Option(help="What lies over the plane.")] = "loss",
    confidence: Annotated[
        float, typer.Option(help="Of the band that tells pairs from noise.", callback=share("--confidence"))
    ] = 0.95,
    seed: options.Seed = 0,
    output: options.Output = Path("topology"),
    quiet: options.Quiet = False,
) -> None:
    """Find minima, saddles and hills of surfaces, how deep each is, and which of them noise may have made."""
    from gradscape.studies import topology as study

    with waiting("finding minima and saddles", quiet=quiet):
        found = study.find_topologies(files, value=value, confidence=confidence, seed=seed)
        written = save_or_keep(lambda folder: study.save_topologies(found, folder), output)
    if not quiet:
        say_table(study.COUNT_HEADINGS, study.tabulate_counts(found))
        say_table(study.PAIR_HEADINGS, study.tabulate_pairs(found))
        for name, one in found.items():
            for note in one.notes:
                say(f"{name}: {note}")
        say_written(written)
