"""Pictures of results, with the numbers they show beside them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from gradscape._files import replacing
from gradscape._names import numbered, tell_apart
from gradscape.data.pictures import Pictures
from gradscape.figures import (
    figure_comparison,
    figure_landscape,
    figure_line,
    figure_scaled,
    figure_training,
    interactive_surface,
    save_figure,
)
from gradscape.landscape import Line, Surface, Value, save_csv
from gradscape.studies.live import LivePage
from gradscape.studies.networks import file_name
from gradscape.studies.planes import Subject

__all__ = [
    "Numbered",
    "draw_comparison",
    "draw_line",
    "draw_one",
    "draw_subjects",
    "draw_surface",
    "draw_training",
    "picture_stems",
    "save_pages",
    "titles",
]

Numbered = Iterator[tuple[str, Figure]]


def draw_surface(surface: Surface, folder: Path) -> list[Path]:
    """Every picture of one surface, its interactive page and its table."""
    return [
        *_save(_pages(surface), folder),
        *_save_interactive([surface], None, folder / "surface.html"),
        *_save_table(surface, folder),
    ]


def draw_comparison(surfaces: Mapping[str, Surface], folder: Path) -> list[Path]:
    """Several surfaces side by side on one scale; their tables lie beside each one's own pictures."""
    titles, several = list(surfaces), list(surfaces.values())
    return [*_save(_comparisons(several, titles), folder), *_save_interactive(several, titles, folder / "surface.html")]


def draw_subjects(subjects: Sequence[Subject], surfaces: Sequence[Surface], folder: Path) -> list[Path]:
    """Every subject's own pictures in its folder, and all side by side where there are several.

    A page on which a surface was watched now shows the last one and links to the others.
    """
    written = []
    for subject, surface in zip(subjects, surfaces, strict=True):
        written += draw_surface(surface, subject.folder)
        if (subject.folder / "live.html").exists():
            written += LivePage(subject.folder, subject.title).finish(surface)
    if len(subjects) > 1:
        titles = [subject.title for subject in subjects]
        written += draw_comparison(dict(zip(titles, surfaces, strict=True)), folder)
    return written


def draw_one(results: Sequence[Surface | Line], stem: Path, *, kind: str, value: str, scale: str) -> list[Path]:
    """One picture of one surface or several, or of lines.

    Args:
        results: What to draw; several surfaces stand side by side on one scale, lines share their axes and show
            loss and error, so that of the options they take only `scale` (raw or log).
        stem: Path without ending.
        kind: "contour", "filled", "heat", "surface" or "interactive" (which has every value and scale).
        value: "loss" or "error".
        scale: "raw", "minmax", "minmax-column" or "log".

    Raises:
        ValueError: Surfaces and lines are mixed, or an option does not fit.
    """
    surfaces = [result for result in results if isinstance(result, Surface)]
    lines = [result for result in results if isinstance(result, Line)]
    if surfaces and lines:
        raise ValueError("surfaces and lines cannot share a picture: draw them one by one")
    if lines:
        line_scale: Any = scale
        return save_figure(figure_line(lines, scale=line_scale), stem)
    if kind == "interactive":
        return _save_interactive(surfaces, None, Path(f"{stem}.html"))
    looks: dict[str, Any] = {"kind": kind, "value": value, "scale": scale}
    figure = figure_landscape(surfaces[0], **looks) if len(surfaces) == 1 else figure_comparison(surfaces, **looks)
    return save_figure(figure, stem)


def draw_line(line: Line, folder: Path) -> list[Path]:
    """Loss and error along a line, and their table."""
    save_csv(line, folder / "line.csv")
    return [*save_figure(figure_line(line), folder / "line"), folder / "line.csv"]


def draw_training(metrics: Sequence[Mapping[str, np.ndarray]], folder: Path) -> list[Path]:
    """Curves of one training run or several; metrics.csv beside them has the numbers."""
    return save_figure(figure_training(metrics), folder / "curves")


def _pages(surface: Surface) -> Numbered:
    values: tuple[Value, ...] = ("loss",) if np.isnan(surface.error).all() else ("loss", "error")
    for value in values:
        for kind in ("contour", "filled", "heat", "surface"):
            yield f"{value}_{kind}", figure_landscape(surface, kind=kind, value=value)
        yield f"{value}_scaled", figure_scaled(surface, value=value)
    if (surface.loss[np.isfinite(surface.loss)] > 0).all():
        yield "loss_log", figure_landscape(surface, kind="filled", scale="log")


def _comparisons(surfaces: Sequence[Surface], titles: Sequence[str]) -> Numbered:
    for kind in ("filled", "surface"):
        yield f"loss_{kind}", figure_comparison(surfaces, kind=kind, titles=titles)
        yield f"loss_{kind}_minmax", figure_comparison(surfaces, kind=kind, scale="minmax", titles=titles)
        yield f"error_{kind}", figure_comparison(surfaces, kind=kind, value="error", titles=titles)


def _save(pages: Numbered, folder: Path) -> list[Path]:
    return [path for name, figure in pages for path in save_figure(figure, folder / name)]


def _save_interactive(surfaces: Sequence[Surface], titles: Sequence[str] | None, path: Path) -> list[Path]:
    with replacing(path) as partial:
        partial.write_text(interactive_surface(surfaces, titles=titles), encoding="utf-8")
    return [path]


def _save_table(surface: Surface, folder: Path) -> list[Path]:
    path = folder / "surface.csv"
    save_csv(surface, path)
    return [path]


def titles(pictures: Pictures) -> list[str]:
    """What figures call the pictures: their files' names without endings."""
    return [str(Path(name).with_suffix("")) for name in pictures.names]


def picture_stems(pictures: Pictures) -> list[str]:
    """For each picture what the files about it are called, all different: its name without ending, where that does."""
    stems = [file_name(Path(name).stem) for name in pictures.names]
    return tell_apart([stems, numbered([file_name(name) for name in pictures.names])])


def save_pages(pages: Iterator[Figure], stem: Path) -> list[Path]:
    """Write pages as `stem`, `stem_page2`, `stem_page3` …, each as pdf and png."""
    return [
        path
        for number, page in enumerate(pages, 1)
        for path in save_figure(page, stem.with_name(f"{stem.name}_page{number}") if number > 1 else stem)
    ]
