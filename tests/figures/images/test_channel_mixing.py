from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch, Rectangle

from gradscape.figures.images.channel_mixing import figure_channel_mixing

RNG = np.random.default_rng(0)
INPUTS = RNG.normal(size=(5, 12, 20)).astype(np.float32)
WEIGHTS = np.array([0.1, -0.9, 0.2, 0.05, 0.7], dtype=np.float32)
CONVOLVED = RNG.normal(size=(4, 12, 20)).astype(np.float32)
ATTENDED = RNG.normal(size=(4, 12, 20)).astype(np.float32)
ATTENDED[2] = np.einsum("c,chw->hw", WEIGHTS, INPUTS) - 0.25
IMAGE = torch.rand(3, 24, 40, generator=torch.Generator().manual_seed(0))


def draw(**options: Any) -> Figure:
    given = {"weights": WEIGHTS, "constant": -0.25, "channel": 2, "pixel": (3, 17), "most": 3, **options}
    return figure_channel_mixing(IMAGE, CONVOLVED, INPUTS, ATTENDED, **given)


def panels(figure: Figure) -> list[Axes]:
    return [ax for ax in figure.axes if ax.get_visible() and ax.images]


def test_maps_are_drawn_as_they_are_and_inputs_from_the_largest_weight_on() -> None:
    image, *maps = panels(draw())
    np.testing.assert_allclose(np.asarray(image.images[0].get_array()), IMAGE.permute(1, 2, 0), atol=1e-6)
    expected = [*CONVOLVED[:3], INPUTS[1], INPUTS[4], INPUTS[2], *ATTENDED[:3]]
    assert len(maps) == len(expected)
    for ax, one in zip(maps, expected, strict=True):
        np.testing.assert_array_equal(np.asarray(ax.images[0].get_array()), one)
    assert [ax.get_xlabel() for ax in maps[3:6]] == ["× −0.90", "× 0.70", "× 0.20"]


def test_the_same_pixel_is_marked_in_the_inputs_and_in_one_map_of_the_attention() -> None:
    _, *maps = panels(draw())
    marked = {number: ax.patches[0] for number, ax in enumerate(maps) if ax.patches}
    assert list(marked) == [3, 4, 5, 8]
    for patch in marked.values():
        assert isinstance(patch, Rectangle)
        x, y = patch.get_xy()
        assert (x + patch.get_width() / 2, y + patch.get_height() / 2) == (17, 3)
    colors = [patch.get_edgecolor() for patch in marked.values()]
    assert colors[0] == colors[1] == colors[2] != colors[3]


def test_lines_lead_from_every_drawn_input_to_the_marked_map() -> None:
    figure = draw()
    _, *maps = panels(figure)
    lines = [one for one in figure.artists if isinstance(one, ConnectionPatch)]
    assert [(line.axesA, line.axesB) for line in lines] == [(ax, maps[8]) for ax in maps[3:6]]


def test_the_sum_is_spelled_out() -> None:
    value = ATTENDED[2, 3, 17]
    text = f"{value:.2f} = {value + 0.25:.2f} − 0.25".replace("-", "−")
    assert any(text in one.get_text() for ax in draw().axes for one in ax.texts)


def test_rows_have_a_scale_each() -> None:
    _, *maps = panels(draw())
    for row in (maps[:3], maps[3:6], maps[6:]):
        assert len({ax.images[0].get_clim() for ax in row}) == 1
        drawn = np.stack([np.asarray(ax.images[0].get_array()) for ax in row])
        assert row[0].images[0].get_clim() == (drawn.min(), drawn.max())


def test_values_that_are_not_finite_are_left_out_of_the_scale() -> None:
    attended = ATTENDED.copy()
    attended[0, 0, 0] = np.nan
    figure = figure_channel_mixing(
        IMAGE, CONVOLVED, INPUTS, attended, weights=WEIGHTS, constant=0.0, channel=2, pixel=(0, 0), most=3
    )
    assert np.isfinite(panels(figure)[-1].images[0].get_clim()).all()


def test_a_mark_that_is_not_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match="`channel` must be one of the 3 maps drawn, 0 to 2, got 3"):
        draw(channel=3)
    with pytest.raises(ValueError, match=r"`pixel` must lie in the map of 12 × 20, got \(12, 0\)"):
        draw(pixel=(12, 0))
