"""Maps as bytes: what comes back out of them."""

import base64
import io
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from gradscape.figures.web.packed_maps import COLOR_TABLES, color_tables, packed_maps, picture_sheet, shrunk


def bytes_of(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), np.uint8)


def unpacked(packed: dict[str, Any]) -> np.ndarray:
    """The maps as the page understands them, NaN where there is no number."""
    steps = bytes_of(packed["bytes"]).astype(float)
    values = packed["low"] + steps / 254 * (packed["high"] - packed["low"])
    return np.where(steps == 255, np.nan, values).reshape(-1, packed["height"], packed["width"])


@pytest.mark.parametrize(("low", "high"), [(0, 1), (3, 3000), (-2, 5), (-7, -1)])
def test_maps_come_back_within_half_a_step(low: float, high: float) -> None:
    maps = np.random.default_rng(0).uniform(low, high, (3, 4, 5)).astype(np.float32)
    packed = packed_maps(maps)
    np.testing.assert_allclose(unpacked(packed), maps, atol=0.51 * (packed["high"] - packed["low"]) / 254)
    assert packed["colors"] == ("RdBu_r" if low < 0 else "viridis")
    if low < 0:
        assert packed["low"] == -packed["high"]


def test_what_is_not_finite_stays_apart() -> None:
    maps = np.array([[[0, np.nan, 2], [np.inf, 1, -np.inf]]], dtype=np.float32)
    np.testing.assert_array_equal(np.isfinite(unpacked(packed_maps(maps))), np.isfinite(maps))
    nothing = packed_maps(np.full((1, 2, 3), np.nan, np.float32))
    assert np.isnan(unpacked(nothing)).all()


@pytest.mark.parametrize("value", [0, 5, -5])
def test_a_constant_map_comes_back(value: float) -> None:
    maps = np.full((2, 3, 4), value, np.float32)
    np.testing.assert_allclose(unpacked(packed_maps(maps)), maps, atol=0.03)


def test_color_tables_are_matplotlibs() -> None:
    tables = color_tables()
    assert tuple(tables) == COLOR_TABLES
    for name, text in tables.items():
        expected = mpl.colormaps[name](np.arange(256))[:, :3] * 255
        np.testing.assert_allclose(bytes_of(text).reshape(256, 3), expected, atol=0.5)


@pytest.mark.parametrize(("height", "width", "side"), [(9, 20, 7), (4, 5, 7), (13, 3, 4)])
def test_shrinking_takes_the_mean_of_what_it_joins(height: int, width: int, side: int) -> None:
    maps = np.random.default_rng(1).normal(size=(2, height, width))
    rows, columns = (min(length, side) for length in (height, width))
    expected = np.empty((2, rows, columns))
    for row in range(rows):
        for column in range(columns):
            down = slice(row * height // rows, (row + 1) * height // rows)
            right = slice(column * width // columns, (column + 1) * width // columns)
            expected[:, row, column] = maps[:, down, right].mean(axis=(1, 2))
    np.testing.assert_allclose(shrunk(maps, side), expected)


def sheet_pixels(sheet: dict[str, Any]) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(sheet["url"].partition(",")[2]))).convert("RGB"))


def test_small_pictures_are_kept_to_the_bit_and_large_ones_are_shrunk() -> None:
    random = np.random.default_rng(0)
    small = random.integers(256, size=(3, 16, 20, 3), dtype=np.uint8)
    sheet = picture_sheet(small)
    np.testing.assert_array_equal(sheet_pixels(sheet), small.reshape(48, 20, 3))
    assert (sheet["width"], sheet["height"]) == (20, 16)
    large = np.broadcast_to(np.array([200, 100, 50], np.uint8), (2, 300, 400, 3))
    sheet = picture_sheet(large)
    assert (sheet["width"], sheet["height"]) == (224, 168)
    np.testing.assert_allclose(sheet_pixels(sheet), np.broadcast_to([200, 100, 50], (336, 224, 3)), atol=3)
    assert sheet["url"].startswith("data:image/jpeg;base64,")
