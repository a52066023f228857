"""Options of how pictures look: every command that draws has those that mean something for what it draws."""

import functools
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gradscape.cli.numbers import finite

if TYPE_CHECKING:
    from gradscape.figures.look import Look

__all__ = ["MAP", "PAGE", "SURFACE", "with_look"]

PAGE = ("caption", "title", "width", "font", "style", "format")
"""What any picture has."""

MAP = ("cmap", *PAGE)
"""What pictures whose colors are values have."""

SURFACE = ("camera", "zmin", "zmax", "levels", *MAP)
"""What pictures of surfaces have."""

_PANEL = "How pictures look"


def _option(*names: str, **told: Any) -> Any:
    return typer.Option(*names, rich_help_panel=_PANEL, **told)


_OPTIONS: dict[str, Any] = {
    "caption": Annotated[
        bool, _option("--caption", help="Draw the caption too; it is always in a .txt file beside the picture.")
    ],
    "title": Annotated[str | None, _option(metavar="TEXT", help="Written above the picture.")],
    "cmap": Annotated[str | None, _option(metavar="NAME", help="A color map of Matplotlib, such as viridis or gray.")],
    "camera": Annotated[
        str | None,
        _option(metavar="AZ,EL", help="Where a relief is seen from: azimuth and elevation in degrees, such as -55,32."),
    ],
    "zmin": Annotated[
        float | None, _option(help="Lowest drawn value, in the unit of the color bar.", callback=finite("--zmin"))
    ],
    "zmax": Annotated[float | None, _option(help="Highest drawn value.", callback=finite("--zmax"))],
    "levels": Annotated[
        str | None, _option(metavar="N|a,b,…", help="How many contours, or at which values: 12, or 0.1,0.5,1,5.")
    ],
    "width": Annotated[
        str | None,
        _option(metavar="single|double|MM", help="Of the page: 85 mm, 178 mm, or any number of millimeters."),
    ],
    "font": Annotated[str | None, _option(metavar="NAME", help="Family of all letters, such as serif.")],
    "style": Annotated[Path | None, _option(metavar="FILE", help="A Matplotlib style file.")],
    "format": Annotated[
        str | None, _option(metavar="pdf,png,svg", help="What pictures are written as; pdf,png by default.")
    ],
}


def with_look(*names: str, styles: Sequence[str] = ()) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command options of how its pictures look, and draw all that it draws as they say.

    Args:
        names: Those that mean something for it.
        styles: Words that the command itself takes as `--style`, beside a style file.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(**given: Any) -> None:
            chosen = {name: given.pop(name) for name in names if name != "style" or not styles}
            if styles:
                given["style"], chosen["style"] = _sorted_styles(given["style"] or [], styles)
            from gradscape.figures.look import drawn_as

            with drawn_as(_make_look(chosen)):
                command(**{name: value for name, value in given.items() if name != "style" or value is not None})

        run.__signature__ = _signature(command, names, styles)  # type: ignore[attr-defined]
        return run

    return decorate


def _signature(command: Callable[..., None], names: Sequence[str], styles: Sequence[str]) -> inspect.Signature:
    """That of the command with options of its look, which Typer reads."""
    signature = inspect.signature(command)
    own = [parameter for parameter in signature.parameters.values() if parameter.name not in names]
    options = {name: _OPTIONS[name] for name in names}
    if styles:
        told = f"{', '.join(styles[:-1])} or {styles[-1]}; or a Matplotlib style file; one of each may be given."
        options["style"] = Annotated[list[str] | None, _option(metavar=f"{'|'.join(styles)}|FILE", help=told)]
    added = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=False if name == "caption" else None, annotation=option
        )
        for name, option in options.items()
    ]
    return signature.replace(parameters=[*own, *added])


def _make_look(chosen: dict[str, Any]) -> "Look":
    from gradscape.figures.look import Look

    given = {name: value for name, value in chosen.items() if value is not None and value is not False}
    for name, read in (("camera", _camera), ("levels", _levels), ("width", _width), ("format", _formats)):
        if name in given:
            given[name] = read(given[name])
    try:
        return Look(**given)
    except ValueError as problem:  # which names the field as Python has it
        raise ValueError(str(problem).replace("`", "`--", 1)) from None


def _camera(text: str) -> tuple[float, ...]:
    try:
        azimuth, elevation = map(float, text.split(","))
    except ValueError:
        raise ValueError(f"`--camera` must be AZ,EL in degrees, such as -55,32, got {text!r}") from None
    return azimuth, elevation


def _levels(text: str) -> int | tuple[float, ...]:
    try:
        return int(text) if text.strip().isdecimal() else tuple(map(float, text.split(",")))
    except ValueError:
        raise ValueError(f"`--levels` must be a number of contours, or values such as 0.1,1,10, got {text!r}") from None


def _width(text: str) -> float | str:
    try:
        return float(text.removesuffix("mm"))
    except ValueError:
        return text


def _formats(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip().removeprefix(".").lower() for part in text.split(",")))


def _sorted_styles(given: Sequence[str], words: Sequence[str]) -> tuple[str | None, Path | None]:
    """The word and the style file among what came as `--style`."""
    named = [one for one in given if one in words]
    files = [Path(one) for one in given if one not in words]
    if len(named) > 1 or len(files) > 1:
        raise ValueError(
            f"`--style` must be one of {', '.join(words)} and one style file at most, got {', '.join(given)}"
        )
    if files and not files[0].exists():
        raise ValueError(f"`--style` must be {', '.join(words)} or a style file, and there is no file {files[0]}")
    return (named[0] if named else None), (files[0] if files else None)
