"""Hessians of several networks on the same images: the ends of their spectra, traces and densities, side by side."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from gradscape._digest import digest_model
from gradscape._files import save_rows
from gradscape._left_as_before import left_as_before
from gradscape._provenance import Provenance, current_versions
from gradscape.data import Split
from gradscape.figures.charts.curvature import figure_curvature
from gradscape.figures.style import save_figure, short_number
from gradscape.landscape.directions import Ignore
from gradscape.landscape.engine import LossFunction, cross_entropy
from gradscape.landscape.hessian.course import Course, OutOfTimeError, Report
from gradscape.landscape.hessian.curvature import Curvature
from gradscape.landscape.hessian.density import find_density
from gradscape.landscape.hessian.products import BATCH_IMAGES, HessianProducts
from gradscape.landscape.hessian.spectrum import Search, find_spectrum
from gradscape.landscape.hessian.trace import find_trace
from gradscape.models import Classifier
from gradscape.studies.networks import check_classes, file_name

__all__ = [
    "CURVATURE",
    "HEADINGS",
    "Wanted",
    "describe_unfinished",
    "draw_curvatures",
    "measure_curvatures",
    "remarks_on",
    "tabulate_curvatures",
]

CURVATURE = "curvature.npz"
"""What the file of a network's Hessian is called."""

HEADINGS = (
    "network",
    "of the Hessian",
    "these images ",
    "found on half ",
    "on the other ",
    "all images, 95 % ",
    "carried by ",
)

_STEPS = "steps"  # the folder of what is kept to go on with
_MARK = " !"


