"""Confusion matrices: what a network takes the images of each class for, in percent of them."""

from collections.abc import Sequence
from itertools import count
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, PowerNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from gradscape._names import one_line
from gradscape.figures.caption import add_caption, caption_height
from gradscape.figures.letters import text_size
from gradscape.figures.style import GAP_COLOR, SMALL, map_colors, new_figure, page_width, short_number, styled

__all__ = ["figure_confusion", "plot_confusion"]

_MOST_CELLS = 100  # on a side, beyond which classes are put together
_FEW = 12  # classes that one column of a paper has room for, with a number in every cell
_LETTERS = 20  # of a class's name
_LINE = 0.115  # inches that a name needs
_NUMBER = 0.19  # inches that "100" needs
_TICKS = (0, 1, 5, 20, 50, 100)
_TOLD = 3  # confusions in the caption
_OTHER = "other"
_UNIT, _BLOCK_UNIT = "% of the class's images", "% of the block's images"

Counts = Int[np.ndarray, "classes answers"]


@styled()
def plot_confusion(counts: Counts, *, names: Sequence[str], ax: Axes | None = None) -> Axes:
    """Draw how many percent of each class's images a network takes for which class.

    Colors go by the square root, so that rare confusions are seen beside the diagonal; white is none. Numbers stand in
    the cells where they fit, and names beside them; else classes go by their numbers. More than 100 classes are put
    together in blocks of as many classes that follow each other.

    Args:
        counts: Images by class (row) and answer (column); one more column counts answers that are none of the classes.
        names: Of the classes.
        ax: Axes to draw into; by default on a page of their own.

    Returns:
        The axes; the image's values are percent, NaN in rows of classes without an image.

    Raises:
        ValueError: There are not as many rows as names, or columns that are neither as many nor one more.
    """
    _check_counts(counts, names)
    ax = ax or new_figure(*_page(len(names), "")).add_subplot()
    step = block_size(len(names))
    shares = _shares(counts, step)
    rows, columns = shares.shape
    colors = map_colors("magma_r").with_extremes(bad=GAP_COLOR, under="white")
    drawn = ax.imshow(shares, cmap=colors, norm=_scale(), interpolation="nearest")
    if columns > rows:
        ax.axvline(rows - 0.5, color="0.5", linewidth=0.6)
    cell = _side(len(names)) / columns
    named, numbered = step == 1 and cell >= _LINE, step == 1 and cell >= _NUMBER
    if numbered:
        _write_shares(ax, shares, colors)
    else:
        _add_bar(ax, drawn, _UNIT if step == 1 else _BLOCK_UNIT)
    if named:
        _name_classes(ax, [*map(_shortened, names), *([_OTHER] if columns > rows else [])], rows)
    else:
        _number_classes(ax, len(names), step, other=columns > rows)
    ax.set(xlabel=f"answer ({_UNIT})" if numbered else "answer", ylabel="class of the image")
    ax.tick_params(length=0 if named else 2)
    return ax


@styled()
def figure_confusion(counts: Counts, *, names: Sequence[str], title: str = "", about: str = "") -> Figure:
    """A page with a confusion matrix: one column of a paper wide for up to 12 classes, else two.

    Args:
        counts: As for `plot_confusion`.
        names: As for `plot_confusion`.
        title: Above the axes, such as the network's name.
        about: Which images these are, for the caption.

    Returns:
        The page, whose caption tells the accuracy and what is confused most often.

    Raises:
        ValueError: As for `plot_confusion`.

    Example:
        >>> counts = np.array([[8, 2], [0, 10]])
        >>> figure_confusion(counts, names=["cat", "dog"]).get_supxlabel().replace(chr(10), " ")
        '20 images · 90.0 % right · % of the images of each class · white: none · most often: cat taken for dog (20 %)'
    """
    _check_counts(counts, names)
    caption = " · ".join([about or f"{counts.sum():,} images", *_described(counts, names)])
    figure = new_figure(*_page(len(names), caption))
    ax = plot_confusion(counts, names=names, ax=figure.add_subplot())
    if title:
        ax.set_title(title, parse_math=False, loc="left")
    add_caption(figure, caption)
    return figure


