"""How pictures are drawn, beyond what they show: what a person may choose, and what is chosen while one is drawn."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, fields
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, final, get_args

import matplotlib as mpl
from matplotlib.font_manager import findSystemFonts, fontManager

from gradscape._files import check_readable
from gradscape._names import error_line, one_line, unknown_name
from gradscape._text_files import read_text

__all__ = ["ANY_PICTURE", "FORMATS", "WIDTHS", "Format", "Look", "current_look", "drawn_as"]

Format = Literal["pdf", "png", "svg"]

FORMATS: tuple[Format, ...] = get_args(Format)
"""What pictures can be written as."""

WIDTHS = {"single": 85.0, "double": 178.0}
"""Widths of a paper's figures by name, in millimeters: one column, and both."""

ANY_PICTURE = frozenset({"caption", "title", "width", "font", "style", "format"})
"""What of a `Look` changes something of every picture; the rest depends on what is drawn."""

_NARROWEST, _WIDEST = 40.0, 500.0  # mm
_MOST_LEVELS = 100
_INCH = 25.4  # mm
_OF_WINDOWS = (
    "backend",
    "interactive",
    "keymap.",
    "savefig.directory",
    "tk.",
    "toolbar",
    "webagg.",
)  # settings of windows
_GENERIC_FONTS = ("serif", "sans-serif", "monospace")


@final
@dataclass(frozen=True, kw_only=True)
class Look:
    """What can be chosen of any picture; what is left out is the house's own choice.

    Attributes:
        caption: Whether the caption is drawn too; it always goes to a text file beside the picture.
        title: What stands above the picture; nothing if empty.
        cmap: Name of a Matplotlib color map, instead of the one that belongs to what is drawn.
        camera: Azimuth and elevation from which a relief is seen, in degrees.
        zmin: Lowest drawn value of what `limited` names, in the units of its color bar, unless it is scaled.
        zmax: Highest drawn value.
        limited: Name of the field ("loss", "error", …) that `zmin`, `zmax` and single `levels` are values of.
        levels: About how many contours there are, or at which values.
        width: Of the page: "single" (85 mm), "double" (178 mm), or millimeters.
        font: Family of all letters.
        style: A Matplotlib style file, whose settings take the place of the house's.
        format: What pictures are written as, of "pdf", "png" and "svg"; the first two by default.

    Raises:
        ValueError: A name is unknown or a value impossible.
        FileNotFoundError: There is no such style file.

    Example:
        >>> from gradscape.figures import Look, drawn_as, figure_landscape
        >>> look = Look(width="double", camera=(30.0, 45.0), caption=True)
        >>> # with drawn_as(look): figure_landscape(surface, kind="surface")
    """

    caption: bool = False
    title: str = ""
    cmap: str | None = None
    camera: tuple[float, float] | None = None
    zmin: float | None = None
    zmax: float | None = None
    limited: str = "loss"
    levels: int | tuple[float, ...] | None = None
    width: float | str | None = None
    font: str | None = None
    style: Path | None = None
    format: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.cmap is not None and self.cmap not in mpl.colormaps:
            raise unknown_name("cmap", self.cmap, mpl.colormaps)
        if self.font is not None and self.font not in _GENERIC_FONTS and self.font not in _fonts(self.font):
            raise unknown_name("font", self.font, _fonts(self.font))
        if self.style is not None:
            _settings_in(self.style)
        _check_camera(self.camera)
        _check_limits(self.zmin, self.zmax)
        _check_levels(self.levels)
        _check_width(self.width)
        unknown = [one for one in self.formats if one not in FORMATS]
        if unknown or not self.formats:
            raise ValueError(f"`format` must be of {', '.join(FORMATS)}, got {', '.join(unknown) or 'none'}")

    @property
    def given(self) -> list[str]:
        """Names of what is chosen."""
        named = [field for field in fields(self) if field.name != "limited"]
        return [field.name for field in named if getattr(self, field.name) != field.default]

    @property
    def heading(self) -> str:
        """The title on one line."""
        return one_line(self.title)

    @property
    def formats(self) -> tuple[str, ...]:
        """What pictures are written as."""
        return ("pdf", "png") if self.format is None else self.format

    @property
    def page_width(self) -> float | None:
        """Width in inches; None where nothing is chosen."""
        if self.width is None:
            return None
        return float(WIDTHS.get(str(self.width), self.width)) / _INCH

    @property
    def settings(self) -> Mapping[str, Any]:
        """Matplotlib's settings that were chosen, by style file and font."""
        chosen = {} if self.style is None else dict(_settings_in(self.style))
        return chosen if self.font is None else {**chosen, "font.family": self.font}

    def limits_of(self, value: str) -> tuple[float | None, float | None]:
        """Lowest and highest drawn value of a field, None where nothing is chosen."""
        return (self.zmin, self.zmax) if value == self.limited else (None, None)

    def levels_of(self, value: str) -> int | tuple[float, ...] | None:
        """Contours of a field: how many, or where; None where nothing is chosen."""
        return self.levels if isinstance(self.levels, int) or value == self.limited else None


