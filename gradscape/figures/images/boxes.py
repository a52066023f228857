"""What detectors find in pictures: boxes in the color of their class, each with the class's name and the score."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, final

import numpy as np
import torch
from jaxtyping import Float, Int64
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from gradscape._names import one_line
from gradscape.figures.charts.embedding_marks import class_marks
from gradscape.figures.images.grid import bare, lay_out_grid, picture, show_picture
from gradscape.figures.letters import text_size
from gradscape.figures.style import SMALL, styled

__all__ = ["draw_box", "figure_boxes", "plot_boxes"]

_FEW_NETWORKS = 2  # on a page of a single column
_STROKE, _HALO = 1.1, 2.3  # points; the white line below parts a box from light and dark pixels alike
_PAD = 1.2  # points between a label's letters and its edge
_LINE = SMALL + 2 * _PAD  # height of a label, points
_HINTED = 1.04  # letters on a raster are wider than they are measured

Detected = Mapping[str, Tensor]


@final
class _Area(NamedTuple):
    """A rectangle in points from the upper left corner of a picture."""

    left: float
    top: float
    right: float
    bottom: float

    def shared_with(self, other: "_Area") -> float:
        """Area that both cover."""
        wide = min(self.right, other.right) - max(self.left, other.left)
        high = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(wide, 0.0) * max(high, 0.0)


@styled()
def plot_boxes(
    image: Float[Tensor, "channels height width"],
    boxes: Float[Tensor, "found 4"],
    classes: Int64[Tensor, " found"],
    scores: Float[Tensor, " found"],
    *,
    names: Sequence[str],
    ax: Axes | None = None,
    least_score: float = 0.5,
    colors: Mapping[int, str] | None = None,
) -> Axes:
    """Draw what a detector found in a picture; labels stand where they cover no other one, if there is such a place.

    Boxes end at the picture's edges. What is not finite is not drawn.

    Args:
        image: In [0, 1].
        boxes: x1, y1, x2, y2 in its pixels.
        classes: Numbers of their classes.
        scores: How sure the detector is, in [0, 1].
        names: Of all classes.
        ax: Axes to draw into; by default on a page of their own.
        least_score: What is drawn has this score or more.
        colors: Class -> color; by default those of the classes that are drawn.

    Returns:
        The axes.

    Raises:
        ValueError: A class has no name or no color.

    Example:
        >>> import torch
        >>> boxes, classes = torch.tensor([[10.0, 12.0, 40.0, 44.0]]), torch.tensor([1])
        >>> ax = plot_boxes(torch.rand(3, 48, 64), boxes, classes, torch.tensor([0.87]), names=["cat", "dog"])
        >>> ax.texts[0].get_text()
        'dog .87'
    """
    pixels = picture(image)
    height, width = pixels.shape[:2]
    if ax is None:
        ax = lay_out_grid(1, 1, "", proportion=height / width, lines_above=0).panels[0, 0]
    kept = _kept({"boxes": boxes, "classes": classes, "scores": scores}, least_score)
    _check_named(kept["classes"], names)
    colors = _colors([kept]) if colors is None else colors
    if missing := sorted(set(kept["classes"].tolist()) - set(colors)):
        raise ValueError(f"`colors` must have one for each class, but lacks {', '.join(map(str, missing))}")
    show_picture(bare(ax), pixels)
    ax.set_aspect("equal")
    scale = _points_per_pixel(ax, height, width)
    room, taken = _Area(0, 0, width * scale, height * scale), list[_Area]()
    limits = torch.tensor([width, height, width, height])
    rows = zip(
        kept["boxes"].clamp(min=0).minimum(limits), kept["classes"].tolist(), kept["scores"].tolist(), strict=True
    )
    for rank, (box, number, score) in enumerate(rows):
        corners = box.tolist()
        draw_box(ax, corners, colors[number], rank)
        text = _fitted(one_line(names[number]), score, room.right)
        place = _place(text, _Area(*(scale * one for one in corners)), room, taken)
        taken.append(place)
        _draw_label(ax, text, (place.left / scale, place.top / scale), colors[number])
    return ax


@styled()
def figure_boxes(
    images: Sequence[Float[Tensor, "_ _ _"]],
    found: Mapping[str, Sequence[Detected]],
    *,
    names: Sequence[str],
    least_score: float = 0.5,
) -> Figure:
    """Pictures in rows and what each of several detectors finds in them in columns, colored by class.

    Args:
        images: (channels, height, width) in [0, 1]; they may be of different sizes.
        found: Network -> for each picture its output: "boxes" (K, 4) in the picture's pixels, "classes", "scores".
        names: Of all classes.
        least_score: What is drawn has this score or more.

    Returns:
        A page; of one or two networks it is a single column wide.

    Raises:
        ValueError: There is no picture or network, a network has no output for a picture, or a class no name.

    Source: SPANet, figure 7.

    Example:
        >>> import torch
        >>> output = {"boxes": torch.tensor([[1.0, 2.0, 30.0, 20.0]]), "classes": torch.tensor([0])}
        >>> output["scores"] = torch.tensor([0.9])
        >>> figure = figure_boxes([torch.rand(3, 24, 36)], {"a": [output], "b": [output]}, names=["cat"])
        >>> [ax.get_title() for ax in figure.axes]
        ['a', 'b']
    """
    if not len(images) or not found:
        raise ValueError(
            f"`images` and `found` must be of at least one picture and network, got {len(images)} and {len(found)}"
        )
    if others := {name: len(outputs) for name, outputs in found.items() if len(outputs) != len(images)}:
        name, count = next(iter(others.items()))
        raise ValueError(f"`found` must hold an output for each of the {len(images)} images, got {count} of {name}")
    kept = {name: [_kept(output, least_score) for output in outputs] for name, outputs in found.items()}
    every = [one for outputs in kept.values() for one in outputs]
    for one in every:
        _check_named(one["classes"], names)
    colors = _colors(every)
    caption = f"boxes with class and score, of scores from {least_score:.2f} · colored by class"
    highest = max(image.shape[1] / image.shape[2] for image in images)
    grid = lay_out_grid(len(images), len(found), caption, proportion=highest, wide=len(found) > _FEW_NETWORKS)
    grid.title_columns(list(found))
    for column, outputs in enumerate(kept.values()):
        for row, (image, one) in enumerate(zip(images, outputs, strict=True)):
            told = one["boxes"], one["classes"], one["scores"]
            plot_boxes(image, *told, names=names, ax=grid.panels[row, column], least_score=least_score, colors=colors)
    return grid.figure


def draw_box(ax: Axes, corners: Sequence[float], color: str, rank: int = 0) -> None:
    """Draw a box over a picture, with a white line below its own.

    Args:
        ax: The picture's axes.
        corners: x1, y1, x2, y2 in its pixels.
        color: Of the box.
        rank: Boxes of lower rank lie above others.
    """
    left, top, right, bottom = (one - 0.5 for one in corners)  # a pixel's middle is a whole number in Matplotlib
    for line, shade in ((_HALO, "white"), (_STROKE, color)):
        ax.add_patch(
            Rectangle(
                (left, top), right - left, bottom - top,
                fill=False, edgecolor=shade, linewidth=line, joinstyle="miter", zorder=3 - rank / 1e4,
            )
        )  # fmt: skip


def _kept(output: Detected, least_score: float) -> dict[str, Tensor]:
    """What is drawn, the surest first."""
    told = {name: output[name].detach().cpu() for name in ("boxes", "classes", "scores")}
    chosen = (told["scores"] >= least_score) & torch.isfinite(told["boxes"]).all(dim=1)
    order = told["scores"][chosen].argsort(descending=True, stable=True)
    return {name: one[chosen][order] for name, one in told.items()}


def _check_named(classes: Tensor, names: Sequence[str]) -> None:
    if len(classes) and not 0 <= int(classes.min()) <= int(classes.max()) < len(names):
        raise ValueError(
            f"`names` must hold one for each class, got {len(names)} for classes {int(classes.min())} to "
            f"{int(classes.max())}; give those of the data that the detector was trained with"
        )


def _colors(drawn: Sequence[Detected]) -> dict[int, str]:
    occurring = sorted({number for one in drawn for number in one["classes"].tolist()})
    return {number: mark.color for number, mark in class_marks(occurring).items()}


def _points_per_pixel(ax: Axes, height: int, width: int) -> float:
    """How large a pixel is drawn in these axes, with nothing laid out yet."""
    page = ax.get_figure(root=True)
    assert page is not None
    return 72 / page.dpi * min(float(ax.bbox.width) / width, float(ax.bbox.height) / height)


def _draw_label(ax: Axes, text: str, corner: tuple[float, float], color: str) -> None:
    ax.annotate(
        text, (corner[0] - 0.5, corner[1] - 0.5), xytext=(_PAD, -_PAD), textcoords="offset points",
        ha="left", va="top", fontsize=SMALL, color=_letters_on(color), parse_math=False, zorder=4,
        bbox={"boxstyle": f"square,pad={_PAD / SMALL}", "facecolor": color, "linewidth": 0},
    )  # fmt: skip


def _letters_on(color: str) -> str:
    """Black or white, whichever stands out more (WCAG 2, contrast ratio)."""
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in to_rgb(color)]
    luminance = float(np.dot(linear, [0.2126, 0.7152, 0.0722]))
    return "black" if (luminance + 0.05) ** 2 > 1.05 * 0.05 else "white"


def _fitted(name: str, score: float, points: float) -> str:
    """Name and score on a line of so many points, the name cut where it must be."""
    said = f"{score:.2f}".removeprefix("0")
    text = f"{name} {said}"
    for length in range(len(name) - 1, 0, -1):
        if _width(text) <= points:
            break
        text = f"{name[:length]}… {said}"
    return text


def _width(text: str) -> float:
    return _HINTED * text_size(text, SMALL)[0] + 2 * _PAD


def _place(text: str, box: _Area, room: _Area, taken: Sequence[_Area]) -> _Area:
    """Where a label covers least of others: the first such place."""
    return min(_places(_width(text), box, room), key=lambda one: sum(one.shared_with(other) for other in taken))


def _places(wide: float, box: _Area, room: _Area) -> Iterator[_Area]:
    """At the edges of a box from its upper left corner on, first outside and then inside, all within the picture."""
    inside = [top for top in (box.top, box.bottom - _LINE) if box.bottom - box.top >= _LINE]
    between = np.arange(box.top + _LINE, box.bottom - 2 * _LINE, _LINE).tolist()
    for top in (box.top - _LINE, *inside[:1], box.bottom, *inside[1:], *between):
        for left in (box.left, box.right - wide):
            x = min(max(left, room.left), max(room.right - wide, room.left))
            y = min(max(top, room.top), max(room.bottom - _LINE, room.top))
            yield _Area(x, y, x + wide, y + _LINE)
