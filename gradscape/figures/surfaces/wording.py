"""What captions say of surfaces and lines: which network and data, how much of it, and what could not be drawn."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gradscape._names import data_name, one_line, telling_parts
from gradscape._provenance import CHANCE, Provenance
from gradscape._recipe_record import OTHER_RECIPE, RECIPE, describe_recipe_differences, describe_trained_loss
from gradscape._schema import fitting
from gradscape.figures.style import short_number
from gradscape.figures.surfaces.barrier_wording import describe_aligned
from gradscape.figures.surfaces.curve_wording import curve_name, describe_curve, describe_highest, follows_curve
from gradscape.figures.surfaces.fields import drawn_unit
from gradscape.figures.surfaces.line_wording import describe_barrier, describe_nonfinite, leads_between
from gradscape.figures.surfaces.norm_wording import (
    describe_batch_norm,
    describe_stored_ends,
    describe_stored_origin,
    statistics_of,
)
from gradscape.figures.surfaces.trajectory_wording import FARTHEST, describe_trajectories
from gradscape.landscape import Field, Line
from gradscape.landscape.field import UNRELIABLE, Reading
from gradscape.landscape.image_counts import describe_images
from gradscape.landscape.measured import Measured
from gradscape.landscape.rounding import describe_precision

__all__ = ["describe_field", "describe_fields", "describe_lines", "model_name", "result_names", "with_differences"]

_SEPARATOR = " · "
_TELLING = {
    "seed": "seed {}",
    "normalize": "{} normalization",
    "space": "{} moved",
    "data": "{}",
    "split": "{}",
}
_EXPLAINED = {UNRELIABLE: " (few images carry the loss)"}


def model_name(result: Measured | Field) -> str:
    """The model's name from the provenance, on one line; "model" where none was recorded."""
    return one_line(Provenance.of(result.meta).called or "model")


def result_names(results: Sequence[Measured | Field], titles: Sequence[str] | None = None) -> list[str]:
    """A name for each result: the titles, or the networks' names; those of one name with what differs between them.

    Raises:
        ValueError: There are more or fewer titles than results.
    """
    if titles is not None:
        if len(titles) != len(results):
            raise ValueError(f"`titles` must hold a name for each of the {len(results)} results, got {len(titles)}")
        return [one_line(title) for title in titles]
    names = [_ends(result) or model_name(result) for result in results]
    return with_differences(names, [result.meta for result in results])