_CHOSEN: ContextVar[Look] = ContextVar("look")


def current_look() -> Look:
    """What is chosen for what is drawn here."""
    return _CHOSEN.get(None) or Look()


@contextmanager
def drawn_as(look: Look) -> Iterator[None]:
    """Draw and save everything inside of the block as chosen."""
    token = _CHOSEN.set(look)
    try:
        yield
    finally:
        _CHOSEN.reset(token)


def _check_camera(camera: tuple[float, float] | None) -> None:
    if camera is None:
        return
    if not all(map(math.isfinite, camera)) or not -90 <= camera[1] <= 90:
        raise ValueError(
            "`camera` must be azimuth and elevation in degrees, the elevation from -90 to 90, such as -55,32; "
            f"got {','.join(f'{angle:g}' for angle in camera)}"
        )


def _check_limits(low: float | None, high: float | None) -> None:
    for name, end in (("zmin", low), ("zmax", high)):
        if end is not None and not math.isfinite(end):
            raise ValueError(f"`{name}` must be a finite number, got {end:g}")
    if low is not None and high is not None and not low < high:
        raise ValueError(f"`zmin` must be below zmax, got {low:g} and {high:g}")


def _check_levels(levels: int | tuple[float, ...] | None) -> None:
    if isinstance(levels, int):
        if not 2 <= levels <= _MOST_LEVELS:
            raise ValueError(f"`levels` must be 2 to {_MOST_LEVELS} contours, got {levels}")
    elif levels is not None:
        ascending = all(low < high for low, high in pairwise(levels))
        if len(levels) < 2 or not all(map(math.isfinite, levels)) or not ascending:
            raise ValueError(
                "`levels` must be a number of contours, or at least two values that ascend, such as 0.1,1,10; "
                f"got {','.join(f'{level:g}' for level in levels)}"
            )


def _check_width(width: float | str | None) -> None:
    if width is None or width in WIDTHS:
        return
    if isinstance(width, str) or not _NARROWEST <= width <= _WIDEST:
        raise ValueError(
            f"`width` must be {', '.join(f'{name} ({wide:g} mm)' for name, wide in WIDTHS.items())} or "
            f"{_NARROWEST:g} to {_WIDEST:g} mm, got {width}"
        )


def _fonts(wanted: str) -> set[str]:
    """Families that Matplotlib knows; for one that it does not, those too that came after it had looked around."""
    if wanted not in (known := set(fontManager.get_font_names())):
        _find_new_fonts()
        known = set(fontManager.get_font_names())
    return known


@cache
def _find_new_fonts() -> None:
    for file in {*findSystemFonts()} - {one.fname for one in fontManager.ttflist}:
        with suppress(OSError, RuntimeError, ValueError):  # a file that is no font after all
            fontManager.addfont(file)


@cache
def _settings_in(file: Path) -> dict[str, Any]:
    """What a style file sets of how pictures look, as `matplotlib.style` takes it."""
    check_readable(file, "style file")
    try:
        read_text(file, "style file")  # of what is no text Matplotlib would speak itself
        found = mpl.rc_params_from_file(file, fail_on_error=True, use_default_template=False)
    except (ValueError, TypeError, OSError) as problem:
        raise ValueError(f"`style` {file} is no Matplotlib style file: {error_line(problem)}") from problem
    settings: dict[str, Any] = {name: value for name, value in found.items() if not name.startswith(_OF_WINDOWS)}
    if not settings:
        raise ValueError(f"`style` {file} sets nothing of how pictures look: give a file such as paper.mplstyle")
    return settings
