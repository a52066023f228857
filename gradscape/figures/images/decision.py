"""Decision maps: classes as colors, the network's confidence as their strength, and the images they are about."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from gradscape._names import one_line
from gradscape._provenance import Provenance
from gradscape.explain.decision_regions import HALF_STEP, DecisionMap
from gradscape.figures.caption import add_caption, caption_height
from gradscape.figures.charts.embedding_marks import class_marks
from gradscape.figures.images.grid import bare, picture
from gradscape.figures.style import SMALL, new_axes, new_figure, page_width, short_number, styled
from gradscape.figures.surfaces.color_bars import add_colorbar
from gradscape.figures.surfaces.maps import draw_filled
from gradscape.figures.surfaces.shading import shade_panels
from gradscape.landscape import Field

__all__ = ["figure_decisions", "plot_decisions"]

_PALEST = 0.2  # of a class's color, where the network only guesses
_MOST_COLUMNS = 3
_MOST_NAMES = 14
_STRIP = 0.95  # inches
_HIGHEST = 4.0  # inches: planes much higher than wide are drawn narrower
_LETTERS = "ABC"
_AXES = {
    "": ("distance from A towards B", "at right angles"),
    "sign": ("along the gradient's sign", "along random signs"),
    "l2": ("along the gradient", "along a random direction"),
}


@styled()
def plot_decisions(decisions: DecisionMap, *, ax: Axes | None = None, colors: Mapping[int, str] | None = None) -> Axes:
    """Draw which class is predicted where; the less sure the network is, the paler, and white where it only guesses.

    Args:
        decisions: The map.
        ax: Axes to draw into; by default on a page of their own, with a legend.
        colors: Class -> color; by default those of the classes that occur.

    Returns:
        The axes.

    Raises:
        ValueError: There is no color for a class.

    Source: Somepalli et al., CVPR 2022, figure 2.
    """
    alone = ax is None
    ax = ax or new_axes()
    colors = _colors([decisions]) if colors is None else colors
    if missing := [index for index in decisions.occurring if index not in colors]:
        raise ValueError(f"`colors` must have one for each class, but lacks {', '.join(map(str, missing))}")
    spans = [_ends(axis) for axis in (decisions.alphas, decisions.betas)]
    look: dict[str, Any] = {"origin": "lower", "interpolation": "nearest", "aspect": "equal"}
    ax.imshow(_painted(decisions, colors), extent=(*spans[0], *spans[1]), **look)
    if 0 < decisions.inside.mean() < 1 and min(decisions.inside.shape) > 1:
        ax.contour(
            decisions.alphas,
            decisions.betas,
            decisions.excess,
            levels=[HALF_STEP],
            colors="black",
            linestyles="dashed",
            linewidths=0.8,
        )
    for letter, (alpha, beta) in zip(_letters(decisions), decisions.positions, strict=True):
        ax.plot([alpha], [beta], "o", markersize=4.5, color="white", markeredgecolor="black", markeredgewidth=0.8)
        ax.annotate(
            letter, (alpha, beta), xytext=(4, 3), textcoords="offset points", fontsize=SMALL, fontweight="bold",
            bbox={"boxstyle": "round,pad=0.12", "facecolor": "white", "alpha": 0.8, "linewidth": 0},
        )  # fmt: skip
    x, y = _AXES[decisions.norm]
    ax.set(xlabel=x, ylabel=y)
    if alone:
        ax.legend(
            handles=_legend([decisions], colors),
            loc="upper left",
            bbox_to_anchor=(1.02, 1),
            borderaxespad=0,
            title="class",
        )
    return ax


@styled()
def figure_decisions(maps: Mapping[str, DecisionMap], *, names: Sequence[str] | None = None) -> Figure:
    """A double-column page: the images, one legend of the classes that occur, and each network's map beside the others.

    Where there is a loss, it stands beside each network's map, all on one scale.

    Args:
        maps: Network -> map, all of the same images.
        names: What the images are called, one each.

    Returns:
        The page.

    Raises:
        ValueError: There is no map, or they are of different images or planes.

    Example:
        >>> import torch
        >>> from gradscape.explain import decision_map
        >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, 10))
        >>> figure = figure_decisions({"net": decision_map(net, torch.rand(3, 3, 8, 8), steps=11)})
        >>> len(figure.axes)  # three images, the legend, and the map
        5
    """
    several = _checked(list(maps.values()))
    first, losses = several[0], several[0].label >= 0
    columns = 2 if losses else min(len(several), _MOST_COLUMNS)
    rows = len(several) if losses else -(-len(several) // columns)
    width, caption = page_width(double=True), _describe(maps)
    high = float(np.ptp(_ends(first.betas)) / np.ptp(_ends(first.alphas)))
    panel = min(width / columns - 0.6 - (0.6 if losses else 0), 3.2)
    height = _STRIP + 0.15 + rows * (min(panel * high, _HIGHEST) + 0.62) + caption_height(caption, width)
    figure = new_figure(width, height, solid=True)
    outer = figure.add_gridspec(2, 1, height_ratios=[_STRIP, height - _STRIP])
    colors = _colors(several)
    _draw_images(figure, outer[0], several, colors, names)
    grid = outer[1].subgridspec(rows, columns)
    panels = [figure.add_subplot(grid[divmod(number, columns)]) for number in range(len(several) * (1 + losses))]
    for ax, (name, one) in zip(panels[:: 1 + losses], maps.items(), strict=True):
        plot_decisions(one, ax=ax, colors=colors)
        ax.set_title(one_line(name), parse_math=False)
    if losses:
        _draw_losses(figure, panels[1::2], several)
    add_caption(figure, caption)
    return figure


def _checked(several: Sequence[DecisionMap]) -> Sequence[DecisionMap]:
    if not several:
        raise ValueError("`maps` must hold at least one map, got none")
    first = several[0]
    for one in several:
        if one.norm != first.norm or not np.array_equal(one.images, first.images):
            raise ValueError("`maps` must be of the same images and of one kind of plane")
    _class_names(several)
    return several


def _class_names(several: Sequence[DecisionMap]) -> dict[int, str]:
    """Names of classes as any of the maps knows them."""
    names: dict[int, str] = {}
    for one in several:
        for index, name in one.classes.items():
            if names.setdefault(index, name) != name:
                raise ValueError(f"`maps` must agree on classes, but class {index} is {names[index]!r} and {name!r}")
    return names


def _draw_images(
    figure: Figure,
    strip: Any,
    several: Sequence[DecisionMap],
    colors: Mapping[int, str],
    names: Sequence[str] | None,
) -> None:
    """The images with their letters, and the legend beside them."""
    first = several[0]
    count = len(first.images)
    cells = strip.subgridspec(1, count + 1, width_ratios=[*[1] * count, 6.5 - count])
    for number, (letter, image) in enumerate(zip(_letters(first), first.images, strict=True)):
        ax = bare(figure.add_subplot(cells[number]))
        ax.imshow(picture(torch.from_numpy(image)))
        title = one_line(names[number]) if names else ""
        short = title if len(title) <= 12 else f"{title[:11]}…"
        ax.set_title(f"{letter}  {short}" if short else letter, fontsize=SMALL, pad=2, parse_math=False)
    ax = figure.add_subplot(cells[count])
    ax.set_axis_off()
    handles = _legend(several, colors)
    columns = 3 if len(handles) > 4 else 2
    legend = ax.legend(handles=handles, title="class", loc="center left", ncols=columns, borderaxespad=0)
    for text in legend.get_texts():
        text.set_parse_math(False)


def _draw_losses(figure: Figure, panels: Sequence[Axes], several: Sequence[DecisionMap]) -> None:
    fields = [
        Field(
            name="loss",
            alphas=one.alphas,
            betas=one.betas,
            values=one.loss.astype(float),
            label=f"cross-entropy loss of {one_line(one.class_name(one.label))}",
        )
        for one in several
    ]
    shadings = shade_panels(fields, "auto")
    for ax, field, shading, one in zip(panels, fields, shadings, several, strict=True):
        add_colorbar(figure, draw_filled(ax, field, shading), shading, ax=ax)
        x, y = _AXES[one.norm]
        ax.set(xlabel=x, ylabel=y)


def _describe(maps: Mapping[str, DecisionMap]) -> str:
    first = next(iter(maps.values()))
    names = Provenance.of(first.meta).image_names or ()
    said = [", ".join(map(one_line, maps))]
    said += [", ".join(f"{letter}: {one_line(name)}" for letter, name in zip(_letters(first), names, strict=False))]
    count = f"{len(first.alphas)} × {len(first.betas)} images"
    if first.norm:
        how = {"sign": "signs, coordinates are the change of every pixel", "l2": "direction, coordinates are distances"}
        seed = f", seed {one_line(first.meta['seed'])}" if "seed" in first.meta else ""
        said.append(f"{count} along the gradient's {how[first.norm]}, and along random ones{seed}")
    else:
        said.append(f"{count} of the plane through A, B and C, coordinates are Euclidean distances of pixels in [0, 1]")
    if first.norm:
        losses = {one_line(name): f"loss of class {one_line(one.class_name(one.label))}" for name, one in maps.items()}
        same = len(set(losses.values())) == 1
        said += [next(iter(losses.values()))] if same else [f"{name}: {loss}" for name, loss in losses.items()]
    said.append("the paler, the less probable the class")
    if not first.inside.all():
        share = 100 * float(first.inside.mean())
        said.append(
            f"dashed: within it all pixels lie in [0, 1] ({short_number(share)} % of the map), nothing is clipped"
        )
    return " · ".join(filter(None, said))


def _letters(decisions: DecisionMap) -> str:
    return _LETTERS[: len(decisions.images)]


def _colors(several: Sequence[DecisionMap]) -> dict[int, str]:
    marks = class_marks(sorted({index for one in several for index in one.occurring}))
    return {index: mark.color for index, mark in marks.items()}


def _legend(several: Sequence[DecisionMap], colors: Mapping[int, str]) -> list[Artist]:
    """Classes that occur, those that take most of the maps first."""
    shares: dict[int, float] = {}
    for one in several:
        for index, share in one.shares().items():
            shares[index] = shares.get(index, 0.0) + share
    names = _class_names(several)
    largest = sorted(shares, key=lambda index: -shares[index])
    handles: list[Artist] = [
        Patch(facecolor=colors[index], label=one_line(names.get(index, index))) for index in largest[:_MOST_NAMES]
    ]
    if len(largest) > _MOST_NAMES:
        handles.append(Patch(facecolor="none", label=f"and {len(largest) - _MOST_NAMES} more"))
    return handles


def _painted(decisions: DecisionMap, colors: Mapping[int, str]) -> Float[np.ndarray, "betas alphas 3"]:
    full = np.zeros((*decisions.class_index.shape, 3))
    for index in np.unique(decisions.class_index):
        full[decisions.class_index == index] = to_rgb(colors[int(index)])
    strength = _PALEST + (1 - _PALEST) * np.clip(np.nan_to_num(decisions.confidence), 0, 1)[..., None]
    return 1 - strength * (1 - full)


def _ends(axis: Float[np.ndarray, "points"]) -> tuple[float, float]:
    half = float(axis[1] - axis[0]) / 2 if len(axis) > 1 else 0.5
    return float(axis[0]) - half, float(axis[-1]) + half
