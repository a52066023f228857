"""gradscape figure."""

from pathlib import Path
from typing import Annotated

import typer

from gradscape.cli import options, pictures
from gradscape.cli.console import say_table, say_written, tuned_process, waiting


def figure(
    name: Annotated[str | None, typer.Argument(metavar="[PAPER:NUMBER]", help="Such as upanets:7.")] = None,
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[CKPT...]", help=".safetensors checkpoints, in the figure's order.")
    ] = None,
    *,
    listed: Annotated[bool, typer.Option("--list", help="List the figures, and what each needs.")] = False,
    images: Annotated[
        list[Path] | None, typer.Option("--images", metavar="PATH...", help="Image files and folders of them.")
    ] = None,
    data: Annotated[str | None, typer.Option(help="Take images of a data set: cifar10, folder:PATH, …")] = None,
    split: options.SplitName = "test",
    limit: options.Limit = None,
    classes: Annotated[str | None, typer.Option(metavar="a,b,…", help="Only these, by name or number.")] = None,
    data_root: options.DataRoot = None,
    download: options.Download = False,
    output: options.Output = Path(),
    seed: options.Seed = 0,
    device: options.Device = "auto",
    quiet: options.Quiet = False,
) -> None:
    """Draw a figure of a paper from networks and images of your own."""
    from gradscape.studies import paper_figures as study

    if listed or name is None:
        say_table(study.HEADINGS, study.tabulate_figures())
        return
    checkpoints, files = pictures.split_paths(paths, images or []) if paths else ([], images or [])
    device = tuned_process(device)
    choosing = {"split": split, "limit": limit, "classes": classes, "root": data_root, "download": download}
    with waiting("drawing", quiet=quiet):
        written = study.make_figure(
            name, checkpoints, output, images=files, data=data, seed=seed, device=device, **choosing
        )
    if not quiet:
        say_written(written)
