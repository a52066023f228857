from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from scipy import stats

from gradscape.explain.attention_map import AttentionMap
from gradscape.figures.images.attention import (
    figure_attention,
    figure_batch_weights,
    figure_channel_weights,
    figure_scale_weights,
    plot_batch_weights,
    plot_channel_weights,
    plot_scale_weights,
)
from gradscape.figures.images.attention_rows import draws_map
from gradscape.figures.look import Look, drawn_as
from gradscape.figures.style import DOUBLE_COLUMN

IMAGES = torch.rand(3, 3, 8, 12, generator=torch.Generator().manual_seed(0))


def made(name: str, kind: Any, *shape: int, shift: float = 0.0, grid: tuple[int, int] | None = None) -> AttentionMap:
    seed = sum(map(ord, name))
    values = np.random.default_rng(seed).uniform(0, 1, shape).astype(np.float32) + np.float32(shift)
    return AttentionMap(name, name.rpartition(".")[0] or name, kind, values, grid)


def by_name(*maps: AttentionMap) -> dict[str, AttentionMap]:
    return {one.name: one for one in maps}


def drawn(figure: Figure) -> Figure:
    FigureCanvasAgg(figure).draw()
    return figure


def rows(figure: Figure) -> list[list[Axes]]:
    """Visible panels of each row, color bars left out."""
    found: dict[float, list[Axes]] = {}
    for ax in figure.axes:
        if ax.images and ax.get_visible():
            found.setdefault(round(ax.get_position().y0, 6), []).append(ax)
    return [sorted(found[low], key=lambda ax: ax.get_position().x0) for low in sorted(found, reverse=True)]


def top(ax: Axes) -> np.ma.MaskedArray:
    return np.ma.asarray(ax.images[-1].get_array())


def heights(ax: Axes) -> list[float]:
    return [bar.get_height() for bar in ax.patches if isinstance(bar, Rectangle)]


def test_a_row_is_the_mean_over_the_image_and_the_first_channels_on_its_own_scale() -> None:
    mask, subspace = made("a.mask", "mask", 3, 9, 4, 6), made("b.subspace", "subspace", 3, 2, 2, 3, shift=5)
    figure = drawn(figure_attention(IMAGES[2], by_name(mask, subspace), number=2, most=4))
    first, second = rows(figure)
    assert (len(first), len(second)) == (1 + 4, 1 + 2)
    np.testing.assert_allclose(top(first[0]), mask.values[2].mean(0))
    np.testing.assert_allclose(np.asarray(first[0].images[0].get_array()), IMAGES[2].permute(1, 2, 0))
    for channel in range(4):
        np.testing.assert_array_equal(top(first[1 + channel]), mask.values[2, channel])
    np.testing.assert_array_equal(top(second[2]), subspace.values[2, 1])
    limits = [{ax.images[-1].get_clim() for ax in row} for row in (first, second)]
    assert limits == [
        {(mask.values[2].min(), mask.values[2].max())},
        {(subspace.values[2].min(), subspace.values[2].max())},
    ]
    assert first[0].get_ylabel() == "a\nmask\n9 channels"
    assert second[0].get_ylabel() == "b\nsubspace\n2 groups"


def test_a_map_shared_by_all_images_is_every_images() -> None:
    spatial = made("spa.spatial", "spatial", 1, 1, 4, 6)
    ((over, alone),) = rows(figure_attention(IMAGES[2], by_name(spatial), number=2))
    np.testing.assert_array_equal(top(over), spatial.values[0, 0])
    np.testing.assert_array_equal(top(alone), spatial.values[0, 0])


def test_signed_maps_have_zero_in_the_middle_of_their_colors() -> None:
    part = made("a.part", "part", 3, 5, 2, 3, shift=-0.8)
    ((_, first, *_),) = rows(figure_attention(IMAGES[0], by_name(part)))
    low, high = first.images[0].get_clim()
    assert low == -high == -np.abs(part.values[0]).max()


def test_affinities_are_those_of_the_chosen_pixel() -> None:
    affinity = made("a.affinity", "affinity", 3, 2, 24, 24, grid=(4, 6))
    ((over, *heads),) = rows(figure_attention(IMAGES[1], by_name(affinity), number=1, pixel=(0.3, 0.9)))
    query = 1 * 6 + 5  # 0.3 of 4 rows, 0.9 of 6 columns
    for head, ax in enumerate(heads):
        np.testing.assert_array_equal(top(ax), affinity.values[1, head, query].reshape(4, 6))
    (mark,) = over.lines
    assert (mark.get_xdata(), mark.get_ydata()) == ([0.9], [0.3])


