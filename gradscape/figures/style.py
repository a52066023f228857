"""How everything drawn looks: sizes, colors and fonts in one place, and the files pictures go to."""

import io
import os
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, final

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, ListedColormap
from matplotlib.figure import Figure

from gradscape._files import replacing, replacing_text
from gradscape._names import one_line
from gradscape._profile import spent_on
from gradscape.figures.letters import FONT, make_legible
from gradscape.figures.look import WIDTHS, current_look
from gradscape.figures.margins import add_title

__all__ = [
    "CYCLE",
    "DOUBLE_COLUMN",
    "FONT",
    "GAP_COLOR",
    "GAP_HATCH_COLOR",
    "LINE_STYLES",
    "SINGLE_COLUMN",
    "SMALL",
    "Figure",
    "add_legend",
    "check_choice",
    "colormap",
    "line_colormap",
    "line_look",
    "map_colors",
    "new_axes",
    "new_figure",
    "page_width",
    "picture_bytes",
    "save_figure",
    "short_number",
    "styled",
]

SINGLE_COLUMN = WIDTHS["single"] / 25.4
"""Width of a figure in one column of a paper, inches."""

DOUBLE_COLUMN = WIDTHS["double"] / 25.4
"""Width of a figure across both columns, inches."""

CYCLE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's colors, distinct for color-blind readers, in the order of contrast on white."""

LINE_STYLES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (6, 1.5)), (0, (4, 1.2, 1, 1.2, 1, 1.2)), (0, (1.5, 2.5)))
"""One for each color of the cycle, by which lines are told apart in grey."""

GAP_COLOR = "#ececec"
GAP_HATCH_COLOR = "#9a9a9a"
SMALL = 7.0
"""Size of the smallest letters in points: journals want no smaller ones."""

_Given = ParamSpec("_Given")
_Drawn = TypeVar("_Drawn")

_COLORMAPS = {"loss": "viridis", "error": "magma"}
_ANY_COLORMAP = "cividis"
_SIGNED_COLORMAP = "coolwarm"

_RC: dict[Any, Any] = {
    "font.family": FONT,
    "font.size": 7.5,
    "axes.labelsize": 7.5,
    "axes.titlesize": 8,
    "axes.linewidth": 0.6,
    "axes.prop_cycle": cycler(color=CYCLE, linestyle=LINE_STYLES),
    "axes.formatter.useoffset": True,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.size": 1.5,
    "ytick.minor.size": 1.5,
    "legend.fontsize": SMALL,
    "legend.framealpha": 0.85,
    "legend.edgecolor": "none",
    "legend.handlelength": 2.6,
    "lines.linewidth": 1.2,
    "grid.linewidth": 0.4,
    "grid.color": "#d4d4d4",
    "hatch.linewidth": 0.5,
    "figure.dpi": 150,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "savefig.dpi": 300,
    "pdf.fonttype": 42,
    "pdf.compression": 9,
    "svg.hashsalt": "gradscape",
}
# Whatever a style file says: a page is as wide as was asked for, names are no programs of TeX, and a file is one file.
_FIXED: dict[Any, Any] = {"savefig.bbox": "standard", "text.usetex": False, "svg.image_inline": True}
# Neither file holds a date, so that the same numbers give the same bytes, and none says who made it where.
_METADATA = {
    "pdf": {"Creator": "gradscape", "Producer": None, "CreationDate": None},
    "png": {"Software": "gradscape"},
    "svg": {"Creator": "gradscape", "Date": None},
}


@final
class _Styled:
    """The house style, inside of a block or of a function that draws."""

    def __enter__(self) -> None:
        self._settings = mpl.rc_context(_settings())
        self._settings.__enter__()

    def __exit__(self, *raised: Any) -> None:
        self._settings.__exit__(*raised)

    def __call__(self, function: Callable[_Given, _Drawn]) -> Callable[_Given, _Drawn]:
        @wraps(function)
        def draw(*args: _Given.args, **kwargs: _Given.kwargs) -> _Drawn:
            with spent_on("drawing"), mpl.rc_context(_settings()):
                drawn = function(*args, **kwargs)
                if isinstance(drawn, Figure) and current_look().heading and not drawn.get_suptitle():
                    add_title(drawn, current_look().heading)
                if isinstance(drawn, Figure | Axes):
                    make_legible(drawn)
                return drawn

        return draw


def styled() -> _Styled:
    """The house style for what is drawn inside, as a block or a decorator; the user's own settings come back after.

    A page that a function returns gets the title that was chosen for it (`Look`), and letters that the font lacks
    from another font.
    """
    return _Styled()


def _settings() -> dict[Any, Any]:
    """The house style with what was chosen instead."""
    return {**_RC, **current_look().settings, **_FIXED}


def page_width(*, double: bool) -> float:
    """Width of a page in inches: the one that was chosen (`Look`), else that of both columns of a paper or of one."""
    return current_look().page_width or (DOUBLE_COLUMN if double else SINGLE_COLUMN)


