"""Several networks' landscapes in numbers: is one really smoother, or was it the choice of directions?"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from itertools import combinations
from pathlib import Path
from typing import Any, final

import numpy as np

from gradscape._files import replacing
from gradscape._names import tell_apart, telling_parts, unknown_name
from gradscape._provenance import CHANCE, Provenance
from gradscape._recipe_record import describe_recipe_differences
from gradscape.figures.style import save_figure
from gradscape.figures.surfaces.metrics import figure_measures
from gradscape.landscape import Surface
from gradscape.landscape.metrics.estimates import joined
from gradscape.landscape.metrics.measure import METRICS, Measure, measure_resamples
from gradscape.landscape.rounding import describe_precision
from gradscape.studies.differences import Draws, PairDifference, pair_difference

__all__ = [
    "DIFFERENCE_HEADINGS",
    "HEADINGS",
    "Comparison",
    "compare_surfaces",
    "load_networks",
    "save_comparison",
    "tabulate_differences",
    "tabulate_means",
]


@final
@dataclass(frozen=True)
class Comparison:
    """Networks side by side.

    Attributes:
        means: Network -> metric -> mean over its draws of directions, with an interval over directions and images
            (over images alone where there is a single draw).
        draws: Network -> metric -> value in each draw, NaN where it is undefined.
        differences: Every pair of networks in every metric.
        confidence: Coverage of each interval in `means`, and of all those in `differences` together.
        guessing: Networks that do no better than chance on their images.
        precisions: Network -> in which precisions its surfaces were computed, bf16 with its error; empty where that is
            unknown.
        trained: By which recipes the networks were trained, where these differ.
    """

    means: Mapping[str, Mapping[str, Measure]]
    draws: Mapping[str, Mapping[str, Sequence[float]]]
    differences: Sequence[PairDifference]
    confidence: float
    guessing: Sequence[str] = ()
    precisions: Mapping[str, str] = field(default_factory=dict)
    trained: str = ""

    @property
    def shared_notes(self) -> list[str]:
        """What is noted about every mean, and need be said only once."""
        first, *others = (measure.notes for found in self.means.values() for measure in found.values())
        return [note for note in first if others and all(note in notes for notes in others)]

    @property
    def remarks(self) -> list[str]:
        """What must be known to read the numbers."""
        counts = {name: len(next(iter(found.values()))) for name, found in self.draws.items()}
        lines = ["draws of directions: " + ", ".join(f"{name} {count}" for name, count in counts.items())]
        if single := [name for name, count in counts.items() if count == 1]:
            lines.append(
                f"one draw of directions for {', '.join(single)}: its interval is over images alone, and how much "
                "other directions would give is unknown; evaluate more by gradscape landscape --repeats 5"
            )
        if self.guessing:
            lines.append(
                f"answers no better than chance on these images: {', '.join(self.guessing)}; see that the images, "
                "their labels and the normalization are the networks' own"
            )
        lines += [self.trained] if self.trained else []
        if self.differences:
            lines.append(
                f"{len(self.differences)} comparisons: their intervals hold together with "
                f"{100 * self.confidence:g} % (Bonferroni)"
            )
        return lines + ([self.computed] if self.computed else [])

    @property
    def computed(self) -> str:
        """In which precision: once for all, or by network; "" where that is unknown."""
        known = {name: precision for name, precision in self.precisions.items() if precision}
        if len(set(known.values())) == 1 and len(known) == len(self.precisions):
            return f"computed in {next(iter(known.values()))}"
        return "computed in " + "; ".join(f"{said} ({name})" for name, said in known.items()) if known else ""


def load_networks(paths: Iterable[Path]) -> dict[str, list[Surface]]:
    """Load surfaces and tell their networks apart by the digest of their weights.

    Args:
        paths: Surface files, and folders in which every surface.h5 is taken.

    Returns:
        Network -> its surfaces, one for each draw of directions; a network has its model's name where that tells it
        from the others, else what its path has of its own, else a part of its digest.

    Raises:
        ValueError: A folder without surfaces, a file of another program, or the same draw twice.
    """
    groups: dict[str, dict[str, tuple[Path, Surface]]] = {}
    for file in dict.fromkeys(file.resolve() for path in paths for file in _surface_files(path)):
        surface = Surface.load(file)
        if not {"weights", "directions", "blocks"} <= surface.meta.keys():
            raise ValueError(f"{file} does not say which network, directions and images it is of: evaluate it here")
        draws = groups.setdefault(str(surface.meta["weights"]), {})
        known = draws.setdefault(str(surface.meta["directions"]), (file, surface))
        if known[0] != file:
            raise ValueError(f"{known[0]} and {file} hold one network along the same directions: give one of them")
    first = [next(iter(draws.values())) for draws in groups.values()]
    names = [Provenance.of(surface.meta).called or "model" for _, surface in first]
    folders = telling_parts([_run(file) for file, _ in first])
    digests = [f"{name} {weights[:8]}" for name, weights in zip(names, groups, strict=True)]
    called = tell_apart([names, folders, digests])
    surfaces = ([surface for _, surface in draws.values()] for draws in groups.values())
    return dict(zip(called, surfaces, strict=True))


def compare_surfaces(
    networks: Mapping[str, Sequence[Surface]],
    *,
    metrics: Sequence[str] | None = None,
    confidence: float = 0.95,
    resamples: int = 200,
    seed: int = 0,
) -> Comparison:
    """Compare networks by the metrics of their landscapes.

    Each network has K draws of random directions. Networks share no directions, so that their draws are independent
    samples: the difference of their means has Welch's interval. They do share the images: what other images would
    change is a bootstrap over blocks that resamples the same images for all; its half-width is added in quadrature.

    Args:
        networks: Name -> surfaces, one for each draw of directions.
        metrics: Some of `METRICS`; all by default. The fewer, the narrower the intervals of the differences.
        confidence: Coverage of each interval of a mean, and of all those of differences together.
        resamples: Number of bootstrap resamples.
        seed: Of bootstrap and permutations.

    Raises:
        ValueError: The surfaces differ in coordinates, images, loss or normalization, or there is no such metric.

    Source: Welch 1947; Zou and Donner 2008 (half-widths in quadrature); Dunn 1961 (Bonferroni intervals).
    """
    chosen = list(METRICS if metrics is None else dict.fromkeys(metrics))
    for name in chosen:
        if name not in METRICS:
            raise unknown_name("metric", name, METRICS)
    if not networks or not all(networks.values()) or not chosen:
        raise ValueError("`networks` must hold at least one network with a surface, and `metrics` at least one name")
    _check_comparable(networks)
    found = {
        name: [
            measure_resamples(surface, resamples=resamples, confidence=confidence, seed=seed) for surface in surfaces
        ]
        for name, surfaces in networks.items()
    }
    pairs = list(combinations(networks, 2))
    level = 1 - (1 - confidence) / max(1, len(pairs) * len(chosen))
    samples = {
        (network, metric): Draws.of([draw[metric] for draw in draws])
        for network, draws in found.items()
        for metric in chosen
    }
    return Comparison(
        means={name: {metric: samples[name, metric].mean(confidence) for metric in chosen} for name in networks},
        draws={name: {metric: samples[name, metric].values.tolist() for metric in chosen} for name in networks},
        differences=[
            pair_difference(metric, pair, *(samples[name, metric] for name in pair), confidence=level, seed=seed)
            for metric in chosen
            for pair in pairs
        ],
        confidence=confidence,
        guessing=[name for name, several in networks.items() if any(CHANCE in one.meta for one in several)],
        precisions={name: _precision(surfaces) for name, surfaces in networks.items()},
        trained=describe_recipe_differences({name: surfaces[0].meta for name, surfaces in networks.items()}),
    )


def _precision(surfaces: Sequence[Surface]) -> str:
    return ", ".join(filter(None, dict.fromkeys(describe_precision(surface.meta) for surface in surfaces)))


def _check_comparable(networks: Mapping[str, Sequence[Surface]]) -> None:
    """Refuse surfaces that differ in more than network and directions."""
    named = [(name, surface) for name, surfaces in networks.items() for surface in surfaces]
    reference_name, reference = named[0]
    for name, surface in named:
        if not (surface.count > 0).all():
            raise ValueError(f"{name} is not evaluated at all points: let its evaluation end")
        for what, own, other, fix in (
            ("spans or steps", _axes(reference), _axes(surface), "use one --span R and --steps N"),
            ("images", reference.blocks.count.tolist(), surface.blocks.count.tolist(), _ONE_DATA),
            *((what, reference.meta.get(key), surface.meta.get(key), fix) for key, (what, fix) in _MUST_AGREE.items()),
        ):
            if own != other:
                raise ValueError(f"{reference_name} and {name} have different {what}: {fix} for all")


_SURFACE = "surface.h5"
_ONE_DATA = "use one --data, --limit and --seed, and let every evaluation end"
_MUST_AGREE = {
    "data": ("data", "use one --data"),
    "split": ("splits of the data", "use one --split"),
    "blocks": ("images", _ONE_DATA),
    "functions": ("loss or metric functions", "use the same ones"),
    "normalize": ("normalizations of directions", "use one --normalize"),
    "ignore": ("choices of what directions move", "use one --ignore"),
    "space": ("spaces of directions", "use one --space"),
}


def _axes(surface: Surface) -> Any:
    return surface.alphas.tolist(), surface.betas.tolist()


def _surface_files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(path.rglob(_SURFACE))
    if not files:
        raise ValueError(f"{path} holds no surface.h5: gradscape landscape makes them")
    return files


def _run(file: Path) -> Path:
    """The folder of a surface, or of the draws that it is one of; the file where it has a name of its own."""
    if file.name != _SURFACE:
        return file.with_suffix("")
    return file.parent.parent if file.parent.name.removeprefix("seed").isdecimal() else file.parent


HEADINGS = ("metric", "network", "mean ", "interval ", "note")
DIFFERENCE_HEADINGS = ("metric", "difference", "value ", "interval ", "verdict")


def tabulate_means(comparison: Comparison) -> list[tuple[str, ...]]:
    """Return a row of text for each metric and network, under `HEADINGS`; notes that all share are left out."""
    shared = comparison.shared_notes
    return [
        (
            _titled(metric),
            network,
            _spelled(found[metric].value),
            _range(found[metric]),
            joined(*(note for note in found[metric].notes if note not in shared)),
        )
        for metric in next(iter(comparison.means.values()))
        for network, found in comparison.means.items()
    ]


def tabulate_differences(comparison: Comparison) -> list[tuple[str, ...]]:
    """Return a row of text for each comparison, under `DIFFERENCE_HEADINGS`."""
    return [
        (_titled(one.metric), f"{one.first} − {one.second}", _spelled(one.difference), _range(one), one.verdict)
        for one in comparison.differences
    ]


def save_comparison(comparison: Comparison, folder: Path) -> list[Path]:
    """Write metrics.csv (means), draws.csv, differences.csv, and a picture of the means with their draws.

    Args:
        comparison: What to write.
        folder: Where to; made if it is not there.

    Returns:
        The files.
    """
    means = [
        {"network": network, "draws": len(comparison.draws[network][metric]), **asdict(measure)}
        for network, found in comparison.means.items()
        for metric, measure in found.items()
    ]
    draws = [
        {"network": network, "metric": metric, "draw": number, "value": value}
        for network, found in comparison.draws.items()
        for metric, values in found.items()
        for number, value in enumerate(values)
    ]
    headings = [field.name for field in fields(PairDifference)]
    differences = [asdict(one) for one in comparison.differences]
    caption = f"{comparison.remarks[0]} (dots); lines: {100 * comparison.confidence:g} % intervals of the means"
    caption = "; ".join(filter(None, [caption, comparison.computed, comparison.trained]))
    page = figure_measures(comparison.means, draws=comparison.draws, caption=caption)
    return [
        _save_csv(folder / "metrics.csv", list(means[0]), means),
        _save_csv(folder / "draws.csv", list(draws[0]), draws),
        _save_csv(folder / "differences.csv", headings, differences),
        *save_figure(page, folder / "metrics"),
    ]


def _save_csv(path: Path, headings: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Path:
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, headings)
        writer.writeheader()
        writer.writerows(rows)
    return path


def _titled(metric: str) -> str:
    unit = METRICS[metric].unit
    return f"{metric} ({unit})" if unit else metric


def _spelled(value: float) -> str:
    return f"{value:.3g}" if np.isfinite(value) else "—"


def _range(one: Measure | PairDifference) -> str:
    if np.isnan(one.low):
        return "—"
    return f"{one.low:.3g} to {'∞' if one.high == np.inf else f'{one.high:.3g}'}"
