"""gradscape evaluate."""

from pathlib import Path
from typing import Annotated, Any

import typer

from gradscape._refuge import save_or_keep
from gradscape.cli import look_options, options
from gradscape.cli.console import image_bar, say, say_table, say_written, tuned_process
from gradscape.cli.numbers import MOST_BATCH
from gradscape.cli.time_table import with_profile

__all__ = ["evaluate"]

_AT_ONCE, _PICTURES_AT_ONCE = 64, 16


@with_profile
@look_options.with_look(*look_options.MAP)
def evaluate(
    checkpoints: options.Checkpoints,
    *,
    data: options.Data,
    output: options.Output = Path("evaluation"),
    split: options.SplitName = "test",
    limit: options.Limit = None,
    store: Annotated[
        bool,
        typer.Option("--store", help="Write the scores into the checkpoints too, from where figures take them."),
    ] = False,
    batch_size: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MOST_BATCH,
            help="Images in a forward pass, else 64, of detectors and segmenters 16; it counts for networks with "
            "evaluation=batch alone.",
        ),
    ] = None,
    data_root: options.DataRoot = None,
    download: options.Download = False,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    quiet: options.Quiet = False,
) -> None:
    """Score networks on a split, with intervals: classifiers, detectors by average precision, or segmenters by IoU."""
    device = tuned_process(device)
    from gradscape.studies.networks import load_models
    from gradscape.studies.targets import common_targets

    models = load_models(checkpoints, device)
    kind = common_targets([model.meta["name"] for model in models.values()], data=[data])
    choice: dict[str, Any] = {"limit": limit, "seed": seed}
    if kind == "classes":
        choice |= {"batch_size": batch_size or _AT_ONCE, "root": data_root, "download": download}
        _evaluate_classifiers(models, data, split, choice, store=store, output=output, quiet=quiet)
    elif store:
        raise ValueError("`store` must be left out for detectors and segmenters: it keeps scores of classifiers")
    else:
        choice |= {"batch_size": batch_size or _PICTURES_AT_ONCE, "kind": kind}
        _evaluate_annotated(models, data, split, choice, output=output, quiet=quiet)


def _evaluate_classifiers(
    models: Any, data: str, split: str, choice: dict[str, Any], *, store: bool, output: Path, quiet: bool
) -> None:
    from gradscape.data import load_split
    from gradscape.studies import evaluation_files as files
    from gradscape.studies.evaluation import evaluate_networks
    from gradscape.studies.networks import common_image_size
    from gradscape.studies.stored_scores import check_storable, store_scores

    images = load_split(data, split, image_size=common_image_size(models), **choice)
    if store:
        check_storable(models, images)
    with image_bar(quiet=quiet) as report:
        found = evaluate_networks(models, images, seed=choice["seed"], report=report)
    written = save_or_keep(lambda folder: files.save_evaluation(found, folder), output)
    stored = store_scores(models, found) if store else []
    if not quiet:
        say_table(files.SCORE_HEADINGS, files.tabulate_scores(found))
        if found.differences:
            say_table(files.ANSWER_DIFFERENCE_HEADINGS, files.tabulate_answer_differences(found))
        say("\n".join(found.remarks))
        say_written(written)
        for path in stored:
            say(f"stored in {path}")


def _evaluate_annotated(
    models: Any, data: str, split: str, choice: dict[str, Any], *, output: Path, quiet: bool
) -> None:
    from gradscape.studies.annotated_evaluation import evaluate_annotated

    with image_bar(quiet=quiet) as report:
        found = evaluate_annotated(models, data, split, report=report, **choice)
    written = save_or_keep(found.save, output)
    if not quiet:
        say_table(found.headings, found.rows)
        say("\n".join(found.remarks))
        say_written(written)
