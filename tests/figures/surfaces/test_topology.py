import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.text import Annotation

from gradscape.figures import figure_topology, plot_merge_tree, plot_persistence
from gradscape.figures.caption import caption_of
from gradscape.figures.surfaces.trajectories import LABEL
from gradscape.landscape import Topology
from tests.figures.results import bowl, make_surface
from tests.figures.trajectories import make_path
from tests.landscape.noisy_surfaces import NOISES, drawn_surface
from tests.landscape.topology.surfaces import himmelblau, surface_of_function


@pytest.fixture(scope="module")
def known() -> Topology:
    return surface_of_function(himmelblau, -5.5, 5.5, 45).topology()


@pytest.fixture(scope="module")
def noisy() -> Topology:
    return drawn_surface("bowl", NOISES["loud"], blocks=16, seed=4).topology()


def marked(ax: Axes, marker: str) -> list[tuple[float, float]]:
    return sorted(
        (float(x), float(y))
        for line in ax.lines
        if line.get_marker() == marker and line.get_markerfacecolor() != "white"
        for x, y in zip(*map(np.asarray, line.get_data()), strict=True)
    )


def test_map_marks_critical_points_and_numbers_minima(known: Topology) -> None:
    ground = figure_topology(known).axes[0]
    for marker, points in (("o", known.minima), ("X", known.saddles), ("^", known.maxima)):
        assert marked(ground, marker) == sorted((point.alpha, point.beta) for point in points)
    assert {text.get_text() for text in ground.texts} == {"1", "2", "3", "4"}


def test_tree_leaves_stand_at_minima_and_branches_meet_at_saddles(known: Topology) -> None:
    ax = plot_merge_tree(known)
    assert [y for _, y in sorted(marked(ax, "o"), key=lambda place: place[1])] == sorted(known.birth[:4])
    assert sorted(y for _, y in marked(ax, "X")) == sorted(known.death[1:4])
    bars = [np.stack(line.get_data()) for line in ax.lines if line.get_marker() == "None"]
    upright = [(x, y) for x, y in bars if x[0] == x[1]]
    for across, heights in ((x, y) for x, y in bars if x[0] != x[1]):  # no branch is crossed
        assert all(y.max() <= heights[0] for x, y in upright if across.min() < x[0] < across.max())


def test_diagram_has_every_pair_and_the_band(noisy: Topology) -> None:
    ax = plot_persistence(noisy)
    assert len(marked(ax, "o")) == 1
    drawn = sum(np.size(line.get_xdata()) for line in ax.lines if line.get_marker() in ("o", "^"))
    assert drawn == len(noisy.dimension)
    (band,) = ax.collections
    heights = band.get_paths()[0].vertices
    assert np.ptp(np.asarray(heights)[:, 1] - np.asarray(heights)[:, 0]) == pytest.approx(2 * noisy.band)


def test_several_share_one_scale_and_the_caption_tells_the_band(noisy: Topology) -> None:
    other = drawn_surface("egg box", NOISES["student"], blocks=16, seed=0).topology()
    figure = figure_topology([noisy, other], titles=["first", "second"])
    trees, diagrams = figure.axes[1:6:3], figure.axes[2:6:3]
    assert trees[0].get_ylim() == trees[1].get_ylim() == diagrams[0].get_ylim() == diagrams[1].get_xlim()
    assert [ax.get_title() for ax in figure.axes[0:6:3]] == ["first", "second"]
    assert "gray: persistence within twice the simultaneous 95 % band (±" in caption_of(figure)


def test_caption_says_that_all_was_seen_and_errors_are_in_percent(known: Topology) -> None:
    assert "all images were seen" in caption_of(figure_topology(known))
    error = drawn_surface("bowl", NOISES["student"], blocks=16, seed=0).topology("error")
    figure = figure_topology(error)
    assert figure.axes[1].get_ylabel() == "error (%)"
    assert marked(figure.axes[1], "o")[0][1] == pytest.approx(100 * error.birth[0])
    assert f"band (±{100 * error.band:.2g} %)" in caption_of(figure)
    with pytest.raises(ValueError, match="fields of one name"):
        figure_topology([known, error])


def test_networks_on_the_map_have_their_names_placed_and_axes_are_brief() -> None:
    surface = make_surface(
        bowl(), trajectories=[make_path().to_entry()], axes=["PC 1 (62 % of the path)", "PC 2 (20 % of the path)"]
    )
    ground = figure_topology(surface.topology()).axes[0]
    assert (ground.get_xlabel(), ground.get_ylabel()) == ("PC 1", "PC 2")
    named = [text for text in ground.texts if isinstance(text, Annotation) and text.get_gid() == LABEL]
    assert len({text.get_position() for text in named}) > 1  # none is where all begin
