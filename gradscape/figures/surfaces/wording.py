"""What captions say of surfaces and lines: which network and data, how much of it, and what could not be drawn."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gradscape._names import one_line
from gradscape.figures.style import short_number
from gradscape.landscape import Line, Surface
from gradscape.landscape.measured import Measured

__all__ = ["describe_lines", "describe_surface", "describe_surfaces", "model_name", "result_names"]

_SEPARATOR = " · "


def model_name(measured: Measured) -> str:
    """The model's name from the provenance, on one line; "model" where none was recorded."""
    return one_line(measured.meta.get("model") or "model")


def result_names(results: Sequence[Measured], titles: Sequence[str] | None = None) -> list[str]:
    """A name for each result: the titles, or the models' names, with their seeds where that tells them apart.

    Raises:
        ValueError: There are more or fewer titles than results.
    """
    if titles is not None:
        if len(titles) != len(results):
            raise ValueError(f"`titles` must hold a name for each of the {len(results)} results, got {len(titles)}")
        return [one_line(title) for title in titles]
    names = [model_name(result) for result in results]
    seeds = [one_line(result.meta.get("seed", "")) for result in results]
    if len(set(names)) < len(names) and len(set(seeds)) > 1:
        return [f"{name}, seed {seed}" if seed else name for name, seed in zip(names, seeds, strict=True)]
    return names


def describe_surface(surface: Surface, *, findings: bool = True) -> str:
    """Caption of one surface: model, data, images, span, seed; with findings the network's values, missing points."""
    return _SEPARATOR.join([model_name(surface), *_setting(surface), *(_findings(surface) if findings else [])])


def describe_surfaces(surfaces: Sequence[Surface], names: Sequence[str]) -> str:
    """Caption of several: what they share once, then what differs by name."""
    if len(surfaces) == 1:
        return describe_surface(surfaces[0])
    settings = [_setting(surface) for surface in surfaces]
    shared = [part for part in settings[0] if all(part in other for other in settings)]
    own = [
        f"{name}: {', '.join([*(part for part in setting if part not in shared), *_findings(surface)])}"
        for surface, name, setting in zip(surfaces, names, settings, strict=True)
    ]
    return "; ".join([_SEPARATOR.join(shared), *own] if shared else own)


def describe_lines(lines: Sequence[Line]) -> str:
    """Caption of lines: what they share, what the band is, and what could not be drawn."""
    settings = [[part for part in _data(line) if part] for line in lines]
    if len(lines) == 1:  # several are named, with their seeds, in the legend
        seed = lines[0].meta.get("seed")
        settings[0] = [model_name(lines[0]), *settings[0], *([f"seed {one_line(seed)}"] if seed is not None else [])]
    shared = [part for part in settings[0] if all(part in other for other in settings)]
    estimated = any((line.loss_stderr > 0).any() for line in lines)
    shared += ["band: 95 % interval of the mean loss"] if estimated else []
    missing = sum(int(((line.count > 0) & ~np.isfinite(line.loss)).sum()) for line in lines)
    return _SEPARATOR.join([*shared, *_points(missing, "non-finite")])


def _data(measured: Measured) -> list[str]:
    meta: Mapping[str, Any] = measured.meta
    data = one_line(meta.get("data") or "")
    split = one_line(meta.get("split") or "")
    used = int(meta.get("images") or measured.count.max(initial=0))
    population = int(meta.get("population") or measured.blocks.population)
    images = f"{used:,} of {population:,} images" if population > used else f"{used:,} images"
    return [f"{data} ({split})" if data and split else data or split, images if used > 1 else ""]


def _setting(surface: Surface) -> list[str]:
    seed = surface.meta.get("seed")
    normalize = surface.meta.get("normalize")
    parts = [*_data(surface), _span(surface)]
    parts += [f"{one_line(normalize)} normalization"] if normalize else []
    directions = surface.meta.get("direction_file")
    parts += [f"directions from {one_line(directions)}"] if directions else []
    parts += [f"seed {one_line(seed)}"] if seed is not None else []
    return [part for part in parts if part]


def _span(surface: Surface) -> str:
    (left, right), (low, high) = ((axis.min(), axis.max()) for axis in (surface.alphas, surface.betas))
    if np.allclose([right, low, high], [-left, left, right]):
        return f"span ±{right:g}"
    return f"alpha {left:g} to {right:g}, beta {low:g} to {high:g}"


def _findings(surface: Surface) -> list[str]:
    parts = []
    origin = surface.origin
    if np.isfinite(origin.loss):
        stderr = f" ± {short_number(float(origin.stderr), 2)}" if origin.stderr > 0 else ""
        parts.append(f"loss at the origin {short_number(float(origin.loss))}{stderr}")
    if np.isfinite(origin.error):
        parts.append(f"error {short_number(100 * float(origin.error))} %")
    evaluated = surface.count > 0
    parts += _points(int((evaluated & ~np.isfinite(surface.loss)).sum()), "non-finite")
    parts += _points(int((~evaluated).sum()), "not evaluated")
    unsure = int((evaluated & np.isfinite(surface.loss_stderr) & ~surface.reliable).sum())
    return parts + [
        text + " (few images carry the loss)" for text in _points(unsure, "with an unreliable standard error")
    ]


def _points(count: int, what: str) -> list[str]:
    return [f"{count:,} point{'s' if count > 1 else ''} {what}"] if count else []
