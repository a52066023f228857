"""Pages of small pictures in rows and columns, and how a picture lies in its panel."""

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from unicodedata import east_asian_width

import numpy as np
from jaxtyping import Float, Shaped
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from torch import Tensor

from gradscape._names import one_line
from gradscape.figures.caption import add_caption, caption_height
from gradscape.figures.style import SMALL, page_width

__all__ = [
    "FEW_COLUMNS",
    "LINE",
    "Channels",
    "ImageGrid",
    "bare",
    "drawable",
    "finite_only",
    "fitted",
    "fitted_end",
    "fitted_lines",
    "grayed",
    "lay_out_grid",
    "mosaic",
    "picture",
    "show_map",
    "show_picture",
    "tile_columns",
]

LINE = 0.12
"""Height of a line of small text, inches."""

FEW_COLUMNS = 3
"""Up to so many columns of panels stand on a page of a single column."""

Channels = int | Sequence[int] | None
"""Which channels of an image are drawn: one in gray, or three as red, green and blue."""

_GAP = 0.06
_BRACE = 0.03  # between a title of several rows and the line along them
_MARGIN = 0.05
_LETTERS_PER_INCH = 125 / SMALL
_JOINT = "\N{WORD JOINER}"  # marks a space that is none of the text
_FEW_PIXELS = 64


@dataclass(frozen=True)
class ImageGrid:
    """A page of panels without ticks, placed to the inch, with its caption.

    Attributes:
        figure: The page.
        panels: (rows, columns) axes.
        panel_width: Inches.
        panel_height: Inches.
    """

    figure: Figure
    panels: np.ndarray
    panel_width: float
    panel_height: float

    def title_columns(self, titles: Sequence[str], *, lines: int = 2) -> None:
        """Write a title above each column, each of its lines broken into up to so many."""
        for ax, title in zip(self.panels[0], titles, strict=True):
            text = fitted_lines(title, self.panel_width, lines)
            ax.set_title(text, fontsize=SMALL, pad=3, linespacing=1, parse_math=False)

    def title_row(self, row: int, title: str, *, column: int = 0, lines: int = 1) -> None:
        """Write a title up the left side of a row, each of its lines broken into up to so many."""
        text = fitted_lines(title, self.panel_height, lines)
        look = {"fontsize": SMALL, "labelpad": 3, "linespacing": 1, "parse_math": False}
        self.panels[row, column].set_ylabel(text, **look)

    def title_rows(self, rows: Sequence[int], title: str, inches: float) -> None:
        """Write a title up the left side of rows that follow each other, behind so many inches of their own titles."""
        top, bottom = self.panels[rows[0], 0].get_position(), self.panels[rows[-1], 0].get_position()
        width, height = self.figure.get_size_inches()
        text = fitted(title, float(top.y1 - bottom.y0) * height)
        right, middle = float(top.x0) - inches / width, float(top.y1 + bottom.y0) / 2
        look: dict[str, Any] = {"rotation": 90, "ha": "right", "va": "center", "fontsize": SMALL, "parse_math": False}
        self.figure.text(right - _BRACE / width, middle, text, **look)
        ends = [float(bottom.y0), float(top.y1)]
        self.figure.add_artist(Line2D([right, right], ends, color="0.6", linewidth=0.6))

    def describe(self, ax: Axes, text: str, *, lines: int = 1) -> None:
        """Write below a panel, on so many lines at most."""
        ax.set_xlabel(
            fitted(text, self.panel_width, lines),
            fontsize=SMALL,
            labelpad=2,
            linespacing=1.05,
            parse_math=False,
        )

    def describe_together(self, panels: Sequence[Axes], text: str) -> None:
        """Write lines below panels that stand side by side, centered over all of them."""
        first, last = panels[0].get_position(), panels[-1].get_position()
        middle = float(last.x1 - first.x0) / float(first.width) / 2
        look: dict[str, Any] = {
            "ha": "center",
            "va": "top",
            "fontsize": SMALL,
            "linespacing": 1.05,
            "parse_math": False,
        }
        panels[0].text(middle, -2 / 72 / self.panel_height, text, transform=panels[0].transAxes, **look)

    def add_bar(self, mappable: ScalarMappable, label: str, row: int | None = None, *, short: str = "") -> Colorbar:
        """A color bar to the right of a row, or of all rows; `short` is its label where a page is too low for it."""
        first, last = (0, len(self.panels) - 1) if row is None else (row, row)
        top, bottom = self.panels[first, -1].get_position().y1, self.panels[last, -1].get_position().y0
        width, height = self.figure.get_size_inches()
        tall = min((top - bottom) * height, 2.4) / height
        middle = (top + bottom) / 2
        right = self.panels[first, -1].get_position().x1 + 0.08 / width
        bar = self.figure.colorbar(mappable, cax=self.figure.add_axes((right, middle - tall / 2, 0.07 / width, tall)))
        low = bool(short) and fitted(label, height) != label
        bar.set_label(short if low else label, fontsize=SMALL, parse_math=False)
        bar.ax.tick_params(labelsize=SMALL, length=2)
        bar.outline.set_linewidth(0.4)
        return bar


