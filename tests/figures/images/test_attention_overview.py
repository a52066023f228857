from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradscape.figures.images.attention import figure_attention_maps
from gradscape.figures.images.attention_names import column_titles, place_name
from gradscape.figures.images.attention_overview import figure_attention_overview
from gradscape.figures.style import DOUBLE_COLUMN
from tests.figures.images.test_attention import IMAGES, by_name, drawn, made, rows, top


def labels(figure: Figure) -> list[str]:
    """What stands to the left of rows."""
    return [text.get_text() for ax in figure.axes for text in ax.texts]


def maps(figure: Figure) -> list[Axes]:
    """Panels with a map over their image."""
    return [ax for ax in figure.axes if len(ax.images) == 2]


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("layer2.0.att", ("stage 2 · block 1", "att")),
        ("network.stages.1.3.attention", ("stage 2 · block 4", "attention")),
        ("detector.backbone.body.layer1.1.spa", ("stage 1 · block 2", "spa")),
        ("backbone.layer4.0.cbam.spatial", ("stage 4 · block 1", "cbam.spatial")),
        ("stages.2.blocks.0.attn", ("stage 3 · block 1", "attn")),
        ("layers.1.blocks.4.attn", ("stage 2 · block 5", "attn")),
        ("blocks.11.attn", ("block 12", "attn")),
        ("encoder.layers.encoder_layer_3.self_attention", ("block 4", "self_attention")),
        ("features.4.block.2", ("block 5", "block.2")),
        ("emb", ("emb", "")),
    ],
)
def test_a_module_is_called_by_its_stage_and_block(module: str, said: tuple[str, str]) -> None:
    assert place_name(module) == said


def test_columns_say_what_they_are_where_all_rows_agree() -> None:
    assert column_titles({"affinity"}, 2) == ["head 1", "head 2"]
    assert column_titles({"mask", "part"}, 1) == ["channel 1"]
    assert column_titles({"mask", "affinity"}, 2) == ["1", "2"]


def test_every_block_is_a_row_and_every_image_a_column() -> None:
    masks = [made(f"layer{stage}.{block}.bam.mask", "mask", 3, 5, 4, 6) for stage in (1, 2) for block in (0, 1)]
    figure = drawn(figure_attention_overview(IMAGES, by_name(*masks), names=["x", "y", "z"], title="net"))
    assert labels(figure) == [f"stage {stage} · block {block}\nbam" for stage in (1, 2) for block in (1, 2)]
    shown = maps(figure)
    assert len(shown) == 4 * 3
    assert [ax.get_title() for ax in figure.axes if ax.get_title()][:3] == ["x", "y", "z"]
    assert " ".join(figure.get_supxlabel().split()).startswith("net · attention (mask), mean over channels")


def test_a_rows_images_share_its_scale_from_the_lowest_mean_to_the_highest() -> None:
    mask = made("layer1.0.mask", "mask", 3, 5, 8, 12)  # of the images' size, so that nothing is resized
    means = mask.values.mean(1)
    expected = (means - means.min()) / (means.max() - means.min())
    for ax, heat in zip(maps(figure_attention_overview(IMAGES, by_name(mask))), expected, strict=True):
        np.testing.assert_allclose(top(ax), heat, atol=1e-6)


def test_signed_attention_is_colored_around_zero() -> None:
    part = made("layer1.0.part", "part", 3, 5, 8, 12, shift=-0.7)
    means = part.values.mean(1)
    for ax, heat in zip(maps(figure_attention_overview(IMAGES, by_name(part))), means, strict=True):
        np.testing.assert_allclose(top(ax), heat / np.abs(means).max(), atol=1e-6)
        assert ax.images[-1].get_clim() == (-1, 1)


def test_affinities_of_a_pixel_are_marked_and_said() -> None:
    affinity = made("blocks.0.affinity", "affinity", 3, 2, 24, 24, grid=(4, 6))
    figure = figure_attention_overview(IMAGES, by_name(affinity))
    assert all(len(ax.lines) == 1 for ax in maps(figure))
    assert "pixel marked +" in " ".join(figure.get_supxlabel().split())


@pytest.mark.slow
@pytest.mark.parametrize(("blocks", "count"), [(1, 1), (17, 1), (17, 3), (26, 8)])
def test_a_page_is_full_and_fits_into_a_paper(blocks: int, count: int) -> None:
    images = torch.rand(count, 3, 8, 8)
    found = by_name(*(made(f"layer1.{number}.a.mask", "mask", count, 2, 4, 4) for number in range(blocks)))
    figure = drawn(figure_attention_overview(images, found))
    assert figure.get_figheight() <= 9
    assert figure.get_figwidth() <= DOUBLE_COLUMN + 1e-9
    boxes = [ax.get_position() for ax in figure.axes]
    assert min(box.y0 for box in boxes) >= 0
    assert max(box.x1 for box in boxes) <= 1
    # The last band is the only one that may lack rows, and lacks fewer than there are bands.
    lows = sorted({round(box.y0, 6) for box, ax in zip(boxes, figure.axes, strict=True) if ax.images})
    bands = -(-blocks // (len(lows) - 1))
    assert bands * (len(lows) - 1) - blocks < bands


def test_maps_that_are_not_finite_are_said() -> None:
    mask = made("layer1.0.mask", "mask", 3, 5, 4, 6)
    mask.values[1] = np.nan
    assert "not finite" in labels(figure_attention_overview(IMAGES, by_name(mask)))


def test_one_attention_is_a_row_for_each_image() -> None:
    affinity = made("blocks.0.affinity", "affinity", 3, 2, 25, 25, grid=(4, 6))
    found = rows(drawn(figure_attention_maps(IMAGES, by_name(affinity), shown=[0, 2], names=["x", "y", "z"])))
    assert [row[0].get_ylabel() for row in found] == ["x", "z"]
    assert [ax.get_title() for ax in found[0]] == ["mean over\nimage", "head 1", "head 2"]
    np.testing.assert_array_equal(top(found[1][2]), affinity.values[2, 1, 0, 1:].reshape(4, 6))


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: figure_attention_overview(IMAGES, by_name(made("a.channel", "channel", 3, 9))), "`maps` must hold"),
        (
            lambda: figure_attention_overview(IMAGES, by_name(made("a.mask", "mask", 3, 2, 4, 6)), names=["x"]),
            "`names` must hold a name for each of the 3 images, got 1",
        ),
        (lambda: figure_attention_maps(IMAGES, by_name(made("a.channel", "channel", 3, 9))), "`maps` must hold"),
    ],
)
def test_what_does_not_fit_is_told(draw: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw()
