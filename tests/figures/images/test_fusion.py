from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gradscape.explain.fusion_map import FusionMaps
from gradscape.figures.images.fusion import figure_features, figure_fusion, plot_features
from gradscape.figures.images.grid import fitted, fitted_end, tile_columns
from gradscape.figures.style import DOUBLE_COLUMN

IMAGE = torch.rand(3, 8, 12, generator=torch.Generator().manual_seed(0))


def make_maps(channels: int = 7) -> FusionMaps:
    before, part = np.random.default_rng(0).normal(size=(2, 2, channels, 5, 6)).astype(np.float32)
    names = ("convolution", "CPA", "$sum")
    return FusionMaps(before, part, before + part, "layer2.0.att", names, {"model": "net"})


def drawn(figure: Figure) -> Figure:
    FigureCanvasAgg(figure).draw()
    return figure


def tiles(ax: Axes, columns: int, height: int = 5, width: int = 6) -> list[np.ndarray]:
    """The tiles of a panel, read off its picture, with one masked pixel between them."""
    shown: np.ndarray = np.ma.filled(np.ma.asarray(ax.images[0].get_array()), np.nan)
    rows = (shown.shape[0] + 1) // (height + 1)
    assert (shown.shape[1] + 1) // (width + 1) == columns
    found = [
        shown[row * (height + 1) :][:height, column * (width + 1) :][:, :width]
        for row, column in np.ndindex(rows, columns)
    ]
    return [tile for tile in found if not np.isnan(tile).all()]


def titled(figure: Figure) -> dict[str, Axes]:
    return {ax.get_title(): ax for ax in figure.axes if ax.get_title()}


def test_the_first_channels_are_tiles_row_by_row_with_lines_between() -> None:
    features = make_maps().before[0]
    ax = plot_features(features, most=5, columns=3)
    found = tiles(ax, 3)
    assert len(found) == 5
    for tile, channel in zip(found, features, strict=False):
        np.testing.assert_array_equal(tile, channel)
    lines = np.ma.getmaskarray(np.ma.asarray(ax.images[0].get_array()))
    assert lines[5].all()
    assert lines[:, 6].all()


def test_three_panels_show_one_images_features_each_on_its_own_scale() -> None:
    maps = make_maps()
    figure = drawn(figure_fusion(maps, number=1))
    panels = titled(figure)
    assert list(panels) == ["convolution", "CPA", "$sum"]
    for title, features in zip(panels, (maps.before, maps.part, maps.fused), strict=True):
        found = tiles(panels[title], tile_columns(7))
        np.testing.assert_array_equal(np.stack(found), features[1])
        assert panels[title].images[0].get_clim() == (features[1].min(), features[1].max())
        assert panels[title].images[0].get_cmap().name == "viridis"
    assert figure.get_figwidth() == DOUBLE_COLUMN
    assert len(figure.axes) == 3 + 3


def test_the_picture_stands_above_and_the_caption_tells_what_is_shown() -> None:
    figure = drawn(figure_fusion(make_maps(), image=IMAGE, most=4, names=["$cat", "dog"]))
    above = next(ax for ax in figure.axes if ax.images and not ax.get_title())
    np.testing.assert_array_equal(np.asarray(above.images[0].get_array()), IMAGE.permute(1, 2, 0))
    assert all(ax.get_position().y1 < above.get_position().y0 for ax in titled(figure).values())
    assert figure.get_supxlabel() == (
        "net · layer2.0.att · $cat · the first 4 of 7 channels · each panel on its own scale"
    )


def test_tiles_keep_the_proportion_of_the_maps() -> None:
    figure = drawn(figure_fusion(make_maps(), most=6))
    for ax in titled(figure).values():
        box, (height, width) = ax.get_window_extent(), ax.images[0].get_array().shape  # type: ignore[union-attr]
        assert box.height / box.width == pytest.approx(height / width, rel=1e-6)


def test_features_of_several_models_stand_side_by_side() -> None:
    features = {f"net{number}": make_maps(3 + number).before[0] for number in range(4)}
    figure = drawn(figure_features(features, most=4))
    panels = titled(figure)
    assert list(panels) == list(features)
    assert len({round(ax.get_position().y1, 6) for ax in panels.values()}) == 1
    np.testing.assert_array_equal(np.stack(tiles(panels["net3"], tile_columns(4))), features["net3"][:4])
    five = titled(drawn(figure_features({str(number): features["net0"] for number in range(5)})))
    assert len({round(ax.get_position().y1, 6) for ax in five.values()}) == 2


def test_what_is_not_finite_is_left_white_and_told() -> None:
    features = make_maps(3).before[0].copy()
    features[1, 2, 3], features[2] = np.inf, np.nan
    figure = drawn(figure_features({"layer": features}))
    assert "2 maps with values that are not finite (white)" in " ".join(figure.get_supxlabel().split())
    assert np.isfinite(titled(figure)["layer"].images[0].get_clim()).all()


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: figure_fusion(make_maps(), number=2), "`number` must be 0 to 1, got 2"),
        (lambda: figure_fusion(make_maps(), most=0), "`most` must be at least 1, got 0"),
        (lambda: figure_features({}), "`features` must hold the feature maps of at least one layer"),
    ],
)
def test_what_does_not_fit_is_told(draw: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw()


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (2, 1), (7, 2), (8, 2), (9, 3), (32, 4), (64, 8)])
def test_tiles_make_a_block_without_a_gap_where_that_is_possible(count: int, columns: int) -> None:
    assert tile_columns(count) == columns


def test_long_names_are_broken_at_underscores_and_cut_where_there_is_no_room() -> None:
    assert fitted("painted_bunting_1", 0.6) == "painted_…"
    assert fitted("painted_bunting_1", 0.6, 2) == "painted_\nbunting_1"
    assert fitted("resnet20+spa_a", 0.74, 2) == "resnet20\n+spa_a"
    assert fitted("resnet20+spa_a", 0.8) == "resnet20+spa_a"
    assert fitted("ResNet + SPA", 0.74, 2) == "ResNet + SPA"
    assert fitted("Incomprehensibilities", 0.52) == "Incompre…"
    assert fitted("a\n b", 3.0) == "a b"
    assert fitted_end("encoder.layers.0.attention", 0.68) == "…0.attention"
