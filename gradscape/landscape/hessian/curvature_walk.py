"""The walk over a grid, each point beside the one before; and its file, from which it goes on."""

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from gradscape.landscape.hessian.curvature_map import CurvatureMap
from gradscape.landscape.hessian.extremes import Extremes

__all__ = ["CurvatureWalk"]

_SAVE_SECONDS = 10.0
_FIXED = (
    "weights",
    "directions",
    "functions",
    "image_digest",
    "parameters",
    "ignore",
    "tolerance",
    "most",
    "seed",
    "plan",
)
_CHECKS = "checks"

_log = logging.getLogger(__name__)

_Place = tuple[int, int]
_Cold = Callable[[tuple[float, float]], Extremes | None]


@final
class CurvatureWalk:
    """A map that fills.

    Args:
        alphas: Coordinates along the first direction.
        betas: Along the second.
        meta: How the numbers come about.
        path: A file that is kept up to date, and taken up if it is there; None for none.

    Attributes:
        warm: Vectors of the ends at the last point, (2, dimension); None where it had none.

    Raises:
        ValueError: The file holds something else.
    """

    def __init__(
        self, alphas: np.ndarray, betas: np.ndarray, meta: Mapping[str, Any], path: str | os.PathLike[str] | None
    ) -> None:
        self._alphas, self._betas, self._meta, self._path = alphas, betas, dict(meta), path
        grid = (len(betas), len(alphas))
        self._values = {name: np.full(grid, np.nan) for name in ("max_eig", "min_eig", "max_residual", "min_residual")}
        self._products, self._converged = np.zeros(grid, np.int64), np.zeros(grid, bool)
        self._origin: tuple[float, float] | None = None
        self.warm: Tensor | None = None
        self._saved = time.monotonic()
        if path is not None and Path(path).exists():
            self._resume(CurvatureMap.load(path))

    @property
    def begun(self) -> bool:
        """Whether the trained network itself was measured."""
        return self._origin is not None

    @property
    def done(self) -> int:
        """How many points are."""
        return int((self._products > 0).sum())

    @property
    def total(self) -> int:
        """How many there are."""
        return self._products.size

    def begin(self, found: Extremes | None) -> None:
        """Note what was found of the trained network itself."""
        self._origin = (np.nan, np.nan) if found is None else found.values

    def point(self, place: _Place) -> tuple[float, float]:
        """Coordinates of a place."""
        row, column = place
        return float(self._alphas[column]), float(self._betas[row])

    def left(self) -> Iterator[_Place]:
        """The places that are not done, there and back, row by row."""
        for row in range(len(self._betas)):
            columns = range(len(self._alphas))
            yield from (
                (row, one) for one in (columns if row % 2 == 0 else columns[::-1]) if not self._products[row, one]
            )

    def add(self, place: _Place, found: Extremes | None) -> None:
        """Note what was found at a place, and save now and then."""
        self._note(place, found)
        self.warm = None if found is None else found.vectors
        if self._path is not None and time.monotonic() - self._saved > _SAVE_SECONDS:
            self.result(save=True)

    def check(self, cold: _Cold, count: int) -> None:
        """Measure places that are spread over the walk again, from a cold start, and keep what is more extreme."""
        if _CHECKS in self._meta:
            return
        checked = []
        for number in range(min(count, self.total)):
            at = divmod(int((number + 0.5) / count * self.total), len(self._alphas))
            found, before = cold(self.point(at)), [float(self._values[name][at]) for name in ("max_eig", "min_eig")]
            if found is None or not np.isfinite(before).all():
                continue
            checked.append({"place": list(self.point(at)), "warm": before, "cold": list(found.values)})
            self._widen(at, found)
            allowed = self._meta["tolerance"] * max(map(abs, found.values))
            if found.values[0] > before[0] + allowed or found.values[1] < before[1] - allowed:
                _log.warning(
                    "at (%g, %g) the eigenvalues are %.4g and %.4g from a cold start, but %.4g and %.4g from the "
                    "neighbor's: give a lower `tolerance`",
                    *(*self.point(at), *found.values, *before),
                )
        self._meta[_CHECKS] = checked

    def result(self, *, save: bool = False) -> CurvatureMap:
        """All of it so far; `save` writes the file, if there is one."""
        unfinished = self.done < self.total and self.warm is not None
        found = CurvatureMap(
            alphas=self._alphas,
            betas=self._betas,
            **{name: values.copy() for name, values in self._values.items()},
            products=self._products.copy(),
            converged=self._converged.copy(),
            origin=self._origin or (np.nan, np.nan),
            meta=dict(self._meta),
            warm=self.warm.cpu().numpy() if unfinished and self.warm is not None else None,
        )
        if save and self._path is not None:
            found.save(self._path)
            self._saved = time.monotonic()
        return found

    def _note(self, place: _Place, found: Extremes | None) -> None:
        self._products[place] = 1 if found is None else found.products
        if found is None:
            return
        self._values["max_eig"][place], self._values["min_eig"][place] = found.values
        self._values["max_residual"][place], self._values["min_residual"][place] = found.residuals
        self._converged[place] = found.converged

    def _widen(self, place: _Place, found: Extremes) -> None:
        """Keep the more extreme of each end: no value lies outside of the spectrum."""
        replaced = []
        for end, (name, sign) in enumerate((("max", 1), ("min", -1))):
            replaced.append(sign * found.values[end] > sign * self._values[f"{name}_eig"][place])
            if replaced[end]:
                self._values[f"{name}_eig"][place] = found.values[end]
                self._values[f"{name}_residual"][place] = found.residuals[end]
        if any(replaced):
            self._converged[place] = found.converged and (all(replaced) or self._converged[place])

    def _resume(self, stored: CurvatureMap) -> None:
        now = {**{name: self._meta[name] for name in _FIXED}, "axes": [self._alphas.tolist(), self._betas.tolist()]}
        then = {
            **{name: stored.meta.get(name) for name in _FIXED},
            "axes": [stored.alphas.tolist(), stored.betas.tolist()],
        }
        if changed := [name for name, value in now.items() if then[name] != value]:
            raise ValueError(
                f"`path` {self._path} holds another map, of other {' and '.join(changed)}: give another "
                "path, or remove the file"
            )
        for name, values in self._values.items():
            values[:] = getattr(stored, name)
        self._products[:], self._converged[:], self._origin = stored.products, stored.converged, stored.origin
        self.warm = None if stored.warm is None else torch.from_numpy(stored.warm)
        self._meta |= {_CHECKS: stored.meta[_CHECKS]} if _CHECKS in stored.meta else {}