def block_size(classes: int) -> int:
    """How many classes that follow each other make a cell."""
    return -(-classes // _MOST_CELLS)


def _check_counts(counts: Counts, names: Sequence[str]) -> None:
    rows, columns = counts.shape
    if rows != len(names) or columns not in (rows, rows + 1) or not rows:
        raise ValueError(
            f"`counts` must have a row for each of the {len(names)} names, and as many columns or one more, got "
            f"{counts.shape}"
        )


def _page(classes: int, caption: str) -> tuple[float, float]:
    """Width and height, inches."""
    width = page_width(double=classes > _FEW)
    return width, 0.93 * width + caption_height(caption, width)


def _side(classes: int) -> float:
    """About how long the axes' sides are, inches: what labels and the color bar leave."""
    return 0.74 * page_width(double=classes > _FEW)


def _shares(counts: Counts, step: int) -> Float[np.ndarray, "rows columns"]:
    """Percent of each row's images; NaN without any."""
    classes = len(counts)
    starts = np.arange(0, classes, step)
    ends = starts if counts.shape[1] == classes else np.append(starts, classes)
    merged = np.add.reduceat(np.add.reduceat(counts, starts, axis=0), ends, axis=1).astype(float)
    images = merged.sum(axis=1, keepdims=True)
    return 100 * np.divide(merged, images, out=np.full_like(merged, np.nan), where=images > 0)


def _scale() -> PowerNorm:
    """Square roots, below which lies what never happens."""
    return PowerNorm(0.5, 1e-9, 100)


def _add_bar(ax: Axes, drawn: AxesImage, label: str) -> None:
    bar = ax.figure.colorbar(drawn, ax=ax, ticks=_TICKS, fraction=0.046, pad=0.02)
    bar.set_label(label)
    bar.outline.set_linewidth(0.4)


def _write_shares(ax: Axes, shares: np.ndarray, colors: Colormap) -> None:
    norm = _scale()
    for (row, column), share in np.ndenumerate(shares):
        if share > 0:
            red, green, blue, _ = colors(norm(share))
            ink = "white" if 0.3 * red + 0.59 * green + 0.11 * blue < 0.5 else "black"
            text = "<1" if share < 0.5 else f"{share:.0f}"
            ax.text(column, row, text, ha="center", va="center", color=ink, fontsize=SMALL)


def _name_classes(ax: Axes, names: Sequence[str], rows: int) -> None:
    wide = max(map(_width_of, names)) > 0.9 * _side(rows) / len(names)
    look: dict[str, Any] = {"fontsize": SMALL, "parse_math": False}
    ax.set_xticks(range(len(names)), names, rotation=90 if wide else 0, **look)
    ax.set_yticks(range(rows), names[:rows], **look)


def _number_classes(ax: Axes, classes: int, step: int, *, other: bool) -> None:
    """Numbers of classes, ten at most, at the cells that they are in."""
    apart = next(
        size for power in count() for size in (10**power, 2 * 10**power, 5 * 10**power) if classes <= 10 * size
    )
    numbers = range(0, classes, apart)
    places = [number // step for number in numbers]
    ends = [*places, -(-classes // step)] if other else places
    told = [*map(str, numbers), *([_OTHER] if other else [])]
    ax.set_xticks(ends, told)
    ax.set_yticks(places, told[: len(places)])


def _described(counts: Counts, names: Sequence[str]) -> list[str]:
    step, classes = block_size(len(names)), len(counts)
    parts = [f"{100 * np.trace(counts) / max(1, counts.sum()):.1f} % right"]
    parts.append("% of the images of each class" if step == 1 else f"% of the images of each block of {step} classes")
    if (counts == 0).any():
        parts.append("white: none")
    if counts.shape[1] > classes:
        parts.append(f"{_OTHER}: {counts[:, classes].sum():,} answers that are none of the classes or not finite")
    if (counts.sum(axis=1) == 0).any():
        parts.append("gray: no image of the class" if step == 1 else "gray: no image of the block")
    return [*parts, *_most_confused(counts, names)]


def _most_confused(counts: Counts, names: Sequence[str]) -> list[str]:
    classes = len(counts)
    shares = np.nan_to_num(_shares(counts, 1)[:, :classes])
    np.fill_diagonal(shares, 0)
    order = np.argsort(-shares, axis=None, kind="stable")[:_TOLD]
    told = [
        f"{one_line(names[row])} taken for {one_line(names[answer])} ({short_number(shares[row, answer], 2)} %)"
        for row, answer in (divmod(int(place), classes) for place in order)
        if shares[row, answer] > 0
    ]
    return [f"most often: {', '.join(told)}"] if told else []


def _shortened(name: str) -> str:
    text = one_line(name)
    return text if len(text) <= _LETTERS else f"{text[: _LETTERS - 1]}…"


def _width_of(text: str) -> float:
    """Inches that a text takes."""
    return text_size(text, SMALL)[0] / 72
