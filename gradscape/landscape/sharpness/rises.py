"""Rises of the loss of single images where weights are disturbed, and what they say of all images."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypedDict, final

import numpy as np
from jaxtyping import Float64

from gradscape._arrays import load_result, save_arrays
from gradscape._names import unknown_name
from gradscape._provenance import Provenance
from gradscape.landscape.metrics.measure import Measure
from gradscape.landscape.sharpness.kinds import SHARPNESS_KINDS, Case, Norm, spelled_case
from gradscape.landscape.statistics import RELIABLE_EFFECTIVE_IMAGES

__all__ = ["LEAST_UNITS", "Sharpness", "paired_rises"]

LEAST_UNITS = 8
"""Sets of m images below which a worst case has no interval: Student's would cover too rarely."""

_IN_NATS = ("cross_entropy", "focal", "nll", "bce_with_logits", "CrossEntropyLoss", "NLLLoss", "BCEWithLogitsLoss")
_ENTRY = "sharpness"
_ARRAYS = {
    "loss": Float64[np.ndarray, "images"],
    "rises": Float64[np.ndarray, "cases images"],
    "drawn": Float64[np.ndarray, "cases draws blocks"],
}


class _SharpnessEntry(TypedDict):
    cases: list[list[Any]]
    m: int
    norm: Norm
    population: int


