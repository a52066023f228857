"""A picture of stored surfaces or lines as a person asks for it: what it is, where it goes, and what it cannot have."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gradscape.figures.look import ANY_PICTURE, FORMATS, Look, current_look, drawn_as
from gradscape.landscape import CurvatureMap, Field, Line, Surface
from gradscape.studies.drawing import draw_difference, draw_one

__all__ = ["MEANINGS", "draw_stored"]

_PAGE = "interactive"
_LINE = "line"
_DIFFERENCE = "loss_difference"  # the field that a difference of surfaces gives
_COLORED = ANY_PICTURE | {"cmap", "zmin", "zmax"}

MEANINGS: dict[str, frozenset[str]] = {
    "contour": _COLORED | {"levels"},
    "filled": _COLORED | {"levels"},
    "heat": _COLORED,
    "surface": _COLORED | {"camera"},
    _PAGE: frozenset({"title", "cmap", "zmin", "zmax", "camera"}),
    _LINE: ANY_PICTURE | {"zmin", "zmax"},
}
"""What of a `Look` means something for each kind of picture."""

_KINDS = tuple(kind for kind in MEANINGS if kind != _LINE)
_USUAL = "filled"
_SCALED = ("minmax", "minmax-column")
_OTHER_PICTURES = (".bmp", ".eps", ".gif", ".jpeg", ".jpg", ".ps", ".tif", ".tiff", ".webp")


def draw_stored(
    results: Sequence[Surface | Line | CurvatureMap],
    files: Sequence[Path],
    output: Path | None = None,
    *,
    kind: str | None = None,
    value: str | None = None,
    scale: str | None = None,
    difference: bool = False,
    smoothed: bool = False,
) -> list[Path]:
    """Draw one picture, as `gradscape plot` does.

    Args:
        results: Surfaces, lines, or maps of the curvature.
        files: Where they come from.
        output: The picture; what its name ends in says the format. Without such an ending one file in each of the
            chosen formats; by default beside the first of the files.
        kind: "contour", "filled" (the usual one), "heat", "surface", or "interactive", a page; of lines none.
        value: Name of the surfaces' field, "loss" by default; of lines none.
        scale: "auto" (the usual one), "raw", "minmax", "minmax-column" or "log"; "raw" or "log" for lines.
        difference: Whether to draw the first surface's loss minus the second's.
        smoothed: Whether to interpolate between the points.

    Returns:
        What was written.

    Raises:
        ValueError: Something that was asked for, or that was chosen (`Look`), means nothing for such a picture.
    """
    if value is None and any(isinstance(result, CurvatureMap) for result in results):
        value = "ratio"
    drawables = [_as_field(result, value) for result in results]
    value = None if any(isinstance(result, Field) for result in drawables) else value
    drawn = _LINE if any(isinstance(result, Line) for result in drawables) else _kind(kind, output)
    if drawn == _LINE:
        _check_line(kind, value, scale)
    if difference and value not in (None, "loss"):
        raise ValueError(f"`--difference` is one of losses: leave out `--value {value}`")
    if difference and smoothed:
        raise ValueError("`--difference` is drawn as it was evaluated: leave out `--smooth`")
    shown = "difference" if difference else value or _field_name(drawables[0], None, difference=False)
    stem, look = _target(output, drawn, current_look())
    if stem is None:
        parts = (shown, *([] if drawn == _LINE else [drawn]), *([] if scale in (None, "auto") else [scale]))
        stem = files[0].with_name("_".join((files[0].stem, *map(str, parts))))
    _check_meaning(drawn, look, scale)
    asked: dict[str, Any] = {"kind": drawn, **({"scale": scale} if scale else {})}
    with drawn_as(replace(look, limited=_field_name(drawables[0], value, difference=difference))):
        if difference:
            return draw_difference(drawables, files, stem, **asked)
        return draw_one(drawables, files, stem, value=value, smoothed=smoothed, **asked)


def _as_field(result: Surface | Line | CurvatureMap, value: str | None) -> Surface | Line | Field:
    """A map of the curvature as the field of it that is asked for; what else there is, as it is."""
    return result.field(str(value)) if isinstance(result, CurvatureMap) else result


def _field_name(result: Surface | Line | Field, value: str | None, *, difference: bool) -> str:
    """What the drawn values are called by those who draw them."""
    if difference:
        return _DIFFERENCE
    if isinstance(result, Field):
        return result.name
    return "loss" if isinstance(result, Line) or value is None else result.field(value).name


def _kind(kind: str | None, output: Path | None) -> str:
    if kind is None:
        return _PAGE if output is not None and output.suffix.lower() == ".html" else _USUAL
    if kind not in _KINDS:
        raise ValueError(f"`--kind` must be one of {', '.join(_KINDS)}, got {kind!r}")
    return kind


def _called(drawn: str) -> str:
    return {_PAGE: "an interactive page", _LINE: "a line"}.get(drawn, f"`--kind {drawn}`")


def _check_line(kind: str | None, value: str | None, scale: str | None) -> None:
    for option, given in (("kind", kind), ("value", value)):
        if given is not None:
            raise ValueError(
                f"`--{option}` is for surfaces; a line has one kind of picture, with loss and error: leave it out"
            )
    if scale not in (None, "raw", "log"):
        raise ValueError(f"`--scale` of a line must be raw or log, got {scale!r}")


def _check_meaning(drawn: str, look: Look, scale: str | None) -> None:
    """Refuse what would change nothing."""
    for name in (name for name in look.given if name not in MEANINGS[drawn]):
        where = ", ".join(kind for kind, meant in MEANINGS.items() if name in meant)
        raise ValueError(f"`--{name}` changes nothing of {_called(drawn)}, only of {where}: leave it out")
    limited = [name for name in ("zmin", "zmax") if getattr(look, name) is not None]
    limited += ["levels"] if isinstance(look.levels, tuple) else []
    if limited and scale in _SCALED:
        raise ValueError(
            f"`--{limited[0]}` is a value as it is, and `--scale {scale}` draws all from 0 to 1: leave one of them out"
        )
    if scale == "log" and look.zmin is not None and look.zmin <= 0:
        raise ValueError(f"`--zmin` must be positive on a log scale, got {look.zmin:g}")
    if drawn == _PAGE and scale == "minmax-column":
        raise ValueError("`--scale` of an interactive page must be raw, minmax or log, got 'minmax-column'")


def _target(output: Path | None, drawn: str, look: Look) -> tuple[Path | None, Look]:
    """Path without the ending, and the look with the format that the ending says."""
    suffix = "" if output is None else output.suffix.lower()
    if output is None or suffix not in (".html", *_OTHER_PICTURES, *(f".{ending}" for ending in FORMATS)):
        return output, look
    stem, ending = output.with_suffix(""), suffix[1:]
    if (drawn == _PAGE) != (ending == "html") or suffix in _OTHER_PICTURES:
        takes = "html" if drawn == _PAGE else ", ".join(FORMATS[:-1]) + f" or {FORMATS[-1]}"
        raise ValueError(f"`--output` must end in {takes} for {_called(drawn)}, got {output}")
    if drawn == _PAGE:
        return stem, look
    if look.format not in (None, (ending,)):
        raise ValueError(f"`--format {','.join(look.format)}` and `--output {output}` differ: leave one of them out")
    return stem, replace(look, format=(ending,))
