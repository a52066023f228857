import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text

from gradscape.figures.charts.bubbles import Bubble, figure_bubbles
from gradscape.figures.charts.label_places import place_labels
from gradscape.figures.style import DOUBLE_COLUMN
from gradscape.studies.papers.published import published_table


def table(number: str) -> list[Bubble]:
    return [
        Bubble(
            row.row,
            row.accuracy or 0.0,
            row.size or 0.0,
            row.efficiency or 0.0,
            "highlighted" if "UPA" in row.row else "published",
        )
        for row in published_table("upanets", number)
    ]


def drawn(bubbles: list[Bubble]) -> Figure:
    figure = figure_bubbles(bubbles, title="CIFAR-$10", highlighted="UPANets", caption="table 4")
    figure.draw_without_rendering()
    return figure


def annotations(figure: Figure) -> list[Annotation]:
    return [child for child in figure.axes[0].get_children() if isinstance(child, Annotation)]


def boxes(figure: Figure) -> np.ndarray:
    return np.array([Text.get_window_extent(label).extents for label in annotations(figure)])


def leads(label: Annotation) -> bool:
    assert label.arrow_patch is not None
    return label.arrow_patch.get_visible()


@pytest.mark.slow
@pytest.mark.parametrize("number", ["4", "5"])
@pytest.mark.parametrize("own", [(), (Bubble("own", 98.9, 1.5, 65.9, "own"), Bubble("mine", 95.4, 11.0, 8.6, "own"))])
def test_labels_lie_on_no_other_on_no_line_to_another_on_no_dot_and_inside(
    number: str, own: tuple[Bubble, ...]
) -> None:
    bubbles = [*table(number), *own]
    figure = drawn(bubbles)
    ax, found = figure.axes[0], boxes(figure)
    assert len(found) == len(bubbles)
    for first, box in enumerate(found):
        for other in found[first + 1 :]:
            assert not ((np.maximum(box[:2], other[:2]) < np.minimum(box[2:], other[2:])).all())
    dots = ax.transData.transform([(bubble.efficiency, bubble.accuracy) for bubble in bubbles])
    covered = (found[:, None, :2] < dots).all(axis=-1) & (dots < found[:, None, 2:]).all(axis=-1)
    assert not covered.any()
    assert (found[:, :2] >= ax.bbox.min).all()
    assert (found[:, 2:] <= ax.bbox.max).all()
    for place, label in enumerate(annotations(figure)):
        way = np.linspace(dots[place], found[place].reshape(2, 2).mean(axis=0), 200) if leads(label) else dots[:0]
        struck = (found[:, None, :2] < way).all(axis=-1) & (way < found[:, None, 2:]).all(axis=-1)
        assert set(np.flatnonzero(struck.sum(axis=1))) <= {place}


def test_a_line_leads_to_a_label_that_might_be_of_another_dot() -> None:
    crowd = [Bubble(f"network {number}", 90 + 0.3 * number, 1.0, 50.0) for number in range(9)]
    bubbles = [*crowd, Bubble("far", 80.0, 1.0, 10.0)]
    *lines, far = [leads(label) for label in annotations(drawn(bubbles))]
    assert any(lines)
    assert not far


def test_areas_are_in_proportion_to_parameters_and_every_center_has_a_dot() -> None:
    bubbles = [Bubble("a", 90.0, 2.0, 45.0), Bubble("b", 91.0, 8.0, 11.0), Bubble("c", 92.0, 1.0, 92.0, "own")]
    circles = [one for one in drawn(bubbles).axes[0].collections if isinstance(one, PathCollection)]
    places = [tuple(np.asarray(one.get_offsets())[0]) for one in circles]
    areas = {place: one.get_sizes()[0] for place, one in zip(places, circles, strict=True) if one.get_alpha()}
    assert areas[11, 91] == 4 * areas[45, 90] == 8 * areas[92, 92]
    assert all(places.count((bubble.efficiency, bubble.accuracy)) == 2 for bubble in bubbles)


def test_the_dashed_line_joins_the_highlighted_by_efficiency() -> None:
    (line,) = drawn(table("4")).axes[0].get_lines()
    np.testing.assert_array_equal(line.get_xydata(), [(4.09, 96.47), (15.93, 95.88), (63.03, 95.32)])
    assert line.get_linestyle() == "--"


def test_the_legend_names_only_groups_that_are_there_and_three_sizes() -> None:
    def named(bubbles: list[Bubble]) -> list[str]:
        legend = drawn(bubbles).axes[0].get_legend()
        assert legend is not None
        return [text.get_text() for text in legend.get_texts()]

    sizes = ["1 M", "5 M", "15 M parameters"]
    assert named(table("4")) == ["others", "UPANets", *sizes]
    assert named([Bubble("net", 90.0, 2.0, 45.0, "own")]) == ["own", *sizes]


def test_one_s_own_networks_can_be_called_otherwise() -> None:
    bubbles = [Bubble("net", 90.0, 2.0, 45.0, "own")]
    legend = figure_bubbles(bubbles, title="CIFAR-10", caption="", own="own (digits)").axes[0].get_legend()
    assert legend is not None
    assert legend.get_texts()[0].get_text() == "own (digits)"


def test_a_page_across_both_columns_keeps_signs_as_they_are() -> None:
    figure = drawn([Bubble("$net_{", 90.0, 2.0, 45.0)])
    assert figure.get_figwidth() == DOUBLE_COLUMN
    assert figure.axes[0].get_title(loc="left") == "CIFAR-$10"


def test_networks_without_a_size_are_refused() -> None:
    with pytest.raises(ValueError, match="`bubbles` must hold at least one network, each with a positive size"):
        drawn([Bubble("net", 90.0, 0.0, 45.0)])


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 9), st.integers(0, 2**32 - 1))
def test_labels_of_points_with_room_around_never_overlap(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    anchors = rng.uniform(80, 420, (count, 2))
    sizes = np.stack([rng.uniform(15, 60, count), np.full(count, 8.0)], axis=1)
    bounds = np.array([0.0, 0.0, 500.0, 500.0])
    centers = place_labels(anchors, sizes, bounds, np.empty((0, 2, 2)))
    low, high = centers - sizes / 2, centers + sizes / 2
    overlap = (np.maximum(low[:, None], low) < np.minimum(high[:, None], high)).all(axis=-1)
    assert overlap.sum() == count  # each with itself
    assert (low >= bounds[:2]).all()
    assert (high <= bounds[2:]).all()


def test_a_label_leaves_a_line_free_and_stands_as_near_as_it_can() -> None:
    anchors, sizes = np.array([[100.0, 100.0]]), np.array([[40.0, 8.0]])
    bounds = np.array([0.0, 0.0, 200.0, 200.0])
    line = np.array([[[100.0, 100.0], [200.0, 100.0]]])
    (free,) = place_labels(anchors, sizes, bounds, np.empty((0, 2, 2)))
    (beside,) = place_labels(anchors, sizes, bounds, line)
    assert np.hypot(*(np.maximum(np.abs(free - anchors[0]) - sizes[0] / 2, 0))) <= 9
    reaches_line = abs(beside[1] - 100) < 4 and beside[0] + 20 > 100
    assert not reaches_line
