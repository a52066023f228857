"""The papers' figures by name: which there are, what each takes, and how it is made."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gradscape._arrays import save_arrays
from gradscape._names import unknown_name
from gradscape._provenance import current_versions
from gradscape.figures import save_figure
from gradscape.figures.caption import add_remark, caption_of
from gradscape.landscape import Progress
from gradscape.studies.papers import ba2m, residual_attention, spanet, ulsam, upanets
from gradscape.studies.papers.figure import Given, PaperFigure
from gradscape.studies.papers.from_surfaces import SurfaceFigure

__all__ = ["FIGURES", "HEADINGS", "SurfaceFigure", "find_figure", "make_figure", "tabulate_figures"]

FIGURES: dict[str, PaperFigure] = {
    name: paper.FIGURES[name]
    for paper in (upanets, spanet, ulsam, residual_attention, ba2m)
    for name in sorted(paper.FIGURES, key=lambda name: int(name.partition(":")[2]))
}

HEADINGS = ("figure", "shows", "needs", "made by")


def tabulate_figures() -> list[tuple[str, ...]]:
    """Return a row for each figure, under `HEADINGS`: what it shows and needs, and the command that makes it."""
    return [
        (name, figure.title, figure.needs, f"gradscape figure {name} {figure.inputs} -o out")
        for name, figure in FIGURES.items()
    ]


def find_figure(name: str) -> PaperFigure:
    """Return a figure by its name, such as `upanets:7`.

    Raises:
        ValueError: There is no such figure.
    """
    if name not in FIGURES:
        raise unknown_name("figure", name, FIGURES)
    return FIGURES[name]


def make_figure(
    name: str,
    paths: Sequence[Path],
    output: Path,
    *,
    images: Sequence[Path] = (),
    data: str | None = None,
    steps: int | None = None,
    seed: int = 0,
    device: str = "cpu",
    report: Callable[[str, Progress], None] | None = None,
    **choosing: Any,
) -> list[Path]:
    """Draw a paper's figure from networks, images, surfaces and training logs of one's own.

    Args:
        name: The figure, such as `upanets:7`.
        paths: Checkpoints, surfaces or run folders, as `PaperFigure.needs` has it, and in that order.
        output: Folder for `upanets_7.pdf`, `.png` and `.npz`, the arrays that it shows, and for surfaces that are
            evaluated.
        images: Image files and folders.
        data: Name of a data set to take images from.
        steps: Points on a side of surfaces that are evaluated; the paper's by default.
        seed: Chooses images from a data set; seed of directions, noise and t-SNE.
        device: Where the networks run.
        report: Called with what is evaluated and its progress.
        **choosing: Which images of the data set: split, limit, classes, root, download; None stands for the usual.

    Returns:
        What was written.

    Raises:
        ValueError: There is no such figure, or it takes other things; the message has the command that makes what is
            missing.
        FileNotFoundError: A checkpoint, surface, run folder, picture or data set is not there.
    """
    figure = find_figure(name)
    given = Given(
        name=name,
        paths=paths,
        output=output,
        images=images,
        data=data,
        steps=steps,
        seed=seed,
        device=device,
        report=report,
        choosing={option: value for option, value in choosing.items() if value is not None},
    )
    drawing = figure.make(given)
    add_remark(drawing.figure, " · ".join(part for part in (drawing.said, f"in the paper: {figure.original}") if part))
    stem = output / name.replace(":", "_")
    written = save_figure(drawing.figure, stem)
    meta = {
        "figure": name,
        "caption": caption_of(drawing.figure),
        **drawing.meta,
        "seed": seed,
        "versions": current_versions(),
    }
    save_arrays(f"{stem}.npz", drawing.arrays, meta)
    return [*drawing.written, *written, Path(f"{stem}.npz")]