def colormap(value: str, *, signed: bool = False) -> Colormap:
    """The perceptual color map of a value: losses and errors have their own, so that none is mistaken.

    Args:
        value: "loss", "error", or the name of anything else that lies over a plane.
        signed: Whether the middle of the range is 0, from which colors diverge to blue below and red above.

    Source: Moreland, "Diverging Color Maps for Scientific Visualization", 2009, for signed values.
    """
    return map_colors(_SIGNED_COLORMAP if signed else _COLORMAPS.get(value, _ANY_COLORMAP))


def map_colors(usual: str) -> Colormap:
    """The color map that was chosen (`Look`), by itself or in a style file, else the usual one of this name."""
    look = current_look()
    return mpl.colormaps[look.cmap or look.settings.get("image.cmap", usual)]


def line_colormap(value: str, *, signed: bool = False) -> Colormap:
    """The same without its lightest colors, which thin lines on white would lose; a diverging one is darkened."""
    full = colormap(value, signed=signed)
    if signed:
        colors = [tuple(0.7 * part for part in full(step / 255)[:3]) for step in range(256)]
    else:
        first = 0.18 if sum(full(0.0)[:3]) > sum(full(1.0)[:3]) else 0.0
        colors = [full(first + step / 255 * 0.82) for step in range(256)]
    return ListedColormap(colors, name=f"{full.name}-dark")


def new_figure(width: float, height: float, *, solid: bool = False) -> Figure:
    """An empty page, in inches, that no window and no global state knows of; `solid` pages hold 3-D axes."""
    # Compressed brings panels of fixed proportions together; 3-D axes, whose labels lie inside them, it would overlap.
    return Figure(figsize=(width, height), layout="constrained" if solid else "compressed")


def new_axes() -> Axes:
    """Axes on a single-column page of their own."""
    return new_figure(page_width(double=False), 2.5).add_subplot()


@styled()
def save_figure(figure: Figure, stem: str | os.PathLike[str]) -> list[Path]:
    """Write a figure in the formats that were chosen (`Look`), and its caption as text, each atomically.

    Without a choice that is vector PDF with embedded fonts and PNG with 300 dots an inch. No file holds a date, so that
    the same numbers give the same bytes.

    Args:
        figure: What to write.
        stem: Path without the ending; dots in it stay.

    Returns:
        The pictures in their order, then the caption where the figure has one.

    Example:
        >>> from matplotlib.figure import Figure
        >>> [path.name for path in save_figure(Figure(), "empty")]
        ['empty.pdf', 'empty.png']
    """
    make_legible(figure)
    paths = []
    layout = figure.get_layout_engine()
    try:
        for ending in current_look().formats:
            path = Path(f"{os.fspath(stem)}.{ending}")
            with replacing(path) as partial, spent_on("drawing"):
                figure.savefig(partial, format=ending, metadata=_METADATA[ending])
            paths.append(path)
            figure.set_layout_engine("none")  # laid out once, all files have everything at the same places
    finally:
        figure.set_layout_engine(layout)
    if caption := one_line(figure.get_supxlabel()):
        path = Path(f"{os.fspath(stem)}.txt")
        with replacing_text(path) as file:
            file.write(f"{caption}\n")
        paths.append(path)
    return paths


@styled()
def picture_bytes(figure: Figure, *, dots: int = 300) -> bytes:
    """A figure as a PNG file that stays in memory, for pages that hold it.

    Args:
        figure: What to draw.
        dots: Of the picture, an inch.
    """
    make_legible(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dots, metadata={"Software": "gradscape"})
    return buffer.getvalue()


def add_legend(ax: Axes, handles: Sequence[Artist]) -> None:
    """Explain `handles` if there are any; `$` and other signs in their labels stay as they are."""
    if handles:
        for text in ax.legend(handles=handles).get_texts():
            text.set_parse_math(False)


def line_look(number: int) -> dict[str, Any]:
    """Color and line style of the `number`-th line of a figure: where all colors are taken, the style varies."""
    return {"color": CYCLE[number % len(CYCLE)], "linestyle": LINE_STYLES[number // len(CYCLE) % len(LINE_STYLES)]}


def check_choice(option: str, got: str, known: Sequence[str]) -> None:
    """Refuse a name that is not among the known ones."""
    if got not in known:
        raise ValueError(f"`{option}` must be one of {', '.join(known)}, got {got!r}")


def short_number(number: float, digits: int = 3) -> str:
    """A number with at most `digits` digits, its exponent without padding (1e5)."""
    rounded = float(f"{number:.{digits}g}")
    if rounded == 0 or 1e-3 <= abs(rounded) < 1e5:
        return np.format_float_positional(rounded, trim="-")
    mantissa, _, exponent = f"{rounded:.{digits - 1}e}".partition("e")
    return f"{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa}e{int(exponent)}"
