"""All that is known of a network's Hessian, in one file."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict, final

import numpy as np
from jaxtyping import Bool, Float

from gradscape._arrays import load_result, save_arrays
from gradscape._provenance import Provenance
from gradscape.landscape.hessian.density import Density
from gradscape.landscape.hessian.held_out import HeldOutCurvature
from gradscape.landscape.hessian.spectrum import Spectrum
from gradscape.landscape.hessian.trace import Trace

__all__ = ["Curvature"]

_ARRAYS = {
    "values": Float[np.ndarray, " values"],
    "residuals": Float[np.ndarray, " values"],
    "errors": Float[np.ndarray, " values"],
    "converged": Bool[np.ndarray, " values"],
}
_OPTIONAL = {
    "second": Bool[np.ndarray, " images"],
    "found": Float[np.ndarray, "2 values"],
    "forms": Float[np.ndarray, "2 values images"],
    "traces": Float[np.ndarray, " images"],
    "layers": Float[np.ndarray, "images parameters"],
    "nodes": Float[np.ndarray, "probes steps"],
    "weights": Float[np.ndarray, "probes steps"],
}
_TOGETHER = (("second", "found", "forms"), ("nodes", "weights"))


class _CurvatureEntry(TypedDict):
    names: list[str]
    dimension: int
    images: int
    population: int
    top: int
    steps: int
    probe_stderr: float
    probes: NotRequired[int]  # files written before have none
    inexact: str


@final
@dataclass(frozen=True, eq=False)
class Curvature:
    """What is known of the Hessian of a network's mean loss.

    Attributes:
        spectrum: The ends of its spectrum; without vectors where it comes from a file.
        dimension: Number of its eigenvalues.
        trace: Its trace; None where it was not asked for, or the time was over.
        density: Of its eigenvalues; None likewise.
        meta: Provenance.
    """

    spectrum: Spectrum
    dimension: int
    trace: Trace | None
    density: Density | None
    meta: Mapping[str, Any]

    @property
    def population(self) -> int:
        """How many images those of the loss were drawn from."""
        return int(self.meta.get("population") or self.spectrum.images)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to one `.npz` file, atomically."""
        spectrum, trace, held_out = self.spectrum, self.trace, self.spectrum.held_out
        arrays = {name: getattr(spectrum, name) for name in _ARRAYS}
        if held_out is not None:
            arrays |= {"second": held_out.second, "found": held_out.found, "forms": held_out.forms}
        if trace is not None:
            arrays |= {"traces": trace.images, **({} if trace.layers is None else {"layers": trace.layers})}
        if self.density is not None:
            arrays |= {"nodes": self.density.nodes, "weights": self.density.weights}
        entry: _CurvatureEntry = {
            "names": list(spectrum.names),
            "dimension": self.dimension,
            "images": spectrum.images,
            "population": self.population,
            "top": spectrum.top,
            "steps": spectrum.steps,
            "probe_stderr": trace.probe_stderr if trace else 0.0,
            "probes": trace.probes if trace else 0,
            "inexact": trace.inexact if trace else "",
        }
        save_arrays(path, arrays, {**self.meta, "curvature": entry})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Curvature":
        """Read what `save` wrote; eigenvectors are not in the file.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It holds something else.
        """
        return load_result(
            path, "curvature", _made, called="a curvature", entry=_CurvatureEntry, arrays=_ARRAYS, optional=_OPTIONAL
        )


def _made(arrays: dict[str, np.ndarray], entry: _CurvatureEntry, meta: Provenance) -> Curvature:
    names, population = tuple(entry["names"]), entry["population"]
    held_out = trace = density = None
    for together in _TOGETHER:
        lost = [name for name in together if name not in arrays]
        if 0 < len(lost) < len(together):
            raise ValueError(f"`{lost[0]}` is missing, which belongs to {', '.join(sorted({*together} - {*lost}))}")
    if "forms" in arrays:
        held_out = HeldOutCurvature(arrays["second"], arrays["found"], arrays["forms"], population)
    if "traces" in arrays:
        told = {"probe_stderr": entry["probe_stderr"], "probes": entry.get("probes", 0), "inexact": entry["inexact"]}
        trace = Trace(arrays["traces"], population, names, layers=arrays.get("layers"), **told)  # type: ignore[arg-type]
    if "nodes" in arrays:
        density = Density(arrays["nodes"], arrays["weights"], entry["dimension"], entry["images"])
    spectrum = Spectrum(
        **{name: arrays[name] for name in _ARRAYS},  # type: ignore[arg-type]
        top=entry["top"],
        steps=entry["steps"],
        held_out=held_out,
        images=entry["images"],
        names=names,
    )
    return Curvature(spectrum, entry["dimension"], trace, density, meta)
