"""Maps of both ends of the Hessian's spectrum around networks: measured into files, and drawn."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gradscape import figures
from gradscape._files import save_rows
from gradscape._provenance import CHANCE
from gradscape.data import Split
from gradscape.figures import figure_comparison, figure_landscape, save_figure
from gradscape.landscape import CURVATURE_FIELDS, CurvatureMap, evaluate_curvature, random_directions
from gradscape.models import Classifier
from gradscape.studies.chance import models_at_chance
from gradscape.studies.networks import check_classes, measured_entries

__all__ = ["CURVATURE_FILE", "describe_maps", "draw_maps", "map_curvatures"]

CURVATURE_FILE = "curvature.h5"
"""What the file of a network's map is called."""

_COLUMNS = ("max_eig", "min_eig", "ratio", "max_residual", "min_residual", "products", "converged")


def map_curvatures(
    models: Mapping[str, Classifier],
    split: Split,
    folder: Path,
    axes: tuple[np.ndarray, np.ndarray],
    *,
    seed: int = 0,
    report: Callable[[str, int, int], object] | None = None,
    seconds: float | None = None,
    **options: Any,
) -> dict[str, CurvatureMap]:
    """Map every network's curvature over its plane of random, filter-normalized directions, into a file of its own.

    Args:
        models: By the name that pictures take.
        split: The images, the same for all.
        folder: Where `curvature.h5` goes; of several networks to folders of their names.
        axes: (alphas, betas).
        seed: Of the directions and of random starts.
        report: Called with a network's name, the points done, and all.
        seconds: For all networks together, the same time for each.
        **options: Those of `evaluate_curvature`.

    Raises:
        ValueError: The images are of other classes than a network's, or as for `evaluate_curvature`.
    """
    check_classes(models, split)
    guessing = models_at_chance(models, split, data=split.name)
    found = {}
    for name, model in models.items():
        meta = measured_entries(name, model, split)
        meta |= {CHANCE: [name]} if name in guessing else {}
        found[name] = evaluate_curvature(
            model,
            split,
            random_directions(model, seed=seed),
            *axes,
            seed=seed,
            path=_place(name, folder, several=len(models) > 1) / CURVATURE_FILE,
            meta={**meta, "normalize": "filter"},
            seconds=None if seconds is None else seconds / len(models),
            report=None if report is None else partial(report, name),
            **options,
        )
    return found


def draw_maps(maps: Mapping[str, CurvatureMap], folder: Path) -> list[Path]:
    """Every network's three maps, a page to turn and a table in its folder; of several all side by side.

    Returns:
        What was written.
    """
    written: list[Path] = []
    for name, found in maps.items():
        place = _place(name, folder, several=len(maps) > 1)
        for value in CURVATURE_FIELDS:
            written += save_figure(figure_landscape(found.field(value), kind="filled"), place / f"curvature_{value}")
        figures.interactive_surface(found.field("ratio")).save(place / "curvature_map.html")
        written += [place / "curvature_map.html", _save_table(found, place / "curvature_map.csv")]
    if len(maps) > 1:
        for value in CURVATURE_FIELDS:
            page = figure_comparison([one.field(value) for one in maps.values()], kind="filled", titles=list(maps))
            written += save_figure(page, folder / f"curvature_{value}")
    return written


def describe_maps(maps: Mapping[str, CurvatureMap]) -> list[str]:
    """What the maps took, and what a cold start found at some of their points."""
    lines = []
    for name, found in maps.items():
        done = found.products > 0
        said = f"{name}: {int(done.sum())} of {done.size} points"
        if done.any():
            said += f", {found.products[done].mean():.1f} Hessian products each, {int(found.converged.sum())} converged"
        largest, smallest = found.origin
        lines.append(f"{said}; at the network itself {largest:.4g} and {smallest:.4g}")
        if not done.all():
            lines.append(f"{name} is not done: the same command without --time goes on")
        if checks := found.meta.get("checks"):
            off = max(_share(abs(cold - warm), of=one["cold"]) for one in checks for cold, warm in _pairs(one))
            lines.append(
                f"{name}: cold starts at {len(checks)} points differ by at most {100 * off:.2g} % of the larger"
            )
    return lines


def _pairs(check: Mapping[str, Any]) -> Iterator[tuple[float, float]]:
    return zip(check["cold"], check["warm"], strict=True)


def _share(difference: float, *, of: Sequence[float]) -> float:
    largest = max(map(abs, of))
    return difference / largest if largest else 0.0


def _place(name: str, folder: Path, *, several: bool) -> Path:
    return folder / name if several else folder


def _save_table(found: CurvatureMap, path: Path) -> Path:
    alphas, betas = np.meshgrid(found.alphas, found.betas)
    columns = {"alpha": alphas, "beta": betas, **{name: getattr(found, name) for name in _COLUMNS}}
    rows = zip(*(values.ravel().tolist() for values in columns.values()), strict=True)
    save_rows(path, list(columns), (dict(zip(columns, row, strict=True)) for row in rows))
    return path
