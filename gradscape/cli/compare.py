"""gradscape compare."""

from pathlib import Path
from typing import Annotated

import typer

from gradscape._refuge import save_or_keep
from gradscape.cli import look_options, options
from gradscape.cli.console import say, say_table, say_written, waiting
from gradscape.cli.numbers import share

__all__ = ["compare"]


@look_options.with_look(*look_options.PAGE)
def compare(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="SURFACE.h5|RUN_DIR...",
            help="Surfaces, and folders of them with several draws; folders of gradscape sharpness; or trainings, "
            "whose accuracies are compared.",
        ),
    ],
    *,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            help="May be repeated; of surfaces all if left out: sharpness, basin_width, curvature, anisotropy, "
            "roughness, scaled_roughness, convex_share, error_basin_area; of sharpness its kinds, such as sam; of "
            "trainings test_accuracy, or another: "
            "best_accuracy, test_loss, train_loss, train_accuracy, validation_loss, validation_accuracy; of detectors "
            "test_ap50, best_ap50, test_ap; of segmenters test_iou, best_iou."
        ),
    ] = None,
    confidence: Annotated[
        float, typer.Option(help="Coverage of the intervals.", callback=share("--confidence"))
    ] = 0.95,
    seed: options.Seed = 0,
    output: options.Output = Path("compare"),
    quiet: options.Quiet = False,
) -> None:
    """Compare networks by their landscapes or their accuracies, over trainings, directions and images."""
    from gradscape.studies import comparison as study
    from gradscape.studies.compare import compare_found

    with waiting("measuring", quiet=quiet):
        comparison = compare_found(paths, metrics=metric or None, confidence=confidence, seed=seed)
        written = save_or_keep(lambda folder: study.save_comparison(comparison, folder), output)
    if not quiet:
        say_table(study.HEADINGS, study.tabulate_means(comparison))
        if comparison.differences:
            say_table(study.DIFFERENCE_HEADINGS, study.tabulate_differences(comparison))
        say("\n".join([*comparison.shared_notes, *comparison.remarks]))
        say_written(written)