def test_where_there_is_a_class_token_its_affinities_are_drawn() -> None:
    affinity = made("a.affinity", "affinity", 3, 2, 25, 25, grid=(4, 6))
    ((over, *heads),) = rows(figure_attention(IMAGES[1], by_name(affinity), number=1))
    np.testing.assert_array_equal(top(heads[1]), affinity.values[1, 1, 0, 1:].reshape(4, 6))
    assert not over.lines


def test_attention_without_places_is_left_out() -> None:
    others = by_name(
        made("a.channel", "channel", 3, 9),
        made("b.scale_weights", "scale weights", 3),
        made("c.batch_weights", "batch weights", 3),
        made("d.affinity", "affinity", 3, 2, 7, 7),
        made("e.affinity", "affinity", 3, 2, 9, 24, grid=(4, 6)),
    )
    assert not any(draws_map(one) for one in others.values())
    mask = made("f.mask", "mask", 3, 9, 4, 6)
    assert len(rows(figure_attention(IMAGES[0], {**others, mask.name: mask}))) == 1
    with pytest.raises(ValueError, match=r"`maps` must hold a map of pixels .*, got channel, scale weights, batch"):
        figure_attention(IMAGES[0], others)


def test_values_that_are_not_finite_are_masked_and_counted() -> None:
    mask = made("a.mask", "mask", 3, 2, 4, 6)
    mask.values[0, 0, 1, 2] = np.nan
    mask.values[0, 1, 0, 0] = np.inf
    figure = drawn(figure_attention(IMAGES[0], by_name(mask)))
    ((_, first, _),) = rows(figure)
    assert np.argwhere(np.ma.getmaskarray(top(first))).tolist() == [[1, 2]]
    assert "1 row with values that are not finite" in " ".join(figure.get_supxlabel().split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"number": 3}, "`number` must be 0 to 2, got 3"),
        ({"most": 0}, "`most` must be at least 1, got 0"),
        ({"pixel": (0.5, 1.5)}, r"`pixel` must be \(down, right\) from 0 to 1"),
    ],
)
def test_options_out_of_range_are_told(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        figure_attention(IMAGES[0], by_name(made("a.mask", "mask", 3, 2, 4, 6)), **options)


def test_channel_weights_are_a_row_for_each_image() -> None:
    weights = made("a.channel", "channel", 3, 7, 1, 1)
    (image,) = plot_channel_weights(weights).images
    np.testing.assert_array_equal(np.asarray(image.get_array()), weights.values[:, :, 0, 0])


def test_a_matrix_that_mixes_channels_is_drawn_as_it_is() -> None:
    matrix = made("a.channel", "channel", 5, 7, shift=-0.5)
    (image,) = plot_channel_weights(matrix).images
    np.testing.assert_array_equal(np.asarray(image.get_array()), matrix.values)
    assert image.get_clim()[0] == -image.get_clim()[1]


def test_all_channel_attention_stands_on_one_page() -> None:
    maps = by_name(made("$a.channel", "channel", 3, 7), made("b.mask", "mask", 3, 2, 4, 6), made("c", "channel", 4, 9))
    figure = drawn(figure_channel_weights(maps))
    assert [ax.get_title(loc="left") for ax in figure.axes if ax.images] == ["$a.channel", "c"]


def test_bars_of_the_scales_are_absolute_weights_from_fine_to_global() -> None:
    names = [f"layer{stage}.{block}.spa.scale_weights" for stage in (1, 2) for block in (0, 1)]
    maps = by_name(*(made(name, "scale weights", 3, shift=-0.5) for name in names))
    ax = plot_scale_weights(maps)
    bars = np.array(heights(ax)).reshape(3, 4)  # scale by scale
    np.testing.assert_allclose(bars.T, np.abs([maps[name].values for name in names]), rtol=1e-6)
    legend = ax.get_legend()
    assert legend
    assert [text.get_text() for text in legend.get_texts()] == ["fine", "coarse", "global"]
    assert [text.get_text() for text in ax.get_xticklabels()] == [
        f"stage {stage} · block {block}" for stage in (1, 2) for block in (1, 2)
    ]
    assert ax.get_ylim()[1] > 1.1 * bars.max()  # room for the legend


def test_a_page_of_many_blocks_is_two_columns_wide() -> None:
    names = [f"layer1.{block}.spa.scale_weights" for block in range(16)]
    page = drawn(figure_scale_weights(by_name(*(made(name, "scale weights", 3) for name in names)), title="$net"))
    assert page.get_figwidth() == DOUBLE_COLUMN
    assert page.get_supxlabel().startswith("$net · contribution")


def test_trainings_are_bars_of_their_mean_with_intervals_over_them() -> None:
    generator = np.random.default_rng(0)
    values = generator.normal(1, 0.2, (4, 2, 3)).astype(np.float32)
    trainings = [
        by_name(*(AttentionMap(f"{name}.w", name, "scale weights", one) for name, one in zip("ab", row, strict=True)))
        for row in -values
    ]
    ax = plot_scale_weights(trainings)
    bars = np.array(heights(ax)).reshape(3, 2)
    np.testing.assert_allclose(bars.T, np.abs(values).mean(axis=0), rtol=1e-6)
    drawn_lines = [one.get_segments() for one in ax.collections if isinstance(one, LineCollection)]
    lines = np.concatenate([np.array(one) for one in drawn_lines]).reshape(3, 2, 2, 2)[..., 1]
    for scale in range(3):
        for block in range(2):
            ends = stats.ttest_1samp(np.abs(values[:, block, scale]), 0.0).confidence_interval(0.95)
            assert lines[scale, block] == pytest.approx([ends.low, ends.high], rel=1e-5)
    assert "mean of 4 trainings with 95 % intervals" in figure_scale_weights(trainings).get_supxlabel().replace(
        "\n", " "
    )
    with pytest.raises(ValueError, match="`maps` must be of trainings of one network, got different blocks"):
        plot_scale_weights([trainings[0], by_name(*list(trainings[1].values())[:1])])


def test_scales_of_different_numbers_are_refused() -> None:
    maps = by_name(made("a.w", "scale weights", 3), made("b.w", "scale weights", 2))
    with pytest.raises(ValueError, match="`maps` must have the same number of scales in every block"):
        plot_scale_weights(maps)


def test_images_of_a_batch_are_ranked_by_their_weights() -> None:
    weights = AttentionMap("a", "a", "batch weights", np.array([0.5, 2.0, 0.5], np.float32))
    ax = plot_batch_weights(IMAGES, weights, names=["x", "$y", "z"])
    assert heights(ax) == [2, 0.5, 0.5]
    (mean,) = ax.lines
    np.testing.assert_array_equal(mean.get_ydata(), [1, 1])
    assert [inset.get_xlabel() for inset in ax.child_axes] == ["$y", "x", "z"]
    for inset, image in zip(ax.child_axes, (1, 0, 2), strict=True):
        np.testing.assert_array_equal(np.asarray(inset.images[0].get_array()), IMAGES[image].permute(1, 2, 0))


@pytest.mark.parametrize("count", [2, 24, 31])
def test_thumbnails_and_names_stay_above_the_caption(count: int) -> None:
    images = torch.rand(count, 3, 8, 12)
    weights = made("a.batch_weights", "batch weights", count)
    names = [f"a_long_name_{number}.jpg" for number in range(count)]
    with drawn_as(Look(caption=True)):
        figure = drawn(figure_batch_weights(images, weights, names=names))
    (ax,) = figure.axes
    assert len(ax.patches) == min(count, 24)
    highest = figure._supxlabel.get_window_extent().y1  # type: ignore[attr-defined]
    assert all(box and box.y0 > highest for box in (inset.get_tightbbox() for inset in ax.child_axes))
    assert ("7 in the middle are left out" in figure.get_supxlabel()) == (count == 31)


@pytest.mark.parametrize("draw", [plot_channel_weights, lambda one: plot_batch_weights(IMAGES, one)])
def test_another_kind_is_refused(draw: Any) -> None:
    with pytest.raises(ValueError, match=r"`weights` must be of kind .*, got mask"):
        draw(made("a.mask", "mask", 3, 2, 4, 6))


def test_weights_of_another_batch_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`weights` must hold one for each of the 3 images, got \(4,\)"):
        plot_batch_weights(IMAGES, made("a", "batch weights", 4))


@pytest.mark.parametrize(("read", "query"), [((1,), 1), (tuple(range(2, 8)), 2 + 4)])
def test_of_tokens_before_the_pixels_that_is_asked_which_the_output_reads(read: tuple[int, ...], query: int) -> None:
    values = np.random.default_rng(0).random((2, 3, 8, 8)).astype(np.float32)
    one = AttentionMap("a", "a", "affinity", values, (2, 3), read)
    page = figure_attention(torch.rand(3, 8, 12), {"a": one}, number=1, pixel=(0.7, 0.5))
    drawn = page.axes[1].images[0].get_array()
    np.testing.assert_array_equal(drawn, values[1, 0, query, 2:].reshape(2, 3))
