from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import v2

from gradscape.data.boxes import Box, gather_boxes
from gradscape.data.canvas import Canvas, decode_pictures
from gradscape.data.source import IMAGENET


def picture_of(height: int, width: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, height, width), dtype=np.uint8))


@pytest.mark.parametrize(("height", "width", "side"), [(60, 80, 40), (80, 60, 40), (30, 40, 96), (50, 50, 50)])
def test_a_picture_is_scaled_as_torchvision_does_and_lies_at_the_top_left(height: int, width: int, side: int) -> None:
    picture = picture_of(height, width)
    canvas = Canvas(width, height, side)
    columns, rows = canvas.covered
    assert (max(columns, rows), min(columns, rows)) == (side, side * min(height, width) // max(height, width))
    pillow = v2.functional.to_pil_image(picture)
    expected = v2.functional.pil_to_tensor(v2.functional.resize(pillow, [rows, columns], antialias=True))
    drawn = canvas.draw(picture)
    assert torch.equal(drawn[:, :rows, :columns], expected)
    assert not drawn[:, rows:].any()
    assert not drawn[:, :, columns:].any()


def test_what_stays_empty_is_exactly_zero_after_normalization() -> None:
    canvas = Canvas(20, 10, 16)
    normalize = v2.Normalize(*IMAGENET)
    normalized = normalize(canvas.show(canvas.draw(picture_of(10, 20))))
    assert not normalized[:, 8:].any()
    assert normalized[:, :8].all()


def test_both_axes_have_one_scale_where_the_shorter_side_is_no_whole_number_of_pixels() -> None:
    # 100 × 73 pixels on 64 are 64 × 46.72: a picture squeezed into 47 rows would be half a level off at the bottom.
    levels = torch.arange(73, dtype=torch.uint8).mul(3)[None, :, None].expand(3, 73, 100)
    canvas = Canvas(100, 73, 64)
    assert canvas.covered == (64, 46)
    middles = (torch.arange(46) + 0.5) / 0.64 - 0.5
    found = canvas.draw(levels)[0, 2:44, 9].float() / 3
    torch.testing.assert_close(found, middles[2:44], rtol=0, atol=0.2)


@pytest.mark.parametrize("side", [24, 48, 31])
def test_labels_are_those_of_the_nearest_pixel_as_pillow_takes_it(side: int) -> None:
    labels = np.random.default_rng(0).integers(0, 20, (49, 49), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(labels).resize((side, side), Image.Resampling.NEAREST))
    np.testing.assert_array_equal(Canvas(49, 49, side).draw_nearest(labels, 255), expected)


def test_labels_beside_the_picture_are_the_rest() -> None:
    drawn = Canvas(3, 6, 4).draw_nearest(np.zeros((2, 6, 3), dtype=np.uint8), 9)
    assert (drawn[:, :, :2] == 0).all()
    assert (drawn[:, :, 2:] == 9).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(8, 1333), st.data())
def test_boxes_come_back_from_the_canvas(width: int, height: int, side: int, data: st.DataObject) -> None:
    shares = [sorted(data.draw(st.tuples(st.floats(0, 1), st.floats(0, 1)))) for _ in range(2)]
    corners = (shares[0][0] * width, shares[1][0] * height, shares[0][1] * width, shares[1][1] * height)
    source = gather_boxes(["x"], [(width, height)], [[Box(corners, 0, False, 1.0)]], ["a"], split="train")
    targets = source.targets(0, Canvas(width, height, side), torch.zeros(0, side, side))
    assert (targets["boxes"] >= 0).all()
    assert (targets["boxes"] <= side).all()
    back = targets["boxes"][0].double() / targets["scale"].double()
    torch.testing.assert_close(back, torch.tensor(corners, dtype=torch.float64), rtol=0, atol=1e-3)


def test_a_picture_of_another_size_than_annotated_is_told(tmp_path: Path) -> None:
    Image.new("RGB", (6, 4)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"a\.png` must be 4 × 6 pixels, as it is annotated, but is 6 × 4"):
        decode_pictures((str(tmp_path / "a.png"),), np.array([[4, 6]]), 8, 0)
