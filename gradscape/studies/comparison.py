"""Networks side by side in numbers: means with intervals, differences with verdicts, as tables, files and a picture."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import final

import numpy as np

from gradscape._files import save_rows
from gradscape.figures.style import save_figure
from gradscape.figures.surfaces.metrics import figure_measures
from gradscape.landscape.metrics.estimates import joined
from gradscape.landscape.metrics.measure import Measure
from gradscape.studies.differences import PairDifference, describe_together, tell_verdicts

__all__ = [
    "DIFFERENCE_HEADINGS",
    "HEADINGS",
    "Comparison",
    "difference_rows",
    "save_comparison",
    "save_differences",
    "tabulate_differences",
    "tabulate_means",
]

HEADINGS = ("metric", "network", "mean ", "interval ", "note")
DIFFERENCE_HEADINGS = ("metric", "difference", "value ", "interval ", "verdict")

_PERCENT = "%"
_LENGTH = re.compile(r"\bd[²³]?$")  # in the units of landscape metrics


@final
@dataclass(frozen=True)
class Comparison:
    """Networks side by side.

    Attributes:
        means: Network -> metric -> mean over its trainings and draws of directions, with an interval.
        draws: Network -> metric -> value in each draw, NaN where it is undefined.
        differences: Every pair of networks in every metric.
        confidence: Coverage of each interval in `means`, and of all those in `differences` together.
        about: What must be known to read the numbers; first what is counted.
        trainings: Network -> which training each draw is of, in words.
        precisions: Network -> in which precisions its surfaces were computed, bf16 with its error; empty where that is
            unknown.
    """

    means: Mapping[str, Mapping[str, Measure]]
    draws: Mapping[str, Mapping[str, Sequence[float]]]
    differences: Sequence[PairDifference]
    confidence: float
    about: Sequence[str] = ()
    trainings: Mapping[str, Sequence[str]] = field(default_factory=dict)
    precisions: Mapping[str, str] = field(default_factory=dict)

    @property
    def shared_notes(self) -> list[str]:
        """What is noted about every mean, and need be said only once."""
        first, *others = (measure.notes for found in self.means.values() for measure in found.values())
        return [note for note in first if others and all(note in notes for notes in others)]

    @property
    def remarks(self) -> list[str]:
        """What must be known to read the numbers, why verdicts are unknown, and how the intervals hold together."""
        lines = [*self.about, *tell_verdicts([one.verdict for one in self.differences])[1]]
        if any(np.isfinite(one.low) for one in self.differences):
            lines.append(describe_together(len(self.differences), confidence=self.confidence))
        return lines + ([self.computed] if self.computed else [])

    @property
    def computed(self) -> str:
        """In which precision: once for all, or by network; "" where that is unknown."""
        known = {name: precision for name, precision in self.precisions.items() if precision}
        if len(set(known.values())) == 1 and len(known) == len(self.precisions):
            return f"computed in {next(iter(known.values()))}"
        return "computed in " + "; ".join(f"{said} ({name})" for name, said in known.items()) if known else ""


def tabulate_means(comparison: Comparison) -> list[tuple[str, ...]]:
    """Return a row of text for each metric and network, under `HEADINGS`; notes that all share are left out."""
    shared = comparison.shared_notes
    return [
        (
            _titled(metric, found[metric].unit),
            network,
            _spelled(found[metric].value, found[metric].unit),
            _range(found[metric], found[metric].unit),
            joined(*(note for note in found[metric].notes if note not in shared)),
        )
        for metric in next(iter(comparison.means.values()))
        for network, found in comparison.means.items()
    ]


def tabulate_differences(comparison: Comparison) -> list[tuple[str, ...]]:
    """Return a row of text for each comparison, under `DIFFERENCE_HEADINGS`."""
    units = {metric: measure.unit for found in comparison.means.values() for metric, measure in found.items()}
    return difference_rows(comparison.differences, units)


def difference_rows(differences: Sequence[PairDifference], units: Mapping[str, str]) -> list[tuple[str, ...]]:
    """The same for differences of metrics whose units are given."""
    verdicts, _ = tell_verdicts([one.verdict for one in differences])
    return [
        (
            _titled(one.metric, units.get(one.metric, "")),
            f"{one.first} − {one.second}",
            _spelled(one.difference),
            _range(one),
            verdict,
        )
        for one, verdict in zip(differences, verdicts, strict=True)
    ]


def save_comparison(comparison: Comparison, folder: Path) -> list[Path]:
    """Write metrics.csv (means), draws.csv, differences.csv, and a picture of the means with their draws.

    Args:
        comparison: What to write.
        folder: Where to; made if it is not there.

    Returns:
        The files.
    """
    trainings = comparison.trainings
    means = [
        {
            "network": network,
            "trainings": len(set(trainings.get(network, ()))) or 1,
            "draws": len(comparison.draws[network][metric]),
            **asdict(measure),
        }
        for network, found in comparison.means.items()
        for metric, measure in found.items()
    ]
    draws = [
        {
            "network": network,
            "metric": metric,
            "draw": number,
            "training": trainings[network][number] if network in trainings else "",
            "value": value,
        }
        for network, found in comparison.draws.items()
        for metric, values in found.items()
        for number, value in enumerate(values)
    ]
    caption = f"{comparison.about[0]} (dots); " if comparison.about else ""
    caption += f"lines: {100 * comparison.confidence:g} % intervals of the means"
    units = {measure.unit for found in comparison.means.values() for measure in found.values()}
    caption += "; d: the length of a direction" if any(_LENGTH.search(unit) for unit in units) else ""
    caption += f"; {comparison.computed}" if comparison.computed else ""
    page = figure_measures(comparison.means, draws=comparison.draws, caption=caption)
    save_rows(folder / "metrics.csv", list(means[0]), means)
    save_rows(folder / "draws.csv", list(draws[0]), draws)
    return [
        folder / "metrics.csv",
        folder / "draws.csv",
        save_differences(folder / "differences.csv", comparison.differences),
        *save_figure(page, folder / "metrics"),
    ]


def save_differences(path: Path, differences: Iterable[PairDifference]) -> Path:
    """Write a line for each difference, and return the path."""
    save_rows(path, [one.name for one in fields(PairDifference)], map(asdict, differences))
    return path


def _titled(metric: str, unit: str) -> str:
    return f"{metric} ({unit})" if unit else metric


def _spelled(value: float, unit: str = "") -> str:
    """Three digits; of a percentage, which is told with two decimals, four."""
    return f"{value:.{4 if unit == _PERCENT else 3}g}".replace("-", "−") if np.isfinite(value) else "—"


def _range(one: Measure | PairDifference, unit: str = "") -> str:
    if np.isnan(one.low):
        return "—"
    return f"{_spelled(one.low, unit)} to {'∞' if one.high == np.inf else _spelled(one.high, unit)}"