@final
@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is measured of each Hessian.

    Attributes:
        search: Which eigenvalues.
        trace: Whether the trace.
        density: Whether the density of eigenvalues.
        parameters: Names of the parameters, as patterns.
        ignore: "none" or "biasbn".
        loss: One number an image.
        batch_size: Images that go through a network together.
    """

    search: Search = field(default_factory=Search)
    trace: bool = False
    density: bool = False
    parameters: str = "*"
    ignore: Ignore = "none"
    loss: LossFunction = cross_entropy
    batch_size: int = BATCH_IMAGES


@left_as_before
def measure_curvatures(
    models: Mapping[str, Classifier],
    split: Split,
    folder: Path,
    wanted: Wanted,
    *,
    until: float | None = None,
    report: Report | None = None,
) -> dict[str, Curvature]:
    """Measure the Hessian of each network, each into `curvature.npz`, in a folder of its name where there are several.

    Steps are kept beside it: the same call goes on there, to the same bits.

    Args:
        models: By the name that tables and pictures take.
        split: The images.
        folder: Where to write.
        wanted: What is measured.
        until: The moment on the monotonic clock at which it ends with what there is.
        report: Called after every step.

    Returns:
        By network; what there was no time for is None.

    Raises:
        ValueError: The images are of other classes than a network's, or what `hessian_spectrum` refuses.
    """
    check_classes(models, split)
    found = {}
    for name, model in models.items():
        place = folder / file_name(name) if len(models) > 1 else folder
        told = None if report is None else (lambda job, *done, name=name: report(f"{name}: {job}", *done))
        course = Course(place / _STEPS, until=until, report=told)
        found[name] = _measured(name, model, split, wanted, course=course)
        found[name].save(place / CURVATURE)
    return found


def tabulate_curvatures(curvatures: Mapping[str, Curvature]) -> list[tuple[str, ...]]:
    """Return a row of text for each number, under `HEADINGS`."""
    return [row for name, one in curvatures.items() for row in _rows(name, one)]


def remarks_on(curvatures: Mapping[str, Curvature]) -> list[str]:
    """What must be known to read the numbers."""
    first = next(iter(curvatures.values()))
    rows = [row for name, one in curvatures.items() for row in _rows(name, one)]
    seen, population = first.spectrum.images, first.population
    lines = [
        f"mean loss over {seen:,} of {population:,} images; λ itself is of these images and has no interval: found on "
        "some images, a vector fits them. The interval is that of vᵀHv over all images, for v found on either half"
    ]
    if seen == population:
        lines[0] = f"mean loss over all {seen:,} images, for which nothing is left to estimate: intervals have no width"
    if any(row[-1].endswith(_MARK) for row in rows):
        lines.append("!: fewer than 40 images carry it, so that its interval may be too short: take more images")
    for name, one in curvatures.items():
        if missing := int((~one.spectrum.converged).sum()):
            lines.append(f"{name}: {missing} eigenvalue{'s' if missing > 1 else ''} not converged (≈)")
        if one.trace is not None and one.trace.inexact:
            lines.append(f"{name}: the trace is an estimate, since {one.trace.inexact}")
    return lines


def describe_unfinished(curvatures: Mapping[str, Curvature], wanted: Wanted) -> list[str]:
    """What there was no time for."""
    lines = []
    for name, one in curvatures.items():
        asked = {
            "the halves": wanted.search.held_out and one.spectrum.held_out is None,
            "the trace": wanted.trace and one.trace is None,
            "the density": wanted.density and one.density is None,
        }
        if missing := [part for part, is_missing in asked.items() if is_missing]:
            lines.append(
                f"{name}: no time was left for {', '.join(missing)}; the same command with more --time goes on"
            )
    return lines


def draw_curvatures(curvatures: Mapping[str, Curvature], folder: Path) -> list[Path]:
    """Write the picture and the table, and say what was written."""
    rows = [
        dict(zip((heading.strip() for heading in HEADINGS), row, strict=True))
        for row in tabulate_curvatures(curvatures)
    ]
    save_rows(folder / "curvature.csv", list(rows[0]), rows)
    pictures = save_figure(figure_curvature(curvatures), folder / "curvature")
    results = [
        folder / file_name(name) / CURVATURE if len(curvatures) > 1 else folder / CURVATURE for name in curvatures
    ]
    return [*results, folder / "curvature.csv", *pictures]


def _measured(name: str, model: Classifier, split: Split, wanted: Wanted, *, course: Course) -> Curvature:
    products = HessianProducts(
        model,
        split,
        loss=wanted.loss,
        parameters=wanted.parameters,
        ignore=wanted.ignore,
        batch_size=wanted.batch_size,
    )
    spectrum = find_spectrum(products, wanted.search, course)
    trace = density = None
    with suppress(OutOfTimeError):
        trace = find_trace(products, course, seed=wanted.search.seed) if wanted.trace else None
        density = find_density(products, course, seed=wanted.search.seed) if wanted.density else None
    functions = {**products.task.names(), "functions": products.task.identities()}
    return Curvature(spectrum, products.dimension, trace, density, _provenance(name, model, split, wanted, functions))


def _provenance(
    name: str, model: Classifier, split: Split, wanted: Wanted, functions: Mapping[str, object]
) -> Provenance:
    return Provenance(
        model=model.meta["name"],
        title=name,
        weights=digest_model(model),
        data=split.name,
        split=split.split,
        images=split.num_images,
        population=split.population,
        seed=wanted.search.seed,
        versions=current_versions("numpy", "scipy"),
        others={
            "parameters": wanted.parameters,
            "ignore": wanted.ignore,
            "batch_size": wanted.batch_size,
            **functions,
            **({"checkpoint": model.path} if model.path else {}),
        },
    )


def _rows(name: str, one: Curvature) -> list[tuple[str, ...]]:
    spectrum, held_out = one.spectrum, one.spectrum.held_out
    rows = []
    for index, value in enumerate(spectrum.values):
        low = index - spectrum.top
        called = f"λ{index + 1}" if low < 0 else f"λ{one.dimension - low:,}"
        called += " (lowest)" if low == 0 else ""
        about = "" if spectrum.converged[index] else "≈"
        cells = [name, called, about + short_number(value, 4)]
        if held_out is None:
            rows.append((*cells, "", "", "", ""))
            continue
        ends = [float(end[index]) for end in held_out.interval()]
        mark = "" if held_out.reliable[index] else _MARK
        rows.append(
            (
                *cells,
                short_number(float(held_out.found[:, index].mean()), 4),
                short_number(float(held_out.read[:, index].mean()), 4),
                _interval(*ends),
                f"{held_out.effective_images[index]:.0f}{mark}",
            )
        )
    if one.trace is not None:
        mark = "" if one.trace.reliable else _MARK
        carried = f"{one.trace.mean.effective_images:.0f}{mark}"
        rows.append(
            (name, "trace", short_number(one.trace.value, 4), "", "", _interval(*one.trace.interval()), carried)
        )
    return rows


def _interval(low: float, high: float) -> str:
    return f"{short_number(low, 4)} to {short_number(high, 4)}"
