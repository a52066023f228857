"""gradscape figure."""

from pathlib import Path
from typing import Annotated

import typer

from gradscape.cli import image_paths, look_options, options
from gradscape.cli.console import progress_bar, say_table, say_written, tuned_process, waiting
from gradscape.cli.numbers import MOST_STEPS

__all__ = ["figure"]


@look_options.with_look("camera", "zmin", "zmax", *look_options.MAP)
def figure(
    name: Annotated[str | None, typer.Argument(metavar="[PAPER:NUMBER]", help="Such as upanets:7.")] = None,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PATH...]", help="Checkpoints, surfaces or run folders, as --list says, in the figure's order."
        ),
    ] = None,
    *,
    listed: Annotated[bool, typer.Option("--list", help="List the figures, and what each needs.")] = False,
    images: Annotated[
        list[Path] | None, typer.Option("--images", metavar="PATH...", help="Image files and folders of them.")
    ] = None,
    data: Annotated[str | None, typer.Option(help="Take images of a data set, such as cifar10 or folder:PATH.")] = None,
    split: Annotated[
        str | None, typer.Option(help="train or test; else train for landscapes, test for pictures.")
    ] = None,
    limit: options.Limit = None,
    classes: Annotated[str | None, typer.Option(metavar="a,b,…", help="Only these, by name or number.")] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            min=2, max=MOST_STEPS, help="Points on a side of landscapes that are evaluated; else the paper's."
        ),
    ] = None,
    scale: Annotated[
        str | None, typer.Option(help="Of landscapes: raw, minmax or minmax-column; else as --list has it.")
    ] = None,
    data_root: options.DataRoot = None,
    download: options.Download = False,
    output: options.Output = Path(),
    seed: options.Seed = 0,
    device: options.Device = "auto",
    quiet: options.Quiet = False,
) -> None:
    """Draw a figure of a paper from networks, images, surfaces and training logs of your own."""
    from gradscape.studies.papers import catalog
    from gradscape.studies.papers.from_surfaces import SurfaceFigure

    if listed and name is not None:
        raise ValueError(f"`--list` lists the figures of all papers: leave out {name}, or leave out `--list`")
    if listed or name is None:
        say_table(catalog.HEADINGS, catalog.tabulate_figures())
        return
    asked = catalog.find_figure(name)
    files, shown = image_paths.split_paths(paths, images) if paths and images else (paths or [], images or [])
    device = tuned_process(device)
    # A landscape has a bar, which takes the place of other signs of life.
    drawing = waiting("drawing", quiet=quiet or isinstance(asked, SurfaceFigure))
    with drawing, progress_bar(quiet=quiet) as report:
        written = catalog.make_figure(
            name,
            files,
            output,
            images=shown,
            data=data,
            steps=steps,
            split=split,
            limit=limit,
            classes=classes,
            scale=scale,
            root=data_root,
            download=download,
            seed=seed,
            device=device,
            report=report,
        )
    if not quiet:
        say_written(written)
