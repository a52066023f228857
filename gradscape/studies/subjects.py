"""Networks whose landscapes were evaluated: every picture of them, and the pages on which they were watched."""

from collections.abc import Sequence
from pathlib import Path

from gradscape.landscape import Surface
from gradscape.studies.drawing import draw_comparison, draw_surface
from gradscape.studies.live import LivePage
from gradscape.studies.planes import Subject

__all__ = ["draw_subjects", "recommend"]


def draw_subjects(
    subjects: Sequence[Subject], surfaces: Sequence[Surface], folder: Path, *, everything: bool = False
) -> list[Path]:
    """Every subject's own pictures in its folder, and all side by side where there are several.

    These are a page to turn, a contour map and a relief of the loss; or of every kind, loss and error.

    A page on which a surface was watched now shows the last one and links to the others.
    """
    written = []
    for subject, surface in zip(subjects, surfaces, strict=True):
        written += draw_surface(surface, subject.folder, everything=everything)
        if (subject.folder / "live.html").exists():
            written += LivePage(subject.folder, subject.title).finish(surface)
    if len(subjects) > 1:
        titles = [subject.title for subject in subjects]
        written += draw_comparison(dict(zip(titles, surfaces, strict=True)), folder, everything=everything)
    return written


def recommend(written: Sequence[Path], folder: Path) -> str:
    """Which of the pictures to look at first, in a browser and on paper.

    Args:
        written: What `draw_subjects` wrote.
        folder: The folder that it was given.
    """
    relief = next(path for path in written if path.parent == folder and path.stem == "loss_surface")
    return f"recommended: {folder / 'surface.html'} to look around, {relief} for a paper"
