"""Networks on maps: where they lie, how far off the plane, how they are called, and what the caption says of them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Annotation, Text

from gradscape.figures import figure_comparison, figure_landscape, plot_filled
from gradscape.figures.caption import caption_of
from gradscape.figures.surfaces.trajectories import LABEL, labelled
from gradscape.figures.surfaces.trajectory_wording import FARTHEST
from gradscape.landscape import Surface, Trajectory
from tests.figures.results import make_surface
from tests.figures.trajectories import make_path, make_points

AXES = ["PC 1 (70 % of the path; random walk 60 %)", "PC 2 (20 % of the path; random walk 15 %)"]


def with_paths(*trajectories: Trajectory, **meta: Any) -> Surface:
    return make_surface(trajectories=[one.to_entry() for one in trajectories], **meta)


def names(ax: Axes) -> list[Annotation]:
    return [text for text in ax.texts if isinstance(text, Annotation) and text.get_gid() == LABEL]


def lines(ax: Axes, label: str) -> list[np.ndarray]:
    return [np.asarray(line.get_xydata()) for line in ax.lines if line.get_label() == label]


def drawn(figure: Figure) -> Axes:
    FigureCanvasAgg(figure).draw()
    return figure.axes[0]


def boxes(texts: list[Annotation]) -> list[np.ndarray]:
    return [np.asarray(Text.get_window_extent(text).extents) for text in texts]


def apart(first: np.ndarray, second: np.ndarray) -> bool:
    return bool((first[:2] >= second[2:]).any() or (second[:2] >= first[2:]).any())


@pytest.mark.parametrize("kind", ["contour", "filled", "heat"])
def test_a_path_runs_through_its_networks_and_its_ends_have_marks_of_their_own(kind: Any) -> None:
    path = make_path()
    ax = drawn(figure_landscape(with_paths(path), kind=kind))
    places = np.stack([path.alphas, path.betas], axis=1)
    np.testing.assert_allclose(lines(ax, "sgd")[0], places)
    for label, part in (("start", places[:1]), ("between", places[1:3]), ("end", places[3:])):
        np.testing.assert_allclose(lines(ax, label)[0], part)
    assert ax.get_xlim() == pytest.approx((-1, 1) if kind != "heat" else (-7 / 6, 7 / 6))


def test_circles_grow_with_the_distance_off_the_plane_and_a_key_says_how_far() -> None:
    ax = plot_filled(with_paths(make_path(distance=3.2)))
    (circles,) = [one for one in ax.collections if one.get_label() == "off the plane"]
    diameters = np.sqrt(circles.get_sizes())  # type: ignore[attr-defined]
    np.testing.assert_allclose(np.diff(diameters[[3, 2, 0, 1]]), np.array([2, 2, 4]))
    (key,) = [one for one in ax.get_children() if isinstance(one, Legend)]
    assert [text.get_text() for text in key.get_texts()] == ["3.2 off the plane"]


def test_networks_in_the_plane_have_no_circles() -> None:
    ax = plot_filled(with_paths(make_points(), make_path(distance=1e-9)))
    assert not [one for one in ax.collections if one.get_label() == "off the plane"]
    assert not [one for one in ax.get_children() if isinstance(one, Legend)]


def test_frames_share_the_scale_of_their_circles() -> None:
    ax = plot_filled(with_paths(make_path(distance=1.0), farthest=4.0))
    (circles,) = [one for one in ax.collections if one.get_label() == "off the plane"]
    assert np.sqrt(circles.get_sizes()).max() == pytest.approx(3 + 8 / 4)  # type: ignore[attr-defined]


def test_ends_are_named_in_full_what_is_between_by_its_number_and_several_paths_at_their_ends() -> None:
    (alone,) = [[text.get_text() for text in names(plot_filled(with_paths(make_path())))]]
    assert alone == ["epoch 0", "1", "2", "epoch 3"]
    both = [text.get_text() for text in names(plot_filled(with_paths(make_path(), make_path("adam"))))]
    assert both == ["epoch 0", "1", "2", "sgd, epoch 3", "epoch 0", "1", "2", "adam, epoch 3"]


def test_points_of_a_plane_are_named_and_not_joined() -> None:
    ax = plot_filled(with_paths(make_points()))
    assert [text.get_text() for text in names(ax)] == ["first", "second", "third"]
    assert [tuple(text.xy) for text in names(ax)] == [(0.0, 0.0), (0.8, 0.0), (0.2, 0.4)]
    assert lines(ax, "networks") == []


@pytest.mark.parametrize("kind", ["contour", "surface"])
def test_no_name_lies_on_another_or_on_the_level_of_a_contour(kind: Any) -> None:
    ax = drawn(figure_landscape(with_paths(make_path(), make_points()), kind=kind))
    texts = boxes(names(ax))
    assert len(texts) == 7
    assert all(apart(one, other) for number, one in enumerate(texts) for other in texts[:number])
    levels = [np.asarray(text.get_window_extent().extents) for text in ax.texts if text.get_gid() != LABEL]
    assert all(apart(one, other) for one in texts for other in levels)


def test_a_long_path_has_few_names() -> None:
    count = 200
    turn = np.linspace(0, 6, count)
    path = replace(
        make_path(),
        alphas=0.1 * turn * np.cos(turn),
        betas=0.05 * turn * np.sin(turn),
        distance=np.zeros(count),
        labels=tuple(f"epoch {number}" for number in range(count)),
    )
    assert len(labelled(with_paths(path).field(), path)) == 5
    assert {0, count - 1} <= set(labelled(with_paths(path).field(), path))


def test_networks_beside_the_grid_are_told_and_not_named() -> None:
    path = replace(make_path(), alphas=np.array([-3.0, -0.4, 0.3, 0.0]))
    figure = figure_landscape(with_paths(path))
    assert [text.get_text() for text in names(figure.axes[0])] == ["1", "2", "epoch 3"]
    assert "1 of 4 outside of the grid (epoch 0)" in caption_of(figure)
    assert "outside" not in caption_of(figure_landscape(with_paths(make_path())))


def test_axes_say_what_the_directions_are_and_briefly_where_there_is_no_room() -> None:
    surface = with_paths(make_path(), axes=AXES)
    flat, solid = (figure_landscape(surface, kind=kind).axes[0] for kind in ("filled", "surface"))
    assert flat.get_xlabel() == AXES[0]
    assert " ".join(flat.get_ylabel().split()) == AXES[1]
    assert (solid.get_xlabel(), solid.get_ylabel()) == ("PC 1", "PC 2")
    assert plot_filled(make_surface()).get_xlabel() == "alpha (direction 1)"
    assert plot_filled(make_surface(axes=["one"])).get_xlabel() == "alpha (direction 1)"
    three = figure_comparison([surface] * 3, titles=["a", "b", "c"])
    assert [ax.get_xlabel() for ax in three.axes[:3]] == ["PC 1"] * 3


def test_captions_tell_shares_beside_those_of_a_random_walk() -> None:
    said = caption_of(figure_landscape(with_paths(make_path())))
    assert "sgd (epoch 0 to epoch 3), the axes explain 70 % and 20 % of its spread, of a random walk's 60 %" in said
    assert "up to 2 off the plane (size of the circles)" in said
    assert "no more than of chance" not in said
    chance = caption_of(figure_landscape(with_paths(make_path(walk=(0.8, 0.12)))))
    assert "of a random walk's 80 % and 12 %: no more than of chance" in chance
    unknown = caption_of(figure_landscape(with_paths(make_path(walk=(np.nan, np.nan)))))
    assert "70 % and 20 % of its spread" in unknown
    assert "nan" not in unknown
    assert "networks (first, second, third)" in caption_of(figure_landscape(with_paths(make_points())))


def test_captions_warn_where_networks_are_seen_with_statistics_of_another() -> None:
    advice = "--batch-norm recalibrated measures statistics anew"
    paths = [make_path()]
    for statistics, seen in (("stored", paths), ("moving", paths), ("none", paths), ("stored", [])):
        surface = with_paths(*seen, batch_norm={"statistics": statistics})
        warned = advice in caption_of(figure_landscape(surface))
        assert warned == (statistics == "stored" and bool(seen))


def test_names_that_look_like_formulas_stay_as_they_are() -> None:
    points = replace(make_points(), labels=("$a$", "b_{c}", "<i>"), name="$x$")
    ax = drawn(figure_landscape(with_paths(points, axes=["$x$", "y"])))
    assert [text.get_text() for text in names(ax)] == ["$a$", "b_{c}", "<i>"]
    assert not any(text.get_parse_math() for text in [*names(ax), ax.xaxis.label])


def test_a_surface_without_networks_has_none() -> None:
    ax = plot_filled(make_surface())
    assert names(ax) == []
    assert len(ax.lines) == 2  # the cross at the origin, in white and in black


def test_in_a_movie_the_loss_is_that_of_the_frames_network_and_no_circle_is_told_where_there_is_none() -> None:
    alone = make_path(distance=0.0)
    still, frame = (caption_of(figure_landscape(with_paths(alone, **about))) for about in ({}, {FARTHEST: 2.0}))
    assert "loss at the origin" in still
    assert "loss of the network" in frame
    assert "origin" not in frame
    assert "off the plane" not in frame
