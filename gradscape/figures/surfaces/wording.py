"""What captions say of surfaces and lines: which network and data, how much of it, and what could not be drawn."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gradscape._names import one_line
from gradscape._provenance import Provenance
from gradscape.figures.style import short_number
from gradscape.figures.surfaces.fields import drawn_unit
from gradscape.landscape import Field, Line
from gradscape.landscape.field import NON_FINITE, UNRELIABLE, Reading
from gradscape.landscape.image_counts import describe_images
from gradscape.landscape.measured import Measured
from gradscape.landscape.rounding import describe_precision

__all__ = ["describe_field", "describe_fields", "describe_lines", "model_name", "result_names"]

_SEPARATOR = " · "
_EXPLAINED = {UNRELIABLE: " (few images carry the loss)"}


def model_name(result: Measured | Field) -> str:
    """The model's name from the provenance, on one line; "model" where none was recorded."""
    return one_line(Provenance.of(result.meta).called or "model")


def result_names(results: Sequence[Measured | Field], titles: Sequence[str] | None = None) -> list[str]:
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


def describe_field(field: Field, *, findings: bool = True) -> str:
    """Caption of one field: model, data, images, span, seed; with findings the network's values, missing points."""
    return _SEPARATOR.join([model_name(field), *_setting(field), *(_findings(field) if findings else [])])


def describe_fields(fields: Sequence[Field], names: Sequence[str]) -> str:
    """Caption of several: what they share once, then what differs by name."""
    if len(fields) == 1:
        return describe_field(fields[0])
    settings = [_setting(field) for field in fields]
    shared = [part for part in settings[0] if all(part in other for other in settings)]
    own = [
        f"{name}: {', '.join([*(part for part in setting if part not in shared), *_findings(field)])}"
        for field, name, setting in zip(fields, names, settings, strict=True)
    ]
    return "; ".join([_SEPARATOR.join(shared), *own] if shared else own)


def describe_lines(lines: Sequence[Line]) -> str:
    """Caption of lines: what they share, what the band is, and what could not be drawn."""
    settings = [[part for part in _line_data(line) if part] for line in lines]
    if len(lines) == 1:  # several are named, with their seeds, in the legend
        seed = lines[0].meta.get("seed")
        settings[0] = [model_name(lines[0]), *settings[0], *([f"seed {one_line(seed)}"] if seed is not None else [])]
    settings = [
        [*setting, *filter(None, [describe_precision(line.meta)])]
        for setting, line in zip(settings, lines, strict=True)
    ]
    shared = [part for part in settings[0] if all(part in other for other in settings)]
    estimated = any((line.loss_stderr > 0).any() for line in lines)
    shared += ["band: 95 % interval of the mean loss"] if estimated else []
    missing = sum(int(((line.count > 0) & ~np.isfinite(line.loss)).sum()) for line in lines)
    return _SEPARATOR.join([*shared, *_points(missing, NON_FINITE)])


def _line_data(line: Line) -> list[str]:
    used = int(line.meta.get("images") or line.count.max(initial=0))
    return _data(line.meta, used, int(line.meta.get("population") or line.blocks.population))


def _data(meta: Mapping[str, Any], used: int, population: int) -> list[str]:
    data = one_line(meta.get("data") or "")
    split = one_line(meta.get("split") or "")
    images = describe_images(meta, used=used, population=population)
    return [f"{data} ({split})" if data and split else data or split, images if used > 1 else ""]


def _setting(field: Field) -> list[str]:
    seed = field.meta.get("seed")
    normalize = field.meta.get("normalize")
    parts = [*_data(field.meta, field.images, field.population), _span(field)]
    parts += [f"{one_line(normalize)} normalization"] if normalize else []
    directions = field.meta.get("direction_file")
    parts += [f"directions from {one_line(directions)}"] if directions else []
    parts += [f"seed {one_line(seed)}"] if seed is not None else []
    parts += [describe_precision(field.meta)]
    return [part for part in parts if part]


def _span(field: Field) -> str:
    (left, right), (low, high) = ((axis.min(), axis.max()) for axis in (field.alphas, field.betas))
    if np.allclose([right, low, high], [-left, left, right]):
        return f"span ±{right:g}"
    return f"alpha {left:g} to {right:g}, beta {low:g} to {high:g}"


def _findings(field: Field) -> list[str]:
    parts = [_reading(reading, first=not number) for number, reading in enumerate(field.origin)]
    parts += field.notes
    for name, where in field.marks.items():
        parts += [text + _EXPLAINED.get(name, "") for text in _points(int(where.sum()), name)]
    return parts


def _reading(reading: Reading, *, first: bool) -> str:
    """A number at the trained network itself; only the first of several says where that is."""
    factor, unit = drawn_unit(reading.unit)
    stderr = f" ± {short_number(factor * reading.stderr, 2)}" if reading.stderr > 0 else ""
    place = " at the origin" if first else ""
    return f"{reading.name}{place} {short_number(factor * reading.value)}{stderr}" + (f" {unit}" if unit else "")


def _points(count: int, what: str) -> list[str]:
    return [f"{count:,} point{'s' if count > 1 else ''} {what}"] if count else []
