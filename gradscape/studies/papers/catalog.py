"""The papers' figures by name: which there are, what each takes, and how it is made."""

from collections.abc import Callable, Sequence
from pathlib import Path

from gradscape._arrays import save_arrays
from gradscape._names import unknown_name
from gradscape._provenance import current_versions
from gradscape.figures import save_figure
from gradscape.figures.caption import add_remark, caption_of
from gradscape.figures.look import current_look
from gradscape.landscape import Progress
from gradscape.studies.papers import ba2m, residual_attention, spanet, ulsam, upanets
from gradscape.studies.papers.figure import PaperFigure
from gradscape.studies.papers.from_surfaces import SurfaceFigure
from gradscape.studies.papers.request import Request, draw_requested

__all__ = ["FIGURES", "HEADINGS", "find_figure", "make_figure", "tabulate_figures"]

FIGURES: dict[str, PaperFigure] = {
    name: paper.FIGURES[name]
    for paper in (upanets, spanet, ulsam, residual_attention, ba2m)
    for name in sorted(paper.FIGURES, key=lambda name: int(name.partition(":")[2]))
}

HEADINGS = ("figure", "shows", "needs", "made by")


def tabulate_figures() -> list[tuple[str, ...]]:
    """Return a row for each figure, under `HEADINGS`: what it shows and needs, and the command that makes it."""
    return [
        (name, figure.title, figure.needs, f"gradscape figure {name} {figure.arguments} -o out")
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
    split: str | None = None,
    limit: int | None = None,
    classes: str | None = None,
    scale: str | None = None,
    root: Path | None = None,
    download: bool = False,
    seed: int = 0,
    device: str = "cpu",
    report: Callable[[str, Progress], None] | None = None,
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
        split: Of the data set; by default train for surfaces, test for pictures.
        limit: How many images of it; by default all for surfaces, the paper's number for pictures.
        classes: The only ones to take pictures of, names or numbers with commas between them.
        scale: How a landscape is scaled: "raw", "minmax" or "minmax-column"; by default as the figure is.
        root: Folder of the data sets; the usual by default.
        download: Whether a published data set may be fetched.
        seed: Chooses images from a data set; seed of directions, noise and t-SNE.
        device: Where the networks run.
        report: Called with what is evaluated and its progress.

    Returns:
        What was written.

    Raises:
        ValueError: There is no such figure, it takes other things, or what was chosen (`Look`) changes nothing of it;
            of what is missing the message has the command that makes it.
        FileNotFoundError: A checkpoint, surface, run folder, picture or data set is not there.
    """
    figure = find_figure(name)
    if scale is not None and isinstance(figure, SurfaceFigure):
        figure = figure.scaled_as(scale)
    for chosen in current_look().given:
        if chosen not in figure.choices:
            raise ValueError(f"`--{chosen}` changes nothing of {name} ({figure.title}): leave it out")
    request = Request(
        name=name,
        paths=paths,
        output=output,
        images=images,
        data=data,
        steps=steps,
        split=split,
        limit=limit,
        classes=classes,
        scale=scale,
        root=root,
        download=download,
        seed=seed,
        device=device,
        report=report,
    )
    drawing = draw_requested(figure, request)
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
