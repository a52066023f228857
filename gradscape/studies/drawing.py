"""Pictures of results, with the numbers they show beside them."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gradscape import figures
from gradscape._files import save_rows
from gradscape._names import telling_parts
from gradscape.figures import (
    Figure,
    figure_comparison,
    figure_landscape,
    figure_line,
    figure_scaled,
    figure_training,
    save_figure,
)
from gradscape.figures.caption import add_remark
from gradscape.figures.charts.run_curves import MOST_NETWORKS, figure_run_curves
from gradscape.figures.surfaces.curve_wording import curve_name
from gradscape.figures.surfaces.scales import Scale
from gradscape.figures.surfaces.wording import result_names
from gradscape.landscape import Field, Line, Surface, Trajectory, Value, save_csv
from gradscape.training.score_columns import score_column

__all__ = [
    "Numbered",
    "draw_comparison",
    "draw_curve",
    "draw_difference",
    "draw_line",
    "draw_one",
    "draw_surface",
    "draw_training",
    "draw_trainings",
    "save_pages",
]

_log = logging.getLogger(__name__)

Numbered = Iterator[tuple[str, Figure]]

_SMOOTHABLE = ("contour", "filled", "surface")
_RECOMMENDED: tuple[Literal["contour", "surface"], ...] = ("contour", "surface")


def draw_surface(surface: Surface, folder: Path, *, everything: bool = False) -> list[Path]:
    """A contour map and a relief of one surface, or every picture of it; its interactive page and its tables."""
    return [
        *_save(_every_page(surface) if everything else _pages(surface), folder),
        *_save_interactive([surface], None, folder / "surface.html"),
        *_save_table(surface, folder),
    ]


def draw_comparison(surfaces: Mapping[str, Surface], folder: Path, *, everything: bool = False) -> list[Path]:
    """Several surfaces side by side; their tables lie beside each one's own pictures."""
    titles, several = list(surfaces), list(surfaces.values())
    pages = _every_comparison(several, titles) if everything else _comparisons(several, titles)
    return [*_save(pages, folder), *_save_interactive(several, titles, folder / "surface.html")]


def draw_one(
    results: Sequence[Surface | Line | Field],
    files: Sequence[Path],
    stem: Path,
    *,
    kind: str,
    value: str | None = None,
    scale: str | None = None,
    smoothed: bool = False,
) -> list[Path]:
    """One picture of one surface or several, or of lines.

    Args:
        results: What to draw, fields as they are; several surfaces stand side by side on one scale, lines share their
            axes and show loss and error, so that of the options they take only `scale` (raw or log).
        files: Where they come from, which tells networks of one name apart.
        stem: Path without ending.
        kind: "contour", "filled", "heat", "surface" or "interactive", a page that has other values and scales too.
        value: Name of the surfaces' field: "loss", "error", "stderr", …; the usual one if left out.
        scale: "auto", "raw", "minmax", "minmax-column" or "log"; likewise.
        smoothed: Interpolate between the points, for the kinds "contour", "filled" and "surface".

    Raises:
        ValueError: Surfaces and lines are mixed, or an option does not fit.
    """
    surfaces = [result for result in results if not isinstance(result, Line)]
    lines = [result for result in results if isinstance(result, Line)]
    if surfaces and lines:
        raise ValueError("surfaces and lines cannot share a picture: draw them one by one")
    if smoothed and (lines or kind not in _SMOOTHABLE):
        raise ValueError(f"`--smooth` interpolates for --kind {', '.join(_SMOOTHABLE)} of surfaces alone: leave it out")
    if lines:
        line_scale: Any = {} if scale in (None, "auto") else {"scale": scale}
        return save_figure(figure_line(lines, titles=_titles(lines, files), **line_scale), stem)
    titles = _titles(surfaces, files)
    if kind == "interactive":
        return _save_interactive(surfaces, titles, Path(f"{stem}.html"), value=value, scale=scale)
    looks: dict[str, Any] = {"kind": kind, "value": value, "smoothed": smoothed, **({"scale": scale} if scale else {})}
    if len(surfaces) == 1:
        return save_figure(figure_landscape(surfaces[0], **looks), stem)
    return save_figure(figure_comparison(surfaces, titles=titles, **looks), stem)


def draw_difference(
    results: Sequence[Surface | Line | Field], files: Sequence[Path], stem: Path, *, kind: str, scale: str | None = None
) -> list[Path]:
    """One picture of the first surface's loss minus the second's, and its table.

    Args:
        results: The two surfaces, evaluated on one grid and the same images.
        files: Where they come from, which tells networks of one name apart.
        stem: Path without ending.
        kind: As for `draw_one`.
        scale: As for `draw_one`; a difference has two signs, of which no logarithm is.

    Raises:
        ValueError: These are not two surfaces that can be compared, or an option does not fit.
    """
    surfaces = [result for result in results if isinstance(result, Surface)]
    if len(surfaces) != 2 or len(results) != 2:
        raise ValueError(f"`--difference` needs two surfaces, A.h5 and B.h5, got {_counted(results)}")
    first, second = surfaces
    of, minus = _titles(surfaces, files)
    difference = first.difference(second).field((of, minus))
    looks: dict[str, Any] = {"kind": kind, **({"scale": scale} if scale else {})}
    if kind == "interactive":
        written = _save_interactive([difference], None, Path(f"{stem}.html"), scale=scale)
    else:
        written = save_figure(figure_landscape(difference, **looks), stem)
    table = Path(f"{stem}.csv")
    save_csv(difference, table)
    return [*written, table]


