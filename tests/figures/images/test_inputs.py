"""Pictures of any number of channels, volumes and signals in the figures that draw them."""

from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch import Tensor

from gradscape.explain.attention_map import AttentionMap
from gradscape.explain.heatmap import Heatmaps
from gradscape.figures.images.attention import figure_attention, figure_batch_weights
from gradscape.figures.images.explained_images import figure_explained_images
from gradscape.figures.images.grid import drawable, fitted
from gradscape.figures.images.heatmaps import figure_heatmaps, plot_heatmap
from gradscape.figures.images.signals import chosen_curves
from tests.figures.images.test_heatmaps import arrays, as_drawn, drawn, gray, make_heatmaps, panels


def maps_over(images: Tensor, size: tuple[int, ...]) -> Heatmaps:
    count = len(images)
    raw = np.random.default_rng(0).uniform(0.1, 2, (count, *size)).astype(np.float32)
    return make_heatmaps(count, raw=raw, image_size=tuple(images.shape[2:]))


def banded(channels: int) -> Tensor:
    return torch.rand(2, channels, 12, 20, generator=torch.Generator().manual_seed(channels))


DRAWING: dict[str, Any] = {
    "heatmaps": lambda images, **how: figure_heatmaps(images, maps_over(images, (3, 5)), **how),
    "heatmap": lambda images, **how: plot_heatmap(images[0], maps_over(images, (3, 5)), 0, **how),
    "explained": lambda images, **how: figure_explained_images(
        images, {"net": maps_over(images, (3, 5))}, names=["a", "b"], labels={}, **how
    ),
    "attention": lambda images, **how: figure_attention(
        images[0], {"a": AttentionMap("a", "a", "mask", np.random.default_rng(0).random((2, 3, 4, 5)))}, **how
    ),
    "weights": lambda images, **how: figure_batch_weights(
        images, AttentionMap("a", "a", "batch weights", np.ones(2, np.float32)), **how
    ),
}


@pytest.mark.parametrize("name", DRAWING)
@pytest.mark.parametrize("channels", [2, 4, 7])
def test_bands_are_drawn_as_asked_and_refused_unasked(name: str, channels: int) -> None:
    images = banded(channels)
    with pytest.raises(
        ValueError, match=rf"`images` must have 1 or 3 channels .*, got {channels}; say with `channels`"
    ):
        DRAWING[name](images)
    with pytest.raises(ValueError, match=f"`channels` must be one or three numbers from 0 to {channels - 1}"):
        DRAWING[name](images, channels=channels)
    for asked in (0, (1, 0, 1)):
        DRAWING[name](images, channels=asked)


def test_one_channel_is_gray_and_three_stay_as_they_are() -> None:
    one, three = banded(1), banded(3)
    assert torch.equal(drawable(one), one.expand(2, 3, 12, 20))
    assert torch.equal(drawable(three), three)
    many = banded(5)
    assert torch.equal(drawable(many, (4, 2, 0)), many[:, [4, 2, 0]])
    assert torch.equal(drawable(many, 3), many[:, [3, 3, 3]])
    page = drawn(figure_heatmaps(one, maps_over(one, (3, 5)), style="masked"))
    np.testing.assert_array_equal(arrays(panels(page)[0])[0], as_drawn(one[0].expand(3, 12, 20)))


def test_a_page_says_which_bands_it_shows() -> None:
    images = banded(4)
    page = drawn(figure_heatmaps(images, maps_over(images, (3, 5)), channels=(3, 2, 0)))
    first = panels(page)[0]
    np.testing.assert_array_equal(arrays(first)[0], as_drawn(images[0, [3, 2, 0]]))
    assert "channels 3, 2, 0" in caption(page)


def caption(figure: Figure) -> str:
    return figure.get_supxlabel().replace("\n", " ")


def test_of_a_volume_the_strongest_slice_is_shown_and_named() -> None:
    volumes = torch.rand(2, 1, 7, 12, 20, generator=torch.Generator().manual_seed(0))
    raw = np.full((2, 7, 12, 20), 0.1, np.float32)
    raw[0, 5], raw[1, 2] = 1, 1
    maps = make_heatmaps(2, raw=raw, image_size=(7, 12, 20))
    page = drawn(figure_heatmaps(volumes, maps))
    shown = panels(page)
    names = [ax.get_xlabel().replace("\n", " ") for ax in shown[::2]]
    assert names == ["volume 0, slice 6/7", "volume 1, slice 3/7"]
    np.testing.assert_array_equal(arrays(shown[0])[0], as_drawn(volumes[0, :, 5].expand(3, 12, 20)))
    below, above = arrays(shown[3])
    np.testing.assert_allclose(below, gray(volumes[1, :, 2].expand(3, 12, 20)), atol=1e-6)
    np.testing.assert_array_equal(above, maps.display[1, 2])
    assert "slices where the maps shown are strongest" in caption(page)
    ax = plot_heatmap(volumes[0], maps, 0, slices=1)
    np.testing.assert_array_equal(arrays(ax)[1], maps.display[0, 1])


def signals(channels: int = 2) -> Tensor:
    return torch.randn(2, channels, 40, generator=torch.Generator().manual_seed(0))


def test_a_signal_is_a_curve_over_a_strip_of_its_map() -> None:
    maps = maps_over(signals(), (11,))
    page = drawn(figure_heatmaps(signals(), maps))
    axes = [ax for ax in page.axes if ax.lines]
    assert len(axes) == 4
    for number in range(2):
        for ax in axes[2 * number : 2 * number + 2]:
            for line, curve in zip(ax.lines, signals()[number], strict=True):
                np.testing.assert_array_equal(line.get_ydata(), curve.numpy())
        np.testing.assert_array_equal(arrays(axes[2 * number + 1])[0], maps.display[number][None])
        _, _, bottom, top = axes[2 * number + 1].images[0].get_extent()
        assert bottom == axes[2 * number + 1].get_ylim()[0]
        assert top < signals()[number].min()  # below all curves
    assert any("maps below their signals" in text.get_text().replace("\n", " ") for text in page.texts)


@pytest.mark.parametrize("style", ["overlay", "heatmap", "masked"])
def test_signals_are_drawn_in_every_style_also_where_a_map_is_faulty(style: Any) -> None:
    raw = np.ones((2, 11), np.float32)
    raw[0] = np.linspace(0, 1, 11)
    raw[1, 3] = np.nan
    maps = make_heatmaps(2, raw=raw, image_size=(40,))
    page = drawn(figure_heatmaps(signals(), maps, style=style))
    assert any("not finite" in text.get_text().replace("\n", " ") for ax in page.axes for text in ax.texts)
    if style == "masked":
        ax = plot_heatmap(signals()[0], maps, 0, style=style, channels=1)
        np.testing.assert_allclose(
            np.asarray(ax.lines[1].get_ydata()), signals()[0, 1].numpy() * maps.display[0], rtol=1e-6
        )


def test_more_curves_than_can_be_told_apart_are_refused() -> None:
    many = signals(12)
    with pytest.raises(ValueError, match=r"`images` have 12 channels, more than 3 curves .*`channels`"):
        figure_heatmaps(many, maps_over(many, (11,)))
    assert torch.equal(chosen_curves(many, (11, 2)), many[:, [11, 2]])
    with pytest.raises(ValueError, match="`channels` must be up to 3 numbers from 0 to 11, got 12"):
        chosen_curves(many, 12)


def test_wide_letters_take_twice_the_room() -> None:
    assert len(fitted("\u732b" * 100, 1.0)) == len(fitted("a" * 100, 1.0)) // 2
    assert fitted("cat", 1.0) == "cat"
