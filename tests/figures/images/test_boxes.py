"""Boxes in pictures: where they lie, what is said of them, and where that stands."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.transforms import Bbox
from torch import Tensor

from gradscape.figures import figure_boxes, plot_boxes, save_figure
from gradscape.figures.caption import caption_of
from gradscape.figures.style import CYCLE

NAMES = ("cat", "dog", "parking meter")
IMAGE = torch.rand(3, 120, 160, generator=torch.Generator().manual_seed(0))


def output(boxes: list[list[float]], classes: list[int], scores: list[float]) -> dict[str, Tensor]:
    told = {"classes": torch.tensor(classes, dtype=torch.int64), "scores": torch.tensor(scores)}
    return {"boxes": torch.tensor(boxes).reshape(-1, 4), **told}


def draw(boxes: list[list[float]], classes: list[int], scores: list[float]) -> Axes:
    found = output(boxes, classes, scores)
    return plot_boxes(IMAGE, found["boxes"], found["classes"], found["scores"], names=NAMES)


def outlines(ax: Axes) -> list[Rectangle]:
    """The colored ones, without the white ones below."""
    drawn = [one for one in ax.patches if isinstance(one, Rectangle)]
    return [one for one in drawn if to_hex(one.get_edgecolor()) != "#ffffff"]


def labels(ax: Axes) -> dict[str, Bbox]:
    """Text -> where it and what lies below it stand, in dots."""
    figure = ax.figure
    assert isinstance(figure, Figure)
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    boxes = ((text.get_text(), text.get_bbox_patch()) for text in ax.texts)
    return {said: patch.get_window_extent(renderer) for said, patch in boxes if patch is not None}


def test_boxes_lie_on_the_edges_of_their_pixels_and_end_at_the_picture() -> None:
    ax = draw([[20.0, 30.0, 60.0, 90.0], [-9.0, 100.0, 400.0, 130.0]], [0, 1], [0.9, 0.8])
    corners = [list(one.get_bbox().extents) for one in outlines(ax)]
    assert corners == [[19.5, 29.5, 59.5, 89.5], [-0.5, 99.5, 159.5, 119.5]]
    assert (ax.get_xlim(), ax.get_ylim()) == ((-0.5, 159.5), (119.5, -0.5))


def test_only_finite_boxes_of_the_least_score_are_drawn_the_surest_first() -> None:
    boxes = [[20.0, 30.0, 60.0, 90.0]] * 4
    boxes[2] = [float("nan"), 30.0, 60.0, 90.0]
    ax = draw([*boxes, boxes[0]], [0, 1, 1, 2, 0], [0.5, 0.97, 0.9, 0.49, float("nan")])
    assert [text.get_text() for text in ax.texts] == ["dog .97", "cat .50"]
    assert draw([], [], []).texts[:] == []


def test_classes_have_one_color_each_and_letters_stand_out_on_it() -> None:
    ax = draw(
        [[20.0, 30.0, 60.0, 90.0], [80.0, 30.0, 99.0, 90.0], [110.0, 60.0, 150.0, 90.0]], [1, 0, 1], [0.9, 0.8, 1]
    )
    told = {text.get_text(): text for text in ax.texts}
    colors = {said: to_hex(text.get_bbox_patch().get_facecolor()).upper() for said, text in told.items()}  # type: ignore[union-attr]
    assert colors == {"dog 1.00": CYCLE[1], "dog .90": CYCLE[1], "cat .80": CYCLE[0]}
    assert (told["cat .80"].get_color(), told["dog .90"].get_color()) == ("white", "black")  # 5.2 and 5.4 to one


def test_labels_do_not_cover_each_other_and_stay_in_the_picture() -> None:
    random = np.random.default_rng(3)
    corners, sides = random.uniform(0, [110, 80], (9, 2)), random.uniform(20, 50, (9, 2))
    boxes = np.concatenate([corners, corners + sides], axis=1).tolist()
    boxes[0], boxes[1] = [0.0, 0.0, 30.0, 30.0], [0.0, 0.0, 160.0, 120.0]
    ax = draw(boxes, [0, 2, 1] * 3, np.linspace(0.6, 0.99, 9).tolist())
    placed = labels(ax)
    assert len(placed) == 9
    room = ax.get_window_extent().padded(1)
    for one in placed.values():
        assert room.x0 <= one.x0 <= one.x1 <= room.x1
        assert room.y0 <= one.y0 <= one.y1 <= room.y1
    for one, other in combinations(placed.values(), 2):
        shared = Bbox.intersection(one.padded(-0.75), other.padded(-0.75))
        assert shared is None or min(shared.width, shared.height) <= 0


def test_a_name_wider_than_the_picture_is_cut() -> None:
    found = output([[1.0, 1.0, 30.0, 30.0]], [0], [0.75])
    name = f"a very long name {'of a class that nobody would give ' * 3}"
    ax = plot_boxes(IMAGE, found["boxes"], found["classes"], found["scores"], names=[name])
    ((said, place),) = labels(ax).items()
    assert said.startswith("a very long name")
    assert said.endswith("… .75")
    assert place.width <= ax.get_window_extent().width + 1


def test_columns_are_networks_and_rows_pictures_with_the_same_colors_throughout() -> None:
    few, other = output([[20.0, 30.0, 60.0, 90.0]], [2], [0.9]), output([[5.0, 5.0, 60.0, 50.0]], [0], [0.8])
    pictures = [IMAGE, torch.rand(3, 90, 90, generator=torch.Generator().manual_seed(1))]
    figure = figure_boxes(pictures, {"plain": [few, other], "with $a$": [other, few]}, names=NAMES)
    assert [ax.get_title() for ax in figure.axes] == ["plain", "with $a$", "", ""]
    said = [[text.get_text() for text in ax.texts] for ax in figure.axes]
    assert said == [["parking meter .90"], ["cat .80"], ["cat .80"], ["parking meter .90"]]
    colors = [to_hex(outlines(ax)[0].get_edgecolor()).upper() for ax in figure.axes]
    assert colors == [CYCLE[1], CYCLE[0], CYCLE[0], CYCLE[1]]
    assert caption_of(figure) == "boxes with class and score, of scores from 0.50 · colored by class"
    assert [np.asarray(ax.images[0].get_array()).shape for ax in figure.axes[1:3]] == [(120, 160, 3), (90, 90, 3)]


def test_pictures_keep_their_proportions_beside_others() -> None:
    nothing = output([], [], [])
    figure = figure_boxes([IMAGE, torch.rand(3, 90, 60)], {"net": [nothing] * 2}, names=NAMES)
    figure.draw_without_rendering()
    sizes = [ax.get_window_extent().size for ax in figure.axes]
    assert [width / height for width, height in sizes] == pytest.approx([160 / 120, 60 / 90], rel=1e-3)


def test_a_page_can_be_written(tmp_path: Path) -> None:
    found = output([[20.0, 30.0, 60.0, 90.0]], [1], [0.9])
    figure = figure_boxes([IMAGE], {"a": [found], "b": [found], "c": [found]}, names=NAMES)
    assert [path.name for path in save_figure(figure, tmp_path / "boxes")] == ["boxes.pdf", "boxes.png", "boxes.txt"]


def test_what_cannot_be_drawn_is_refused() -> None:
    found = output([[20.0, 30.0, 60.0, 90.0]], [3], [0.9])
    with pytest.raises(ValueError, match="`names` must hold one for each class, got 3 for classes 3 to 3"):
        figure_boxes([IMAGE], {"net": [found]}, names=NAMES)
    with pytest.raises(ValueError, match="`colors` must have one for each class, but lacks 3"):
        plot_boxes(IMAGE, found["boxes"], found["classes"], found["scores"], names=[*NAMES, "cow"], colors={0: "red"})
    with pytest.raises(ValueError, match="`found` must hold an output for each of the 2 images, got 1 of net"):
        figure_boxes([IMAGE, IMAGE], {"net": [found]}, names=NAMES)
    with pytest.raises(ValueError, match="at least one picture and network, got 1 and 0"):
        figure_boxes([IMAGE], {}, names=NAMES)