def draw_line(line: Line, folder: Path) -> list[Path]:
    """Loss and error along a line, and their table."""
    save_csv(line, folder / "line.csv")
    return [*save_figure(figure_line(line), folder / "line"), folder / "line.csv"]


def draw_curve(curve: Line, line: Line, folder: Path) -> list[Path]:
    """Loss and error along a curve beside those of the straight line between its ends, and the curve's table."""
    save_csv(curve, folder / "curve.csv")
    page = figure_line([line, curve], titles=["straight line", curve_name(curve)])
    return [*save_figure(page, folder / "curve"), folder / "curve.csv"]


def draw_training(metrics: Sequence[Mapping[str, np.ndarray]], folder: Path, *, about: str = "") -> list[Path]:
    """Curves of one training run or several, the caption ending in `about`; metrics.csv beside them has the numbers."""
    return save_figure(figure_training(metrics, about=about), folder / "curves")


def draw_trainings(
    metrics: Mapping[str, Sequence[Mapping[str, np.ndarray]]], folder: Path, *, about: str = ""
) -> list[Path]:
    """Curves of a network, or of each of several in its folder and, as far as colors tell them apart, of all together.

    Args:
        metrics: What a network's folder is called -> the columns of its runs.
        folder: Where to; that of a single network.
        about: How the captions end.
    """
    if len(metrics) == 1:
        return draw_training(next(iter(metrics.values())), folder, about=about)
    written = [path for title, runs in metrics.items() for path in draw_training(runs, folder / title, about=about)]
    if len(metrics) > MOST_NETWORKS:
        _log.warning("the curves of %d networks are not drawn together: at most %d are", len(metrics), MOST_NETWORKS)
        return written
    first = next(iter(metrics.values()))[0]
    page = figure_run_curves(metrics, ("train_loss", score_column(first) or "test_loss"))
    if about:
        add_remark(page, about)
    return [*written, *save_figure(page, folder / "curves")]


def _titles(results: Sequence[Surface | Line | Field], files: Sequence[Path]) -> list[str]:
    """The networks' names, with what the files' paths do not share where several have one name."""
    names = result_names(results)
    own = telling_parts([file.absolute().with_suffix("") for file in files])
    return names if len(set(names)) == len(names) else [f"{one} ({part})" for one, part in zip(names, own, strict=True)]


def _pages(surface: Surface) -> Numbered:
    for kind in _RECOMMENDED:
        yield f"loss_{kind}", figure_landscape(surface, kind=kind)


def _every_page(surface: Surface) -> Numbered:
    """The same, all other kinds, and both values as they are beside other scales."""
    values: tuple[Value, ...] = ("loss",) if np.isnan(surface.error).all() else ("loss", "error")
    for value in values:
        for kind in ("contour", "filled", "heat", "surface"):
            # Of the kind that also has a page on a log scale, this one is on an even scale.
            scale: Scale = "raw" if kind == "filled" else "auto"
            yield f"{value}_{kind}", figure_landscape(surface, kind=kind, value=value, scale=scale)
        yield f"{value}_scaled", figure_scaled(surface, value=value)
    if (surface.loss[np.isfinite(surface.loss)] > 0).all():
        yield "loss_log", figure_landscape(surface, kind="filled", scale="log")


def _comparisons(surfaces: Sequence[Surface], titles: Sequence[str]) -> Numbered:
    for kind in _RECOMMENDED:
        yield f"loss_{kind}", figure_comparison(surfaces, kind=kind, titles=titles)


def _every_comparison(surfaces: Sequence[Surface], titles: Sequence[str]) -> Numbered:
    yield "loss_contour", figure_comparison(surfaces, kind="contour", titles=titles)
    for kind in ("filled", "surface"):
        yield f"loss_{kind}", figure_comparison(surfaces, kind=kind, titles=titles)
        yield f"loss_{kind}_minmax", figure_comparison(surfaces, kind=kind, scale="minmax", titles=titles)
        yield f"error_{kind}", figure_comparison(surfaces, kind=kind, value="error", titles=titles)


def _save(pages: Numbered, folder: Path) -> list[Path]:
    return [path for name, figure in pages for path in save_figure(figure, folder / name)]


def _save_interactive(
    surfaces: Sequence[Surface | Field], titles: Sequence[str] | None, path: Path, **first: Any
) -> list[Path]:
    # Named by its room: plotly takes half a second to import, which pictures for paper do not need.
    figures.interactive_surface(surfaces, titles=titles, **first).save(path)
    return [path]


def _counted(results: Sequence[Surface | Line | Field]) -> str:
    lines = sum(isinstance(result, Line) for result in results)
    return f"{len(results) - lines} and {lines} lines" if lines else str(len(results))


def _save_table(surface: Surface, folder: Path) -> list[Path]:
    path = folder / "surface.csv"
    save_csv(surface, path)
    if not (entries := surface.meta.get("trajectories")):
        return [path]
    placed = [Trajectory.from_entry(entry) for entry in entries]
    rows = [
        {"trajectory": one.name, "network": label, "alpha": alpha, "beta": beta, "distance": distance}
        for one in placed
        for label, alpha, beta, distance in zip(one.labels, one.alphas, one.betas, one.distance, strict=True)
    ]
    save_rows(folder / "trajectories.csv", list(rows[0]), rows)
    return [path, folder / "trajectories.csv"]


def save_pages(pages: Iterator[Figure], stem: Path) -> list[Path]:
    """Write pages as `stem`, `stem_page2`, `stem_page3` …, each as pdf and png."""
    return [
        path
        for number, page in enumerate(pages, 1)
        for path in save_figure(page, stem.with_name(f"{stem.name}_page{number}") if number > 1 else stem)
    ]
