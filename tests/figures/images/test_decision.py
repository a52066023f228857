from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb

from gradscape.explain import DecisionMap
from gradscape.figures import figure_decisions, plot_decisions
from gradscape.figures.caption import caption_of
from gradscape.figures.charts.embedding_marks import class_marks
from tests.figures.pages_of_all_kinds import decisions


def test_colors_tell_classes_and_their_strength_the_probability() -> None:
    found = decisions()
    (shown,) = plot_decisions(found).images
    painted = np.asarray(shown.get_array())
    marks = class_marks(found.occurring)
    for row, column in ((0, 0), (4, 6), (2, 3)):
        color = np.array(to_rgb(marks[int(found.class_index[row, column])].color))
        strength = 0.2 + 0.8 * found.confidence[row, column]
        np.testing.assert_allclose(painted[row, column], 1 - strength * (1 - color), atol=1e-6)
    assert shown.origin == "lower"


def test_images_lie_where_they_are_and_the_range_is_outlined() -> None:
    found = decisions()
    ax = plot_decisions(found)
    drawn = [tuple(np.concatenate([np.asarray(one) for one in line.get_data()]).tolist()) for line in ax.lines]
    assert drawn == [tuple(place) for place in found.positions]
    assert [text.get_text() for text in ax.texts] == ["A", "B", "C"]
    left, right, bottom, top = ax.images[0].get_extent()
    assert (left + right) / 2 == pytest.approx(found.alphas.mean())
    assert (bottom + top) / 2 == pytest.approx(found.betas.mean())
    assert len(ax.collections) == 1  # the outline


def test_classes_are_called_as_any_of_the_networks_knows_and_as_all_agree() -> None:
    unnamed = replace(decisions(shift=1), classes={})
    figure = figure_decisions({"one": unnamed, "two": replace(unnamed, classes={1: "dog"})})
    (legend,) = [legend for ax in figure.axes if (legend := ax.get_legend()) is not None]
    assert sorted(text.get_text() for text in legend.get_texts()) == ["0", "2", "3", "dog"]
    with pytest.raises(ValueError, match="class 1 is 'dog' and 'cow'"):
        figure_decisions({"one": decisions(), "two": replace(decisions(), classes={1: "cow"})})


def test_legend_has_only_classes_that_occur_on_any_map() -> None:
    figure = figure_decisions({"one": decisions(), "two": decisions(shift=1)}, names=["x", "y", "z"])
    (legend,) = [legend for ax in figure.axes if (legend := ax.get_legend()) is not None]
    assert sorted(text.get_text() for text in legend.get_texts()) == ["3", "bee", "cat", "dog"]
    titles = [ax.get_title() for ax in figure.axes]
    assert titles == ["A  x", "B  y", "C  z", "", "one", "two"]
    assert "A: x.png, B: y.png, C: z.png" in caption_of(figure)
    assert "% of the map), nothing is clipped" in caption_of(figure)


def test_losses_stand_beside_on_one_scale() -> None:
    figure = figure_decisions({"one": decisions(norm="l2"), "two": decisions(norm="l2", shift=1)})
    labels = [ax.get_ylabel() for ax in figure.axes]
    assert labels.count("cross-entropy loss of dog") == 2
    assert "along the gradient's direction" in caption_of(figure)


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match="at least one map"):
        figure_decisions({})
    with pytest.raises(ValueError, match="of the same images and of one kind"):
        figure_decisions({"one": decisions(), "two": decisions(norm="sign")})
    with pytest.raises(ValueError, match="`colors` must have one for each class"):
        plot_decisions(decisions(), colors={0: "#000000"})


def test_drawing_changes_nothing() -> None:
    found = decisions()
    before = {name: value.copy() for name, value in vars(found).items() if isinstance(value, np.ndarray)}
    figure_decisions({"one": found})
    assert isinstance(found, DecisionMap)
    assert torch.is_grad_enabled()
    for name, value in before.items():
        np.testing.assert_array_equal(value, getattr(found, name))


def test_a_plane_much_higher_than_wide_fits_on_paper() -> None:
    found = decisions()
    high = replace(found, alphas=found.alphas / 400)
    assert figure_decisions({"net": high}).get_figheight() < 8


def test_captions_say_whose_loss_it_is_of_each_network_where_they_differ() -> None:
    found = decisions(norm="sign")
    assert "loss of class dog" in caption_of(figure_decisions({"one": found}))
    both = caption_of(figure_decisions({"one": found, "two": replace(found, label=2)}))
    assert "one: loss of class dog · two: loss of class bee" in both


def test_a_map_whose_file_tells_no_seed_is_drawn_without_one() -> None:
    found = decisions(norm="l2")
    assert "along random ones, seed 0" in caption_of(figure_decisions({"one": found}))
    meta = {name: value for name, value in found.meta.items() if name != "seed"}
    assert "seed" not in caption_of(figure_decisions({"one": replace(found, meta=meta)}))
