"""Topology of a surface: its minima, saddles and hills, how deep each is, and which of them noise may have made."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypedDict, cast, final

import numpy as np
from jaxtyping import Bool, Float, Int

from gradscape._arrays import load_result, save_arrays
from gradscape._provenance import Provenance
from gradscape.landscape.field import Field
from gradscape.landscape.topology.merge_tree import grow_merge_tree

__all__ = ["CriticalPoint", "Pair", "Topology"]

_ROUNDED = 4 * float(np.finfo(np.float32).eps)  # of a value: two losses that differ by less are one
_SUMMED = 16 * float(np.finfo(np.float64).eps)  # of the largest value
_ARRAYS: dict[str, Any] = {
    "alphas": Float[np.ndarray, "alphas"],
    "betas": Float[np.ndarray, "betas"],
    "values": Float[np.ndarray, "betas alphas"],
    **dict.fromkeys(("dimension", "birth_at", "death_at", "into"), Int[np.ndarray, "pairs"]),
}


class _TopologyEntry(TypedDict):
    value: str
    label: str
    unit: str
    band: float | None
    confidence: float
    blocks: int
    notes: list[str]


@final
@dataclass(frozen=True)
class CriticalPoint:
    """A point of the grid at which the topology of {value ≤ level} changes.

    Attributes:
        kind: "minimum", "saddle" or "maximum".
        alpha: Coordinate along the first direction.
        beta: Coordinate along the second direction.
        value: There.
        persistence: Of the pair it belongs to; infinite for the lowest minimum.
        on_edge: Whether it lies on the edge of the grid, so that the surface may go on falling or rising outside.
    """

    kind: Literal["minimum", "saddle", "maximum"]
    alpha: float
    beta: float
    value: float
    persistence: float
    on_edge: bool


@final
@dataclass(frozen=True)
class Pair:
    """What begins at one critical point and ends at another.

    Attributes:
        dimension: 0 for a basin, from its minimum to the saddle where it meets a deeper one; 1 for a ring around a
            hill, from the saddle where it closes to the hill's top.
        birth: Value at which it begins.
        death: Value at which it ends; infinite where it never does.
        kept: Whether it is more than noise and a matter of the surface: see `Topology.kept`.
        first: Where it begins.
        last: Where it ends; None where it never does.
    """

    dimension: int
    birth: float
    death: float
    kept: bool
    first: CriticalPoint
    last: CriticalPoint | None

    @property
    def persistence(self) -> float:
        """Depth of the basin, or height of the hill: death − birth."""
        return self.death - self.birth


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Topology:
    """Minima, saddles and persistence pairs of one field of a surface, the most persistent first.

    Points of the grid are neighbors of the four beside, above and below them; hills are told apart, as duality asks,
    by eight neighbors. What is kept must stand out by both.

    Attributes:
        alphas: Coordinates along the first direction, (A,).
        betas: Coordinates along the second direction, (B,).
        values: The field, (B, A); what is not finite is no part of it.
        dimension: 0 of basins, 1 of rings around hills, (pairs,).
        birth_at: Position in the flat grid where each pair begins, (pairs,).
        death_at: Where it ends, −1 where it never does.
        into: Number of the basin that a basin joins at its end, −1 where there is none.
        value: Name of the field: "loss" or "error".
        label: What it is in full.
        unit: Of the values; a "share" lies in [0, 1].
        band: Half-width of a band that holds the whole surface over all images at once but for a shift; 0 where all
            images were seen, NaN where nothing is known of the noise.
        confidence: Of the band.
        blocks: Blocks of images that tell it.
        notes: What to know before relying on it.
        meta: Provenance of the surface.

    Example:
        >>> import torch
        >>> from gradscape.landscape import evaluate_surface, random_directions
        >>> net, batches = torch.nn.Linear(4, 3), [(torch.randn(64, 4), torch.arange(64) % 3)]
        >>> axis = [-1.0, 0.0, 1.0]
        >>> topology = evaluate_surface(net, batches, random_directions(net, seed=0), axis, axis).topology()
        >>> len(topology.minima), topology.band  # convex, and all images were seen
        (1, 0.0)
        >>> topology.save("topology.npz")
        >>> Topology.load("topology.npz")
        Topology of the cross-entropy loss: 1 minimum, 0 saddles, 0 maxima; 0 pairs not kept, band ±0
    """

    alphas: Float[np.ndarray, "alphas"]
    betas: Float[np.ndarray, "betas"]
    values: Float[np.ndarray, "betas alphas"]
    dimension: Int[np.ndarray, "pairs"]
    birth_at: Int[np.ndarray, "pairs"]
    death_at: Int[np.ndarray, "pairs"]
    into: Int[np.ndarray, "pairs"]
    value: str
    label: str
    unit: str
    band: float
    confidence: float
    blocks: int
    notes: tuple[str, ...]
    meta: Mapping[str, Any]

    def __post_init__(self) -> None:
        if self.values.shape != (len(self.betas), len(self.alphas)):
            raise ValueError(f"`values` must have the grid (betas, alphas), got {self.values.shape}")
        count = len(self.dimension)
        cells = self.values.size
        for name, lowest, beyond in (
            ("birth_at", 0, cells),
            ("death_at", -1, cells),
            ("into", -1, count),
            ("dimension", 0, 2),
        ):
            numbers = getattr(self, name)
            if numbers.shape != (count,) or ((numbers < lowest) | (numbers >= beyond)).any():
                raise ValueError(f"`{name}` must hold {count} numbers from {lowest} to {beyond - 1}")

    def __repr__(self) -> str:
        counts = (("minimum", "minima"), ("saddle", "saddles"), ("maximum", "maxima"))
        found = [len(points) for points in (self.minima, self.saddles, self.maxima)]
        said = ", ".join(f"{n} {one if n == 1 else many}" for n, (one, many) in zip(found, counts, strict=True))
        others = int((~self.kept).sum())
        band = f"band ±{self.band:.3g}" if np.isfinite(self.band) else "no band"
        return f"Topology of the {self.label}: {said}; {others} pairs not kept, {band}"

    @cached_property
    def birth(self) -> Float[np.ndarray, "pairs"]:
        """Value at which each pair begins."""
        return self.values.ravel()[self.birth_at]

    @cached_property
    def death(self) -> Float[np.ndarray, "pairs"]:
        """Value at which it ends; infinite where it never does."""
        return np.where(self.death_at < 0, np.inf, self.values.ravel()[self.death_at])

    @property
    def persistence(self) -> Float[np.ndarray, "pairs"]:
        """Depth of each basin, height of each hill."""
        return self.death - self.birth

    @cached_property
    def kept(self) -> Bool[np.ndarray, "pairs"]:
        """Whether its persistence is more than twice the band, and than what rounding to 32 bits makes.

        A basin is kept only where this also holds with the points at corners as neighbors. Where there is no band
        (NaN), rounding and neighbors are all that is looked at.

        Source: Fasy, Lecci, Rinaldo, Wasserman, Balakrishnan and Singh, Confidence Sets for Persistence Diagrams,
            Annals of Statistics 2014, section 3; Cohen-Steiner, Edelsbrunner and Harer 2007 (stability).
        """
        return self._by_eight > self._least

    @property
    def unresolved(self) -> Bool[np.ndarray, "pairs"]:
        """Whether it would be kept by the four neighbors alone.

        A valley one step wide that runs across the grid falls apart into basins by four neighbors: these are of the
        grid, and not of the surface. Rings are told apart by eight neighbors from the beginning.
        """
        return (self.persistence > self._least) & ~self.kept

    @property
    def pairs(self) -> list[Pair]:
        """All pairs, kept or not: basins, then rings, the most persistent first."""
        return [self._pair(number) for number in range(len(self.dimension))]

    @property
    def minima(self) -> list[CriticalPoint]:
        """Minima that are kept, the most persistent (the lowest of all) first."""
        return self._points("minimum")

    @property
    def saddles(self) -> list[CriticalPoint]:
        """Saddles of kept pairs: where basins meet, and where rings close; one of two pairs stands here twice."""
        return self._points("saddle")

    @property
    def maxima(self) -> list[CriticalPoint]:
        """Tops of kept hills. A hill on the grid's edge has no ring around it, and is none of these."""
        return self._points("maximum")

    def field(self) -> Field:
        """The values as a field over the plane, to be drawn."""
        images = int(self.meta.get("images") or 0)
        return Field(
            name=self.value,
            alphas=self.alphas,
            betas=self.betas,
            values=self.values,
            label=self.label,
            unit=self.unit,
            images=images,
            population=int(self.meta.get("population") or images),
            notes=self.notes,
            meta=self.meta,
        )

    def diagram(self, dimension: Literal[0, 1]) -> Float[np.ndarray, "pairs 2"]:
        """Births and deaths of all pairs of a dimension."""
        return np.stack([self.birth, self.death], axis=1)[self.dimension == dimension]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to one `.npz` file, also birth, death and `kept`, so that no other program has to."""
        names = (*_ARRAYS, "birth", "death", "kept")
        entry: _TopologyEntry = {
            "value": self.value,
            "label": self.label,
            "unit": self.unit,
            "band": self.band if np.isfinite(self.band) else None,
            "confidence": self.confidence,
            "blocks": self.blocks,
            "notes": list(self.notes),
        }
        save_arrays(path, {name: getattr(self, name) for name in names}, {**self.meta, "topology": entry})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Topology":
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It holds no topology.
        """

        def made(arrays: dict[str, np.ndarray], entry: _TopologyEntry, meta: Provenance) -> Topology:
            known: dict[str, Any] = {name: arrays[name] for name in _ARRAYS} | {**entry}
            known |= {"band": np.nan if entry["band"] is None else entry["band"], "notes": tuple(entry["notes"])}
            found = cls(**known, meta=meta)
            for name in ("birth", "death", "kept"):
                if not np.array_equal(arrays[name], getattr(found, name)):
                    raise ValueError(f"`{name}` is not what `values` and the pairs say")
            return found

        derived: dict[str, Any] = dict.fromkeys(("birth", "death"), Float[np.ndarray, "pairs"])
        wanted = {**_ARRAYS, **derived, "kept": Bool[np.ndarray, "pairs"]}
        return load_result(path, "topology", made, called="a topology", entry=_TopologyEntry, arrays=wanted)

    @property
    def _least(self) -> Float[np.ndarray, "pairs"]:
        """Persistence above which there is more than noise and rounding."""
        ends = np.maximum(np.abs(self.birth), np.where(np.isfinite(self.death), np.abs(self.death), 0))
        largest = np.abs(self.values).max(where=np.isfinite(self.values), initial=0)
        return np.maximum(2 * np.nan_to_num(self.band), np.maximum(_ROUNDED * ends, _SUMMED * largest))

    @cached_property
    def _by_eight(self) -> Float[np.ndarray, "pairs"]:
        """Persistence of basins with eight neighbors, never more than with four; 0 of those that are none then."""
        tree, flat = grow_merge_tree(self.values, corners=True), np.append(self.values.ravel(), np.inf)
        by_eight = np.zeros(self.values.size)
        by_eight[tree.minimum] = flat[tree.saddle] - flat[tree.minimum]
        return np.where(self.dimension == 0, by_eight[self.birth_at], self.persistence)

    def _pair(self, number: int) -> Pair:
        basin, ends = self.dimension[number] == 0, self.death_at[number] >= 0
        return Pair(
            dimension=int(self.dimension[number]),
            birth=float(self.birth[number]),
            death=float(self.death[number]),
            kept=bool(self.kept[number]),
            first=self._point(number, "minimum" if basin else "saddle", self.birth_at),
            last=self._point(number, "saddle" if basin else "maximum", self.death_at) if ends else None,
        )

    def _points(self, kind: str) -> list[CriticalPoint]:
        kept = (self._pair(int(number)) for number in np.flatnonzero(self.kept))
        points = (point for pair in kept for point in (pair.first, pair.last))
        return [point for point in points if point is not None and point.kind == kind]

    def _point(self, number: int, kind: str, places: Int[np.ndarray, "pairs"]) -> CriticalPoint:
        row, column = divmod(int(places[number]), len(self.alphas))
        return CriticalPoint(
            kind=cast(Literal["minimum", "saddle", "maximum"], kind),
            alpha=float(self.alphas[column]),
            beta=float(self.betas[row]),
            value=float(self.values[row, column]),
            persistence=float(self.persistence[number]),
            on_edge=row in (0, len(self.betas) - 1) or column in (0, len(self.alphas) - 1),
        )