def lay_out_grid(
    rows: int,
    columns: int,
    caption: str,
    *,
    proportion: float = 1.0,
    lines_above: int = 2,
    lines_below: int | Sequence[int] = 0,
    left: float = 0.0,
    first_gap: float = 0.0,
    wide: bool = False,
    right: float = 0.0,
) -> ImageGrid:
    """Make a page: a single column wide for few columns of panels unless `wide`, else a double one.

    Args:
        rows: Rows of panels.
        columns: Columns of panels.
        caption: Text for the foot of the page.
        proportion: Height of a panel over its width.
        lines_above: Lines of text above the first row.
        lines_below: Lines of text below every row, or below each.
        left: Inches for the titles of rows.
        first_gap: Inches more between the first two columns.
        wide: Whether the page is a double column wide in any case.
        right: Inches for color bars.
    """
    page = page_width(double=columns > FEW_COLUMNS or wide)
    across = (page - 2 * _MARGIN - left - first_gap - right - (columns - 1) * _GAP) / columns
    down = across * proportion
    below = [lines_below] * rows if isinstance(lines_below, int) else list(lines_below)
    pitches = [down + _GAP + lines * LINE for lines in below]
    foot = caption_height(caption, page) + 0.04
    height = 0.06 + lines_above * LINE + sum(pitches) + foot
    figure = Figure(figsize=(page, height))
    panels = np.empty((rows, columns), dtype=object)
    for row, column in np.ndindex(rows, columns):
        x = _MARGIN + left + column * (across + _GAP) + (first_gap if column else 0)
        y = height - 0.06 - lines_above * LINE - sum(pitches[:row]) - down
        panels[row, column] = bare(figure.add_axes((x / page, y / height, across / page, down / height)))
    add_caption(figure, caption)
    return ImageGrid(figure, panels, across, down)


def bare(ax: Axes) -> Axes:
    """Axes without ticks and frame."""
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return ax


def fitted(text: str, inches: float, lines: int = 1) -> str:
    """Text broken to so many inches of small letters, cut with an ellipsis where the lines do not suffice."""
    letters, text = max(int(inches * _LETTERS_PER_INCH / _width(text)), 4), one_line(text)
    if len(text) <= letters:
        return text
    # Names of networks may be broken before what is added to them: before a plus sign.
    marked = re.sub(r"(?<=\S)\+(?=\S)", f" {_JOINT}+", text)
    parts = textwrap.wrap(marked, letters, break_long_words=False)
    if len(parts) > lines or any(len(part) > letters for part in parts):
        # Names of files and layers may be broken behind an underscore.
        parts = textwrap.wrap(marked.replace("_", "_ "), letters, max_lines=lines, placeholder="…")
    broken = [part.replace("_ ", "_").replace(f" {_JOINT}", "").replace(_JOINT, "") for part in parts]
    # Of a first word longer than the line, textwrap would leave nothing but the placeholder.
    if broken and broken[-1] == "…":
        broken[-1] = text[: letters - 1] + "…"
    return "\n".join(broken)


def fitted_lines(text: str, inches: float, lines: int = 1) -> str:
    """Text whose own lines stay, each broken to so many inches as `fitted` does."""
    return "\n".join(fitted(line, inches, lines) for line in text.split("\n"))