def with_differences(names: Sequence[str], metas: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of results; those that come twice with what differs between them: network's file, directions, images.

    Args:
        names: One for each result.
        metas: The results' provenance.
    """
    told = list(names)
    for name in {name for name in names if names.count(name) > 1}:
        alike = [number for number, other in enumerate(names) if other == name]
        for number, parts in zip(alike, _distinctions([metas[number] for number in alike]), strict=True):
            told[number] = ", ".join([name, *parts])
    return told


def _ends(result: Measured | Field) -> str:
    """Both networks of a line that leads from one to another."""
    if not (isinstance(result, Line) and leads_between(result)):
        return ""
    way = f"{model_name(result)} → {one_line(result.meta['other'])}"
    return f"{way}, {curve_name(result)}" if follows_curve(result) else way


def _distinctions(metas: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """What differs between results of one name, for each of them."""
    files = [Path(os.path.splitext(str(meta.get("checkpoint", "")))[0]) for meta in metas]
    own = telling_parts(files) if len(set(files)) > 1 else [""] * len(files)
    columns = [
        own,
        [statistics_of(meta) for meta in metas],
        ["aligned" if describe_aligned(meta) else "" for meta in metas],
        *([_spelled(meta.get(key), spelled) for meta in metas] for key, spelled in _TELLING.items()),
    ]
    differing = [column for column in columns if len(set(column)) > 1]
    return [[column[number] for column in differing if column[number]] for number in range(len(metas))]


def _spelled(value: object, spelled: str) -> str:
    # Of data given by their path only the last part is a name.
    return spelled.format(one_line(value).rpartition("/")[2]) if value is not None else ""


def describe_field(field: Field, *, drawn: str = "", findings: bool = True) -> str:
    """Caption of one field.

    Args:
        field: Gives model, data, images, span and seed.
        drawn: What must be known of how it is drawn.
        findings: Whether the network's own values and missing points are said, too.
    """
    parts = [model_name(field), *_setting(field), drawn, *(_findings(field) if findings else [])]
    return _SEPARATOR.join(filter(None, parts))


def describe_fields(fields: Sequence[Field], names: Sequence[str], *, drawn: str = "") -> str:
    """Caption of several: what they share once, then what differs by name; `drawn` as for `describe_field`."""
    if len(fields) == 1:
        return describe_field(fields[0], drawn=drawn)
    settings = [_setting(field) for field in fields]
    shared = [part for part in settings[0] if all(part in other for other in settings)]
    own = [
        f"{name}: {', '.join([*(part for part in setting if part not in shared), *_findings(field)])}"
        for field, name, setting in zip(fields, names, settings, strict=True)
    ]
    shared += [drawn] if drawn else []
    own += filter(None, [describe_recipe_differences(dict(zip(names, [field.meta for field in fields], strict=True)))])
    return "; ".join([_SEPARATOR.join(shared), *own] if shared else own)


def describe_lines(lines: Sequence[Line], names: Sequence[str] | None = None) -> str:
    """Caption of lines: what they share, what the band is, barriers between networks, and what could not be drawn."""
    names = names or result_names(lines)
    settings = [[part for part in _line_data(line) if part] for line in lines]
    if len(lines) == 1:  # several are named, with their seeds, in the legend
        seed = lines[0].meta.get("seed")
        settings[0] = [names[0], *settings[0], *([f"seed {one_line(seed)}"] if seed is not None else [])]
    settings = [
        [*setting, *filter(None, [describe_batch_norm(line.meta), describe_precision(line.meta)])]
        for setting, line in zip(settings, lines, strict=True)
    ]
    shared = [part for part in settings[0] if all(part in other for other in settings)]
    shared += dict.fromkeys(part for line in lines for part in _chance(line.meta))
    estimated = any((line.loss_stderr > 0).any() for line in lines)
    shared += ["band: 95 % interval of the mean loss"] if estimated else []
    own = [
        [*(part for part in setting if part not in shared), *_between(line)]
        for setting, line in zip(settings, lines, strict=True)
    ]
    shared += filter(None, [_different_trainings(lines, names)])
    findings = [", ".join(filter(None, parts)) for parts in own]
    if len(lines) > 1:
        findings = [f"{name}: {found}" if found else "" for name, found in zip(names, findings, strict=True)]
    return _SEPARATOR.join([*shared, *filter(None, [*findings, describe_nonfinite(lines)])])


def _between(line: Line) -> list[str]:
    """What is known of the way between two networks, straight or along a curve."""
    curve = [describe_curve(line.meta), *describe_highest(line)]
    return [describe_aligned(line.meta), describe_barrier(line), describe_stored_ends(line), *curve]


def _different_trainings(lines: Sequence[Line], names: Sequence[str]) -> str:
    """By which recipes networks were trained, also those that lines lead to, where they differ."""
    metas = {name: line.meta for name, line in zip(names, lines, strict=True) if not leads_between(line)}
    for line in filter(leads_between, lines):
        metas |= {
            model_name(line): line.meta,
            one_line(line.meta["other"]): {RECIPE: line.meta.get(OTHER_RECIPE)},
        }
    return describe_recipe_differences(metas)


def _line_data(line: Line) -> list[str]:
    used = int(line.meta.get("images") or line.count.max(initial=0))
    return _data(line.meta, used, int(line.meta.get("population") or line.blocks.population))


def _data(meta: Mapping[str, Any], used: int, population: int) -> list[str]:
    data = data_name(meta.get("data") or "")
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
    parts += [describe_batch_norm(field.meta), describe_curve(field.meta)]
    parts += [describe_trained_loss(field.meta, drawn=field.name.startswith("loss")), describe_precision(field.meta)]
    return [part for part in parts if part]


def _span(field: Field) -> str:
    (left, right), (low, high) = ((axis.min(), axis.max()) for axis in (field.alphas, field.betas))
    if np.allclose([right, low, high], [-left, left, right]):
        return f"span ±{right:g}"
    return f"alpha {left:g} to {right:g}, beta {low:g} to {high:g}"


def _findings(field: Field) -> list[str]:
    place = " of the network" if FARTHEST in field.meta else " at the origin"  # of a movie another one lies there
    parts = [_reading(reading, place="" if number else place) for number, reading in enumerate(field.origin)]
    parts += filter(None, [describe_stored_origin(field)])
    parts += _chance(field.meta)
    parts += field.notes
    parts += describe_trajectories(field)
    for name, where in field.marks.items():
        parts += [text + _EXPLAINED.get(name, "") for text in _points(int(where.sum()), name)]
    return parts


def _reading(reading: Reading, *, place: str) -> str:
    """A number at the trained network itself; only the first of several says where that is."""
    factor, unit = drawn_unit(reading.unit)
    stderr = f" ± {short_number(factor * reading.stderr, 2)}" if reading.stderr > 0 else ""
    return f"{reading.name}{place} {short_number(factor * reading.value)}{stderr}" + (f" {unit}" if unit else "")


def _chance(meta: Mapping[str, Any]) -> list[str]:
    """That networks only guess on the images, as was found before the evaluation."""
    guessing = [one_line(name) for name in fitting(meta, CHANCE, list) or ()]
    return [f"answers no better than chance: {', '.join(guessing)}"] if guessing else []


def _points(count: int, what: str) -> list[str]:
    return [f"{count:,} point{'s' if count > 1 else ''} {what}"] if count else []