@final
@dataclass(frozen=True, eq=False)
class Sharpness:
    """How far the loss of each image rises where weights are disturbed, in several ways.

    A worst case is sought for m images at once, and its rise is the mean over them: these sets are the units that
    its interval counts. A random disturbance is the same for all images: its units are images, and draws.

    Attributes:
        cases: (kind, rho) of each row of `rises`; kinds are those of `SHARPNESS_KINDS`.
        loss: Of each image at the weights themselves, (images,), in the loss's unit.
        rises: Of each image, (cases, images), in the same unit: over the draws' mean, or under the worst case of its
            set.
        drawn: Mean rise of a set of images in a draw and its mirror image, (cases, draws, blocks); NaN of worst cases.
        m: Images in a set.
        norm: In which rho is the size of worst cases: "l2" or "linf".
        population: Number of images that these were drawn from.
        meta: Provenance.

    Raises:
        ValueError: Arrays do not belong together.
    """

    cases: tuple[Case, ...]
    loss: Float64[np.ndarray, "images"]
    rises: Float64[np.ndarray, "cases images"]
    drawn: Float64[np.ndarray, "cases draws blocks"]
    m: int
    norm: Norm
    population: int
    meta: Mapping[str, Any]

    def __post_init__(self) -> None:
        for kind, _ in self.cases:
            if kind not in SHARPNESS_KINDS:
                raise unknown_name("cases", kind, SHARPNESS_KINDS)
        images, blocks = len(self.loss), self.drawn.shape[2]
        if self.rises.shape != (len(self.cases), images) or len(self.drawn) != len(self.cases):
            raise ValueError(f"`rises` must be of {len(self.cases)} cases and {images} images, got {self.rises.shape}")
        if not self.m > 0 or images != self.m * blocks or self.population < images:
            raise ValueError(f"`m` must tell {images} of {self.population} images into {blocks} sets, got {self.m}")

    def __len__(self) -> int:
        return len(self.loss)

    @property
    def measures(self) -> dict[str, Measure]:
        """Every case by its name, such as "sam 0.05": its value with a 95 % interval."""
        return {spelled_case(*case): self.measure(*case) for case in self.cases}

    @property
    def unit(self) -> str:
        """Unit of the loss: nats of the cross-entropy and its kin, "" of what is not known."""
        return "nats" if self.meta.get("loss") in _IN_NATS else ""

    def measure(self, kind: str, rho: float | None = None, *, confidence: float = 0.95) -> Measure:
        """Mean rise of the loss, with an interval.

        Of a worst case it is Student's over sets of m images, and says what other sets of m would give; of one that
        is sought for all images at once there is none. Of random disturbances it is over draws and images together,
        var = s²(draws)/D + (1 − n/N)·s²(images)/n, Welch's degrees of freedom, and says what all draws would give on
        all N images that these n come from.

        Args:
            kind: Among `SHARPNESS_KINDS`.
            rho: Size of the disturbance; may be left out where there is one.
            confidence: Coverage of the interval.

        Returns:
            Its note says where the interval is missing or not to be relied on.

        Raises:
            ValueError: The case was not measured.

        Source: Cochran 1977, equation 2.20 (finite populations); Owen 2007, The pigeonhole bootstrap (two-way data).
        """
        row = self._row(kind, rho)
        return _measure(self.cases[row], self._units(row), self.unit, confidence=confidence)

    def spread(self, kind: str, rho: float | None = None) -> Float64[np.ndarray, "units"]:
        """What scatters around the mean: rises in single draws, or of single sets of m images.

        Args:
            kind: As in `measure`.
            rho: Likewise.
        """
        found = self._units(self._row(kind, rho))
        return found.draws if len(found.draws) else found.units

    def first(self, sets: int) -> "Sharpness":
        """The same of the first sets of m images alone.

        Args:
            sets: How many.

        Raises:
            ValueError: There are fewer.
        """
        if not 0 < sets <= self.drawn.shape[2]:
            raise ValueError(f"`sets` must be from 1 to {self.drawn.shape[2]}, got {sets}")
        images = sets * self.m
        told = {"images": images, "blocks": list(self.meta.get("blocks", ()))[:sets]}
        return replace(
            self,
            loss=self.loss[:images],
            rises=self.rises[:, :images],
            drawn=self.drawn[:, :, :sets],
            meta={**self.meta, **told},
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a `.npz` file, all at once."""
        entry = {
            "cases": [list(case) for case in self.cases],
            "m": self.m,
            "norm": self.norm,
            "population": self.population,
        }
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        save_arrays(path, arrays, {**self.meta, _ENTRY: entry})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Sharpness":
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It holds something else.
        """

        def made(arrays: dict[str, np.ndarray], entry: _SharpnessEntry, meta: Provenance) -> Sharpness:
            cases = tuple((str(kind), float(rho)) for kind, rho in entry["cases"])
            about = {"m": entry["m"], "norm": entry["norm"], "population": entry["population"]}
            return Sharpness(cases, **arrays, **about, meta=meta)  # type: ignore[arg-type]

        return load_result(path, _ENTRY, made, called="a network's sharpness", entry=_SharpnessEntry, arrays=_ARRAYS)

    def _row(self, kind: str, rho: float | None) -> int:
        rows = [row for row, case in enumerate(self.cases) if case[0] == kind and rho in (None, case[1])]
        if len(rows) != 1:
            known = ", ".join(spelled_case(*case) for case in self.cases)
            given = kind if rho is None else spelled_case(kind, rho)
            raise ValueError(f"`kind` and `rho` must name one of {known}, got {given}")
        return rows[0]

    def _units(self, row: int) -> "_Units":
        kind, _ = self.cases[row]
        images, sets = self.rises[row], self.rises[row].reshape(-1, self.m).mean(axis=1)
        if SHARPNESS_KINDS[kind].random:
            left = 1 - len(images) / self.population
            return _Units(images, images, self.drawn[row].mean(axis=1), left)
        return _Units(images, sets, np.zeros(0), 1.0)


@final
@dataclass(frozen=True, eq=False)
class _Units:
    """What an interval counts.

    Attributes:
        images: Rise of each image.
        units: Rise of each unit of images: the images themselves, or sets of them.
        draws: Rise in each draw; empty where nothing was drawn.
        left: Share of the variance over units that is left: of images that were all seen, nothing.
    """

    images: np.ndarray
    units: np.ndarray
    draws: np.ndarray
    left: float

    def minus(self, other: "_Units") -> "_Units":
        """The differences over the same images and draws, unit by unit."""
        return _Units(self.images - other.images, self.units - other.units, self.draws - other.draws, self.left)

    @property
    def value(self) -> float:
        """The mean."""
        return float(self.units.mean())

    def half(self, confidence: float) -> float:
        """Half of the interval; NaN where there are too few units."""
        from scipy import stats

        variances = np.array([self.left * _mean_variance(self.units), _mean_variance(self.draws)])
        total = float(variances.sum())
        freedoms = np.array([len(self.units), max(2, len(self.draws))]) - 1
        if not np.isfinite(total) or (not len(self.draws) and len(self.units) < LEAST_UNITS):
            return np.nan
        if total == 0:
            return 0.0
        freedom = total**2 / float((variances**2 / freedoms).sum())
        return float(stats.t.ppf((1 + confidence) / 2, freedom) * np.sqrt(total))

    @property
    def note(self) -> str:
        """Why there is no interval, or why it is not to be relied on."""
        if not np.isfinite(self.units).all():
            return "not finite on some images"
        if not len(self.draws) and len(self.units) < LEAST_UNITS:
            return f"no interval: {len(self.units)} sets of m images, of {LEAST_UNITS} needed"
        squares = float((self.images**2).sum())
        effective = float(self.images.sum()) ** 2 / squares if squares else float(len(self.images))
        if self.left and effective < RELIABLE_EFFECTIVE_IMAGES:
            return "unreliable: few images carry it"
        return ""


def paired_rises(
    first: Sharpness, second: Sharpness, kind: str, rho: float | None = None, *, confidence: float = 0.95
) -> Measure:
    """Difference of two networks' sharpness, the first's less the second's, paired over images and draws.

    Args:
        first: One network's.
        second: Another's, measured in the same way on the same images.
        kind: As in `Sharpness.measure`.
        rho: Likewise.
        confidence: Coverage of the interval.

    Raises:
        ValueError: They were measured otherwise or on other images.
    """
    for what, own, other in (
        ("images", first.meta.get("blocks"), second.meta.get("blocks")),
        ("m", first.m, second.m),
        ("norm", first.norm, second.norm),
        ("population", first.population, second.population),
        ("draws", first.drawn.shape, second.drawn.shape),
        *((name, first.meta.get(name), second.meta.get(name)) for name in ("functions", "seed", "steps", "parameters")),
    ):
        if own != other:
            raise ValueError(f"`first` and `second` must have the same {what}: measure both in one way")
    rows = [one._row(kind, rho) for one in (first, second)]
    ours, theirs = (one._units(row) for one, row in zip((first, second), rows, strict=True))
    differences = ours.minus(theirs)
    # Differences near 0 are carried by few images always; whether their interval holds is told by the rises.
    note = "; ".join(dict.fromkeys(filter(None, (ours.note, theirs.note))))
    found = _measure(first.cases[rows[0]], differences, first.unit, confidence=confidence)
    return Measure(found.name, found.value, found.low, found.high, found.unit, note)


def _measure(case: Case, units: _Units, unit: str, *, confidence: float) -> Measure:
    value, half = units.value, units.half(confidence)
    return Measure(spelled_case(*case), value, value - half, value + half, unit, units.note)


def _mean_variance(values: np.ndarray) -> float:
    """Variance of the mean of independent values; 0 of none, NaN of one."""
    if len(values) < 2:
        return np.nan if len(values) else 0.0
    with np.errstate(invalid="ignore"):
        return float(values.var(ddof=1) / len(values))