def fitted_end(text: str, inches: float) -> str:
    """Text on a line of so many inches, cut at its beginning: the end of a module's name tells most."""
    letters, text = max(int(inches * _LETTERS_PER_INCH / _width(text)), 4), one_line(text)
    return text if len(text) <= letters else f"…{text[1 - letters :]}"


def _width(text: str) -> float:
    """Of a text's letters in the mean, where Latin ones are 1 and Chinese ones 2."""
    return 1 + sum(east_asian_width(letter) in "WF" for letter in text) / max(len(text), 1)


def drawable(
    images: Float[Tensor, "images channels *size"], channels: Channels = None
) -> Float[Tensor, "images 3 *size"]:
    """Return images of three channels: those of one channel in gray, those of two or of four and more as asked.

    Args:
        images: In [0, 1].
        channels: The one to draw in gray, or the three that are red, green and blue; None where there is one or are
            three.

    Raises:
        ValueError: There are other numbers of channels, and it is not said which to draw, or there is no such channel.
    """
    count = images.shape[1]
    if channels is None:
        if count not in (1, 3):
            raise ValueError(
                f"`images` must have 1 or 3 channels to be drawn as they are, got {count}; say with `channels` which "
                "to draw: one in gray, such as channels=0, or three as red, green and blue, such as channels=(2, 1, 0)"
            )
        chosen = [0] * 3 if count == 1 else [0, 1, 2]
    else:
        chosen = [channels] * 3 if isinstance(channels, int) else list(channels)
    if len(chosen) != 3 or not all(0 <= number < count for number in chosen):
        raise ValueError(f"`channels` must be one or three numbers from 0 to {count - 1}, got {channels}")
    return images[:, chosen]


def picture(image: Float[Tensor, "channels height width"]) -> Float[np.ndarray, "height width 3"]:
    """An image as Matplotlib takes it, clipped to [0, 1]."""
    image = drawable(image[None])[0]
    return image.detach().float().cpu().permute(1, 2, 0).clamp(0, 1).numpy()


def grayed(image: Float[Tensor, "channels height width"], *, pale: float = 0.0) -> Float[np.ndarray, "height width 3"]:
    """An image without color, for color to be laid over it, and by `pale` nearer to white, to be written upon."""
    luma = picture(image) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    return np.repeat((pale + (1 - pale) * luma)[..., None], 3, axis=-1)


def mosaic(
    maps: Float[np.ndarray, "maps height width"], columns: int
) -> Float[np.ma.MaskedArray, "all_height all_width"]:
    """Maps as tiles of one array, row by row, with a masked line between them."""
    count, height, width = maps.shape
    rows = -(-count // columns)
    # A line thick enough to be seen however many pixels a map has.
    line = max(1, round(0.04 * max(height, width)))
    tiled = np.full((rows * (height + line) - line, columns * (width + line) - line), np.nan, dtype=maps.dtype)
    for number, one in enumerate(maps):
        row, column = divmod(number, columns)
        top, left = row * (height + line), column * (width + line)
        tiled[top : top + height, left : left + width] = one
    return finite_only(tiled)


def tile_columns(count: int) -> int:
    """How many tiles stand in a row: no more than below each other, and no gap at the end if possible."""
    side = int(np.sqrt(count))
    exact = next(number for number in range(side, 0, -1) if count % number == 0)
    return exact if exact > side // 2 else side


def show_picture(ax: Axes, pixels: Float[np.ndarray, "height width 3"]) -> AxesImage:
    """Draw an image, filling the panel; one of few pixels pixel by pixel, as crisp as it is."""
    few = max(pixels.shape[:2]) <= _FEW_PIXELS
    return ax.imshow(pixels, aspect="auto", interpolation="nearest" if few else "auto")


def show_map(ax: Axes, values: Shaped[np.ndarray, "height width"], **look: object) -> AxesImage:
    """Draw an array pixel by pixel, filling the panel."""
    return ax.imshow(finite_only(values), aspect="auto", interpolation="nearest", **look)  # type: ignore[arg-type]


def finite_only(values: Float[np.ndarray, "*shape"]) -> Float[np.ma.MaskedArray, "*shape"]:
    """Values whose infinities and NaNs are masked, with nothing under the mask that arithmetic could warn of."""
    finite = np.isfinite(values)
    return np.ma.array(np.where(finite, values, 0), mask=~finite)
