"""Images beside what several models see in them: the heatmap over the image, and the image through it."""

from collections.abc import Mapping, Sequence

from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

from gradscape._names import class_label, one_line
from gradscape.explain.heatmap import Heatmaps
from gradscape.figures.images.grid import LINE, Channels, ImageGrid, drawable, fitted, lay_out_grid, picture
from gradscape.figures.images.heatmaps import plot_heatmap
from gradscape.figures.images.overlay import add_heat_bar
from gradscape.figures.style import SMALL, styled

__all__ = ["figure_explained_images"]


@styled()
def figure_explained_images(
    images: Float[Tensor, "images channels height width"],
    heatmaps: Mapping[str, Heatmaps],
    *,
    names: Sequence[str],
    labels: Mapping[str, Sequence[str] | None],
    channels: Channels = None,
) -> Figure:
    """Draw a row for each image: the image, then for each model its heatmap and the image masked by it.

    Args:
        images: In [0, 1].
        heatmaps: The maps of each model, by its title.
        names: A name for each image.
        labels: Names of each model's classes, or None.
        channels: Which to draw: one in gray, or three as red, green and blue; None where there is one or are three.

    Returns:
        A double-column page.

    Raises:
        ValueError: There are no maps, numbers of images, maps and names differ, or `channels` is needed or unknown.

    Source: ULSAM, figure 3; the masked image is Grad-CAM++'s explanation map (Chattopadhay et al. 2018).
    """
    images = drawable(images, channels)
    if not heatmaps:
        raise ValueError("`heatmaps` must hold the maps of at least one model, got none")
    if {len(names), *(len(maps.raw) for maps in heatmaps.values())} != {len(images)}:
        raise ValueError(
            f"`heatmaps` and `names` must have one for each of the {len(images)} images, got other numbers"
        )
    grid = lay_out_grid(
        len(images),
        1 + 2 * len(heatmaps),
        _caption(heatmaps),
        proportion=images.shape[2] / images.shape[3],
        lines_above=3,
        lines_below=2,
        first_gap=0.1,
        right=0.52,
        wide=True,
    )
    for row, (image, name) in enumerate(zip(images, names, strict=True)):
        grid.panels[row, 0].imshow(picture(image), aspect="auto")
        grid.describe(grid.panels[row, 0], name, lines=2)
        for number, (title, maps) in enumerate(heatmaps.items()):
            pair = grid.panels[row, 1 + 2 * number : 3 + 2 * number]
            plot_heatmap(image, maps, row, ax=pair[0], style="overlay")
            plot_heatmap(image, maps, row, ax=pair[1], style="masked", background="none")
            _say_class(grid, row, number, maps, labels.get(title))
    grid.title_columns(["input", *["heatmap", "masked"] * len(heatmaps)])
    for number, title in enumerate(heatmaps):
        _head_pair(grid, number, title)
    add_heat_bar(grid, "image", half=True)
    return grid.figure


def _caption(heatmaps: Mapping[str, Heatmaps]) -> str:
    methods = dict.fromkeys(maps.method for maps in heatmaps.values())
    layers = {title: maps.target_layer for title, maps in heatmaps.items()}
    same = len(set(layers.values())) == 1
    named = dict.fromkeys(layer if same else f"{layer} of {one_line(title)}" for title, layer in layers.items())
    said = [
        ", ".join(methods),
        f"target layer {', '.join(named)}",
        "below each pair the class that the network predicts, which is explained, and its probability",
        "each map on its own scale",
    ]
    return " · ".join(said)


def _say_class(grid: ImageGrid, row: int, number: int, maps: Heatmaps, labels: Sequence[str] | None) -> None:
    """Class and probability, centered below a pair."""
    index = int(maps.class_index[row])
    name = fitted(class_label(labels, index) or f"class {index}", 2 * grid.panel_width)
    said = f"{name}\n{100 * float(maps.probability[row]):.1f} %"
    grid.describe_together(list(grid.panels[row, 1 + 2 * number : 3 + 2 * number]), said)


def _head_pair(grid: ImageGrid, number: int, title: str) -> None:
    """A model's name above its pair, on a line as wide as the pair."""
    ax, line = grid.panels[0, 1 + 2 * number], 1 + 1.45 * LINE / grid.panel_height
    rule = {"color": "0.3", "linewidth": 0.6, "transform": ax.transAxes, "clip_on": False}
    ax.add_line(Line2D([0, 2 * _middle(grid)], [line, line], **rule))
    look = {"ha": "center", "va": "bottom", "fontsize": SMALL + 0.5, "transform": ax.transAxes, "parse_math": False}
    ax.text(_middle(grid), line + 0.02 / grid.panel_height, fitted(title, 2 * grid.panel_width), **look)


def _middle(grid: ImageGrid) -> float:
    """Where the middle of a pair is, in widths of its first panel."""
    first, second = (grid.panels[0, column].get_position() for column in (1, 2))
    return float(second.x1 - first.x0) / float(first.width) / 2
